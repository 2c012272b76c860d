"""What a check answers, and what the gate concludes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """A check's answer; everything but PASS keeps the candidate from being promoted."""

    PASS = "pass"  # noqa: S105 (a word, not a password)
    HOLD = "hold"
    REJECT = "reject"
    ERROR = "error"


class Verdict(StrEnum):
    """The gate's answer."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True)
class Finding:
    """A check's answer with everything it rests on.

    `estimate`, `low`, `high` and `threshold` are in the check's own quantity; costs are a row, in the contract's unit.
    """

    check: str
    protects: str
    """One sentence: what would be lost without this check."""
    outcome: Outcome
    reason: str
    """Plain words, with the numbers."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    n: int | None = None
    settle: str | None = None
    """What would settle a HOLD."""
    details: tuple[str, ...] = ()


def amount(value: float) -> str:
    """A number as people say it: 1,310 or 26.4 or 0.13; what is missing or infinite is "no number"."""
    if not math.isfinite(value):
        return "no number"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 (from here on decimals say nothing)


def percent(share: float) -> str:
    """A share as people say it: 21% or 0.35%."""
    return f"{amount(100 * share)}%" if math.isfinite(share) else amount(share)


def between(low: float, high: float) -> str:
    """The words for an interval; without bounds nothing can be said."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "how much of it is chance cannot be said"
    return f"very likely between {amount(low)} and {amount(high)}"
