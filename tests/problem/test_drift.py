"""Drift in the flights' year, as the loop sees it: a champion has learnt until two or three months before the rows it predicts."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.data.joins import join_sources
from evergreen.monitoring.drift import Drift, compare
from evergreen.monitoring.windows import end_of, newest, successive
from problem import feed
from problem.contract import PROBLEM

POLICY, FEATURES, TIME = PROBLEM.retraining.drift, list(PROBLEM.features), "scheduled_at"
UNDISTURBED = 10
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """All flights of 2013 after the joins."""
    landing = tmp_path_factory.mktemp("landing")
    feed.deliver(landing, "2013-12")
    tables = {source.name: _read_all(source.read, landing / source.name) for source in PROBLEM.sources}
    return join_sources(PROBLEM, tables)[0]


def _read_all(read: Callable[[Path], pd.DataFrame], folder: Path) -> pd.DataFrame:
    return pd.concat(map(read, sorted(folder.glob("*.csv"))), ignore_index=True)


def seen(year: pd.DataFrame, month: int, *, trained: int, change: Change = lambda X: X) -> Drift:
    """What a champion that was trained through a month makes of the newest rows once another one has been delivered."""
    until = [year[year["date"] < f"2013-{end + 1:02d}"] for end in (trained, month)]
    windows = successive(until[0], TIME, days=POLICY.days, most=POLICY.windows)
    return compare([window[FEATURES] for window in windows], change(newest(until[1], TIME, days=POLICY.days)[FEATURES]), POLICY)


def test_no_flight_is_taken_for_a_stray_row_on_any_day(year: pd.DataFrame):
    for day in pd.date_range("2013-01-02", "2014-01-01").strftime("%Y-%m-%d"):
        times = year.loc[year["date"] < day, [TIME]]
        assert end_of(times, TIME) == times[TIME].max().tz_convert("UTC").isoformat()


@pytest.mark.parametrize("behind", [2, 3])
@pytest.mark.parametrize("month", [9, 10, 11, 12])
def test_the_autumn_is_silent_for_who_has_seen_the_spring(year: pd.DataFrame, month: int, behind: int):
    drift = seen(year, month, trained=month - behind)
    assert drift.is_judged
    assert not drift.found, drift.sentence


@pytest.mark.parametrize(("month", "trained"), [(5, 3), (6, 4), (7, 5), (7, 4), (8, 5)])
def test_the_first_summer_is_drift_for_who_has_seen_none(year: pd.DataFrame, month: int, trained: int):
    drift = seen(year, month, trained=trained)
    assert drift.found, drift.sentence
    moved = {one.feature for one in drift.features if one.is_drifted}
    assert "temp" in moved
    assert moved <= {"temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"}


def thinned(X: pd.DataFrame, share: float) -> np.ndarray:
    """Which rows keep their value."""
    return np.asarray(np.arange(len(X)) % 100 >= 100 * share)


@pytest.mark.parametrize(
    ("feature", "change"),
    [
        ("pressure", lambda X: X.assign(pressure=(X["pressure"] / 33.8639).round(2))),
        ("temp", lambda X: X.assign(temp=(X["temp"] - 32) / 1.8)),
        ("distance", lambda X: X.assign(distance=X["distance"] * 1.609)),
        ("sched_dep_time", lambda X: X.assign(sched_dep_time=X["sched_dep_time"] + 300)),
        ("carrier", lambda X: X.assign(carrier=X["carrier"].replace("UA", "United"))),
        ("carrier", lambda X: X.assign(carrier=X["carrier"].str.lower())),
        ("wind_speed", lambda X: X.assign(wind_speed=X["wind_speed"].where(thinned(X, 0.2)))),
        ("temp", lambda X: X.assign(temp=np.nan)),
    ],
    ids=["inches", "celsius", "kilometres", "the clock", "a name", "all names", "a fifth missing", "all missing"],
)
def test_what_is_planted_into_a_silent_month_is_drift_and_named(year: pd.DataFrame, feature: str, change: Change):
    drift = seen(year, UNDISTURBED, trained=UNDISTURBED - 2, change=change)
    assert drift.found, drift.sentence
    assert {one.feature for one in drift.features if one.is_drifted} == {feature}


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.assign(wind_speed=X["wind_speed"].where(thinned(X, 0.02))),
        lambda X: X.assign(carrier=X["carrier"].where(thinned(X, 0.02), "new")),
        lambda X: X.assign(temp=X["temp"] + 0.5),
    ],
    ids=["few missing", "a small new airline", "half a degree"],
)
def test_a_trifle_in_a_silent_month_stays_silent(year: pd.DataFrame, change: Change):
    assert not seen(year, UNDISTURBED, trained=UNDISTURBED - 2, change=change).found


def test_the_floors_alone_would_see_drift_in_the_weather_of_every_month(year: pd.DataFrame):
    floors = POLICY.model_copy(update={"times_usual": 0.0})
    months = [newest(year[year["date"] < f"2013-{month + 1:02d}"], TIME, days=POLICY.days)[FEATURES] for month in range(1, 13)]
    assert all(compare([one], other, floors).found for one, other in pairwise(months))
