"""What predictions that were served over HTTP were worth, once their outcomes are known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.candidate import DECISION
from evergreen.contract import Problem, called
from evergreen.data import batches
from evergreen.data.landing import batch_path
from evergreen.data.snapshots import Frame
from evergreen.errors import ContractError
from evergreen.journal import Journal, deliveries, log
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


@dataclass
class _Counts:
    without_entity: int = 0
    unknown: int = 0
    waiting: int = 0
    late: int = 0
    repeated: int = 0


def realized_online(root: Path, journal: Journal, problem: Problem, frame: Frame) -> Served | None:
    """Join the log with the outcomes; each thing counts once, by the last prediction before its outcome was recorded.

    What a row is like is taken from the data, not from the log: rule of thumb and costs may need more than the model's features. In memory
    there is at most one prediction for each labelled row.

    Returns
    -------
    Served or None
        None where the log is empty.
    """
    if log.is_empty(journal):
        return None
    total, counts = log.count(journal), _Counts()
    labelled = frame.labelled
    recorded = _recorded(root, journal, problem)
    judged = {key: recorded.get(key, "") for key in _texts(labelled, problem.key)}
    known, last, named = set(_texts(frame.rows, problem.key)), dict[str, tuple[str, str]](), 0
    for entity, asked_at, answer in log.with_entity(journal):
        named += 1
        if entity not in judged:
            counts.waiting, counts.unknown = counts.waiting + (entity in known), counts.unknown + (entity not in known)
        elif asked_at >= judged[entity]:
            counts.late += 1
        elif (before := last.get(entity)) is None:
            last[entity] = (asked_at, answer)
        else:
            counts.repeated += 1
            if asked_at >= before[0]:
                last[entity] = (asked_at, answer)
    counts.without_entity = max(total - named, 0)
    rows = labelled[_texts(labelled, problem.key).isin(last)]
    decisions = [json.loads(last[key][1])[DECISION] for key in _texts(rows, problem.key)]
    worth = priced(problem, rows.assign(**{DECISION: np.asarray(decisions)})) if len(rows) else None
    return Served(named + counts.without_entity, **vars(counts), worth=worth)


def _texts(rows: pd.DataFrame, key: str) -> pd.Series:
    """The key of each row as the log has it."""
    return rows[key].astype(str)


def _recorded(root: Path, journal: Journal, problem: Problem) -> dict[str, str]:
    """When each outcome was recorded first (ISO, UTC), by the key as text.

    That is when its delivery was judged here. Where the contract's clock is the wall's and the outcomes have a time, it is that time if it
    is earlier: who asks between an event and its delivery decides nothing any more. The times of replayed data say nothing of the log.
    """
    source, told = problem.source(problem.target.source), dict[str, str]()
    time = source.time if problem.clock == "wall" else None
    for row in journal.rows(deliveries, source=source.name, outcome="published"):
        if not batch_path(root, source.name, row["batch"]).exists():
            continue  # a clean-up has removed it: another delivery took its place
        part = batches.load(root, source.name, row["batch"])
        label = np.asarray(called("target.label", problem.target.label, part))
        if label.shape != (len(part),):
            raise ContractError(f"target.label: got shape {label.shape}; expected one value for each of the {len(part)} outcomes.")
        part = part[pd.notna(label)]
        moments = _moments(part[time], row["at"]) if time else [row["at"]] * len(part)
        for key, moment in zip(_texts(part, source.key[0]), moments, strict=True):
            if moment < told.get(key, "9"):
                told[key] = moment
    return told


def _moments(times: pd.Series, latest: str) -> list[str]:
    return [latest if pd.isna(time) else min(time.isoformat(), latest) for time in times.dt.tz_convert("UTC")]
