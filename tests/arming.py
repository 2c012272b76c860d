"""What a command's process does to itself at a point of `evergreen.faults`, when a test tells it to in its environment."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import time_machine

from evergreen import faults
from evergreen.journal import Journal

TRACE, POINT, NUMBER, SIGNAL, CLOCK = "ARMED_TRACE", "ARMED_POINT", "ARMED_NUMBER", "ARMED_SIGNAL", "ARMED_CLOCK"


def arm() -> None:
    """Append every point that this process passes to a file and, at the given passing of the given one, send itself a signal.

    It may also live in another time: by so many seconds the clock has been set on, or back.
    """
    if not (trace := os.environ.get(TRACE)):
        return
    if CLOCK in os.environ:
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(os.environ[CLOCK])), tick=True).start()
    file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    point, number, what = os.environ.get(POINT), int(os.environ.get(NUMBER, "1")), int(os.environ.get(SIGNAL, signal.SIGKILL))
    passed, between = Counter[str](), heart_that_waits()

    def at(name: str) -> None:
        os.write(file, f"{name}\n".encode())
        passed[name] += 1
        if name == point and passed[name] == number:
            has_turn = what == signal.SIGSTOP and between.acquire(timeout=2)
            os.kill(os.getpid(), what)
            if has_turn:
                between.release()

    faults.arm(at)


def heart_that_waits() -> threading.Lock:
    """Have heartbeats wait for a lock: who stops between two of them holds no lock of SQLite's, which nobody could take from him."""
    between, beat = threading.Lock(), Journal.beat

    def careful(journal: Journal, name: str) -> bool:
        with between:
            return beat(journal, name)

    Journal.beat = careful
    return between
