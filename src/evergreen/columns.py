"""What each feature of a model looks like: the kind of its values, whether one may be missing, and what training has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

Kind = Literal["integer", "number", "boolean", "text", "time"]
MAX_CATEGORIES = 200
"""Of a text with more values none is listed: a name, not a category."""

_OF_TYPES: dict[Kind, Callable[[Any], bool]] = {
    "boolean": pd.api.types.is_bool_dtype,
    "integer": pd.api.types.is_integer_dtype,
    "number": pd.api.types.is_numeric_dtype,
    "time": pd.api.types.is_datetime64_any_dtype,
}
_OF_OBJECTS: dict[str, Kind] = {"boolean": "boolean", "integer": "integer", "floating": "number", "mixed-integer-float": "number"}


@dataclass(frozen=True)
class Column:
    """One feature, as the training rows had it."""

    name: str
    kind: Kind
    dtype: str
    """pandas' name of its type, such as "int64" or "datetime64[us, UTC]"."""
    nullable: bool
    """Whether a value was missing in some training row."""
    categories: tuple[Any, ...] = ()
    """The values of a text that has few, in their order; else empty."""
    low: float | None = None
    """Least and greatest number; None for what is none."""
    high: float | None = None


def describe(X: pd.DataFrame) -> list[dict[str, Any]]:
    """A `Column` of each feature, as JSON values, from the rows that a model has learnt from."""
    return [asdict(_column(str(name), X[name])) for name in X.columns]


def columns_of(described: list[dict[str, Any]]) -> list[Column]:
    """The columns that `describe` has described."""
    return [Column(**{**one, "categories": tuple(one["categories"])}) for one in described]


def _column(name: str, values: pd.Series) -> Column:
    kind, known = kind_of(values), values.dropna()
    low, high, categories = None, None, []
    if kind in {"integer", "number"} and len(known):
        numbers = known.astype(float)  # categories have no order, and so no least one
        low, high = float(numbers.min()), float(numbers.max())
    if kind == "text":
        categories = sorted(map(str, known.unique()))
    listed = tuple(categories) if len(categories) <= MAX_CATEGORIES else ()
    return Column(name, kind, str(values.dtype), len(known) < len(values), listed, low, high)


def kind_of(values: pd.Series) -> Kind:
    """What kind of values a column has; text where nothing else fits."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return kind_of(values.cat.categories.to_series())
    if values.dtype == object:  # a join that finds nothing leaves true, false and missing in one column
        return _OF_OBJECTS.get(pd.api.types.infer_dtype(values, skipna=True), "text")
    return next((kind for kind, is_it in _OF_TYPES.items() if is_it(values.dtype)), "text")
