"""A version in shadow beside what served: how often they agree and, once outcomes are known, what both cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from evergreen import journal as tables
from evergreen import shadows
from evergreen.candidate import DECISION, PROBABILITY
from evergreen.contract import Problem
from evergreen.data.snapshots import Frame, clusters
from evergreen.evaluation import Predicted
from evergreen.gate.collection import priced_answers
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Contender, Shadowed, SideBySide
from evergreen.journal import mirror
from evergreen.journal.mirror import Account, Faults, Pair
from evergreen.limits import OnlinePolicy
from evergreen.monitoring.outcomes import LastBefore, Outcomes, outcomes_of
from evergreen.shadows import Shadow
from evergreen.training import training_target
from evergreen.workspace import Workspace

CELLS = 20
"""Along each side of the picture of what both said."""
MOST_POINTS = 2_000
"""Of numbers, which have no bounds that are known before, so many are drawn, evenly from all."""


@dataclass(frozen=True)
class Agreement:
    """How alike the answers are, over all rows that both answered."""

    rows: int
    served: dict[int, int]
    """How many of them each version served."""
    equal: int
    """Those with the same decision."""
    to_yes: int
    """Binary: served was 0, in shadow 1."""
    to_no: int
    mean_apart: float | None
    """Mean distance of the probabilities (binary) or values (regression); None for several classes, and where there is none."""
    most_apart: float | None
    cells: tuple[tuple[float, float, int], ...]
    """What served said, what the other one said, and about how often: the middles of squares that are not empty."""


@dataclass(frozen=True)
class Compared:
    """All that pairs of answers come to."""

    agreement: Agreement
    things: SideBySide
    """Those with outcomes; each once, by the rule of `evergreen.monitoring.outcomes.LastBefore`."""


@dataclass(frozen=True)
class Comparison:
    """A version in shadow, or the last one that was, and what has become of it."""

    shadow: Shadow
    ended: str
    """Why it is in shadow no more; empty while it is."""
    account: Account
    faults: Faults
    compared: Compared


def compare(pairs: Iterable[Pair], outcomes: Outcomes, problem: Problem, *, only: tuple[int, ...] | None = None) -> Compared:
    """Read pairs of answers, however many, and price what both said of the things whose outcomes are known.

    Parameters
    ----------
    only
        Of these things count those that one of these versions served, none where there are none; any version's unless it is given.
    """
    reading, last = _Reading(problem.task), LastBefore[tuple[str, str]](outcomes)
    for pair in pairs:
        reading.put(pair.version, orjson.loads(pair.answer), orjson.loads(pair.shadow))
        if pair.entity is not None and (only is None or pair.version in only):
            last.put(pair.entity, pair.asked_at, (pair.answer, pair.shadow))
    return Compared(reading.agreement(), _side_by_side(last, problem))


def in_shadow(space: Workspace, frame: Frame) -> Comparison | None:
    """The version that is in shadow, or was last, beside all that served; None when none ever was."""
    journal, problem = space.journal, space.problem
    shadow = shadows.newest(journal)
    if shadow is None:
        return None
    compared = compare(mirror.pairs(journal, shadow.number), outcomes_of(space.settings.root, journal, problem, frame), problem)
    became = mirror.account(journal, shadow.number, since=shadow.since)
    return Comparison(shadow, shadows.ended(journal), became, mirror.faults(journal, shadow.number), compared)


def shown_in_shadow(space: Workspace, frame: Frame, version: int, champion: int | None) -> Shadowed | None:
    """What the gate is shown of a version, each time that it was in shadow; None where it never was.

    Without a champion no thing counts: what some other version served is nothing to be measured by.
    """
    journal, problem = space.journal, space.problem
    numbers = [row["seq"] for row in journal.rows(tables.shadows, version=version)]
    if not numbers:
        return None
    only = () if champion is None else (champion,)
    pairs = chain.from_iterable(mirror.pairs(journal, number) for number in numbers)
    compared = compare(pairs, outcomes_of(space.settings.root, journal, problem, frame), problem, only=only)
    faults = [mirror.faults(journal, number) for number in numbers]
    return Shadowed(
        scored=compared.agreement.rows,
        failed=sum(one.failed for one in faults),
        fault=next((one.newest for one in reversed(faults) if one.newest), ""),
        lacking=sum(one.lacking for one in faults),
        lacks=tuple(dict.fromkeys(name for one in faults for name in one.lacks)),
        most_faults=(problem.online or OnlinePolicy()).max_fault_share,
        served=compared.agreement.served,
        things=compared.things,
    )


class _Reading:
    """Adds up how alike answers are, one pair after the other."""

    def __init__(self, task: str) -> None:
        self._task, self._name = task, {"binary": PROBABILITY, "regression": DECISION}.get(task, "")
        self._served, self._equal, self._to_yes, self._to_no = Counter[int](), 0, 0, 0
        self._apart, self._most, self._numbers = 0.0, 0.0, 0
        self._cells, self._points, self._step = Counter[tuple[int, int]](), list[tuple[float, float]](), 1

    def put(self, version: int, served: dict[str, Any], shadow: dict[str, Any]) -> None:
        self._served[version] += 1
        before, after = served[DECISION], shadow[DECISION]
        self._equal += before == after
        self._to_yes += after == 1 != before
        self._to_no += after == 0 != before
        one, other = served.get(self._name), shadow.get(self._name)
        if one is None or other is None:
            return
        apart = abs(one - other)
        self._apart, self._most = self._apart + apart, max(self._most, apart)
        if self._task == "binary":
            self._cells[min(int(one * CELLS), CELLS - 1), min(int(other * CELLS), CELLS - 1)] += 1
        elif self._numbers % self._step == 0:
            self._points.append((one, other))
            if len(self._points) == MOST_POINTS:
                self._points, self._step = self._points[::2], 2 * self._step
        self._numbers += 1

    def agreement(self) -> Agreement:
        """What it comes to."""
        return Agreement(
            rows=self._served.total(),
            served=dict(self._served),
            equal=self._equal,
            to_yes=self._to_yes if self._task == "binary" else 0,
            to_no=self._to_no if self._task == "binary" else 0,
            mean_apart=self._apart / self._numbers if self._numbers else None,
            most_apart=self._most if self._numbers else None,
            cells=self._drawn(),
        )

    def _drawn(self) -> tuple[tuple[float, float, int], ...]:
        low, wide, cells = 0.0, 1 / CELLS, self._cells
        if self._points:
            points = np.array(self._points)
            low, wide = float(points.min()), float(np.ptp(points)) / CELLS or 1.0
            cells = Counter(map(tuple, np.minimum((points - low) // wide, CELLS - 1).astype(int).tolist()))
        return tuple((low + (x + 0.5) * wide, low + (y + 0.5) * wide, count) for (x, y), count in sorted(cells.items()))


def _side_by_side(last: LastBefore[tuple[str, str]], problem: Problem) -> SideBySide:
    rows, said = last.judged()
    if not said:
        nothing = np.empty(0)
        return SideBySide(Contender(CANDIDATE, nothing, nothing, nothing), Contender(CHAMPION, nothing, nothing, nothing), nothing)
    y = training_target(rows, problem)
    served, shadow = (priced_answers(problem, rows, y, _predicted(answers, problem.task)) for answers in zip(*said, strict=True))
    return SideBySide(Contender(CANDIDATE, **shadow), Contender(CHAMPION, **served), clusters(rows, problem.gate.cluster))


def _predicted(answers: Iterable[str], task: str) -> Predicted:
    """Answers of the log as the costs take them. With several classes the decision alone is priced."""
    told = [orjson.loads(answer) for answer in answers]
    decision = np.asarray([one[DECISION] for one in told])
    if task != "binary" or any(PROBABILITY not in one for one in told):
        return Predicted(decision)
    return Predicted(decision, np.asarray([one[PROBABILITY] for one in told], dtype=float))
