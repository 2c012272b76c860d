"""What predictions that were served over HTTP were worth, once their outcomes are known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evergreen.candidate import DECISION
from evergreen.contract import Problem
from evergreen.data.snapshots import Frame
from evergreen.journal import Journal, log
from evergreen.monitoring.outcomes import LastBefore, outcomes_of
from evergreen.monitoring.performance import priced


@dataclass(frozen=True)
class Served:
    """What became of the predictions in the log: `rows` is the sum of all other counts and of the rows of `worth`."""

    rows: int
    without_entity: int
    """The request gave no key: no outcome finds them."""
    unknown: int
    """No delivery has brought their key yet: neither the columns that costs and rule of thumb may need nor the outcome are known."""
    waiting: int
    """No outcome yet, or none that counts already."""
    late: int
    """They were asked when the outcome was recorded already: they decided nothing."""
    repeated: int
    """A later prediction for the same thing counts instead."""
    worth: dict[str, float] | None
    """Of the others, see `evergreen.monitoring.performance.realized`; None where there are none."""


def realized_online(root: Path, journal: Journal, problem: Problem, frame: Frame) -> Served | None:
    """Join the log with the outcomes; each thing counts once, by the last prediction before its outcome was recorded.

    What a row is like is taken from the data, not from the log: rule of thumb and costs may need more than the model's features.

    Returns
    -------
    Served or None
        None where the log is empty.
    """
    if log.is_empty(journal):
        return None
    total, last = log.count(journal), LastBefore[str](outcomes_of(root, journal, problem, frame))
    for entity, asked_at, answer, _ in log.with_entity(journal):
        last.put(entity, asked_at, answer)
    without_entity = max(total - last.rows, 0)
    rows, answers = last.judged()
    decisions = np.asarray([json.loads(answer)[DECISION] for answer in answers])
    worth = priced(problem, rows.assign(**{DECISION: decisions})) if len(rows) else None
    return Served(last.rows + without_entity, without_entity, **last.counts, worth=worth)
