"""How far probabilities are from how often things happen, how much of that chance explains, and how two models compare in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from evergreen.gate.statistics import Interval, interval_of

BINS = 10
"""Bins of probabilities, with as many rows each; the page draws the same ones."""
DRAWS = 2_000
"""Resamples: enough that a bound at 5% lies within a tenth of its standard error."""
SEED = 20130501
"""Fixed, so that the same evidence has the same answer."""
MAX_BLOCKS = 400
"""More clusters than these are put together, neighbours first: that leaves the result valid, and the resampling quick."""
NEAREST = 1e-6
"""Probabilities nearer to 0 or 1 count as this near: a logit must be finite."""
STEPS, CONVERGED = 50, 1e-9
"""Newton's method needs about six steps here; without an end, the probabilities separate the outcomes and there is no slope."""


@dataclass(frozen=True)
class Gaps:
    """Predicted less observed shares by bin, and the sums over blocks of clusters that chance is judged by."""

    sums: np.ndarray
    """Shape (blocks, bins)."""
    rows: np.ndarray
    """Shape (blocks, bins)."""

    @property
    def mean(self) -> np.ndarray:
        """Predicted less observed in each bin, shape (bins,)."""
        return np.asarray(self.sums.sum(axis=0) / self.rows.sum(axis=0))

    @property
    def weights(self) -> np.ndarray:
        """Share of the rows in each bin."""
        return np.asarray(self.rows.sum(axis=0) / self.rows.sum())

    @property
    def noise(self) -> float:
        """What chance alone adds to the mean squared gap: the cluster-robust variances of the bins' gaps; NaN with one block."""
        blocks = len(self.rows)
        if blocks < 2:  # noqa: PLR2004 (one block has no spread)
            return math.nan
        left = self.sums - self.rows * self.mean
        variance = blocks / (blocks - 1) * (left**2).sum(axis=0) / self.rows.sum(axis=0) ** 2
        return float(self.weights @ variance)


def quantile_bins(values: np.ndarray) -> np.ndarray:
    """Number of the quantile bin of each value; equal values share a bin."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]


def blocks_of(cluster: np.ndarray) -> np.ndarray:
    """Number of the block of each row: its cluster in sorted order, neighbours together where there are more than 400."""
    codes, groups = pd.factorize(np.asarray(cluster), sort=True)
    return np.asarray(codes * min(MAX_BLOCKS, len(groups)) // len(groups))


def gaps(probability: np.ndarray, happened: np.ndarray, block: np.ndarray, *, binned: bool = True) -> Gaps:
    """Gaps by quantile bin of the probability, for each class on its own; not binned: one for each class, the bias.

    Parameters
    ----------
    probability, happened
        Shape (n, classes): predicted, and 1 where the class was the outcome; one column for a binary task.
    block
        Shape (n,), from `blocks_of`.
    """
    columns = [quantile_bins(column) if binned else np.zeros(len(column), dtype=int) for column in probability.T]
    starts = np.cumsum([0, *(int(column.max()) + 1 for column in columns)])
    shape = (int(block.max()) + 1, int(starts[-1]))
    at = (block[:, None] * shape[1] + np.column_stack(columns) + starts[:-1]).ravel()
    width = shape[0] * shape[1]
    sums = np.bincount(at, weights=(probability - happened).ravel(), minlength=width).reshape(shape)
    return Gaps(sums, np.bincount(at, minlength=width).reshape(shape).astype(float))


def calibration_error(found: Gaps) -> float:
    """Root mean squared gap without what chance adds to it; 0 when chance explains all of it.

    The debiased estimator of Kumar, Liang & Ma, Verified Uncertainty Calibration (NeurIPS 2019), section 4, with cluster-robust
    variances in the place of binomial ones; for several classes their marginal calibration error, all classes alike.
    """
    return float(np.sqrt(np.maximum(0.0, found.weights @ found.mean**2 - found.noise)))


def chance_error(found: Gaps, *, alpha: float) -> float:
    """The calibration error that probabilities which are right exceed with chance alpha, by resampling clusters around their own gaps."""
    mean, weights = _resampled(found)
    squared = (weights * (mean - found.mean) ** 2).sum(axis=1) - found.noise
    return float(np.sqrt(np.maximum(0.0, np.quantile(squared, 1 - alpha))))


def loss_bound(one: Gaps, other: Gaps, *, alpha: float) -> float:
    """How much larger the calibration error of `one` surely is than that of `other`, on the same rows: a bound that errs with chance alpha.

    The percentile interval of a bootstrap of whole clusters (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13);
    resampling adds chance a second time, so that it is taken off twice.
    """
    errors = []
    for found in (one, other):
        mean, weights = _resampled(found)
        errors.append(np.sqrt(np.maximum(0.0, (weights * mean**2).sum(axis=1) - 2 * found.noise)))
    return float(np.quantile(errors[0] - errors[1], alpha))


def recalibration_slope(probability: np.ndarray, happened: np.ndarray, cluster: np.ndarray, *, alpha: float) -> Interval | None:
    """Slope of the outcome's log odds on the predicted ones: 1 when right, below 1 when too sure, above 1 when not sure enough.

    None when there is none: all probabilities are alike, or they separate the outcomes.

    Notes
    -----
    Logistic recalibration: Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45 (1958). Its standard error is
    the cluster-robust sandwich (CR1) of Cameron & Miller (2015), section II.
    """
    log_odds = special.logit(np.clip(probability, NEAREST, 1 - NEAREST))
    if not np.ptp(log_odds) > 0:
        return None
    X, beta = np.column_stack([np.ones_like(log_odds), log_odds]), np.zeros(2)
    codes, groups = pd.factorize(np.asarray(cluster))
    for _ in range(STEPS):
        expected = special.expit(X @ beta)
        scores = X * (happened - expected)[:, None]
        information = X.T @ (X * (expected * (1 - expected))[:, None])
        if not np.linalg.cond(information) < 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(information, scores.sum(axis=0))
        if np.abs(step).max() < CONVERGED:
            break
        beta = beta + step
    else:
        return None
    clusters = len(groups)
    summed = np.column_stack([np.bincount(codes, weights=column) for column in scores.T])
    bread = np.linalg.inv(information)
    covariance = clusters / max(clusters - 1, 1) * bread @ (summed.T @ summed) @ bread
    se = math.sqrt(float(covariance[1, 1])) if clusters > 1 else math.inf
    return interval_of(float(beta[1]), se, clusters=clusters, n=len(log_odds), alpha=alpha)


def _resampled(found: Gaps) -> tuple[np.ndarray, np.ndarray]:
    """Gaps and shares of the bins in resamples of whole blocks, each of shape (draws, bins); the same resamples for as many blocks."""
    times = _times(len(found.rows))
    rows = times @ found.rows
    mean = np.divide(times @ found.sums, rows, out=np.zeros_like(rows), where=rows > 0)
    return mean, rows / rows.sum(axis=1, keepdims=True)


@lru_cache(maxsize=1)  # asked for several times in a row
def _times(blocks: int) -> np.ndarray:
    """How often each block is in each resample, shape (draws, blocks)."""
    times = np.random.default_rng(SEED).multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS).astype(float)
    times.flags.writeable = False
    return times
