"""Which version is asked in shadow: a wish in the journal, which whoever serves carries out."""

from __future__ import annotations

from dataclasses import dataclass

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
    if (now := wanted(journal)) is None or now.version != version:
        _write(journal, version, reason)


def end(journal: Journal, *, reason: str) -> None:
    """Ask none any more."""
    if wanted(journal) is not None:
        _write(journal, None, reason)


def follow_gate(journal: Journal) -> None:
    """Ask in shadow what the gate holds, until it has judged it otherwise; what a person has begun or ended since stays."""
    judged, row = journal.last(decisions), journal.last(shadows)
    if judged is None:
        return
    now, is_held = wanted(journal), judged["verdict"] == HOLD and judged["candidate"] is not None
    if now is not None and now.reason.startswith(HELD) and not (is_held and judged["candidate"] == now.version):
        end(journal, reason=f"Version {now.version} is not held any more.")
    elif is_held and (row is None or row["at"] < judged["at"]):
        begin(journal, judged["candidate"], reason=f"{HELD} (decision {judged['decision'][:8]}).")


def _write(journal: Journal, version: int | None, reason: str) -> None:
    is_written = False
    while not is_written:  # until nobody else has written one at the same moment
        before = journal.last(shadows)
        row = {"version": version, "since": mirror.newest_served(journal), "after": before["seq"] if before else 0, "reason": reason}
        is_written = journal.add(shadows, **row)
