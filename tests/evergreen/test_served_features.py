"""Features of served rows, held against the same things computed from real batches."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from logged import put
from workspaces import changed, deliver_days, ingest

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.snapshots import build_frame, published_now
from evergreen.monitoring import served_features
from evergreen.monitoring.concerns import find_concerns
from evergreen.monitoring.outcomes import outcomes_of
from evergreen.monitoring.served_features import Pairs, compare
from evergreen.watches import PerformancePolicy
from evergreen.workspace import Workspace

EARLY = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def rows(space: Workspace) -> pd.DataFrame:
    return build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem).rows


def serve(space: Workspace, asked: pd.DataFrame, *, entities: list[Any] | None = None, at: datetime = EARLY) -> None:
    X = asked[list(space.problem.features)].reset_index(drop=True)
    said = pd.DataFrame({"decision": [0] * len(X), "probability": 0.5})
    put(space.journal, X, said, entities=entities or asked["order_id"].tolist(), asked=at)


def measured(space: Workspace, problem: Problem | None = None) -> dict[str, Any]:
    snapshot, problem = published_now(space.journal, space.problem), problem or space.problem
    frame = build_frame(space.settings.root, snapshot, space.problem)
    outcomes = outcomes_of(space.settings.root, space.journal, problem, frame)
    row = served_features.measure(space.journal, problem, frame, outcomes, snapshot=snapshot.id)
    assert row is not None
    return dict(row["facts"])


def differing(facts: dict[str, Any]) -> dict[str, int]:
    return {one["feature"]: one["differing"] for one in facts["features"]}


def promoted(space: Workspace) -> list[str]:
    words = {"state": "done", "champion": None, "anchor": 1, "kind": "release", "reason": "r", "person": "ann"}
    space.journal.add(tables.promotions, promotion="p", version=1, **words)
    return [one.what for one in find_concerns(space.journal, space.problem, EARLY) if one.kind == "features"]


def test_what_was_served_as_the_data_have_it_agrees_and_is_no_concern(space: Workspace):
    serve(space, rows(space).head(100))
    facts = measured(space)
    assert (facts["rows"], facts["differing"], facts["share"]) == (100, 0, 0)
    assert differing(facts) == {"amount": 0, "product": 0, "stock_level": 0}
    assert promoted(space) == []


def test_a_feature_that_was_served_in_another_unit_is_found_with_share_size_and_examples(space: Workspace):
    asked = rows(space).head(100)
    served = asked.assign(stock_level=asked["stock_level"].where(asked.index >= 20, asked["stock_level"] * 12))
    serve(space, served)
    facts = measured(space)
    worst = facts["features"][0]
    assert (worst["feature"], worst["differing"], worst["share"]) == ("stock_level", 20, 0.2)
    assert worst["largest"] == 11 * asked["stock_level"].head(20).max()
    first = asked.iloc[19]  # the newest comes first
    assert worst["examples"][0] | {"prediction": ""} == {
        "prediction": "",
        "entity": first["order_id"],
        "served": first["stock_level"] * 12,
        "computed": first["stock_level"],
    }
    assert 0.1 < facts["low"] < 0.2
    (what,) = promoted(space)
    assert "20 of 100 predictions over HTTP" in what
    assert "stock_level" in what
    patient = changed(performance=PerformancePolicy(max_features_share=0.25))
    assert find_concerns(space.journal, patient, EARLY) == []


def test_a_missing_value_where_the_data_have_one_differs(space: Workspace):
    asked = rows(space).head(10)
    serve(space, asked.assign(product=asked["product"].where(asked.index > 0)))
    assert differing(measured(space)) == {"product": 1, "amount": 0, "stock_level": 0}


def test_things_that_nobody_knows_and_those_asked_too_late_are_counted_and_not_compared(space: Workspace):
    asked = rows(space).head(4)
    serve(space, asked.head(1).assign(amount=-1), entities=["nobody"])
    serve(space, asked.tail(1).assign(amount=-1), at=datetime.now(UTC) + timedelta(days=1))
    serve(space, asked.head(2))
    facts = measured(space)
    assert (facts["looked_at"], facts["unknown"], facts["late"], facts["rows"], facts["differing"]) == (4, 1, 1, 2, 0)


def test_by_the_clock_of_the_wall_whoever_asks_after_the_event_is_too_late(empty_space: Workspace):
    deliver_days(empty_space, 2, without=("outcomes",))
    deliver_days(empty_space, 1, start=2)
    ingest(empty_space)
    asked = rows(empty_space).query("order_id < 'o0002'").head(2)
    serve(empty_space, asked, at=asked["ordered_at"].iloc[0].to_pydatetime())
    assert measured(empty_space)["late"] == 0
    facts = measured(empty_space, changed(clock="wall"))
    assert (facts["late"], facts["rows"]) == (1, 1)


def test_no_more_than_the_newest_rows_are_looked_at(space: Workspace):
    asked = rows(space).head(30)
    serve(space, asked.head(20).assign(amount=-1))
    serve(space, asked.tail(10))
    facts = measured(space, changed(performance=PerformancePolicy(served_rows=10)))
    assert (facts["looked_at"], facts["rows"], facts["differing"]) == (10, 10, 0)


def test_the_same_rows_and_data_are_compared_once(space: Workspace):
    serve(space, rows(space).head(5))
    first = measured(space)
    assert measured(space) == first
    assert len(space.journal.rows(tables.signals, kind="features")) == 1
    serve(space, rows(space).head(1))
    measured(space)
    assert len(space.journal.rows(tables.signals, kind="features")) == 2


def test_where_nothing_was_served_nothing_is_compared(space: Workspace):
    frame = build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem)
    outcomes = outcomes_of(space.settings.root, space.journal, space.problem, frame)
    assert served_features.measure(space.journal, space.problem, frame, outcomes, snapshot="s") is None
    assert compare(Pairs((), (), {}, {})) == {"rows": 0, "differing": 0, "share": None, "low": None, "features": []}


@pytest.mark.parametrize(
    ("one", "other", "differs"), [(1, 1.0, 0), (0.1 + 0.2, 0.3, 0), (1.0, 1.0001, 1), (None, 0, 1), (None, None, 0), (True, False, 1)]
)
def test_what_differs_is_what_a_model_could_see(one: Any, other: Any, differs: int):
    assert compare(Pairs(("p",), ("e",), {"a": [one]}, {"a": [other]}))["differing"] == differs


def test_ten_rows_of_which_one_differs_do_not_surely_differ(space: Workspace):
    asked = rows(space).head(10)
    serve(space, asked.assign(amount=asked["amount"].where(asked.index > 0, -1)))
    facts = measured(space)
    assert facts["share"] == 0.1
    assert facts["low"] < 0.05
    assert promoted(space) == []
