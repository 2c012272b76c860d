"""Whether the rows to be predicted look like those a model was trained on."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

SAMPLE = 4_000
"""Rows of each side that are told apart by a classifier; more make it slower and not clearer."""
CHANCE_ERRORS = 3.0
"""Standard errors by which a share of missing values may be off by chance."""


def outside_support(train: pd.DataFrame, rows: pd.DataFrame, *, slack: float, shift: float) -> pd.DataFrame:
    """For each cell of `rows` whether training has seen nothing like it: another category, or a number far beyond the range.

    What is missing counts too: a missing value where training had none; every missing one of a feature that is missing far more often
    than in training (its source has died), and every known one of a feature that is missing far less often (in training it was
    emptied later, by what the model is to predict).

    Parameters
    ----------
    train, rows
        The same columns, the features.
    slack
        How far beyond still counts as inside, as a share of the range's width: the ends of a range are owed to chance and season.
    shift
        How far a feature's share of missing values may move, beyond chance.

    Returns
    -------
    DataFrame of bool
        Of the shape of `rows`.
    """
    strange = {name: _outside(train[name], rows[name], slack) | _missing(train[name], rows[name], shift) for name in rows.columns}
    return pd.DataFrame(strange, index=rows.index)


def separability(train: pd.DataFrame, rows: pd.DataFrame, *, seed: int) -> float | None:
    """ROC AUC, on rows kept apart, of a classifier that tells training rows from these; None when there are too few of either.

    A classifier two-sample test: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    sides = [side.sample(min(SAMPLE, len(side)), random_state=seed) for side in (train, rows)]
    if min(map(len, sides)) < 100:  # noqa: PLR2004 - fewer say nothing
        return None
    y = np.repeat([0, 1], [len(side) for side in sides])
    kept = np.random.default_rng(seed).random(len(y)) < 0.5  # noqa: PLR2004 - a half to learn from
    X = pd.concat(sides, ignore_index=True).apply(_coded)
    X = X.loc[:, X[~kept].notna().any()]
    if X.empty:
        return None
    model = HistGradientBoostingClassifier(max_iter=30, random_state=seed).fit(X[~kept], y[~kept])
    return float(roc_auc_score(y[kept], model.predict_proba(X[kept])[:, 1]))


def _missing(seen: pd.Series, column: pd.Series, shift: float) -> pd.Series:
    absent, usual = column.isna(), float(seen.isna().mean())
    if usual == 0 or not len(column):
        return absent
    moved = float(absent.mean()) - usual
    allowed = shift + CHANCE_ERRORS * math.sqrt(usual * (1 - usual) / len(column))
    return (absent if moved > 0 else ~absent) & (abs(moved) > allowed)


def _outside(seen: pd.Series, column: pd.Series, slack: float) -> pd.Series:
    if seen.isna().all():
        return column.notna()
    if pd.api.types.is_numeric_dtype(seen):
        known = seen.to_numpy(dtype=float, na_value=np.nan)
        seen, column = pd.Series(known), pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index)
    if pd.api.types.is_numeric_dtype(seen) or pd.api.types.is_datetime64_any_dtype(seen):
        low, high = seen.min(), seen.max()
        reach = slack * (high - low)
        strange = (column < low - reach) | (column > high + reach)
    else:
        strange = column.notna() & ~column.isin(seen.unique())
    return pd.Series(strange, dtype=bool)


def _coded(column: pd.Series) -> pd.Series:
    """Numbers as they are, categories and times as numbers."""
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index).replace([np.inf, -np.inf], np.nan)
    codes, _ = pd.factorize(column, sort=True)
    return pd.Series(codes, index=column.index, dtype=float)
