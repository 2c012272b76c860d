"""What is proposed from a few months of the flights' weather: later months pass, broken ones do not."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evergreen.proposing.drafting import draft
from evergreen.proposing.looking import look
from evergreen.validation import Report, validate
from problem import feed
from problem.contract import PROBLEM

WEATHER = PROBLEM.source("weather")
LEARNT = 6


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> list[pd.DataFrame]:
    """All months of 2013."""
    landing = tmp_path_factory.mktemp("landing")
    feed.deliver(landing, "2013-12")
    return [WEATHER.read(path) for path in sorted((landing / "weather").glob("*.csv"))]


@pytest.fixture(scope="module")
def suite(months: list[pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The draft from the first half of the year."""
    path = tmp_path_factory.mktemp("suite") / "weather.json"
    path.write_text(json.dumps({"name": "weather", "expectations": draft([look(month) for month in months[:LEARNT]], WEATHER)}))
    return path


def judge(frame: pd.DataFrame, suite: Path) -> Report:
    return validate(frame, suite, name="weather", rows=WEATHER.rows, key=WEATHER.key)


def test_every_later_month_is_accepted_without_a_warning(months: list[pd.DataFrame], suite: Path):
    for month in months[LEARNT:]:
        report = judge(month, suite)
        assert (report.failed, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda rows: rows.assign(pressure=rows["pressure"] / 33.86), "pressure"),
        (lambda rows: rows.assign(visib=rows["visib"] * 1760), "visib"),
        (lambda rows: rows.assign(temp=rows["temp"].mask(rows.index % 4 == 0)), "temp"),
        (lambda rows: rows.assign(origin="K" + rows["origin"]), "origin"),
        (lambda rows: rows.drop(columns="humid"), ""),
    ],
    ids=["inches of mercury", "yards", "a burst of nulls", "other codes", "a column that has gone"],
)
def test_the_next_month_with_a_planted_fault_is_refused(
    months: list[pd.DataFrame], suite: Path, change: Callable[[pd.DataFrame], pd.DataFrame], column: str
):
    assert column in {check.column for check in judge(change(months[LEARNT]), suite).failed}
