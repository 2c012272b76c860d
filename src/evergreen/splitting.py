"""Which rows a model learns from and which judge it. No row is ever on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evergreen.contract import Problem
from evergreen.data.snapshots import Frame, row_fingerprints
from evergreen.data.targets import why_so_few
from evergreen.errors import DataError
from evergreen.files import digest_text
from evergreen.policies import ForwardSplit, HashedSplit


@dataclass(frozen=True)
class Split:
    """Train and holdout rows; `start` and `end` bound the holdout in time (None for data without time)."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    start: pd.Timestamp | None
    end: pd.Timestamp | None
    left_out: int = 0
    """Rows that would be in the holdout, had no compared model learnt from them."""


def split_rows(rows: pd.DataFrame, problem: Problem) -> Split:
    """Split labelled rows as the contract says.

    Forward: the newest `holdout_days` are the holdout; before them the embargo is left empty; all earlier rows are for training.
    Hashed: groups whose salted hash falls into the reserved share are the holdout, now and for ever.

    Raises
    ------
    DataError
        There is not enough to train on, or nothing to judge on.
    """
    policy = problem.split
    split = _split_hashed(rows, policy, problem.time) if isinstance(policy, HashedSplit) else _split_forward(rows, policy, problem)
    if split.train.empty or split.holdout.empty:
        raise DataError(
            f"Got {len(rows):,} labelled rows, which leave {len(split.train):,} to train on and {len(split.holdout):,} to judge with; "
            "expected some of both. Wait for more outcomes, or change the split in the contract."
        )
    return split


def split_frame(frame: Frame, problem: Problem) -> Split:
    """Split the rows of a frame whose outcome counts, see `split_rows`; where most outcomes do not count, the error says why.

    Raises
    ------
    DataError
        There is not enough to train on, or nothing to judge on.
    """
    try:
        return split_rows(frame.labelled, problem)
    except DataError as error:
        why = why_so_few(frame.rows, problem)
        raise DataError(f"{error} {why}" if why else str(error)) from error


def leave_out(split: Split, learnt: np.ndarray, problem: Problem) -> Split:
    """The split without the holdout rows that were learnt from: a corrected row may come to the holdout after a model has seen it.

    Parameters
    ----------
    learnt
        Fingerprints (uint64) of the rows that the compared models have learnt from.

    Raises
    ------
    DataError
        No holdout row is left.
    """
    seen = np.isin(row_fingerprints(split.holdout, problem.key), learnt)
    if seen.all():
        raise DataError(
            f"Champion, anchor or candidate has learnt from all {len(seen):,} rows to judge with; expected some that none has seen. "
            "Wait for more outcomes, or change the split in the contract."
        )
    return replace(split, holdout=split.holdout[~seen], left_out=int(seen.sum()))


def rolling_origin(train: pd.DataFrame, problem: Problem) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Folds inside the training rows, as positions (fit, judge): each fold is judged on rows later than those it was fitted on.

    The newest part of the time span is cut into equal windows, one for each fold, and the embargo is kept in each (Hyndman and
    Athanasopoulos, Forecasting: Principles and Practice, 5.10). For data without time, groups are kept together instead.
    """
    folds = problem.retraining.folds
    if isinstance(problem.split, HashedSplit) or problem.time is None:
        yield from _grouped_folds(train, problem, folds)
        return
    time = train[problem.time]
    window = min(pd.Timedelta(days=problem.split.holdout_days), (time.max() - time.min()) / (folds + 1))
    for fold in range(folds, 0, -1):
        start, end = time.max() - fold * window, time.max() - (fold - 1) * window
        fit, judge = (time <= start - problem.embargo).to_numpy(), ((time > start) & (time <= end)).to_numpy()
        if fit.any() and judge.any():
            yield np.flatnonzero(fit), np.flatnonzero(judge)


def _split_forward(rows: pd.DataFrame, policy: ForwardSplit, problem: Problem) -> Split:
    time = rows[str(problem.time)]
    end = time.max()
    start = end - pd.Timedelta(days=policy.holdout_days)
    train = rows[time <= start - problem.embargo]
    days = (train[str(problem.time)].max() - train[str(problem.time)].min()).days + 1 if len(train) else 0
    if days < policy.min_train_days:
        raise DataError(
            f"Got {days} days to train on, before a holdout of {policy.holdout_days} days and an embargo of {problem.embargo}; expected at "
            f"least {policy.min_train_days}. Wait for more outcomes, or change the split in the contract."
        )
    return Split(train, rows[time > start], start, end)


def _split_hashed(rows: pd.DataFrame, policy: HashedSplit, time: str | None) -> Split:
    groups = _named(rows[policy.group])
    reserved = {group for group in groups.unique() if int(digest_text(policy.salt, group)[:8], 16) / 16**8 < policy.holdout_share}
    held = groups.isin(reserved)
    end = rows[time].max() if time else None
    return Split(rows[~held], rows[held], None, end)


def _named(groups: pd.Series) -> pd.Series:
    """Groups as text, the same whatever type their column has: whole numbers become floats as soon as a row lacks its own."""
    if pd.api.types.is_float_dtype(groups) and (groups.dropna() % 1 == 0).all():
        groups = groups.astype("Int64")
    return groups.astype(object).where(groups.notna(), "missing").astype(str)


def _grouped_folds(train: pd.DataFrame, problem: Problem, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    group = problem.split.group if isinstance(problem.split, HashedSplit) else problem.key
    codes, names = pd.factorize(train[group].astype(str))
    if len(names) < folds:
        raise DataError(f"Got {len(names)} groups of {group} to train on; expected one for each of {folds} folds. Lower retraining.folds.")
    drawn = np.argsort([digest_text("fold", str(problem.retraining.seed), name) for name in names])
    fold_of = np.empty(len(names), dtype=int)
    fold_of[drawn] = (
        np.arange(len(names)) % folds
    )  # by lot, and as many groups in each (scikit-learn's GroupKFold takes seconds for 10,000)
    for fold in range(folds):
        judged = fold_of[codes] == fold
        yield np.flatnonzero(~judged), np.flatnonzero(judged)
