"""Where the newest window ends: a few wrong dates must not be one of their own."""

import numpy as np
import pandas as pd
import pytest

from evergreen.data.snapshots import Frame
from evergreen.monitoring.signals import drift_of
from evergreen.monitoring.windows import end_of, newest, successive
from evergreen.watches import DriftPolicy

HOURS = 24 * 180
START = pd.Timestamp("2026-01-01", tz="UTC")
END = START + pd.Timedelta(hours=HOURS - 1)
FAR = pd.Timestamp("2099-01-01", tz="UTC")


def hourly(hours: int = HOURS) -> pd.DataFrame:
    """A row an hour; x is drawn anew each time, and from elsewhere in the last 30 days."""
    times = pd.date_range(START, periods=hours, freq="h")
    x = np.random.default_rng(1).normal(size=hours) + 5.0 * (np.arange(hours) >= HOURS - 24 * 30)
    return pd.DataFrame({"at": times, "x": x})


def with_stray(rows: pd.DataFrame, *times: pd.Timestamp) -> pd.DataFrame:
    return pd.concat([rows, pd.DataFrame({"at": times, "x": 0.0})], ignore_index=True)


def frame(rows: pd.DataFrame) -> Frame:
    return Frame(rows, joins=(), replaced={}, orphans=0, target="y", time="at", settled=None)


@pytest.mark.parametrize("stray", [[], [FAR], [FAR, END + pd.Timedelta(days=400)], [pd.Timestamp("1970-01-01", tz="UTC"), FAR]], ids=len)
def test_drift_is_found_however_far_ahead_a_few_rows_are_dated(stray: list[pd.Timestamp]):
    rows = with_stray(hourly(), *stray)
    learnt = hourly(HOURS - 24 * 30)
    found = drift_of(frame(rows), learnt, features=["x"], policy=DriftPolicy(days=30), said=None)
    assert found.found, found.sentence
    assert found.window_end == END.isoformat()
    assert found == drift_of(frame(hourly()), learnt, features=["x"], policy=DriftPolicy(days=30), said=None)


def test_a_stray_row_among_the_training_rows_leaves_their_windows_as_they_are():
    clean = successive(hourly(), "at", days=30, most=6)
    assert [len(each) for each in clean] == [24 * 30] * 6
    for one, other in zip(clean, successive(with_stray(hourly(), FAR), "at", days=30, most=6), strict=True):
        pd.testing.assert_frame_equal(one, other)


def told(times: pd.DatetimeIndex) -> str | None:
    return end_of(pd.DataFrame({"at": times}), "at")


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2010-01-01", periods=200, freq="MS", tz="UTC"),
        pd.date_range("2026-01-01", periods=100, freq="h", tz="UTC").append(pd.date_range("2026-01-11", periods=2, freq="h", tz="UTC")),
        pd.date_range("2026-01-01", periods=50, freq="h", tz="UTC").append(pd.DatetimeIndex([FAR])),
        pd.date_range("2026-01-01", periods=2000, freq="h", tz="UTC").append(pd.date_range("2026-03-29", periods=20, freq="h", tz="UTC")),
        pd.DatetimeIndex([START] * 500),
    ],
    ids=["a row a month", "more than one in a hundred", "too few to tell", "a pause of days", "one time for all"],
)
def test_the_newest_row_counts_where_it_is_not_one_of_a_few_that_are_apart(times: pd.DatetimeIndex):
    assert told(times) == times.max().isoformat()
    rows = pd.DataFrame({"at": times})
    pd.testing.assert_frame_equal(newest(rows, "at", days=30), rows[rows["at"] > times.max() - pd.Timedelta(days=30)])


def test_after_a_long_pause_the_first_rows_count_once_there_are_some():
    before, after = pd.date_range(START, periods=HOURS, freq="h"), pd.date_range(END + pd.Timedelta(days=90), periods=60, freq="h")
    assert told(before.append(after[:40])) == END.isoformat()
    assert told(before.append(after)) == after.max().isoformat()
