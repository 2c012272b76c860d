"""What keeps versions from being promoted: a bar on a single one, a freeze of them all. Rolling back is possible under either."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from evergreen.errors import FrozenError, RefusedError, StoreError
from evergreen.files import digest_text
from evergreen.journal import Journal, bars, freezes, removals
from evergreen.leases import single_flight

WAIT_SECONDS = 60.0


def one_move_at_a_time(journal: Journal, root: Path, *, seconds: float = 60.0) -> AbstractContextManager[None]:
    """The lease of whoever moves the champion, or stops such moves: none is under way when a freeze begins.

    Who does not stir for `seconds` is taken over: a process that is stopped must not keep anybody from rolling back.
    """
    return single_flight(journal, root, seconds=seconds, name="promotion", patience=WAIT_SECONDS)


def barred(journal: Journal) -> set[int]:
    """Versions that may not be promoted, since somebody rolled back from them."""
    last = {row["version"]: row["barred"] for row in journal.rows(bars)}
    return {version for version, is_barred in last.items() if is_barred}


def removed(journal: Journal) -> dict[int, str]:
    """Versions whose model is no longer there because a clean-up removed it, with the day of it."""
    return {int(row["name"]): row["at"][:10] for row in journal.rows(removals, kind="model")}


def refuse_removed(journal: Journal, version: int) -> None:
    """Refuse to use a version whose model was removed.

    Raises
    ------
    StoreError
        It was; says when, and what to do.
    """
    if day := removed(journal).get(version):
        raise StoreError(
            f"The model of version {version} is not there any more: `evergreen clean` removed it on {day}. "
            "Restore a backup from before that day, or train a new version on newer outcomes: evergreen train"
        )


def unbar(journal: Journal, version: int, *, reason: str, person: str) -> None:
    """Let a barred version be promoted again.

    Raises
    ------
    RefusedError
        It is not barred.
    """
    if version not in barred(journal):
        raise RefusedError(f"Version {version} is not barred; barred: {', '.join(map(str, sorted(barred(journal)))) or 'none'}.")
    event = digest_text("unbar", str(version), str(len(journal.rows(bars, version=version))))
    journal.add(bars, event=event, reason=reason, person=person, version=version, barred=False)


def frozen(journal: Journal) -> dict[str, Any] | None:
    """The freeze that holds now: who, why and since when; None while promotions are free."""
    last = journal.last(freezes)
    return last if last and last["frozen"] else None


def freeze(journal: Journal, *, root: Path, reason: str, person: str, seconds: float = 60.0) -> bool:
    """Stop all promotions, by the gate and by persons; False, and nothing recorded, when they are stopped already.

    A promotion under way ends first, unless who makes it does not stir for `seconds`. One that was cut short before is finished all the
    same, by `promotion.reconcile`.

    Raises
    ------
    BusyError
        A promotion is under way and does not end; nothing was stopped.
    """
    with one_move_at_a_time(journal, root, seconds=seconds):
        return _switch(journal, on=True, words={"reason": reason, "person": person})


def unfreeze(journal: Journal, *, root: Path, reason: str, person: str, seconds: float = 60.0) -> bool:
    """Let versions be promoted again; False, and nothing recorded, when they may be already."""
    with one_move_at_a_time(journal, root, seconds=seconds):
        return _switch(journal, on=False, words={"reason": reason, "person": person})


def refuse_frozen(journal: Journal, version: int) -> None:
    """Refuse to promote while promotions are frozen; for whoever holds the lock of a move."""
    if held := frozen(journal):
        raise FrozenError(
            f"Version {version} is not promoted: promotions are frozen since {held['at'][:16].replace('T', ' ')} UTC, "
            f"by {held['person']} ({held['reason']}). Resume them with `evergreen unfreeze --reason ...`."
        )


def refuse_barred(journal: Journal, version: int) -> None:
    """Refuse to promote, or to go back to, a version that was rolled back from."""
    if version in barred(journal):
        why = next(row["reason"] for row in reversed(journal.rows(bars, version=version)))
        raise RefusedError(
            f"Version {version} is barred since it was rolled back from ({why}). "
            f"Free it with `evergreen unbar {version} --reason ...`, or train a new one."
        )


def _switch(journal: Journal, *, on: bool, words: dict[str, str]) -> bool:
    if bool(frozen(journal)) is on:
        return False
    # The number of rows makes the name: of two machines that saw the same state one records it.
    return journal.add(freezes, event=digest_text("freeze", str(len(journal.rows(freezes)))), frozen=on, **words)
