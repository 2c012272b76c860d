"""Stretches of data time of equal length. Data without time are one window."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

GAP = pd.Timedelta(days=7)
TIMES_USUAL = 10
"""Rows are apart from the others when the gap before them is longer than that, and than so many times the usual one."""
MOST_STRAY, STRAY_SHARE = 100, 0.01
"""So few rows, and so small a share of all, are stray where they are apart."""


def newest(rows: pd.DataFrame, time: str | None, *, days: int) -> pd.DataFrame:
    """The rows of the last days, counted back from the newest row that is not stray; stray ones are in no window."""
    if time is None or rows.empty:
        return rows
    last = _last(rows[time])
    recent: pd.DataFrame = rows.loc[(rows[time] > last - pd.Timedelta(days=days)) & (rows[time] <= last)]
    return recent


def successive(rows: pd.DataFrame, time: str | None, *, days: int, most: int) -> list[pd.DataFrame]:
    """The newest windows that follow each other without a gap, in order of time; the oldest one may be cut short by half."""
    if time is None or rows.empty:
        return [rows] if len(rows) else []
    span, last = pd.Timedelta(days=days), _last(rows[time])
    number = min(most, max(1, round((last - rows[time].min()) / span)))
    ends = [last - at * span for at in reversed(range(number))]
    return [rows[(rows[time] > end - span) & (rows[time] <= end)] for end in ends]


def end_of(rows: pd.DataFrame, time: str | None) -> str | None:
    """ISO time (UTC) of the newest row that is not stray; None where there is none."""
    return None if time is None or rows.empty else _last(rows[time]).tz_convert("UTC").isoformat()


def _last(times: pd.Series) -> pd.Timestamp:
    """The newest time, without a few that lie far ahead of all others: one wrong date must not be a window of its own for years.

    After a long pause the first rows are such a few too, until there are more of them.
    """
    ordered = pd.DatetimeIndex(times.dropna()).sort_values()
    few = min(MOST_STRAY, int(STRAY_SHARE * len(ordered)))
    steps = pd.Series(ordered.unique()).diff().dropna()
    apart = max(GAP, TIMES_USUAL * steps.median()) if len(steps) else GAP
    before = [one for one, after in pairwise(ordered[-few - 1 :]) if after - one > apart] if few else []
    last: pd.Timestamp = before[0] if before else times.max()
    return last
