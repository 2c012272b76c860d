"""What predicting takes, candidate against champion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence, Footprint

MIN_MORE_SECONDS = 0.005
"""What a one-row answer of the same model takes differs by this much from one busy machine to the next."""
MIN_MORE_MEMORY = 20.0
"""Megabytes: what a process takes for the same model differs by this much with the allocator and the imports."""
MIN_MORE_SIZE = 1.0
"""Megabytes: nobody pays for less."""

_Quantity = tuple[str, Callable[[Footprint], float], float]
QUANTITIES: tuple[_Quantity, ...] = (
    ("the processor time for one row", lambda taken: taken.processor_seconds, MIN_MORE_SECONDS),
    ("the memory", lambda taken: taken.memory_megabytes, MIN_MORE_MEMORY),
    ("the size", lambda taken: taken.megabytes, MIN_MORE_SIZE),
)
"""What is compared, how it is read, and by how much more it must be beyond the ratio, so that noise is no cost."""


def unmeasured(evidence: Evidence) -> str | None:
    """What keeps candidate and champion from being compared in what they take, in words; None when nothing does."""
    for name in (CANDIDATE, CHAMPION):
        taken = evidence.contenders[name].footprint
        if taken is None:
            return f"What predicting with the {name} takes was not measured."
        for what, read, _ in QUANTITIES:
            if not np.isfinite(read(taken)):
                return f"What predicting with the {name} takes was not measured: {what} is {read(taken)}."
    return None


def costlier(evidence: Evidence, ratio: float) -> list[str]:
    """In what the candidate takes more than `ratio` times what the champion does, or is of another kind, in words; empty when in nothing.

    Expects footprints that `unmeasured` has nothing to say of.
    """
    candidate, champion = (evidence.contenders[name].footprint for name in (CANDIDATE, CHAMPION))
    if candidate is None or champion is None:
        raise ValueError("got no footprint of candidate or champion; expected both")
    found = []
    for what, read, floor in QUANTITIES:
        takes, took = read(candidate), read(champion)
        if not (takes <= ratio * took or takes - took <= floor):
            found.append(f"it takes {_times(takes, took)} {what}")
    if candidate.family != champion.family:
        found.append(f"it is another kind of model, {candidate.family} instead of {champion.family}")
    return found


def _times(takes: float, took: float) -> str:
    return f"{takes / took:,.1f} times" if took > 0 else "many times"
