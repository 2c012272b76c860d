"""Stretches of data time of equal length. Data without time are one window."""

from __future__ import annotations

import pandas as pd


def newest(rows: pd.DataFrame, time: str | None, *, days: int) -> pd.DataFrame:
    """The rows of the last days, counted back from the newest row."""
    if time is None or rows.empty:
        return rows
    recent: pd.DataFrame = rows.loc[rows[time] > rows[time].max() - pd.Timedelta(days=days)]
    return recent


def successive(rows: pd.DataFrame, time: str | None, *, days: int, most: int) -> list[pd.DataFrame]:
    """The newest windows that follow each other without a gap, in order of time; the oldest one may be cut short by half."""
    if time is None or rows.empty:
        return [rows] if len(rows) else []
    span, last = pd.Timedelta(days=days), rows[time].max()
    number = min(most, max(1, round((last - rows[time].min()) / span)))
    ends = [last - at * span for at in reversed(range(number))]
    return [rows[(rows[time] > end - span) & (rows[time] <= end)] for end in ends]


def end_of(rows: pd.DataFrame, time: str | None) -> str | None:
    """ISO time (UTC) of the newest row; None where there is none."""
    return None if time is None or rows.empty else rows[time].max().tz_convert("UTC").isoformat()
