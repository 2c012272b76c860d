"""Expectations out of what batches look like: each with slack, a severity, and a note of what was seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from evergreen.policies import Source
from evergreen.proposing.looking import Look, Numbers, Shape
from evergreen.report.words import counted

Expectation = dict[str, Any]
NEVER = 0.01
"""Of a column that was never missing so many rows may be, before a delivery is refused."""
SLACK, MOST_SLACK, MATURE = 0.25, 1.5, 18
"""Beyond what was seen a number may go so many times the width of its body: the first from so many batches on, more with fewer."""
OUTLIER = 0.5
"""A value farther from the body than this share of its width is an outlier; and the bound is about the body."""
MOSTLY = 0.999
"""Of a number's values so many must lie within: a single odd one refuses no delivery."""
FEW = 3
"""With fewer batches nobody knows what is stable."""
MEAN_SLACK = 0.5
"""So many standard deviations, or of what the means of batches were apart, a mean may move before it is told; more with few batches."""


def draft(looks: Sequence[dict[str, Look]], source: Source) -> list[Expectation]:
    """The expectations that batches give rise to, oldest first; nothing on what is built in: rows, and that each has its own key."""
    columns = [name for name in looks[0] if all(name in one for one in looks)]
    rows = sum(next(iter(one.values())).rows for one in looks)
    basis = f"{counted(len(looks), 'batch')}, {counted(rows, 'row')}"
    has = {"column_set": columns, "exact_match": False}
    told = [_made("expect_table_columns_to_match_set", "critical", f"All of {basis}.", **has)]
    for name in columns:
        told += _of_column(name, [one[name] for one in looks], basis, is_key=name in source.key, is_time=name == source.time)
    return told


def _of_column(name: str, looks: Sequence[Look], basis: str, *, is_key: bool, is_time: bool) -> Iterator[Expectation]:
    """What is expected of a column; of a key no missing value and no number, for these are built in or count up."""
    kinds = {one.kind for one in looks if one.known}
    if not kinds or is_time:
        return
    if not is_key:
        yield from _presence(name, [one.missing for one in looks], basis)
    numbers = [one.numbers for one in looks if one.numbers]
    if kinds <= {"integer", "number"} and numbers and not is_key:
        yield from _range(name, numbers, basis, is_whole=kinds == {"integer"})
    elif kinds == {"text"}:
        yield from _texts(name, [one for one in looks if one.known], basis, is_key=is_key)


def _presence(name: str, missing: Sequence[float], basis: str) -> Iterator[Expectation]:
    least, most = min(missing), max(missing)
    if most == 0:
        yield _made("expect_column_values_to_not_be_null", "critical", f"Never missing in {basis}.", column=name, mostly=1 - NEVER)
        return
    note = f"Missing in {least:.2%} to {most:.2%} of the rows of a batch; {basis}."
    refused = most + max(most, NEVER) * max(1.0, 2 * slack_of(len(missing)))
    warned = most + max(most - least, most / 4, NEVER)
    if refused < 1 - NEVER:
        yield _made("expect_column_values_to_not_be_null", "critical", note, column=name, mostly=_floor(1 - refused))
    if warned < 1:
        wanted = {"column": name, "min_value": _floor(1 - warned)}
        yield _made("expect_column_proportion_of_non_null_values_to_be_between", "warning", note, **wanted)


def _range(name: str, numbers: Sequence[Numbers], basis: str, *, is_whole: bool) -> Iterator[Expectation]:
    low, high = min(one.low for one in numbers), max(one.high for one in numbers)
    least, most = min(one.body[0] for one in numbers), max(one.body[1] for one in numbers)
    width = most - least
    if width <= 0:
        return  # a number that never changed tells no scale
    slack = width * slack_of(len(numbers))
    wild = low < least - OUTLIER * width, high > most + OUTLIER * width
    below = (least if wild[0] else low) - slack
    # What begins at nothing, such as a length or an amount of rain, does not go below.
    below, above = 0.0 if low == 0 else below, (most if wild[1] else high) + slack
    outliers = f", all but one in a thousand {least:,g} to {most:,g}" if any(wild) else ""
    note = f"Seen {low:,g} to {high:,g}{outliers}; {basis}."
    bounds: Expectation = {"column": name, "min_value": _tidy(below, width, math.floor), "max_value": _tidy(above, width, math.ceil)}
    bounds = {key: int(value) if is_whole and key != "column" else value for key, value in bounds.items()}
    yield _made("expect_column_values_to_be_between", "critical", note, **bounds, mostly=MOSTLY)
    yield _mean(name, numbers, basis)


def _mean(name: str, numbers: Sequence[Numbers], basis: str) -> Expectation:
    low, high, std = min(one.mean for one in numbers), max(one.mean for one in numbers), max(one.std for one in numbers)
    slack = max(high - low, std) * max(MEAN_SLACK, slack_of(len(numbers)))
    bounds = {"min_value": _tidy(low - slack, std, math.floor), "max_value": _tidy(high + slack, std, math.ceil)}
    if all(one.low >= 0 for one in numbers):
        bounds["min_value"] = max(bounds["min_value"], 0)  # so is every mean
    note = f"The means of batches were {low:,.4g} to {high:,.4g}; {basis}."
    return _made("expect_column_mean_to_be_between", "warning", note, column=name, **bounds)


def _texts(name: str, looks: Sequence[Look], basis: str, *, is_key: bool) -> Iterator[Expectation]:
    """Its values where they are few, else how they are built where all agree."""
    lists = [one.values for one in looks if one.values is not None]
    if len(lists) == len(looks):
        known = sorted({value for values in lists for value in values})
        new = sorted(set(known) - set(lists[0]))
        if 5 * len(known) <= sum(one.known for one in looks):
            is_stable = not new and len(looks) >= FEW
            grew = f" after the first batch came {', '.join(new)};" if new else ""
            mostly = {"mostly": 1 - NEVER} if is_stable else {}
            note = f"{len(known)} values,{grew or ' the same in each batch;'} {basis}."
            yield _made(
                "expect_column_values_to_be_in_set", "critical" if is_stable else "warning", note, column=name, value_set=known, **mostly
            )
            return
    for place in (0, 1):
        shape = _one_shape([one.shapes[place] for one in looks])
        shape = shape.open if shape and is_key else shape  # numbers that name things grow longer
        if shape and shape.regex:
            severity = "critical" if len(looks) >= FEW else "warning"
            note = f"All values are built alike; {basis}."
            yield _made("expect_column_values_to_match_regex", severity, note, column=name, regex=shape.regex, mostly=1 - NEVER)
            return


def _one_shape(shapes: Sequence[Shape | None]) -> Shape | None:
    whole = shapes[0]
    for one in shapes[1:]:
        whole = whole.joined(one) if whole and one else None
    return whole


def slack_of(batches: int) -> float:
    """How far beyond what was seen a number may go, in widths of its body: less, the more batches there are."""
    return min(MOST_SLACK, max(SLACK, SLACK * MATURE / batches))


def _made(kind: str, severity: str, notes: str, **kwargs: Any) -> Expectation:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "notes": notes}


def _floor(share: float) -> float:
    return math.floor(100 * share) / 100


def _tidy(value: float, width: float, to_whole: Any) -> float:
    """The number without digits that say nothing beside that width, away from what was seen."""
    if width <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(width)) - 1)
    rounded = float(f"{to_whole(value / step) * step:.12g}")
    return int(rounded) if rounded.is_integer() else rounded
