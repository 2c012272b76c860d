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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evergreen.errors import BusyError, JournalError
from evergreen.journal import Journal

PIPELINE = "pipeline"
BEATS = 20
"""How many heartbeats an owner may miss."""


@contextmanager
def single_flight(journal: Journal, root: Path, *, seconds: float, name: str = PIPELINE) -> Iterator[None]:
    """Work alone in a home. Entered again by the same process it changes nothing.

    Parameters
    ----------
    seconds
        How long an owner may not stir before it counts as gone.

    Raises
    ------
    BusyError
        Another process works.
    """
    if journal.holds(name):
        yield
        return
    with ExitStack() as held:
        _take(journal, root, held, seconds=seconds, name=name)
        ended = threading.Event()
        heart = threading.Thread(target=_beat, args=(journal, name, seconds / BEATS, ended), daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
            with suppress(JournalError):  # then it is found without an owner later
                journal.give_back(name)


def _take(journal: Journal, root: Path, held: ExitStack, *, seconds: float, name: str) -> None:
    here = f"{platform.node()} {root}"
    me, is_locked = f"{here} {os.getpid()}", _lock(root / f".{name}.lock", held)
    seen, deadline = journal.lease(name), time.monotonic() + seconds
    while True:
        row = journal.lease(name)
        if row is None or row["owner"] == "" or (is_locked and _has_died(row["owner"], here)):
            if journal.take(name, me, seen=row):
                return
        elif seen is None or _life(row) != _life(seen):
            break
        elif time.monotonic() > deadline:
            if journal.take(name, me, seen=seen):
                return
            break
        time.sleep(min(0.2, seconds / BEATS / 2))
    raise BusyError(f"Another evergreen command works here ({(row or seen or {}).get('owner')}). Wait for it to end, then run again.")


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
