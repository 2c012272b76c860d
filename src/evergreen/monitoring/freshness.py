"""How far the newest row of each source lies behind, and the newest that the champion has learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.landing import Known, known
from evergreen.journal import Journal
from evergreen.moves import standing


@dataclass(frozen=True)
class Freshness:
    """The newest row of one source, and how far it lies behind the contract's clock."""

    source: str
    newest: pd.Timestamp | None
    behind: pd.Timedelta | None
    max_age: pd.Timedelta | None
    clock: str = "the newest row of all"

    @property
    def is_stale(self) -> bool:
        """Whether it lies farther behind than the contract allows."""
        return self.behind is not None and self.max_age is not None and self.behind > self.max_age


def of_sources(journal: Journal, problem: Problem, now: datetime) -> list[Freshness]:
    """How fresh each source with a time is, by the contract's clock: data that are replayed have one of their own."""
    return of_known(known(journal, outcome="published"), problem, now)


def of_known(known: Known, problem: Problem, now: datetime) -> list[Freshness]:
    """The same, by what is known of deliveries."""
    timed = [source for source in problem.sources if source.time is not None]
    newest = {source.name: [pd.Timestamp(row["newest"]) for row in known.active(source.name) if row["newest"]] for source in timed}
    of_data = max((time for times in newest.values() for time in times), default=None)
    clock, name = (pd.Timestamp(now), "now") if problem.clock == "wall" else (of_data, "the newest row of all")
    told = []
    for source in timed:
        last = max(newest[source.name], default=None)
        behind = clock - last if clock is not None and last is not None else None
        told.append(Freshness(source.name, last, behind, pd.Timedelta(source.max_age) if source.max_age is not None else None, name))
    return told


def of_champion(journal: Journal, problem: Problem, now: datetime) -> dict[str, Any] | None:
    """Up to when the champion has learnt, see `evergreen.monitoring.service.history` (`age`); None without one or time."""
    champion = standing(journal).champion
    row = journal.last(tables.versions, version=champion) if champion is not None else None
    learnt_until = row["facts"].get("training_end") if row else None
    if learnt_until is None:
        return None
    clock, name = pd.Timestamp(now), "now"
    if problem.clock == "data":
        seen = known(journal, outcome="published")
        times = [pd.Timestamp(one["newest"]) for source in problem.sources for one in seen.active(source.name) if one["newest"]]
        clock, name = max(times, default=clock), "the newest row of all"
    days = (clock - pd.Timestamp(learnt_until)) / np.timedelta64(1, "D")
    return {"version": champion, "training_end": learnt_until, "days": float(days), "clock": name}
