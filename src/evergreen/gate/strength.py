"""How well a column of numbers tells the answer on its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evergreen.gate.statistics import feature_aucs, feature_r2

MIN_ROWS = 50
"""Fewer rows with a value say nothing."""
MIN_CLASS_ROWS = 10
"""With fewer rows of a class a feature separates it by luck."""


def numbers_of(column: pd.Series) -> np.ndarray | None:
    """The column as floats, missing as NaN; None when it holds categories."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.asarray((column - column.min()) / pd.Timedelta(seconds=1), dtype=float)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return None


def best_auc(values: np.ndarray, classes: np.ndarray, *, least: int = MIN_CLASS_ROWS) -> np.ndarray:
    """Best separation of a class from the rest, in either direction; 0.5 where there is too little to tell.

    Of one feature or several at once: values of shape (..., n), missing as NaN or infinite, give shape (...).
    `least` is how many rows with a value the class, and the rest, must have.
    """
    known = np.isfinite(values)
    rows = known @ np.eye(classes.max() + 1)[classes]
    total = rows.sum(axis=-1, keepdims=True)
    enough = (rows >= least) & (total - rows >= least) & (total >= MIN_ROWS)
    aucs = feature_aucs(np.where(known, values, np.nan), classes)
    return np.asarray(np.where(enough, np.maximum(aucs, 1 - aucs), 0.5).max(axis=-1))


def best_r2(values: np.ndarray, y: np.ndarray) -> float:
    """Share of the variance that one feature explains, linearly or by rank; 0 where there is too little to tell."""
    known = np.isfinite(values)
    return feature_r2(values[known], y[known]) if known.sum() >= MIN_ROWS else 0.0


def category_r2(column: pd.Series, y: np.ndarray) -> float:
    """Share of `y`'s variance between the categories that have at least `MIN_ROWS` rows, adjusted for their number; 0 with too few.

    The correlation ratio, adjusted as R2 is: Ezekiel, Methods of Correlation Analysis (1930).
    """
    codes = pd.factorize(column)[0]
    large = np.isin(codes, np.flatnonzero(np.bincount(codes[codes >= 0], minlength=1) >= MIN_ROWS))
    groups, rows = len(np.unique(codes[large])), int(large.sum())
    if groups < 2 or np.ptp(y[large]) == 0:  # noqa: PLR2004 - one category explains nothing
        return 0.0
    known = pd.Series(y[large])
    left = float(((known - known.groupby(codes[large]).transform("mean")) ** 2).sum() / ((known - known.mean()) ** 2).sum())
    return 1 - left * (rows - 1) / (rows - groups)
