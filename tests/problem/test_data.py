"""Readers, label and rule of thumb of the flights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from problem import data, feed
from problem.contract import PROBLEM

LATE = pd.DataFrame({"dep_time": [900.0, 900.0, 900.0, np.nan, np.nan], "dep_delay": [14.0, 15.0, -30.0, np.nan, 3.0]})


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    feed.deliver(folder, "2013-02")
    return folder


def test_a_quarter_of_an_hour_or_a_cancellation_is_late():
    assert data.label_late(LATE).tolist() == [0, 1, 0, 1, 1]
    assert data.label_late(LATE).dtype == np.int64
    assert data.label_late(LATE.head(0)).shape == (0,)


def test_the_rule_of_thumb_warns_from_three_in_the_afternoon_on():
    rows = pd.DataFrame({"sched_dep_time": [600, 1459, 1500, 2359]})
    assert data.warn_in_the_afternoon(rows).tolist() == [0, 0, 1, 1]


def test_label_and_rule_change_nothing_in_the_rows_given(landing: Path):
    for function, source in ((data.label_late, "outcomes"), (data.warn_in_the_afternoon, "schedule")):
        rows = PROBLEM.source(source).read(landing / source / "2013-01.csv")
        before = rows.copy(deep=True)
        function(rows)
        pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize("source", [source.name for source in PROBLEM.sources])
def test_every_month_is_read_with_the_same_types_key_and_time(landing: Path, source: str):
    declared = PROBLEM.source(source)
    frames = [declared.read(path) for path in sorted((landing / source).glob("*.csv"))]
    for frame in frames:
        pd.testing.assert_series_equal(frame.dtypes, frames[0].dtypes)
        assert not frame.duplicated(list(declared.key)).any()
        assert frame[list(declared.key)].notna().all(axis=None)
        assert declared.rows[0] <= len(frame) <= declared.rows[1]
        if declared.time:
            assert isinstance(frame[declared.time].dtype, pd.DatetimeTZDtype)


def test_a_month_without_any_gust_is_still_read_as_numbers(landing: Path, tmp_path: Path):
    weather = pd.read_csv(landing / "weather" / "2013-01.csv").assign(
        wind_gust=None, temp=lambda rows: rows["temp"].round().astype("Int64")
    )
    weather.to_csv(tmp_path / "weather.csv", index=False)
    dtypes = data.read_weather(tmp_path / "weather.csv").dtypes
    assert (dtypes["wind_gust"], dtypes["temp"]) == ("float64", "float64")


def test_the_weekday_begins_with_monday(landing: Path):
    schedule = data.read_schedule(landing / "schedule" / "2013-01.csv").set_index("date")
    assert set(schedule.loc["2013-01-01", "weekday"]) == {1}  # a Tuesday
    assert set(schedule.loc["2013-01-06", "weekday"]) == {6}
