"""Features that know the answer only together: departure less schedule is the delay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from evergreen.gate.strength import MIN_ROWS, best_auc

MAX_ROWS = 2_000
"""Rows that are looked at: an identity shows on a few hundred, and ranking a thousand sums of more rows would take seconds."""
MAX_FEATURES = 40
"""Numbers that are paired: 780 pairs take about half a second, and the time grows with their square."""
MIN_PAIR_CLASS_ROWS = 30
"""Rows of the class, and of the others, for a pair: of 1,560 sums of noise one would reach an AUC of 0.9 on ten by luck."""
EXACT = 1e-6
"""A sum of features that leaves less than this share of the target's variance unexplained is the target."""
NAMED = 5
"""How many features of a long sum are named."""

Tell = Callable[[np.ndarray], np.ndarray]
"""From features of shape (..., n) to how well each tells the answer."""


def identities(numbers: dict[str, np.ndarray], y: np.ndarray, rows: np.ndarray, *, limit: float, regression: bool) -> Iterator[str]:
    """The sums and differences that know the answer although none of their parts does, in words.

    Parameters
    ----------
    numbers
        Features by name, each of shape (n,), missing as NaN; without those that know the answer alone.
    y, rows
        Outcomes (for classes whole numbers from 0) and fingerprints, shape (n,). Which rows are looked at depends on the fingerprints
        alone, so their order changes nothing.
    limit
        The ROC AUC, or in regression the R2, from which on a pair knows the answer.

    Notes
    -----
    Two good features add up, and their sum may honestly pass the limit. Independent ones together explain as much variance as each
    alone, added (R2; for classes the square of Somers' D = 2 AUC - 1: Somers, American Sociological Review 27, 1962, stands for it). So a
    pair must tell more than its parts do together. Both parts must be in one unit; only in regression a fit of all features finds weights.
    """
    sample = _sample(rows, None if regression else y)
    y = y[sample]
    columns = {name: np.where(np.isfinite(values), values, np.nan)[sample] for name, values in numbers.items()}
    columns = {name: columns[name] for name in _closest(columns)}
    tell = partial(_linear_r2, y=y) if regression else partial(best_auc, classes=y, least=MIN_PAIR_CLASS_ROWS)
    words = "explain the target with an R2 of" if regression else "together rank the outcomes with an AUC of"
    found = [
        f"{pair} {words} {strength:.3f} (at most {limit:g}; alone {first:.3f} and {second:.3f})"
        for pair, strength, first, second in _pairs(columns, tell, regression=regression)
        if not strength <= limit
    ]
    yield from found
    if regression and not found:
        yield from _fit(columns, y)


def _pairs(columns: dict[str, np.ndarray], tell: Tell, *, regression: bool) -> Iterator[tuple[str, float, float, float]]:
    """The pairs that tell more than their parts added: in words, how much, and how much each part."""

    def share(strength: float) -> float:
        return strength if regression else (2 * strength - 1) ** 2

    names = list(columns)
    alone = {name: float(tell(columns[name])) for name in names}
    for at, a in enumerate(names[:-1]):
        others = names[at + 1 :]
        second = np.array([columns[name] for name in others])
        with np.errstate(over="ignore"):  # a sum that is infinite counts as missing
            strengths = {"-": tell(columns[a] - second), "+": tell(columns[a] + second)}
        for (index, b), sign in product(enumerate(others), strengths):
            strength = float(strengths[sign][index])
            if not share(strength) <= share(alone[a]) + share(alone[b]):
                yield f"{a} {sign} {b}", strength, alone[a], alone[b]


def _linear_r2(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared correlation with y of each of the features in shape (..., n), on the rows where it is known; 0 for constants and few rows."""
    known = np.isfinite(values)
    rows = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    x, t = np.where(known, values, 0.0), np.where(known, y, 0.0)
    x, t = (np.where(known, part - part.sum(axis=-1, keepdims=True) / rows, 0.0) for part in (x, t))
    total = (x**2).sum(axis=-1) * (t**2).sum(axis=-1)
    told = (known.sum(axis=-1) >= MIN_ROWS) & (total > 0)
    return np.where(told, (x * t).sum(axis=-1) ** 2 / np.where(told, total, 1), 0.0)


def _fit(columns: dict[str, np.ndarray], y: np.ndarray) -> Iterator[str]:
    """Whether y is a weighted sum of features, by least squares on the rows where all are known; those mostly missing are left out."""
    names = [name for name, values in columns.items() if 2 * np.isfinite(values).sum() >= len(y)]
    if not names:
        return
    table = np.column_stack([columns[name] for name in names])
    known = np.isfinite(table).all(axis=1)
    # as many features as rows would fit anything; these rows are more than `MAX_FEATURES`
    if not known.sum() >= MIN_ROWS:
        return
    table, target = table[known] - table[known].mean(axis=0), y[known] - y[known].mean()
    scale = np.sqrt((table**2).mean(axis=0))
    table = table / np.where(scale > 0, scale, 1)
    weights = np.linalg.lstsq(table, target)[0]
    total, left = float(target @ target), float(((target - table @ weights) ** 2).sum())
    if total > 0 and not left >= EXACT * total:
        by_weight = sorted(zip(abs(weights), names, strict=True), key=lambda item: (-item[0], item[1]))
        said = [name for weight, name in by_weight if weight > EXACT * by_weight[0][0]]
        more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
        yield f"{', '.join(said[:NAMED])}{more} add up to the target (a weighted sum explains it with an R2 of {1 - left / total:.7f})"


def _sample(rows: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Positions of at most `MAX_ROWS` rows, evenly by fingerprint; as many of each class, so that a rare one is not lost."""
    order = np.argsort(rows, kind="stable")
    groups = [order] if classes is None else [order[classes[order] == one] for one in range(classes.max() + 1)]
    most = max(1, MAX_ROWS // len(groups))
    taken = [group[np.linspace(0, len(group) - 1, min(most, len(group))).astype(int)] for group in groups]
    return np.concatenate(taken)


def _closest(columns: dict[str, np.ndarray]) -> list[str]:
    """The names, where there are too many of those with the nearest relatives: weak parts whose difference is strong are nearly alike."""
    if len(columns) <= MAX_FEATURES:
        return list(columns)
    alike = pd.DataFrame(columns).corr(min_periods=MIN_ROWS).abs().fillna(0.0).to_numpy(copy=True)
    np.fill_diagonal(alike, 0.0)
    nearest = dict(zip(columns, alike.max(axis=1), strict=True))
    return sorted(sorted(columns, key=lambda name: (-nearest[name], name))[:MAX_FEATURES])
