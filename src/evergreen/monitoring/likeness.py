"""How far two deliveries are apart in one column, from what their profiles keep of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.monitoring.distances import psi

Column = dict[str, Any]
"""A column of a profile, see `monitoring.profiles`."""
TENTHS = np.arange(1, 10) / 10


@dataclass(frozen=True)
class Gap:
    """What two deliveries differ by: the largest difference of the shares up to a number, or of those of a set of categories."""

    distance: float
    """0 (alike) to 1 (nothing in common)."""
    psi: float


def gap_of_values(one: Column, other: Column) -> Gap | None:
    """By their known values; None where these cannot be compared."""
    if one.get("quantiles") and other.get("quantiles"):
        return _of_numbers(one, other)
    if one.get("shares") and other.get("shares"):
        names = sorted({*one["shares"], *other["shares"]})
        return _of_shares([[column["shares"].get(name, 0.0) for name in names] for column in (one, other)], (one["known"], other["known"]))
    return None


def gap_of_missing(one: Column, other: Column) -> Gap:
    """By the share of values that are missing."""
    return _of_shares([[column["missing"], 1 - column["missing"]] for column in (one, other)], tuple(map(rows_of, (one, other))))


def unseen(before: Sequence[Column], now: Column) -> float:
    """Share of the values whose category none of the earlier ones had."""
    known = {name for column in before for name in column.get("shares", {})}
    return float(sum(share for name, share in now["shares"].items() if name not in known))


def rows_of(column: Column) -> float:
    """How many rows the delivery had."""
    return float(column["rows"])


def _of_numbers(one: Column, other: Column) -> Gap:
    """Kolmogorov's distance, and PSI over the tenths of the first."""
    points = [np.asarray(column["quantiles"]) for column in (one, other)]
    both = np.unique(np.concatenate(points))
    distance = np.abs(np.subtract(*(_up_to(both, kept) for kept in points))).max()
    edges = np.unique(np.quantile(points[0], TENTHS, method="inverted_cdf"))
    shares = [np.diff(np.r_[0.0, _up_to(edges, kept), 1.0]) for kept in points]
    return Gap(float(distance), _of_shares([list(share) for share in shares], (one["known"], other["known"])).psi)


def _up_to(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Share of a number's values up to each of `values`, from its quantiles."""
    return np.asarray(np.searchsorted(points, values, side="right") / len(points))


def _of_shares(shares: Sequence[Sequence[float]], rows: Sequence[float]) -> Gap:
    counts = [np.asarray(share, dtype=float) * number for share, number in zip(shares, rows, strict=True)]
    return Gap(float(np.abs(np.subtract(*map(np.asarray, shares))).sum() / 2), psi(*counts))
