"""How well probabilities put what happens before what does not: the ROC AUC, known or expected, and how far each row moves it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evergreen.gate.statistics import Interval, paired_interval


def auc_interval(happened: np.ndarray, score: np.ndarray, cluster: np.ndarray, *, alpha: float) -> Interval | None:
    """The ROC AUC with its cluster-robust interval, cut to 0..1; None where only one of both outcomes is there.

    Parameters
    ----------
    happened, score, cluster
        Shape (n,): 0 or 1, what was said, and which rows belong together.
    alpha
        Chance of error of each of the two bounds.

    Notes
    -----
    The structural components of DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988), summed by cluster as Obuchowski, Nonparametric
    Analysis of Clustered ROC Curve Data, Biometrics 53 (1997) does: the AUC is the mean of pseudo-values, whose interval is the gate's.
    """
    y = np.asarray(happened, dtype=float)
    found = expected_auc(score, y)
    if found is None:
        return None
    above, below = _standing(np.asarray(score, dtype=float), y)
    positive, negative = y.mean(), 1 - y.mean()
    pseudo = found + y * (below - found) / positive + (1 - y) * (above - found) / negative
    whole = paired_interval(pseudo, cluster, alpha=alpha)
    return replace(whole, estimate=found, low=max(0.0, whole.low), high=min(1.0, whole.high))


def expected_auc(score: np.ndarray, chance: np.ndarray) -> float | None:
    """The ROC AUC of scores whose rows come true with these chances: what the expected confusion matrices of all thresholds enclose.

    None where all chances are 0 or all are 1. With outcomes in the place of chances it is the AUC itself; ties count half.

    Notes
    -----
    Confidence-based performance estimation as NannyML documents it for the ROC AUC ("Estimation of Performance of the Monitored Model").
    """
    p = np.asarray(chance, dtype=float)
    if not 0 < p.sum() < len(p):
        return None
    _, below = _standing(np.asarray(score, dtype=float), p)
    return float(p @ below / p.sum())


def auc_slope(score: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """By how much the expected AUC grows with the chance of each row, shape (n,); both outcomes must be possible."""
    p, found = np.asarray(chance, dtype=float), expected_auc(score, chance)
    above, below = _standing(np.asarray(score, dtype=float), p)
    told = math.nan if found is None else found
    return np.asarray((below - told) / p.sum() - (above - told) / (1 - p).sum())


def _standing(score: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the share of what comes true that stands above it, and the share of what does not that stands below; ties count half."""
    _, level = np.unique(score, return_inverse=True)
    true, false = np.bincount(level, weights=chance), np.bincount(level, weights=1 - chance)
    below = (np.cumsum(false) - false / 2) / false.sum()
    above = 1 - (np.cumsum(true) - true / 2) / true.sum()
    return above[level], below[level]
