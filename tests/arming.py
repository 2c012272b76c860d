"""What a command's process does to itself at a point of `evergreen.faults`, when a test tells it to in its environment."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import seedlings
import time_machine
from seedlings import SEED

from evergreen import faults

TRACE, POINT, NUMBER, SIGNAL, CLOCK = "ARMED_TRACE", "ARMED_POINT", "ARMED_NUMBER", "ARMED_SIGNAL", "ARMED_CLOCK"


def arm() -> None:
    """Append every point that this process passes to a file and, at the given passing of the given one, send itself a signal.

    It may also live in another time: by so many seconds the clock has been set on, or back.
    """
    if not (trace := os.environ.get(TRACE)):
        return
    if SEED in os.environ:
        seedlings.plant()
    if CLOCK in os.environ:
        time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(os.environ[CLOCK])), tick=True).start()
    file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    point, number, what = os.environ.get(POINT), int(os.environ.get(NUMBER, "1")), int(os.environ.get(SIGNAL, signal.SIGKILL))
    passed: Counter[str] = Counter()

    def at(name: str) -> None:
        os.write(file, f"{name}\n".encode())
        passed[name] += 1
        if name == point and passed[name] == number:
            os.kill(os.getpid(), what)

    faults.arm(at)
