"""How often a round was gone for the same reason without a change, so that none is started for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from evergreen import journal as tables
from evergreen.files import digest_text
from evergreen.journal import Journal
from evergreen.triggers import Kind

MOST = 3
"""How many rounds are gone for the same reason while nothing else changes."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
"""After a round that met something that passes (a server that is away): each pause is twice the one before."""
START, EXCUSE = ACTIONS = "start", "excuse"
GIVEN_UP = "given up"
TOLD_TO_END = "it was told to end"
SPARED = 3
"""How many rounds that were told to end do not count: a platform that is stopped and started again goes on at once."""
IN_VAIN = f"{MOST} rounds for it changed nothing"
CANCELLED = "its round was cancelled in Prefect"


@dataclass(frozen=True)
class Occasion:
    """Why a round should be gone now."""

    kind: Kind
    reason: str
    inputs: str
    place: str
    """Name of where things stand; while that is the same, the same round does the same again."""
    hour: str
    """The newest hour of the schedule: it gives everything another chance."""

    @property
    def key(self) -> str:
        """Name of this reason under these circumstances."""
        return digest_text("round", self.reason, self.inputs, self.place, self.hour)


def begin(journal: Journal, occasion: Occasion) -> str:
    """Write down that a round is gone for a reason; returns the attempt's name."""
    name = f"attempt {len(_rows(journal, occasion, START)) + 1}"
    _write(journal, occasion, START, name, occasion.reason)
    return name


def excuse(journal: Journal, occasion: Occasion, attempt: str, why: str) -> None:
    """Write down that an attempt was cut short by something that passes, so that it does not count."""
    _write(journal, occasion, EXCUSE, attempt, why)


def give_up(journal: Journal, occasion: Occasion, why: str) -> None:
    """Write down that no further round is gone for a reason under these circumstances."""
    _write(journal, occasion, "skip", GIVEN_UP, f"{occasion.reason}; {why}, so the next waits for a change or the schedule's hour")


def are_used_up(journal: Journal, occasion: Occasion) -> bool:
    """Whether as many rounds as may be were gone for a reason, or it was given up."""
    excuses = _rows(journal, occasion, EXCUSE)
    told_to_end = sum(row["reason"] == TOLD_TO_END for row in excuses)
    excused = len(excuses) - max(told_to_end - SPARED, 0)
    return len(_rows(journal, occasion, START)) - excused >= MOST or bool(_rows(journal, occasion, "skip"))


def must_wait(journal: Journal, occasion: Occasion, now: datetime) -> bool:
    """Whether the last rounds on the same inputs, for whatever reason, met something that has to pass first."""
    rows = journal.rows(tables.triggers, action=EXCUSE, inputs=occasion.inputs, window=occasion.hour)
    passing = [row for row in rows if row["reason"] != TOLD_TO_END]
    if not passing:
        return False
    pause = min(FIRST_PAUSE * (1 << min(len(passing) - 1, 10)), LONGEST_PAUSE)
    # The distance, not the age: a clock that was set back stops nothing for longer than a pause.
    return abs(now - datetime.fromisoformat(str(passing[-1]["at"]))) < pause


def _rows(journal: Journal, occasion: Occasion, action: str) -> list[dict[str, Any]]:
    return journal.rows(tables.triggers, trigger=occasion.key, action=action)


def _write(journal: Journal, occasion: Occasion, action: str, rule: str, reason: str) -> None:
    row = {"trigger": occasion.key, "kind": occasion.kind, "inputs": occasion.inputs, "window": occasion.hour}
    journal.add(tables.triggers, **row, action=action, rule=rule, reason=reason)
