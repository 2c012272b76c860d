"""Overrides: who had a version serve that the gate refuses, against which checks, why, and until when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from evergreen.brakes import barred
from evergreen.files import digest_text
from evergreen.journal import Journal, overrides, promotions

SPAN = re.compile(r"([1-9]\d{0,3})d")


@dataclass(frozen=True)
class Override:
    """A person's word against the gate's."""

    version: int
    decision: str
    """Id of the decision that is overruled."""
    verdict: str
    checks: tuple[str, ...]
    """The checks that did not pass."""
    reason: str
    person: str
    expires: datetime
    """The first moment at which it holds no more, in UTC."""

    @property
    def last_day(self) -> str:
        """The day through which it holds, in UTC."""
        return f"{self.expires - timedelta(microseconds=1):%Y-%m-%d}"

    @property
    def sentence(self) -> str:
        """All of it in words."""
        against = f"{self.verdict.upper()} by {', '.join(self.checks)}"
        return f"Version {self.version} was refused ({against}); {self.person} lets it serve through {self.last_day} (UTC): {self.reason}"

    def is_over(self, now: datetime) -> bool:
        """Whether it has expired."""
        return now >= self.expires


def read_end(text: str, *, now: datetime) -> datetime:
    """The end of the day that a date (2026-12-31) or a number of days from today (14d) names, in UTC.

    Whole days, so that the same command given twice on a day means the same.

    Raises
    ------
    ValueError
        It is neither, or over already; the message says what was expected.
    """
    today = now.astimezone(UTC).date()
    try:
        span = SPAN.fullmatch(text)
        last = today + timedelta(days=int(span[1])) if span else date.fromisoformat(text)
        end = datetime.combine(last + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"got {text!r}; expected a date such as 2026-12-31, or a number of days such as 14d.") from None
    if end <= now:
        raise ValueError(f"{text} is over: it is {today} in UTC. Give a day to come, or today's.")
    return end


def row_of(override: Override, promotion: str, *, number: int = 0) -> dict[str, Any]:
    """The journal's row of an override that belongs to a move; `number` tells it from those said before for the same move."""
    end = override.expires.astimezone(UTC).isoformat()
    names = ("version", "decision", "verdict", "reason", "person")
    key = digest_text(promotion, override.person, override.reason, end, str(number))
    return {
        **{name: getattr(override, name) for name in names},
        **{"override": key, "promotion": promotion, "expires": end, "checks": list(override.checks)},
    }


def in_force(journal: Journal, champion: int | None) -> Override | None:
    """The override by which the champion serves, expired or not; None when it serves by the gate's verdict or by a release.

    Rolling back to a version gives it back the word by which it served. Of several for one move the newest counts.
    """
    moves = [row for row in journal.rows(promotions, state="done", version=champion) if row["kind"] != "rollback"]
    row = journal.last(overrides, promotion=moves[-1]["promotion"]) if moves and moves[-1]["kind"] == "override" else None
    return _override(row) if row else None


def sound_before(journal: Journal, champion: int) -> int | None:
    """The newest champion before this one that is not barred and served by the gate's verdict or a release."""
    out = barred(journal) | {champion}
    earlier = [row["version"] for row in journal.rows(promotions, state="done")]
    return next((one for one in reversed(earlier) if one not in out and in_force(journal, one) is None), None)


def of_move(journal: Journal, promotion: str) -> Override:
    """The override that a move of that kind carries out."""
    return _override(journal.rows(overrides, promotion=promotion)[-1])


def used(journal: Journal) -> dict[str, dict[str, Any]]:
    """What the page of each overruled decision shows beside its record: person, reason, checks, last day and when it was said."""
    done = {row["promotion"] for row in journal.rows(promotions, state="done")}
    shown = ("person", "reason", "checks", "at")
    return {
        row["decision"]: {**{name: row[name] for name in shown}, "last_day": _override(row).last_day}
        for row in journal.rows(overrides)
        if row["promotion"] in done
    }


def _override(row: dict[str, Any]) -> Override:
    names = ("version", "decision", "verdict", "reason", "person")
    end = datetime.fromisoformat(row["expires"])
    return Override(**{name: row[name] for name in names}, checks=tuple(row["checks"]), expires=end)
