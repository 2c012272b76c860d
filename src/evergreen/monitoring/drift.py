"""Whether the newest rows, and what is said of them, are still like those that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from evergreen.monitoring.distances import figures_of_categories, figures_of_numbers, gap_of_categories, gap_of_numbers
from evergreen.watches import DriftPolicy

MAX_ROWS = 20_000
"""Rows of a window that are looked at, evenly spaced: more take longer and tell no more than the floors ask for."""
Kind = Literal["numbers", "categories", "missing"]


@dataclass(frozen=True)
class Moved:
    """How far one feature, or what a model says, has moved; figures are None where it was not judged."""

    feature: str
    kind: Kind
    """What was compared: the numbers, the categories (missing is one of them), or the share of missing numbers."""
    psi: float | None = None
    statistic: float | None = None
    """Kolmogorov and Smirnov's (numbers), or chi-squared."""
    distance: float | None = None
    """The share of rows by which the two differ; of a number the largest difference of the shares below a value."""
    usual: float = 0.0
    """The largest distance of two neighbouring windows of the training."""
    p: float | None = None
    q: float | None = None
    """The chance `p` after Benjamini and Hochberg's correction for all that was compared."""
    is_drifted: bool = False
    sentence: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether there was enough to tell."""
        return self.q is not None


@dataclass(frozen=True)
class Drift:
    """What was found in the newest window."""

    features: tuple[Moved, ...]
    found: bool
    sentence: str
    window_end: str | None = None

    @property
    def is_judged(self) -> bool:
        """Whether anything was judged; where nothing was, nothing is found."""
        return any(moved.is_judged for moved in self.features)


@dataclass(frozen=True)
class Said:
    """What one model said: of rows when it was made, and of the newest ones; columns as in predictions."""

    then: pd.DataFrame
    now: pd.DataFrame


def compare(
    windows: Sequence[pd.DataFrame], recent: pd.DataFrame, policy: DriftPolicy, *, said: Said | None = None, window_end: str | None = None
) -> Drift:
    """Compare the newest rows, feature by feature, with the window of the training that is most like them.

    A feature has drifted when PSI and distance reach their floors, the distance is larger than neighbouring windows of the training
    are apart (`times_usual`), and chance does not explain it (`false_discoveries`).

    Parameters
    ----------
    windows
        The features in windows of the training rows, in order of time, each as long as the newest one.
    recent
        The features in the newest window.

    Notes
    -----
    False discoveries are controlled as in Benjamini & Hochberg, Controlling the False Discovery Rate, Journal of the Royal Statistical
    Society B 57 (1995). Rows are taken as independent, which they seldom are: with many of them the floors decide, not chance.
    """
    moved = _all_moved([*windows, recent], policy)
    if said is not None:
        moved += _all_moved([said.then.add_prefix("predicted "), said.now.add_prefix("predicted ")], policy)
    features = tuple(_told(one, policy) for one in _with_q(moved))
    drifted = [one for one in features if one.is_drifted]
    found = len(drifted) >= policy.min_features
    return Drift(features, found, _summary(features, found=found), window_end)


def _all_moved(frames: Sequence[pd.DataFrame], policy: DriftPolicy) -> list[Moved]:
    names = dict.fromkeys(str(name) for frame in reversed(frames) for name in frame.columns)
    return [one for name in names for one in _moved(name, frames, policy)]


def _moved(name: str, frames: Sequence[pd.DataFrame], policy: DriftPolicy) -> list[Moved]:
    """The last frame's column against the most similar of the others; one entry for each kind."""
    if len(frames) == 1:
        return [_unjudged(name, "the training is too short to tell how far apart two windows usually are")]
    if any(name not in frame for frame in frames):
        return [_unjudged(name, "it is not both in the training rows and in the newest ones")]
    kinds = _by_kind([_thinned(frame[name]) for frame in frames])
    return [_nearest(name, kind, samples, policy) for kind, samples in kinds.items()] or [_unjudged(name, "no row has a value")]


def _unjudged(name: str, why: str, kind: Kind = "categories") -> Moved:
    return Moved(name, kind, sentence=f"{name} was not judged: {why}.")


def _nearest(name: str, kind: Kind, samples: list[np.ndarray], policy: DriftPolicy) -> Moved:
    """The last sample against the most similar of the others, and how far apart neighbours among these are."""
    is_number = kind == "numbers"
    gap, figures = (gap_of_numbers, figures_of_numbers) if is_number else (gap_of_categories, figures_of_categories)
    known = [np.sort(sample[~np.isnan(sample)]) if is_number else sample for sample in samples]
    enough = [len(sample) >= max(policy.min_rows, 1) for sample in known]
    rivals = [(gap(known[at], known[-1]), -at) for at in range(len(samples) - 1) if enough[at] and enough[-1]]
    if not rivals:
        return _unjudged(name, f"fewer than {policy.min_rows:,} rows have a value in training, or among the newest rows", kind)
    found = figures(samples[-min(rivals)[1]], samples[-1])  # of windows that are equally similar the newest one
    pairs = [at for at in range(len(samples) - 2) if enough[at] and enough[at + 1]]
    usual = max((gap(known[at], known[at + 1]) for at in pairs), default=0.0)
    return Moved(name, kind, found.psi, found.statistic, found.distance, usual, found.p)


def _by_kind(columns: list[pd.Series]) -> dict[Kind, list[np.ndarray]]:
    """The columns as numbers (missing and infinite ones as NaN) and whether they are missing, or as numbered categories."""
    known = [column for column in columns if column.notna().any()]
    if known and all(map(_is_number, known)):
        numbers = [_numbers(column) for column in columns]
        missing = [np.isnan(column).astype(np.int64) for column in numbers]
        return {"numbers": numbers, **({"missing": missing} if any(column.any() for column in missing) else {})}
    if any(map(_is_number, known)):  # what was a number is text now: it is the kind that differs, whatever the texts say
        columns = [column.astype(object).where(column.isna(), "number" if _is_number(column) else "text") for column in columns]
    texts = pd.concat([column.astype(object).map(str, na_action="ignore") for column in columns], ignore_index=True)
    codes = pd.factorize(texts, use_na_sentinel=False)[0]
    ends = np.cumsum([len(column) for column in columns])
    return {"categories": np.split(codes, ends[:-1])} if known else {}


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)


def _numbers(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_datetime64_any_dtype(column):
        column = (column - pd.Timestamp(0, tz=column.dt.tz)) / pd.Timedelta(seconds=1)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _thinned(column: pd.Series) -> pd.Series:
    if len(column) <= MAX_ROWS:
        return column
    return column.iloc[np.linspace(0, len(column) - 1, MAX_ROWS).astype(int)]


def _with_q(moved: list[Moved]) -> list[Moved]:
    """Each with its chance corrected for all that were judged."""
    chances = [one.p for one in moved if one.p is not None]
    corrected = iter(stats.false_discovery_control(chances) if chances else ())
    return [one if one.p is None else replace(one, q=float(next(corrected))) for one in moved]


def _told(moved: Moved, policy: DriftPolicy) -> Moved:
    """The verdict on one, in words."""
    if moved.psi is None or moved.distance is None or moved.q is None:
        return moved
    usual = policy.times_usual * moved.usual
    is_large = moved.psi >= policy.min_psi and moved.distance >= policy.min_distance
    is_drifted = is_large and moved.distance > usual and moved.q <= policy.false_discoveries
    what = f"whether {moved.feature} is missing" if moved.kind == "missing" else moved.feature
    apart = f"the newest rows differ by {moved.distance:.2f} (PSI {moved.psi:.2f}) from the training window most like them"
    since = f", of which neighbours differ by up to {moved.usual:.2f}" if moved.usual else ""
    return replace(moved, is_drifted=is_drifted, sentence=f"{what} has {'' if is_drifted else 'not '}drifted: {apart}{since}.")


def _summary(features: tuple[Moved, ...], *, found: bool) -> str:
    judged, drifted = [one for one in features if one.is_judged], [one for one in features if one.is_drifted]
    if not judged:
        return "Drift was not judged: there are too few rows, in training or in the newest window."
    names = ", ".join(f"{one.feature} (missing values)" if one.kind == "missing" else one.feature for one in drifted)
    silent = [one.feature for one in features if not one.is_judged]
    left = f" Not judged: {', '.join(silent)}." if silent else ""
    moved, of = len({one.feature for one in drifted}), len({one.feature for one in judged})
    columns = f"of {of} {'column' if of == 1 else 'columns'}"
    if not moved:
        return f"No drift: none {columns} has moved.{left}"
    said = f"{moved} {columns} {'has' if moved == 1 else 'have'} moved"
    return f"Drift: {said}: {names}.{left}" if found else f"No drift: {said}, too few to call it drift: {names}.{left}"
