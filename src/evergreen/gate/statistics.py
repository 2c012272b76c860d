"""The gate's statistics: intervals for clustered paired differences and for shares, and how well one feature alone tells the answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import fft, optimize, stats

FURTHEST = 20
"""Evidence that would have to grow more than this many times settles nothing."""
SMALLEST_CHANCE = 1e-12
"""Chances below it are as good as none."""
ISO_DATE = re.compile(r"\d{4}-\d\d")
Side = Literal["low", "high"]


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
    dof: float = math.inf
    """Degrees of freedom of `se`: clusters - 1 where they are equally large, fewer where some outweigh the others."""
    serial_se: float = 0.0
    """Standard error that allows for neighbours being alike; 0 where clusters have no order in time."""
    skewness: float = 0.0
    """Of the clusters' sums; below 0 a few clusters lose much where many win little."""


def paired_interval(difference: np.ndarray, cluster: np.ndarray, *, alpha: float) -> Interval:
    """Interval of the mean of `difference` when rows of one cluster depend on each other; with one cluster its bounds are infinite.

    Parameters
    ----------
    difference, cluster
        Shape (n,): what the candidate saves on each row, and which rows belong together. The order of rows does not matter;
        clusters named by dates (or by texts that begin as ISO dates do) are taken to follow each other in time.
    alpha
        Chance of error of each of the two bounds.

    Raises
    ------
    ValueError
        There is no row, a value is missing or infinite, the shapes differ, or alpha is not in (0, 0.5].

    Notes
    -----
    `se` is CR1 for a mean: SE^2 = G/(G-1) sum_g (sum_{i in g} (d_i - D))^2 / n^2, Cameron & Miller, A Practitioner's Guide to
    Cluster-Robust Inference, Journal of Human Resources 50 (2015), section II.C. A bound lies as far from D as the larger of
    t(1-alpha; dof) SE and, where clusters follow each other, t(1-alpha; G^(2/3)) SE_serial; and farther on the side of the
    longer tail. How often it errs is measured in docs/decisions/0007-the-interval-of-the-gate.md.
    """
    d, codes, groups = _in_order(difference, cluster)
    n, clusters, mean = d.size, len(groups), float(d.mean())
    whole = Interval(mean, math.inf, -math.inf, math.inf, clusters, n, 1 - 2 * alpha)
    if clusters > 1:
        rest = d - mean
        sums, sizes = np.bincount(codes, weights=rest), np.bincount(codes)
        whole = replace(
            whole,
            se=math.sqrt(clusters / (clusters - 1) * float(sums @ sums)) / n,
            dof=float(effective_dof(sums, sizes, rest @ rest)),
            serial_se=float(serial_se(sums, n)) if _are_dates(groups) else 0.0,
            skewness=_skewness(sums),
        )
    return replace(whole, low=mean - _reach(whole, alpha, "low"), high=mean + _reach(whole, alpha, "high"))


def interval_of(estimate: float, se: float, *, clusters: int, n: int, alpha: float) -> Interval:
    """The interval around an estimate whose standard error rests on so many clusters."""
    whole = Interval(estimate, se, -math.inf, math.inf, clusters, n, 1 - 2 * alpha, dof=clusters - 1)
    return replace(whole, low=estimate - _reach(whole, alpha, "low"), high=estimate + _reach(whole, alpha, "high"))


def _in_order(difference: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
    """The differences and the number of each one's cluster, ordered by both, and the clusters' names, sorted."""
    d = np.asarray(difference, dtype=float)
    codes, groups = pd.factorize(np.asarray(cluster), sort=True)
    if d.ndim != 1 or d.shape != codes.shape or not d.size:
        raise ValueError(f"got differences of shape {d.shape} and clusters of shape {codes.shape}; expected one of each for every row")
    bad = ~np.isfinite(d) | (codes < 0)
    if bad.any():
        raise ValueError(f"got {int(bad.sum())} of {d.size} rows whose difference or cluster is missing or infinite; expected none")
    order = np.lexsort((d, codes))  # sums of floats depend on their order, and a verdict must not depend on the rows'
    return d[order], codes[order], groups


def effective_dof(sums: np.ndarray, sizes: np.ndarray, squares: Any) -> Any:
    """Degrees of freedom of CR1's variance when clusters are unequal; clusters - 1 when they are equal.

    `sums` are the clusters' sums of residuals, shape (..., clusters); `squares` is the sum of the squared residuals of all rows.

    Notes
    -----
    Satterthwaite's for normal clusters: Bell & McCaffrey, Survey Methodology 28 (2002). How the variance of a cluster grows with
    its size is estimated from the rows, as Imbens & Kolesar, Review of Economics and Statistics 98 (2016), section IV.B do: rows
    share their cluster's effect and have one of their own.
    """
    size, n, pairs = sizes.astype(float), sizes.sum(-1), (sizes * (sizes - 1.0)).sum(-1)
    shared = np.maximum(0.0, (sums**2).sum(-1) - squares) / np.maximum(pairs, 1)
    own = np.maximum(squares / n - shared, np.finfo(float).tiny)  # without any variance: as if rows were independent
    v, w = own[..., None] * size + shared[..., None] * size**2, size / n[..., None]
    v = v / v.sum(-1, keepdims=True)
    # residual sums are M s with M = I - w 1' and s ~ N(0, diag(v)): their square has mean tr(AV), variance 2 tr(AVAV), A = M'M
    ww, wv, wwv = (w**2).sum(-1), (w * v).sum(-1), (w**2 * v).sum(-1)
    mean = 1 - 2 * wv + ww
    spread = ww**2 + 2 * wwv + 2 * wv**2 - 4 * ww * wv + ((1 + 2 * (ww[..., None] - 2 * w)) * v**2).sum(-1)
    return mean**2 / spread


def serial_se(sums: np.ndarray, n: Any) -> Any:
    """Standard error of the mean of `n` rows from their clusters' sums of residuals in the order of time, neighbours being alike.

    Notes
    -----
    The mean square of the lowest cosine transforms, with as many degrees of freedom: Lazarus, Lewis, Stock & Watson, HAR Inference:
    Recommendations for Practice, Journal of Business & Economic Statistics 36 (2018). They take 0.4 G^(2/3) of them for tests at
    5%; at the gate's 1% and less t quantiles of so few degrees cost more than they protect, so it is G^(2/3) here (decision 0007).
    """
    waves = fft.dct(sums, type=2, axis=-1)[..., 1 : 1 + int(_serial_dof(sums.shape[-1]))]
    return np.sqrt((waves**2).mean(-1) / 2) / n


def upper_bound(interval: Interval, alpha: float) -> float:
    """The interval's upper bound at another chance of error."""
    return interval.estimate + _reach(interval, alpha, "high")


def clusters_to_settle(interval: Interval, gap: float, *, alpha: float, side: Side = "low") -> int | None:
    """How many more clusters bring the bound nearer to the estimate than `gap`, if estimate and spread stay what they are.

    None when no reasonable number does: the gap is not positive, there is one cluster, or it would take 20 times the evidence.
    """
    have = interval.clusters
    totals = np.arange(have, FURTHEST * have + 1)
    enough = _reaches(interval, alpha, side, totals) < gap
    return int(totals[enough.argmax()]) - have if enough.any() else None


def chance_below(interval: Interval, limit: float) -> float:
    """Chance of an estimate this low or lower, were the truth `limit`: the alpha at which the upper bound is `limit`; at most a half.

    1 where the estimate is not below the limit, and with one cluster, which shows nothing.
    """
    if not (math.isfinite(interval.se) and interval.estimate < limit):
        return 1.0
    if not upper_bound(interval, SMALLEST_CHANCE) > limit:
        return 0.0
    if not upper_bound(interval, 0.5) < limit:  # a long tail moves even the middle outwards
        return 0.5
    return float(optimize.brentq(lambda alpha: upper_bound(interval, alpha) - limit, SMALLEST_CHANCE, 0.5))


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


def _reach(interval: Interval, alpha: float, side: Side) -> float:
    """How far the bound is from the estimate."""
    return float(_reaches(interval, alpha, side, np.array([interval.clusters]))[0])


def _reaches(interval: Interval, alpha: float, side: Side, clusters: np.ndarray) -> np.ndarray:
    """The same if there were so many clusters.

    The last term corrects t for skewness, only ever outwards: Johnson, Modified t Tests and Confidence Intervals for Asymmetrical
    Populations, Journal of the American Statistical Association 73 (1978), equation 2.7.
    """
    if not 0 < 2 * alpha <= 1:
        raise ValueError(f"got alpha {alpha}; expected more than 0 and at most 0.5")
    if not math.isfinite(interval.se):
        return np.full(len(clusters), math.inf)
    grown = clusters / interval.clusters
    t = stats.t.ppf(1 - alpha, (interval.dof + 1) * grown - 1)
    far = t * interval.se
    if interval.serial_se > 0:
        far = np.maximum(far, stats.t.ppf(1 - alpha, _serial_dof(clusters)) * interval.serial_se)
    lean = max(0.0, -interval.skewness if side == "low" else interval.skewness)
    return np.asarray((far + lean * (1 + 2 * t**2) / (6 * np.sqrt(clusters)) * interval.se) / np.sqrt(grown))


def _serial_dof(clusters: Any) -> Any:
    return np.minimum(clusters - 1, np.rint(clusters ** (2 / 3)))


def _skewness(sums: np.ndarray) -> float:
    """The usual estimate, less biased than the plain moments' ratio; 0 for two clusters, and for sums that are all equal.

    It has no unit, so the sums are taken near 1 first, by a power of two, which rounds nothing: cubes of tiny ones would be 0.
    """
    if np.ptp(sums) == 0:
        return 0.0
    return float(stats.skew(np.ldexp(sums, -int(np.frexp(np.abs(sums).max())[1])), bias=False))


def _are_dates(groups: Any) -> bool:
    return all(isinstance(one, date | np.datetime64) or (isinstance(one, str) and ISO_DATE.match(one)) for one in groups)
