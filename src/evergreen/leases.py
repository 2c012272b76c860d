"""One at a time: whoever works holds a lease in the journal, and what a process writes that has lost its lease is refused.

Two things tell that an owner is gone. On one machine the system knows: its process is no more, and the lock that it had is free. Where
that cannot tell (another machine, or a process that is stopped and not dead) its heartbeat is watched, by this process's own clock: no
clock that somebody sets makes an owner look alive or dead. Whoever takes over gets a higher number, and what the one before writes is
refused from then on.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evergreen.errors import BusyError, JournalError
from evergreen.files import lock
from evergreen.journal import Journal

PIPELINE = "pipeline"
BEATS = 20
"""How many heartbeats an owner may miss."""


@contextmanager
def single_flight(journal: Journal, root: Path, *, seconds: float, name: str = PIPELINE, patience: float | None = None) -> Iterator[None]:
    """Work alone in a home. Entered again by the same process it changes nothing.

    Parameters
    ----------
    seconds
        How long an owner may not stir before it counts as gone.
    patience
        How long to wait for an owner that stirs; None: not at all.

    Raises
    ------
    BusyError
        Another process works.
    LostError
        At the end: another process has taken over meanwhile.
    """
    if journal.holds(name):
        yield
        return
    with ExitStack() as held:
        owner = _take(journal, root / f".{name}.lock", held, seconds=seconds, patience=patience)
        if owner and patience is not None:
            raise BusyError(
                f"Another process is busy with a {name} since more than {patience:.0f} s ({owner}). Wait for it to end, then run again."
            )
        if owner:
            raise BusyError(f"Another evergreen command works here ({owner}). Wait for it to end, then run again.")
        ended = threading.Event()
        heart = threading.Thread(target=_beat, args=(journal, name, seconds / BEATS, ended), daemon=True)
        heart.start()
        try:
            yield
            with suppress(JournalError):
                journal.insist()  # who woke up after another had done everything has nothing left to write, and is told all the same
        finally:
            ended.set()
            heart.join()
            with suppress(JournalError):  # then it is found without an owner later
                journal.give_back(name)


def is_at_work(journal: Journal, root: Path, *, seconds: float, name: str = PIPELINE) -> bool:
    """Whether somebody works in a home at this moment; where only his heartbeat can tell, it is waited for, for at most `seconds`."""
    seen, deadline = journal.lease(name), time.monotonic() + seconds
    if seen is None or not may_be_at_work(seen, root):
        return False
    while time.monotonic() < deadline:
        time.sleep(min(0.2, seconds / BEATS / 2))
        row = journal.lease(name)
        if row is None or _life(row) != _life(seen):
            return row is not None and row["owner"] != ""
    return False


def may_be_at_work(seen: dict[str, Any] | None, root: Path) -> bool:
    """Whether a lease has an owner of whom it is not known that he has died; nothing is waited for."""
    return seen is not None and seen["owner"] != "" and not _has_died(seen["owner"], f"{platform.node()} {root}")


def unless_alone(journal: Journal, path: Path, *, holder: str, seconds: float = 60.0) -> AbstractContextManager[None]:
    """The lock at `path`, for who does not work alone in the home anyway; who does must not wait for a stopped one that still has it."""
    return nullcontext() if journal.holds(PIPELINE) else lock(path, holder=holder, seconds=seconds)


def _take(journal: Journal, path: Path, held: ExitStack, *, seconds: float, patience: float | None) -> str:
    """Take the lease that the file is named after; else say who has it."""
    name, began = path.stem.removeprefix("."), time.monotonic()
    here = f"{platform.node()} {path.parent}"
    me, is_locked = f"{here} {os.getpid()}", _lock(path, held)
    seen, deadline = journal.lease(name), began + seconds
    while True:
        row, now = journal.lease(name), time.monotonic()
        is_locked = is_locked or _lock(path, held)
        if row is None or row["owner"] == "" or (is_locked and _has_died(row["owner"], here)):
            if journal.take(name, me, seen=row):
                return ""
        elif seen is None or _life(row) != _life(seen):
            if patience is None:
                return str(row["owner"])
            seen, deadline = row, now + seconds
        elif now > deadline:
            if journal.take(name, me, seen=seen):
                return ""
            if patience is None:
                return str(row["owner"])
        if row and patience is not None and now > began + patience:
            return str(row["owner"])
        time.sleep(min(0.2, seconds / BEATS / 2))


def _has_died(owner: str, here: str) -> bool:
    where, _, process = owner.rpartition(" ")
    if where != here:
        return False  # only its own machine can tell
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(process) == os.getpid()


def _life(row: dict[str, Any]) -> tuple[int, int]:
    return row["fence"], row["beat"]


def _lock(path: Path, held: ExitStack) -> bool:
    """Take the lock that the system frees when its holder dies; False when somebody has it, be he stopped or at work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(FileLock(path, timeout=0))
    except Timeout:
        return False
    return True


def _beat(journal: Journal, name: str, pause: float, ended: threading.Event) -> None:
    """Show again and again that this process lives, until it has ended or been taken over; a database that is busy is asked again."""
    while not ended.wait(pause):
        with suppress(JournalError):
            if not journal.beat(name):
                return
