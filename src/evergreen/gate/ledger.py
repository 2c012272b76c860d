"""The error budget: how much risk of promoting a worse model a year of gates may take, kept in the journal.

Its clock is data time, the end of the holdout: replaying a year costs a year, however fast the replay runs. A question, candidate
against champion, is paid for once: a part of its alpha is kept back for looking again when more outcomes are there (docs/decisions/0008).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from evergreen import journal as j
from evergreen.files import digest_text
from evergreen.policies import GatePolicy

GATE, FIRST = "gate", "first model"
YEAR = timedelta(days=365)
ROUNDING = 1e-9
"""Twelve twelfths are one, although their sum as floats is not."""


@dataclass(frozen=True)
class Budget:
    """What one gate may spend. All amounts are chances of error."""

    alpha: float
    """At which the bounds of this gate err."""
    spent: float
    """What other gates of the year spent before it."""
    allowed: float
    left: float
    """`allowed` less `spent`: before this gate."""
    key: str
    """Names the question."""
    already_spent: bool
    purpose: str
    """GATE, or FIRST for a problem's first model, which has an allowance of its own."""
    data_time: datetime
    price: float = 0.0
    """What this gate takes from the year: the alpha of all looks at the question at the first of them, nothing at later ones."""
    pair: str = ""
    """Names candidate and champion, whatever the window."""
    is_waived: bool = False
    """Whether it takes nothing after all: so small a holdout promotes nobody, whatever the comparison says, so nothing was risked."""

    @property
    def is_first(self) -> bool:
        """Whether there is no champion yet."""
        return self.purpose == FIRST

    @property
    def is_exhausted(self) -> bool:
        """Whether the year has no room for this gate."""
        return not (self.already_spent or self.price <= self.left + ROUNDING)


@dataclass(frozen=True)
class Question:
    """What a gate is asked: candidate against champion (digests of their artefacts; None: there is no champion) on one holdout window."""

    candidate: str
    champion: str | None
    window: str

    @property
    def key(self) -> str:
        """Its name; the same question is paid for once."""
        return digest_text("gate", self.candidate, self.champion or "no champion", self.window)

    @property
    def pair(self) -> str:
        """The name of candidate and champion, on whatever window."""
        return digest_text("pair", self.candidate, self.champion or "no champion")


def open_budget(journal: j.Journal, question: Question, *, data_time: datetime, policy: GatePolicy) -> Budget:
    """What the ledger allows for this question. Nothing is written: add `spending(budget)` together with the decision.

    Asked the same question again it gives the alpha of the first time and costs nothing.

    Raises
    ------
    ValueError
        `data_time` has no timezone.
    """
    if data_time.tzinfo is None:
        raise ValueError(f"got the data time {data_time.isoformat()} without a timezone; expected UTC")
    key, rows = question.key, journal.rows(j.ledger)
    own = next((row for row in rows if row["spend"] == key), None)
    looks = journal.rows(j.looks, pair=question.pair)
    look = next((one for one in looks if one["look"] == key), None)
    if own is not None:  # as it stood then, so that the same question has the same answer
        rows = [row for row in rows if row["seq"] < own["seq"]]
        data_time = datetime.fromisoformat(own["data_time"])
    first = question.champion is None
    known = (look["alpha"], look["price"]) if look else (own["alpha"], own["alpha"]) if own else None
    alpha, price = known or _asked(policy, rows, looks, first=first)
    allowed = price if first else policy.alpha_per_year
    spent = 0.0 if first else _spent_around(rows, data_time)
    return Budget(alpha, spent, allowed, allowed - spent, key, known is not None, FIRST if first else GATE, data_time, price, question.pair)


def has_room_from(journal: j.Journal, *, data_time: datetime, policy: GatePolicy) -> datetime | None:
    """When, in data time, the year has room for the gate of another candidate again; None where it has some at `data_time`."""
    rows = [row for row in journal.rows(j.ledger) if row["purpose"] == GATE]
    returns = sorted(datetime.fromisoformat(row["data_time"]) + YEAR for row in rows)
    for time in (data_time, *(end for end in returns if end > data_time)):
        if _spent_around(rows, time) + policy.alpha <= policy.alpha_per_year + ROUNDING:
            return None if time == data_time else time
    return None


def why_no_room(journal: j.Journal, *, data_time: datetime, policy: GatePolicy) -> str:
    """Why a candidate that is trained now could not be promoted whatever it is worth, in words; empty where there is room for its gate."""
    again = has_room_from(journal, data_time=data_time, policy=policy)
    return "" if again is None else f"the error budget has no room for another candidate until outcomes reach {again:%Y-%m-%d}"


def spent_at(journal: j.Journal, data_time: datetime) -> float:
    """What gates have spent of the year that holds a moment of data time."""
    return _spent_around(journal.rows(j.ledger), data_time)


def spending(budget: Budget) -> list[tuple[Any, dict[str, Any]]]:
    """The rows for the journal, to be added in one transaction with the decision.

    None for a question that was asked before, when the budget is exhausted, and when it is waived.
    """
    if budget.already_spent or budget.is_exhausted or budget.is_waived:
        return []
    time = budget.data_time.astimezone(UTC).isoformat()
    rows = [(j.looks, {"look": budget.key, "pair": budget.pair, "alpha": budget.alpha, "price": budget.price})]
    if budget.price:
        rows.append((j.ledger, {"spend": budget.key, "data_time": time, "purpose": budget.purpose, "alpha": budget.price}))
    return rows


def _asked(policy: GatePolicy, rows: list[dict[str, Any]], looks: list[dict[str, Any]], *, first: bool) -> tuple[float, float]:
    """Alpha and price of a look that nobody has taken yet."""
    if first:
        # Halved at each attempt at a first model, so that all of them together stay below the one-off allowance.
        alpha = policy.alpha_first / 2 ** (sum(row["purpose"] == FIRST for row in rows) + 1)
        return alpha, alpha
    if looks:  # a half of what was kept back, then a quarter, and so on: all looks together err no more often than was paid for
        return looks[0]["price"] * policy.resume_share / 2 ** len(looks), 0.0
    return policy.alpha * (1 - policy.resume_share), policy.alpha


def _spent_around(rows: list[dict[str, Any]], time: datetime) -> float:
    """The most that was spent in any year that holds `time`: of those that end then or, when gates came out of order, later."""
    spends = [(datetime.fromisoformat(row["data_time"]), float(row["alpha"])) for row in rows if row["purpose"] == GATE]
    ends = {time, *(at for at, _ in spends if time <= at < time + YEAR)}
    return max(sum(alpha for at, alpha in spends if end - YEAR < at <= end) for end in ends)
