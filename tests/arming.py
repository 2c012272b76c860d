"""What a command's process does to itself at a point of `evergreen.faults`, when a test tells it to in its environment."""

from __future__ import annotations

import os
import signal
from collections import Counter

import seedlings
from seedlings import SEED

from evergreen import faults

TRACE, POINT, NUMBER, SIGNAL = "ARMED_TRACE", "ARMED_POINT", "ARMED_NUMBER", "ARMED_SIGNAL"


def arm() -> None:
    """Append every point that this process passes to a file and, at the given passing of the given one, send itself a signal."""
    if not (trace := os.environ.get(TRACE)):
        return
    if SEED in os.environ:
        seedlings.plant()
    file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    point, number, what = os.environ.get(POINT), int(os.environ.get(NUMBER, "1")), int(os.environ.get(SIGNAL, signal.SIGKILL))
    passed: Counter[str] = Counter()

    def at(name: str) -> None:
        os.write(file, f"{name}\n".encode())
        passed[name] += 1
        if name == point and passed[name] == number:
            os.kill(os.getpid(), what)

    faults.arm(at)
