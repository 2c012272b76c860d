"""Which version is asked in shadow: a wish in the journal, which whoever serves carries out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evergreen.journal import Journal, decisions, mirror, shadows

HOLD = "hold"
HELD = "Held by the gate"


@dataclass(frozen=True)
class Shadow:
    """A version that is asked about everything that is served, and answers nobody."""

    number: int
    version: int
    since: int
    """Number of the newest row of the log of predictions when it began."""
    at: str
    """When that was (ISO, UTC)."""
    reason: str
    until: int | None = None
    """The same when it ended; None while it is in shadow."""


def newest(journal: Journal) -> Shadow | None:
    """The version that is in shadow, or was last; None when none ever was."""
    until: int | None = None
    for row in reversed(journal.rows(shadows)):
        if row["version"] is not None:
            return Shadow(row["seq"], row["version"], row["since"], row["at"], row["reason"], until)
        until = row["since"]
    return None


def wanted(journal: Journal) -> Shadow | None:
    """The version that is in shadow; None when none is."""
    found = newest(journal)
    return found if found is not None and found.until is None else None


def ended(journal: Journal) -> str:
    """Why none is in shadow any more; empty while one is, and before the first."""
    row = journal.last(shadows)
    return "" if row is None or row["version"] is not None else str(row["reason"])


def begin(journal: Journal, version: int, *, reason: str) -> None:
    """Ask a version in shadow from now on, in the place of any other; nothing changes where it is the one."""
    is_written = False
    while not is_written:  # until nobody else has written one at the same moment
        row = journal.last(shadows)
        is_written = (row is not None and row["version"] == version) or _add(journal, row, version, reason)


def end(journal: Journal, *, reason: str, number: int | None = None) -> None:
    """Ask none any more; where a `number` is given, only if it is still that wish which stands."""
    is_written = False
    while not is_written:
        row = journal.last(shadows)
        is_over = row is None or row["version"] is None or number not in {None, row["seq"]}
        is_written = is_over or _add(journal, row, None, reason)


def follow_gate(journal: Journal) -> None:
    """Ask in shadow what the gate holds, until it has judged it otherwise; what a person has begun, or ended since, stays."""
    now = wanted(journal)
    if now is not None and now.reason.startswith(HELD):
        own = journal.last(decisions, candidate=now.version)
        if own is not None and own["verdict"] != HOLD:
            end(journal, reason=f"Version {now.version} is not held any more.", number=now.number)
            now = None
    judged, row = journal.last(decisions), journal.last(shadows)
    if judged is None or judged["verdict"] != HOLD or judged["candidate"] is None:
        return
    if (row is None or row["at"] < judged["at"]) and (now is None or now.reason.startswith(HELD)):
        begin(journal, judged["candidate"], reason=f"{HELD} (decision {judged['decision'][:8]}).")


def _add(journal: Journal, before: dict[str, Any] | None, version: int | None, reason: str) -> bool:
    """False when another row has been written since `before`."""
    after = before["seq"] if before else 0
    return journal.add(shadows, version=version, since=mirror.newest_served(journal), after=after, reason=reason)
