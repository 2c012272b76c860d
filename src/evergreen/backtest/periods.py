"""Which stretch of data time is played again, and the windows that it is cut into."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.snapshots import Frame, as_of
from evergreen.errors import DataError, RefusedError
from evergreen.policies import HashedSplit
from evergreen.splitting import split_frame

FEWEST_MONTHS = 3
"""Of fewer months the windows are made as long as the contract's holdout."""
SLIVER = 0.25
"""A last window that is shorter than this share of the one before it tells nothing and is left out."""
FEWEST = 2
"""With one window nothing can be retrained."""
TRIED_DAYS = 120
"""So many days on from where the split's own numbers allow it a first model is looked for."""
DATE = re.compile(r"\d{4}-\d\d(-\d\d)?")


@dataclass(frozen=True)
class Stretch:
    """What a person asked for: days or months as text (UTC), and the length of a window."""

    since: str | None = None
    through: str | None = None
    every: int | None = None
    """Days; None: calendar months, or of short data the contract's `holdout_days`."""


@dataclass(frozen=True)
class Period:
    """Successive windows: a row belongs to the one in which its prediction is due. The first model is put in place at the first start."""

    starts: tuple[pd.Timestamp, ...]
    end: pd.Timestamp
    """Not included."""
    windows: str
    """What they are, in words."""

    @property
    def first(self) -> pd.Timestamp:
        """When it begins."""
        return self.starts[0]

    @property
    def ends(self) -> tuple[pd.Timestamp, ...]:
        """The end of each window, not included."""
        return (*self.starts[1:], self.end)


def find_period(frame: Frame, problem: Problem, stretch: Stretch) -> Period:
    """The windows that can be played again: from the first one before which there is enough for a model, as far as outcomes are known.

    Raises
    ------
    RefusedError
        The data have no time, the stretch lies outside of what is there, or it is one window.
    DataError
        No outcome is known.
    """
    if problem.time is None or isinstance(problem.split, HashedSplit):
        why = "has no time" if problem.time is None else "is split by lot, not by time"
        raise RefusedError(f"A backtest plays time again, and this problem {why}. It needs an entity with a time, and a ForwardSplit.")
    if stretch.every is not None and stretch.every < 1:
        raise RefusedError(f"Got windows of {stretch.every} days; expected at least one day.")
    labelled = frame.labelled
    if labelled.empty:
        raise DataError("No outcome is known yet, so there is nothing to play again. Wait for outcomes, then: evergreen ingest")
    oldest, newest = labelled[PREDICTION_TIME].iloc[0], labelled[PREDICTION_TIME].iloc[-1]
    since = _begin(stretch.since) if stretch.since else None
    end = min(_end(stretch.through) if stretch.through else newest.ceil("D"), (newest + pd.Timedelta(1, "us")).ceil("D"))
    if (since is not None and since > newest) or end <= oldest or (since is not None and since >= end):
        asked = f"{stretch.since or 'the beginning'} through {stretch.through or 'the end'}"
        raise RefusedError(
            f"Got the period {asked}; outcomes are known from {oldest:%Y-%m-%d} to {newest:%Y-%m-%d}. Ask for a part of that."
        )
    return _cut(frame, problem, stretch, since, end)


def _cut(frame: Frame, problem: Problem, stretch: Stretch, since: pd.Timestamp | None, end: pd.Timestamp) -> Period:
    earliest = _earliest(frame, problem, end)
    if since is not None and since < earliest:
        raise RefusedError(
            f"Got --from {stretch.since}; before {earliest:%Y-%m-%d} there is too little for a first model. Ask for a later one."
        )
    begin = since or earliest
    months = pd.date_range(begin.normalize(), end, freq="MS", inclusive="left")
    if stretch.every is None and (len(months) >= FEWEST_MONTHS):
        return _period(frame, [start for start in months if start >= begin], end, "calendar months")
    days = stretch.every or getattr(problem.split, "holdout_days", 30)
    return _period(frame, list(pd.date_range(begin, end, freq=f"{days}D", inclusive="left")), end, f"{days} days each")


def _period(frame: Frame, starts: list[pd.Timestamp], end: pd.Timestamp, windows: str) -> Period:
    due = frame.labelled[PREDICTION_TIME]
    kept = [start for start, stop in zip(starts, [*starts[1:], end], strict=True) if ((due >= start) & (due < stop)).any()]
    if len(kept) > 1 and end - kept[-1] < SLIVER * (kept[-1] - kept[-2]):
        end = kept.pop()
    if len(kept) < FEWEST:
        told = f"one window ({kept[0]:%Y-%m-%d} to {end:%Y-%m-%d})" if kept else "no window"
        raise RefusedError(f"The outcomes that are known make {told} after a first model; expected two at least. Wait for more outcomes.")
    return Period(tuple(kept), end, windows)


def _earliest(frame: Frame, problem: Problem, end: pd.Timestamp) -> pd.Timestamp:
    """The first midnight at which there is enough for a first model."""
    days = getattr(problem.split, "min_train_days", 1) + getattr(problem.split, "holdout_days", 1)
    begin = (frame.rows[str(problem.time)].iloc[0] + pd.Timedelta(days=days - 1)).ceil("D")
    for start in pd.date_range(begin, min(end, begin + pd.Timedelta(days=TRIED_DAYS)), freq="D"):
        try:
            split_frame(as_of(frame, start, problem), problem)
        except DataError as error:
            fault = str(error)
        else:
            return start
    raise RefusedError(
        f"There is too little for a first model before {end:%Y-%m-%d}: {fault if begin <= end else 'the data are too short.'}"
    )


def _begin(text: str) -> pd.Timestamp:
    return _dated(text).start_time.tz_localize("UTC")


def _end(text: str) -> pd.Timestamp:
    return (_dated(text) + 1).start_time.tz_localize("UTC")


def _dated(text: str) -> pd.Period:
    try:
        if DATE.fullmatch(text):
            return pd.Period(text)
    except ValueError:
        pass  # such as a 13th month
    raise RefusedError(f"Got {text!r} as a date; expected a day such as 2013-06-15, or a month such as 2013-06.")
