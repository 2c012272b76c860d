"""Rows on their way to a model: columns of plain values, as they travel between processes, and the frame that the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from evergreen.errors import ModelError

PLAIN = (type(None), bool, int, float, str)


class Framer:
    """Makes frames whose columns have the types that the model was trained with.

    Parameters
    ----------
    like
        Any rows of the model's features, such as its golden rows: only their types count.
    """

    def __init__(self, like: pd.DataFrame) -> None:
        self.names = list(like.columns)
        self._types = {name: like[name].dtype for name in self.names}
        categorical = {name: dtype for name, dtype in self._types.items() if isinstance(dtype, pd.CategoricalDtype)}
        self._categories = {name: frozenset(dtype.categories) for name, dtype in categorical.items()}

    def frame(self, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
        """A frame from columns of plain values, in which None is a missing one and a time is its ISO text.

        Raises
        ------
        ModelError
            A value is none of a column's categories, where pandas would make it a missing one.
        """
        for name, known in self._categories.items():
            for value in columns[name]:
                if value is not None and value not in known:
                    raise ModelError(f"{name}: {str(value)[:80]!r} is none of the {len(known)} categories that the model knows.")
        # Column by column: from rows it takes eight times as long.
        return pd.DataFrame({name: _array(columns[name], dtype) for name, dtype in self._types.items()}, copy=False)


def plain_columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns of a frame as plain values, the opposite of `Framer.frame`.

    Raises
    ------
    ModelError
        A value is of a kind that no request can have.
    """
    plain = {}
    for name in rows.columns:
        values = rows[name]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            values = values.map(lambda time: time.isoformat(), na_action="ignore")
        known = values.notna()
        plain[str(name)] = column = [value if there else None for value, there in zip(values.tolist(), known, strict=True)]
        if others := sorted({type(value).__name__ for value in column if type(value) not in PLAIN}):
            what = f"The feature {name} has values of the kind {', '.join(others)}"
            raise ModelError(f"{what}; over HTTP come numbers, texts, true, false and times. Make one of these of it in the reader.")
    return plain


def plain_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as requests have them, see `plain_columns`."""
    columns = plain_columns(rows)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _array(values: Sequence[Any], dtype: Any) -> Any:
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return np.array(values, dtype=dtype)
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return np.array(values, dtype=object)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc=hasattr(dtype, "tz"))).astype(dtype).array
    return pd.array(values, dtype=dtype)
