"""How far apart two samples of one column are: of numbers, or of categories that are numbered from 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

BINS = 10
"""Quantile bins of a number, beside those below and above all that was seen, and the missing ones."""
EXPECTED = 5
"""Categories that are expected less often than this in the smaller sample are taken together (Cochran, Biometrics 10, 1954)."""
SMOOTHING = 0.5
"""What every bin's count is raised by, so that an empty one has a logarithm (Krichevsky & Trofimov 1981)."""


@dataclass(frozen=True)
class Figures:
    """What two samples differ by."""

    psi: float
    statistic: float
    distance: float
    """0 (alike) to 1 (nothing in common)."""
    p: float


def gap_of_numbers(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov's distance of two samples of known numbers in ascending order: the largest difference of the shares up to a value."""
    both = np.concatenate([one, other])
    below = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def gap_of_categories(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation of two samples of categories: the largest difference of the shares of any set of them."""
    return _total_variation(_table(one, other))


def figures_of_numbers(one: np.ndarray, other: np.ndarray) -> Figures:
    """What two samples of numbers, missing as NaN, differ by; each must have known ones. Quantile bins are those of the first.

    Notes
    -----
    The test is Kolmogorov and Smirnov's for two samples, on known numbers, with its asymptotic chance (Hodges, Arkiv for Matematik 3,
    1958); missing ones are a bin of the PSI.
    """
    first, second = one[~np.isnan(one)], other[~np.isnan(other)]
    test = stats.ks_2samp(first, second, method="asymp")
    below = np.nextafter(first.min(), -np.inf)  # the smallest number lies inside
    edges = np.unique([below, *np.quantile(first, np.arange(1, BINS + 1) / BINS)])
    index = psi(_binned(one, edges), _binned(other, edges))
    return Figures(index, float(test.statistic), float(test.statistic), float(test.pvalue))


def figures_of_categories(one: np.ndarray, other: np.ndarray) -> Figures:
    """What two samples of categories differ by, each with at least a row; rare ones count as one category."""
    table = _table(one, other)
    test = stats.chi2_contingency(table, correction=False)
    return Figures(psi(table[0], table[1]), float(test.statistic), _total_variation(table), float(test.pvalue))


def psi(one: np.ndarray, other: np.ndarray) -> float:
    """Population stability index of two samples' counts in the same bins; bins that are empty in both count for nothing.

    Notes
    -----
    The sum over bins of (q - p) ln(q / p): Siddiqi, Credit Risk Scorecards (2006), which calls it system stability; it is the
    divergence of Jeffreys, Proceedings of the Royal Society A 186 (1946).
    """
    used = (one + other) > 0
    p, q = ((counts[used] + SMOOTHING) / (counts.sum() + SMOOTHING * used.sum()) for counts in (one, other))
    return float(((q - p) * np.log(q / p)).sum())


def _binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts: up to each edge, above the last one, and missing."""
    known = values[~np.isnan(values)]
    inside = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return np.append(inside, len(values) - len(known))


def _total_variation(table: np.ndarray) -> float:
    return float(np.abs(np.subtract(*(table / table.sum(axis=1, keepdims=True)))).sum() / 2)


def _table(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Counts of both samples by category, those that occur; the rare ones are one category."""
    width = int(max(one.max(), other.max())) + 1
    table = np.array([np.bincount(codes, minlength=width) for codes in (one, other)])
    table = table[:, table.any(axis=0)]
    rare = table.sum(axis=0) * min(len(one), len(other)) / table.sum() < EXPECTED
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)]) if rare.any() else table
