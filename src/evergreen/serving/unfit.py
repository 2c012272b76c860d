"""What is wrong with a request, in the words of people who know the columns and nothing of how they are checked."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic_core import ErrorDetails

from evergreen.columns import Column

MAX_FAULTS = 100
"""So many faults of one request are listed; nobody looks for more."""
MAX_TEXT = 10_000
"""Characters of one text."""
MAX_KEY = 500
"""Characters of a key."""
SHOWN = 80
"""Characters of a wrong value that are repeated."""


class UnfitError(Exception):
    """A request that cannot be answered, with what is wrong with it; `has_more` says that not all of it is listed."""

    def __init__(self, faults: Sequence[dict[str, Any]], *, has_more: bool = False) -> None:
        super().__init__(f"{len(faults)}{' and more' if has_more else ''} faults")
        self.faults = list(faults)
        """Each with `field`, `got`, `expected`, and where there are several rows `row`, from 0."""
        self.has_more = has_more


def one_fault(field: str, got: str, expected: str) -> UnfitError:
    """A single thing that is wrong."""
    return UnfitError([{"field": field, "got": got, "expected": expected}])


def fault_of(fault: ErrorDetails, columns: Sequence[Column], *, row: int | None) -> dict[str, Any]:
    """What pydantic has found in one row, in our words.

    Parameters
    ----------
    row
        Its number where there are several.
    """
    place: dict[str, Any] = {} if row is None else {"row": row}
    if not fault["loc"]:
        what = "body" if row is None else "row"
        return {**place, "field": what, "got": shown(fault["input"]), "expected": "an object with a value for each field"}
    name = str(fault["loc"][0])
    got = "nothing" if fault["type"] == "missing" else shown(fault["input"])
    known = {column.name: column for column in columns}
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name[:SHOWN], list(known), n=1)
        fields = f"is {near[0]} meant?" if near else f"the fields are {', '.join(known)}"
        return {**place, "field": shorten(name), "got": got, "expected": f"no such field; {fields}"}
    key = f"a text of at most {MAX_KEY} characters, none of them NUL, a whole number of at most 64 bits, or null"
    return {**place, "field": name, "got": got, "expected": expectation(known[name]) if name in known else key}


def expectation(column: Column) -> str:
    """What a value of a column must be, in words."""
    low, high = bounds(column)
    words = {
        "integer": f"a whole number from {low} to {high}",
        "number": f"a finite number from {low:.6g} to {high:.6g}" if is_narrow(column) else "a finite number",
        "boolean": "true or false",
        "text": f"a text of at most {MAX_TEXT} characters, none of them NUL",
        "time": f"a time in ISO 8601 {'with' if has_zone(column) else 'without'} its offset from UTC",
    }
    return words[column.kind] + (", or null" if column.nullable else "")


def bounds(column: Column) -> tuple[Any, Any]:
    """The least and the greatest number that the column's type can hold."""
    whole = column.kind == "integer"
    try:
        limits: Any = np.iinfo(column.dtype.lower()) if whole else np.finfo(column.dtype.lower())
    except (TypeError, ValueError):
        limits = np.iinfo("int64") if whole else np.finfo("float64")
    return (int(limits.min), int(limits.max)) if whole else (float(limits.min), float(limits.max))


def is_narrow(column: Column) -> bool:
    """Whether a finite number can be too large for the column."""
    return bounds(column) != (float(np.finfo("float64").min), float(np.finfo("float64").max))


def has_zone(column: Column) -> bool:
    """Whether a column's times know their offset from UTC."""
    return "," in column.dtype


def shown(value: Any) -> str:
    """A wrong value as it is repeated to whoever sent it: short, in JSON."""
    try:
        return shorten(json.dumps(value, default=str, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "something that cannot be shown"


def shorten(text: str) -> str:
    """At most `SHOWN` characters of a text."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
