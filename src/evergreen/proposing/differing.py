"""Two suites side by side: what is new, tighter, looser, otherwise or the same, and what only the present one has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evergreen.sentences import sentence

State = Literal["new", "tighter", "looser", "otherwise", "same", "only yours"]
DEMANDS = ("min_value", "max_value", "mostly", "value_set", "column_set", "regex", "exact_match", "strict_min", "strict_max", "type_")
"""What an expectation demands; its other arguments say of what."""
LISTS = {"value_set", "column_set"}
OPEN = {"expect_column_values_to_be_in_set"}
"""Where a longer list demands less; elsewhere it demands more."""
Expectation = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One expectation of one of the suites, or of both."""

    state: State
    proposed: str
    """In a sentence; empty where only the present suite has it."""
    present: str
    """In a sentence; empty where it is new."""


def compare(proposed: Sequence[Expectation], present: Sequence[Expectation]) -> list[Difference]:
    """Every expectation of both, those of the proposal first; each of the present ones has at most one counterpart."""
    left, told = list(present), list[Difference]()
    for one in proposed:
        other = next((each for each in left if _about(each) == _about(one)), None)
        if other is None:
            told.append(Difference("new", in_words(one), ""))
            continue
        left.remove(other)
        told.append(Difference(_state(one, other), in_words(one), in_words(other)))
    return told + [Difference("only yours", "", in_words(one)) for one in left]


def in_words(one: Expectation) -> str:
    """What it asks for, and how much that weighs."""
    return f"{sentence(one['type'], one['kwargs'])} ({one.get('severity', 'critical')})"


def _about(one: Expectation) -> tuple[str, str]:
    """Of what it demands which kind of thing."""
    others = {name: value for name, value in one["kwargs"].items() if name not in DEMANDS}
    return one["type"], repr(sorted(others.items()))


def _state(proposed: Expectation, present: Expectation) -> State:
    found = set(_directions(proposed, present))
    if not found:
        return "same"
    return "tighter" if found == {1} else "looser" if found == {-1} else "otherwise"


def _directions(proposed: Expectation, present: Expectation) -> list[int]:
    """For each demand in which they differ: 1 where the proposal demands more, -1 where less, 0 where something else."""
    one, other = ({"mostly": 1, **each["kwargs"]} for each in (proposed, present))
    weights = [int(each.get("severity", "critical") == "critical") for each in (proposed, present)]
    ways = [_way(name, one.get(name), other.get(name), proposed["type"]) for name in DEMANDS if _plain(one, name) != _plain(other, name)]
    return [*ways, *([_more(*weights)] if weights[0] != weights[1] else [])]


def _way(name: str, one: Any, other: Any, kind: str) -> int:
    if name in {"min_value", "mostly"}:
        return _more(-math.inf if one is None else one, -math.inf if other is None else other)
    if name == "max_value":
        return _more(math.inf if other is None else other, math.inf if one is None else one)
    if name in LISTS:
        first, second = (set(map(repr, each or ())) for each in (one, other))
        wider = int(first > second) - int(first < second)
        return -wider if kind in OPEN else wider
    return 0


def _plain(kwargs: Expectation, name: str) -> Any:
    """What is demanded, without what makes no difference: the order of a list."""
    value = kwargs.get(name)
    return sorted(map(repr, value)) if name in LISTS and value is not None else value


def _more(one: Any, other: Any) -> int:
    """Which is greater; 0 for what has no order, such as a number and a date."""
    try:
        return int(one > other) - int(one < other)
    except TypeError:
        return 0
