"""Which outcomes the data know, since when, and which of several predictions for the same thing counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

from evergreen.contract import Problem, called
from evergreen.data import batches
from evergreen.data.landing import batch_path
from evergreen.data.snapshots import Frame
from evergreen.errors import ContractError
from evergreen.journal import Journal, deliveries

Said = TypeVar("Said")


@dataclass(frozen=True)
class Outcomes:
    """What the data know; things are named by their key as text, as the log has it."""

    labelled: pd.DataFrame
    """The rows of the things whose outcome is known and has matured."""
    keys: pd.Series
    """The key of each of these rows."""
    recorded: dict[str, str]
    """When the outcome of each of these things was recorded first (ISO, UTC); empty where nobody wrote it down."""
    known: set[str]
    """All things that a delivery has brought."""


def outcomes_of(root: Path, journal: Journal, problem: Problem, frame: Frame) -> Outcomes:
    """Look the outcomes of a frame up, and when each was recorded."""
    labelled, recorded = frame.labelled, _recorded(root, journal, problem)
    keys = _texts(labelled, problem.key)
    return Outcomes(labelled, keys, {key: recorded.get(key, "") for key in keys}, set(_texts(frame.rows, problem.key)))


class LastBefore(Generic[Said]):
    """Each thing once, by the last prediction before its outcome was recorded; the others are counted by why they do not count.

    In memory there is at most one prediction for each labelled row.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        self.rows = 0
        """How many predictions it was shown."""
        self.counts = dict.fromkeys(("unknown", "waiting", "late", "repeated"), 0)
        """Of a thing that no delivery has brought, that has no outcome yet, asked when it was recorded already, and asked again later."""
        self._last: dict[str, tuple[str, Said]] = {}

    def put(self, entity: str, asked_at: str, said: Said) -> None:
        """Show it the next prediction."""
        self.rows += 1
        recorded = self.outcomes.recorded.get(entity)
        if recorded is None:
            self.counts["waiting" if entity in self.outcomes.known else "unknown"] += 1
        elif asked_at >= recorded:
            self.counts["late"] += 1
        elif (before := self._last.get(entity)) is None:
            self._last[entity] = (asked_at, said)
        else:
            self.counts["repeated"] += 1
            if asked_at >= before[0]:
                self._last[entity] = (asked_at, said)

    def judged(self) -> tuple[pd.DataFrame, list[Said]]:
        """The labelled rows of the things that count, and what was said of each."""
        counts = self.outcomes.keys.isin(self._last)
        return self.outcomes.labelled[counts], [self._last[key][1] for key in self.outcomes.keys[counts]]


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
