"""How the pages put numbers, spans and lists into words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from evergreen.contract import Problem


def span(time: timedelta) -> str:
    """A length of time in its largest whole unit, such as "2 hours"."""
    seconds = int(time.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}{'' if seconds == size else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, without needless digits: 0.05 is "5%"."""
    return f"{100 * share:.3g}%"


def entity_name(problem: Problem) -> str:
    """What one row is called: the key without its "_id"."""
    return problem.key.removesuffix("_id").replace("_", " ")


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends like a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def counted(number: int, thing: str) -> str:
    """A number of things: "1 day", "1,200 days", "2 deliveries", "3 batches"."""
    if number == 1:
        return f"1 {thing}"
    ending = "es" if thing.endswith(("ch", "s", "x")) else "s"
    return f"{number:,} {re.sub('(?<![aeiou])y$', 'ie', thing)}{ending}"


def listed(names: Iterable[str], word: str) -> str:
    """Names with commas and, before the last one, a word such as "and"."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last
