"""How amounts are written in sentences."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share in percent, without needless digits: 0.05 is "5%"."""
    return f"{100 * share:.3g}%"


def counted(number: int, thing: str) -> str:
    """So many things: "1 day", "30 days"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
