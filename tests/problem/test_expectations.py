"""The suites let every real month pass and refuse each kind of defect."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evergreen.data.joins import join_sources
from evergreen.policies import Source
from evergreen.validation import Report, suite_path, validate
from problem import data, feed
from problem.contract import PROBLEM

EXPECTATIONS = Path(__file__).parents[2] / "expectations"
SOURCES = [source.name for source in PROBLEM.sources]


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    feed.deliver(folder, "2013-02")
    return folder


@pytest.fixture(scope="module")
def months(landing: Path) -> dict[str, pd.DataFrame]:
    """February of each source, and the reference tables."""
    months = {}
    for source in PROBLEM.sources:
        files = sorted((landing / source.name).glob("*.csv"))
        months[source.name] = source.read(files[min(1, len(files) - 1)])
    return months


@pytest.fixture(scope="module")
def training(months: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What a model would be trained on, had there been only February."""
    rows, _ = join_sources(PROBLEM, months)
    known = months["outcomes"][["flight_id"]].assign(late=data.label_late(months["outcomes"]))
    return rows.merge(known, on="flight_id")


def judge(frame: pd.DataFrame, name: str) -> Report:
    source: Source = PROBLEM.source(name)
    return validate(frame, suite_path(source, EXPECTATIONS), name=name, rows=source.rows, key=source.key)


def judge_training(frame: pd.DataFrame) -> Report:
    return validate(frame, EXPECTATIONS / "training_data.json", name="training data", key=(PROBLEM.key,))


def columns_of(report: Report) -> set[str]:
    return {check.column for check in report.failed}


@pytest.mark.parametrize("name", SOURCES)
def test_a_real_delivery_passes(months: dict[str, pd.DataFrame], name: str):
    report = judge(months[name], name)
    assert report.passed, [check.finding for check in report.failed]


def test_the_known_impossible_wind_of_february_is_a_warning(months: dict[str, pd.DataFrame]):
    assert [check.finding for check in judge(months["weather"], "weather").warnings] == [
        "the largest of `wind_speed` lies at or below 150: it is \u27e61048.36\u27e7"
    ]


def test_the_training_data_of_a_real_month_pass(training: pd.DataFrame):
    report = judge_training(training)
    assert report.passed, [check.finding for check in report.failed]
    assert {check.column for check in report.checks} >= set(PROBLEM.features)


def test_the_feeds_corrupted_weather_is_refused_for_both_its_faults(tmp_path: Path):
    (path,) = feed.deliver_corrupted(tmp_path, "2013-07")
    report = judge(data.read_weather(path), "weather")
    assert {"key", "expect_compound_columns_to_be_unique"} <= {check.expectation for check in report.failed}
    assert "pressure" in columns_of(report)


@pytest.mark.parametrize("name", SOURCES)
def test_half_a_delivery_is_refused(months: dict[str, pd.DataFrame], name: str):
    assert not judge(months[name].head(len(months[name]) // 2), name).passed


@pytest.mark.parametrize("name", SOURCES)
def test_a_row_sent_twice_is_refused(months: dict[str, pd.DataFrame], name: str):
    frame = months[name]
    report = judge(pd.concat([frame, frame.tail(1)], ignore_index=True), name)
    assert not report.passed
    assert any("unique" in check.expectation for check in report.failed)


PLANTED: dict[str, tuple[str, str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "distance in kilometres": ("schedule", "distance", lambda f: f.assign(distance=f["distance"] * 1.609)),
    "an unknown airport of departure": ("schedule", "origin", lambda f: f.assign(origin=f["origin"].where(f.index != 7, "XXX"))),
    "an airport under another's name": ("weather", "origin", lambda f: f.assign(origin=f["origin"].replace("LGA", "JFK"))),
    "a renamed column": ("schedule", "distance", lambda f: f.rename(columns={"distance": "miles"})),
    "a malformed key": ("outcomes", "flight_id", lambda f: f.assign(flight_id=f["flight_id"].str.replace("/", "-"))),
    "an unreadable departure": ("schedule", "scheduled_at", lambda f: f.assign(scheduled_at=f["scheduled_at"].where(f.index != 3))),
    "a burst of missing temperatures": ("weather", "temp", lambda f: f.assign(temp=f["temp"].where(f.index % 5 != 0))),
    "no pressure at all": ("weather", "pressure", lambda f: f.assign(pressure=float("nan"))),
    "temperature in kelvin": ("weather", "temp", lambda f: f.assign(temp=(f["temp"] + 459.67) / 1.8)),
    "humidity as a share of ten thousand": ("weather", "humid", lambda f: f.assign(humid=f["humid"] * 100)),
    "a burst of missing departures": ("outcomes", "dep_time", lambda f: f.assign(dep_time=f["dep_time"].where(f.index % 3 != 0))),
    "delays in seconds": ("outcomes", "dep_delay", lambda f: f.assign(dep_delay=f["dep_delay"] * 60)),
    "arrival times swapped for departure times": ("outcomes", "dep_delay", lambda f: f.assign(dep_delay=f["arr_time"])),
    "no seats": ("planes", "seats", lambda f: f.assign(seats=0.0)),
    "years of two digits": ("planes", "built", lambda f: f.assign(built=f["built"] % 100)),
    "swapped coordinates": ("airports", "lon", lambda f: f.assign(lat=f["lon"], lon=f["lat"])),
    "an airline left out": ("airlines", "carrier", lambda f: f[f["carrier"] != "UA"]),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_refused_by_its_column(months: dict[str, pd.DataFrame], defect: str):
    name, column, plant = PLANTED[defect]
    assert column in columns_of(judge(plant(months[name]), name))


@pytest.mark.parametrize(
    ("column", "plant"),
    [
        ("late", lambda f: f.assign(late=f["late"].where(f.index != 3))),
        ("late", lambda f: f.assign(late=0)),
        ("late", lambda f: f.assign(late=1)),
        ("late", lambda f: f.assign(late=f["late"] * 2)),
        ("flight_id", lambda f: pd.concat([f, f.head(1)], ignore_index=True)),
        ("built", lambda f: f.assign(built=float("nan"))),
        ("visib", lambda f: f.drop(columns="visib")),
        ("distance", lambda f: f.assign(distance=f["distance"] * 1.609)),
    ],
)
def test_broken_training_data_are_refused(training: pd.DataFrame, column: str, plant: Callable[[pd.DataFrame], pd.DataFrame]):
    assert column in columns_of(judge_training(plant(training)))
