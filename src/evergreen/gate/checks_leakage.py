"""The check for features that know the answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from evergreen.gate.evidence import Evidence
from evergreen.gate.finding import Finding, Outcome
from evergreen.gate.statistics import feature_aucs, feature_r2, share_lower_bound
from evergreen.policies import GatePolicy

MIN_ROWS = 50
"""Fewer rows with a value say nothing."""
MIN_CLASS_ROWS = 10
"""With fewer rows of a class a feature separates it by luck."""
MAX_CATEGORIES = 50
"""A number with at most this many different values is judged as a category too: flags are often 0 and 1."""
COMMON_CLASS = 0.9
"""A class this common is the answer nearly everywhere; a category that has nothing else is no news."""

_leakage = partial(Finding, "leakage", "No feature knows the answer, which it would not when the model serves.")


def leakage(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """No feature alone predicts the target too well, and no category of one, or its absence, settles the outcome.

    For more than two classes each class is judged against the rest, so a problem whose features honestly
    separate a class (petals, say) needs a higher `max_feature_auc` in its contract.
    """
    y, features = evidence.y, evidence.features
    if len(features) != len(y) or not len(y):
        raise ValueError(f"got {len(features)} rows of features for {len(y)} outcomes; expected as many, and at least one")
    regression = evidence.task == "regression"
    limit = policy.max_feature_r2 if regression else policy.max_feature_auc
    classes, names = pd.factorize(np.asarray(y), sort=True)
    strengths: dict[str, float] = {}
    faults: list[str] = []
    for name, column in features.items():
        numbers = _numbers(column)
        if numbers is not None:
            strength = _r2(numbers, np.asarray(y, dtype=float)) if regression else _auc(numbers, classes)
            strengths[str(name)] = strength
            if not strength <= limit:
                word = "explains the target with an R2 of" if regression else "alone ranks the outcomes with an AUC of"
                faults.append(f"{name} {word} {strength:.3f} (at most {limit:g})")
        if not regression:
            faults += [f"{name} {fault}" for fault in _settled(column, classes, names, policy.max_settled_share)]
    strongest = max(strengths, key=lambda name: strengths[name], default=None)
    finding = partial(_leakage, estimate=strengths.get(strongest or ""), threshold=limit, n=len(y))
    if faults:
        return finding(Outcome.REJECT, f"A feature knows the answer: {'; '.join(faults[:3])}.", details=tuple(faults))
    most = f"; the strongest alone is {strongest} ({strengths[strongest]:.3f}, limit {limit:g})" if strongest else ""
    return finding(Outcome.PASS, f"None of {features.shape[1]} features knows the answer{most}.")


def _numbers(column: pd.Series) -> np.ndarray | None:
    """The column as floats, missing as NaN; None when it holds categories."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.asarray((column - column.min()) / pd.Timedelta(seconds=1), dtype=float)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return None


def _auc(values: np.ndarray, classes: np.ndarray) -> float:
    """Best separation of a class from the rest, in either direction; 0.5 where there is too little to tell."""
    known = np.isfinite(values)
    rows = np.bincount(classes[known], minlength=1)
    enough = (rows >= MIN_CLASS_ROWS) & (rows <= known.sum() - MIN_CLASS_ROWS)
    if known.sum() < MIN_ROWS or not enough.any():
        return 0.5
    present, found = np.unique(classes[known], return_inverse=True)
    aucs = feature_aucs(values[known], found)[enough[present]]
    return float(np.maximum(aucs, 1 - aucs).max())


def _r2(values: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(values)
    return feature_r2(values[known], y[known]) if known.sum() >= MIN_ROWS else 0.0


def _settled(column: pd.Series, classes: np.ndarray, names: np.ndarray, limit: float) -> Iterator[str]:
    """The categories, and the absence or presence of a value, under which a class is surer than `limit`."""
    rare = np.bincount(classes) / len(classes) < COMMON_CLASS
    missing = np.asarray(column.isna(), dtype=int)
    found = [(("known", "missing")[code], *rest) for code, *rest in _surest(missing, classes, rare, limit)]
    codes, categories = pd.factorize(column)
    if not pd.api.types.is_numeric_dtype(column) or len(categories) <= MAX_CATEGORIES:
        known = codes >= 0
        found += [(f"= {categories[code]!s:.40}", *rest) for code, *rest in _surest(codes[known], classes[known], rare, limit)]
    for value, of, count, total in found:
        yield f"{value} settles the outcome: {count:,} of {total:,} rows are of class {names[of]}"


def _surest(codes: np.ndarray, classes: np.ndarray, rare: np.ndarray, limit: float) -> Iterator[tuple[int, int, int, int]]:
    """Code, class, rows of that class with the code, rows with the code: where the class's share is surely above `limit`."""
    width = len(rare)
    counts = np.bincount(codes * width + classes, minlength=width * (codes.max(initial=0) + 1)).reshape(-1, width)
    totals = counts.sum(axis=1, keepdims=True)
    for code, of in np.argwhere((totals >= MIN_ROWS) & (counts > limit * totals) & rare):
        count, total = int(counts[code, of]), int(totals[code, 0])
        if not share_lower_bound(count, total) <= limit:
            yield int(code), int(of), count, total
