"""A delivery in a few kilobytes: what later deliveries are compared with, without reading it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from evergreen.columns import kind_of
from evergreen.policies import Source

LABEL = "(outcome)"
"""The column that stands for what the contract's label makes of the rows."""
MAKER = "1"
"""Another number whenever profiles come to be made otherwise."""
POINTS = 101
"""Quantiles that are kept of a number, to six digits: shares are known to a percent."""
MAX_CATEGORIES = 500
"""Of a text with more values, or with more than half as many as it has rows, none is kept: it names things."""
FAMILIES = {"integer": "number", "number": "number", "boolean": "category", "text": "category", "time": "time"}


def profile(frame: pd.DataFrame, source: Source, label: Callable[[pd.DataFrame], Any] | None = None) -> dict[str, Any]:
    """Describe the rows of a delivery as JSON values.

    Returns
    -------
    dict
        `rows`; `columns` (by name: `kind`, `rows`, `missing` (a share), `known` (values), `quantiles` of a number, `shares` of a category,
        `longest` (how many rows in turn a number stands still, within what the rest of the key names)); `first` and `last` day (UTC), and
        `days`: rows of each day between these two, which are seldom whole. The last three only where the source has a time.
    """
    others = [name for name in source.key if name != source.time]
    groups = [frame[name] for name in others] if source.time and len(source.key) > 1 else []
    values = {str(name): frame[name] for name in frame.columns}
    if label is not None:
        values[LABEL] = pd.Series(np.asarray(label(frame)), index=frame.index)
    columns = {name: _column(column, groups, is_ordered=source.time is not None) for name, column in values.items() if name != source.time}
    return {"rows": len(frame), "columns": columns, **(_days(frame[source.time]) if source.time else {})}


def _column(values: pd.Series, groups: list[pd.Series], *, is_ordered: bool) -> dict[str, Any]:
    if FAMILIES[kind_of(values)] == "number":
        values = values.astype(float).replace([np.inf, -np.inf], np.nan)  # what is infinite is no number that anybody measured
    known = values.dropna()
    kind = FAMILIES[kind_of(values)] if len(known) else "empty"
    told: dict[str, Any] = {"kind": kind, "missing": float(values.isna().mean()) if len(values) else 0.0, "known": len(known)}
    told["rows"] = len(values)
    if kind == "number":
        quantiles = np.quantile(known.to_numpy(dtype=float), np.linspace(0, 1, POINTS), method="inverted_cdf")
        told["quantiles"] = [float(f"{each:.6g}") for each in quantiles]
        if is_ordered:
            told["longest"] = _longest(values, groups)
    elif kind == "category":
        counts = known.astype(str).value_counts()
        if len(counts) <= min(MAX_CATEGORIES, max(len(known) / 2, 1)):
            told["shares"] = {str(name): float(count) / len(known) for name, count in sorted(counts.items())}
        else:
            told["kind"] = "name"
    return told


def _longest(values: pd.Series, groups: list[pd.Series]) -> int:
    """How many rows in turn at most a known number stands still."""
    parts = [part for _, part in values.groupby([group.to_numpy() for group in groups], sort=False)] if groups else [values]
    longest = 0
    for part in parts:
        numbers = part.to_numpy(dtype=float, na_value=np.nan)
        changes = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1], True])  # one that is missing equals nothing
        longest = max(longest, int(np.diff(changes).max(initial=0)))
    return longest


def _days(times: pd.Series) -> dict[str, Any]:
    days = times.dt.tz_convert("UTC").dt.floor("D")
    first, last = days.min(), days.max()
    counts = days.value_counts().reindex(pd.date_range(first, last, freq="D")[1:-1], fill_value=0)
    inner = {f"{day:%Y-%m-%d}": int(count) for day, count in counts.items()}
    return {"first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}", "days": inner}
