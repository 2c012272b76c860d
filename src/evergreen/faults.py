"""Named points at which tests kill or stop a process. Nothing happens at them unless a test has armed one in that very process."""

from __future__ import annotations

from collections.abc import Callable

_armed: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Pass a point, before or after something that must survive."""
    if _armed is not None:
        _armed(point)


def arm(at: Callable[[str], None] | None) -> None:
    """Have `at` called with the name of every point that this process passes; None disarms. For tests only."""
    global _armed  # noqa: PLW0603 - one process, one test
    _armed = at
