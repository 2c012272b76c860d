"""The features and the estimator of the flights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from evergreen.data.joins import join_sources
from problem import data, feed
from problem.contract import PROBLEM
from problem.features import add_flight_features, build_estimator, search_space


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A sample of February's flights, with features and outcome."""
    folder: Path = tmp_path_factory.mktemp("landing")
    feed.deliver(folder, "2013-02")
    tables = {
        s.name: s.read(sorted((folder / s.name).glob("*.csv"))[-2 if s.name in {"schedule", "weather"} else -1]) for s in PROBLEM.sources
    }
    frame, _ = join_sources(PROBLEM, tables)
    outcomes = tables["outcomes"].set_index("flight_id")
    late = pd.Series(data.label_late(outcomes), index=outcomes.index)
    return frame.assign(late=frame["flight_id"].map(late)).sample(4_000, random_state=0, ignore_index=True)


@pytest.fixture(scope="module")
def given(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(PROBLEM.features)]


def test_features_are_what_they_say():
    rows = pd.DataFrame(
        {"sched_dep_time": [5, 1535, 2400], "built": [2013.0, 1999.0, np.nan], "temp": [40.0, 50, 60], "dewp": [40.0, 20, np.nan]}
    )
    made = add_flight_features(rows)
    assert made["minute_of_day"].tolist() == [5, 935, 1440]
    assert made["aircraft_age"].fillna(-1).tolist() == [0, 14, -1]
    assert made["dew_point_spread"].fillna(-1).tolist() == [0, 30, -1]
    assert {"sched_dep_time", "built"}.isdisjoint(made.columns)


def test_features_leave_what_they_are_given_as_it_was(given: pd.DataFrame):
    before = given.copy(deep=True)
    add_flight_features(given)
    pd.testing.assert_frame_equal(given, before)


def test_a_row_alone_gets_the_same_features_as_among_others(given: pd.DataFrame):
    alone = pd.concat([add_flight_features(given.iloc[[i]]) for i in range(20)])
    pd.testing.assert_frame_equal(alone, add_flight_features(given).head(20))


def test_the_estimator_learns_something_from_a_month(given: pd.DataFrame, rows: pd.DataFrame):
    from sklearn.metrics import roc_auc_score

    model = clone(build_estimator()).set_params(model__random_state=0).fit(given.head(3_000), rows["late"].head(3_000))
    assert roc_auc_score(rows["late"].tail(1_000), model.predict_proba(given.tail(1_000))[:, 1]) > 0.6


def test_the_estimator_predicts_what_it_has_never_seen_or_is_missing(given: pd.DataFrame, rows: pd.DataFrame):
    model = build_estimator().fit(given.head(500), rows["late"].head(500))
    strange = given.tail(10).assign(carrier="ZZ", dest="XXX")
    numbers = given.select_dtypes("float").columns
    assert np.isfinite(model.predict_proba(strange)).all()
    assert np.isfinite(model.predict_proba(strange.assign(**dict.fromkeys(numbers, np.nan)))).all()


def test_every_build_is_a_new_unfitted_estimator():
    one, two = build_estimator(), build_estimator()
    assert one is not two
    assert not hasattr(one[-1], "classes_")


def test_the_search_space_names_parameters_of_the_estimator_and_holds_what_is_used_now():
    parameters = build_estimator().get_params()
    assert set(search_space()) <= set(parameters)
    for name, values in search_space().items():
        assert parameters[name] in values
