"""The gate's statistics: intervals for clustered paired differences and for shares, and how well one feature alone tells the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

FURTHEST = 20
"""Evidence that would have to grow more than this many times settles nothing."""


@dataclass(frozen=True)
class Interval:
    """A mean with its cluster-robust interval. Each bound alone errs with chance alpha, so the two hold with `level` = 1 - 2 alpha."""

    estimate: float
    se: float
    low: float
    high: float
    clusters: int
    n: int
    level: float


def paired_interval(difference: np.ndarray, cluster: np.ndarray, *, alpha: float) -> Interval:
    """Interval of the mean of `difference` when rows of one cluster depend on each other; with one cluster its bounds are infinite.

    Parameters
    ----------
    difference, cluster
        Shape (n,): what the candidate saves on each row, and which rows belong together.
    alpha
        Chance of error of each of the two bounds.

    Raises
    ------
    ValueError
        There is no row, a value is missing or infinite, the shapes differ, or alpha is not in (0, 0.5].

    Notes
    -----
    CR1 for a mean: SE^2 = G/(G-1) sum_g (sum_{i in g} (d_i - D))^2 / n^2, with t quantiles of G-1 degrees of freedom;
    Cameron & Miller, A Practitioner's Guide to Cluster-Robust Inference, Journal of Human Resources 50 (2015), sections II.C and VI.D.
    With G = n it is the ordinary t interval. It errs more often than alpha when clusters are few, unequal, skewed or serially dependent.
    """
    d = np.asarray(difference, dtype=float)
    codes, groups = pd.factorize(np.asarray(cluster))
    if d.ndim != 1 or d.shape != codes.shape or not d.size:
        raise ValueError(f"got differences of shape {d.shape} and clusters of shape {codes.shape}; expected one of each for every row")
    bad = ~np.isfinite(d) | (codes < 0)
    if bad.any():
        raise ValueError(f"got {int(bad.sum())} of {d.size} rows whose difference or cluster is missing or infinite; expected none")
    n, clusters, mean = d.size, len(groups), float(d.mean())
    se = math.inf
    if clusters > 1:
        sums = np.bincount(codes, weights=d - mean)
        se = math.sqrt(clusters / (clusters - 1) * float(sums @ sums)) / n
    return interval_of(mean, se, clusters=clusters, n=n, alpha=alpha)


def interval_of(estimate: float, se: float, *, clusters: int, n: int, alpha: float) -> Interval:
    """The interval around an estimate whose standard error rests on so many clusters."""
    reach = _reach(se, clusters, alpha)
    return Interval(estimate, se, estimate - reach, estimate + reach, clusters, n, 1 - 2 * alpha)


def upper_bound(interval: Interval, alpha: float) -> float:
    """The interval's upper bound at another chance of error."""
    return interval.estimate + _reach(interval.se, interval.clusters, alpha)


def clusters_to_settle(interval: Interval, gap: float, *, alpha: float) -> int | None:
    """How many more clusters bring the bound nearer to the estimate than `gap`, if estimate and spread stay what they are.

    None when no reasonable number does: the gap is not positive, there is one cluster, or it would take 20 times the evidence.
    """
    if not (gap > 0 and math.isfinite(interval.se)):
        return None
    have = interval.clusters
    totals = np.arange(have, FURTHEST * have + 1)
    enough = stats.t.ppf(1 - alpha, totals - 1) * interval.se * np.sqrt(have / totals) < gap
    return int(totals[enough.argmax()]) - have if enough.any() else None


def chance_below(interval: Interval, limit: float) -> float:
    """Chance of an estimate this low or lower, were the truth exactly `limit`; 1 with one cluster, which shows nothing."""
    if not math.isfinite(interval.se):
        return 1.0
    if not interval.se > 0:
        return float(not interval.estimate < limit)
    return float(stats.t.cdf((interval.estimate - limit) / interval.se, interval.clusters - 1))


def holm(chances: np.ndarray, alpha: float) -> np.ndarray:
    """Which of several hypotheses are rejected when any wrong rejection may happen with chance alpha; shape as `chances`.

    Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    chances = np.asarray(chances, dtype=float)
    order = np.argsort(chances, kind="stable")
    small = chances[order] <= alpha / np.arange(len(chances), 0, -1)
    rejected = np.zeros(len(chances), dtype=bool)
    rejected[order] = np.logical_and.accumulate(small)
    return rejected


def share_lower_bound(successes: int, n: int) -> float:
    """Lower bound of a share that errs with chance 5% at most (Clopper & Pearson, Biometrika 26, 1934)."""
    return float(stats.binomtest(successes, n, alternative="greater").proportion_ci(0.95, method="exact").low)


def feature_aucs(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """For each class, the chance that a row of it has a larger value than a row of another one; ties count half.

    Parameters
    ----------
    values
        Shape (..., n), one feature or several; missing as NaN.
    classes
        Shape (n,), whole numbers from 0.

    Returns
    -------
    np.ndarray
        Shape (..., classes); NaN for a class with a value on none of its rows, or on none of the others.

    Notes
    -----
    The Mann-Whitney statistic over the number of pairs: Hanley & McNeil, Radiology 143 (1982).
    """
    member = np.eye(classes.max() + 1)[classes]
    rows = ~np.isnan(values) @ member
    ranks = np.nan_to_num(stats.rankdata(values, axis=-1, nan_policy="omit")) @ member
    pairs = rows * (rows.sum(axis=-1, keepdims=True) - rows)
    return np.asarray((ranks - rows * (rows + 1) / 2) / np.where(pairs > 0, pairs, np.nan))


def feature_r2(values: np.ndarray, y: np.ndarray) -> float:
    """Share of `y`'s variance that one feature explains, linearly or by rank, whichever is more; 0 for constants."""
    return max(_squared_correlation(values, y), _squared_correlation(stats.rankdata(values), stats.rankdata(y)))


def _squared_correlation(x: Any, y: Any) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def _reach(se: float, clusters: int, alpha: float) -> float:
    if not 0 < 2 * alpha <= 1:
        raise ValueError(f"got alpha {alpha}; expected more than 0 and at most 0.5")
    return float(stats.t.ppf(1 - alpha, clusters - 1)) * se if clusters > 1 else math.inf
