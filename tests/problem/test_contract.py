"""The flights' contract: short enough to be read, and true of the data."""

import inspect
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from evergreen.contract import Problem
from evergreen.data.joins import join_sources
from evergreen.errors import ContractError, JoinError
from evergreen.monitoring.freshness import Freshness
from evergreen.policies import AsOfJoin
from problem import contract, data, feed
from problem.contract import PROBLEM

SETTLED = PROBLEM.gate.max_settled_share


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """January and February of each source, and the reference tables."""
    folder: Path = tmp_path_factory.mktemp("landing")
    feed.deliver(folder, "2013-02")
    return {source.name: pd.concat(map(source.read, sorted((folder / source.name).glob("*.csv"))[:2])) for source in PROBLEM.sources}


@pytest.fixture(scope="module")
def rows(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All flights of the two months after the joins, with their outcome."""
    frame, _ = join_sources(PROBLEM, tables)
    late = pd.Series(data.label_late(tables["outcomes"]), index=tables["outcomes"]["flight_id"])
    return frame.assign(late=frame["flight_id"].map(late))


def changed(**values: object) -> Problem:
    return Problem(**{**dict(PROBLEM), **values})


def test_the_contract_is_valid_and_fits_on_a_page_or_two():
    assert changed().digest() == PROBLEM.digest()
    assert len(inspect.getsource(contract).splitlines()) <= 100


def test_it_pays_to_warn_from_a_chance_of_one_in_six():
    assert PROBLEM.business.row_cost.threshold == pytest.approx(1 / 6)


def test_every_column_of_the_outcomes_is_forbidden_but_the_key_and_its_time(tables: dict[str, pd.DataFrame]):
    assert set(tables["outcomes"]) - {"flight_id", "recorded_at"} == set(PROBLEM.forbidden)
    with pytest.raises(ContractError, match="'tailnum' is forbidden"):
        changed(features=(*PROBLEM.features, "tailnum"))


def test_the_joins_hold_on_real_months_and_every_column_is_there(tables: dict[str, pd.DataFrame], rows: pd.DataFrame):
    _, reports = join_sources(PROBLEM, tables)
    assert [report.source for report in reports if report.match_rate > 0.95] == ["weather", "airports", "airlines"]
    assert 0.7 < next(report.match_rate for report in reports if report.source == "planes") < 0.9
    assert {*PROBLEM.features, *PROBLEM.slices, *PROBLEM.serving.carry, PROBLEM.gate.cluster} <= set(rows)
    assert len(rows) == len(tables["schedule"])


def test_the_weather_at_departure_itself_is_refused_as_too_late_row_by_row_where_the_contract_let_it_pass(tables: dict[str, pd.DataFrame]):
    weather = next(join for join in PROBLEM.joins if isinstance(join, AsOfJoin))
    peeking = AsOfJoin(**{**dict(weather), "offset": timedelta(0)})
    with pytest.raises(
        JoinError, match=r"Join with weather: [\d,]+ rows were given something observed after .*; for example ⟦flight_id 2013-"
    ):
        join_sources(PROBLEM.model_copy(update={"joins": (peeking, *PROBLEM.joins[1:])}), tables)


@pytest.mark.parametrize("late", [source.name for source in PROBLEM.sources if source.time])
def test_a_source_whose_month_does_not_come_is_late_and_no_other_is(tmp_path: Path, late: str):
    feed.deliver(tmp_path, "2013-02")
    newest = {}
    for source in PROBLEM.sources:
        if source.time:
            file = sorted((tmp_path / source.name).glob("*.csv"))[-2 if source.name == late else -1]
            newest[source.name] = source.read(file)[source.time].max()
    clock, ages = max(newest.values()), {source.name: source.max_age for source in PROBLEM.sources}
    stale = {name for name, time in newest.items() if Freshness(name, time, clock - time, pd.Timedelta(ages[name])).is_stale}
    assert stale == {late}


@pytest.mark.parametrize("column", [*PROBLEM.features, "aircraft"])
def test_no_missing_value_or_category_of_a_feature_tells_the_answer(rows: pd.DataFrame, column: str):
    values = rows[column] if column in {"carrier", "origin", "dest"} else rows[column].isna()
    shares = rows.groupby(values.astype(str))["late"].agg(["mean", "size"])
    enough = shares[shares["size"] >= PROBLEM.gate.min_events]
    assert enough["mean"].between(1 - SETTLED, SETTLED).all(), enough


def test_a_missing_tail_number_would_tell_the_answer(tables: dict[str, pd.DataFrame], rows: pd.DataFrame):
    without_number = tables["outcomes"].loc[tables["outcomes"]["tailnum"].isna(), "flight_id"]
    assert rows.loc[rows["flight_id"].isin(without_number), "late"].mean() == 1
