"""Outcomes that most rows never get, and outcomes that belong to no row: both are said at once."""

from dataclasses import replace

import pandas as pd
import pytest
from toy import data
from toy.contract import PROBLEM
from workspaces import NOW, changed, deliver, deliver_days, ingest

from evergreen import retraining
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.data.snapshots import Frame, as_of, build_frame, take_snapshot
from evergreen.data.targets import FOUND, Outcomes, maturity, refuse_orphans, why_so_few
from evergreen.errors import ContractError, DataError, JoinError
from evergreen.quoting import BEGIN, withheld
from evergreen.status import look_at_health
from evergreen.testing import check_problem
from evergreen.workspace import Workspace

DAYS = 70
FIELD = "target.settled_share"


def under(space: Workspace, problem: Problem) -> Workspace:
    return Workspace(space.settings, problem, space.journal)


def sharing(space: Workspace, share: float) -> Workspace:
    return under(space, changed(target=changed(space.problem.target, settled_share=share)))


def outcomes_of(days: range) -> pd.DataFrame:
    return pd.concat([data.day_of_orders(day) for day in days], ignore_index=True)[["order_id", "ordered_at", "returned"]]


def build(space: Workspace) -> Frame:
    return build_frame(space.settings.root, take_snapshot(space.journal, space.problem), space.problem)


def prepare(space: Workspace) -> retraining.Material:
    return retraining.prepare(space, take_snapshot(space.journal, space.problem))


@pytest.fixture
def sampled(empty_space: Workspace) -> Workspace:
    """Seventy days of orders, of which two in five are ever looked at."""
    deliver_days(empty_space, DAYS, without=("outcomes",))
    everything = outcomes_of(range(DAYS))
    deliver(empty_space, "outcomes", "reviews.csv", everything[everything.index % 5 < 2])
    ingest(empty_space)
    return empty_space


def test_a_training_on_a_sample_of_outcomes_says_what_to_set_and_does_not_say_wait(sampled: Workspace):
    frame = build(sampled)
    known = int(frame.rows["returned"].notna().sum())
    assert len(frame.labelled) < 10
    with pytest.raises(DataError) as raised:
        prepare(sampled)
    assert f"{known:,} outcomes are known, and {len(frame.labelled):,} of them count" in str(raised.value)
    assert "on a usual day 40" in str(raised.value)
    assert "waiting does not help: set target.settled_share to less than that, such as 0.3." in str(raised.value)


def test_with_a_lower_share_all_outcomes_count_and_nothing_is_said(sampled: Workspace):
    space = sharing(sampled, 0.3)
    frame = build(space)
    known = int(frame.rows["returned"].notna().sum())
    assert known - 20 <= len(frame.labelled) <= known
    assert why_so_few(frame.rows, space.problem) == ""
    assert prepare(space).split.train["returned"].notna().all()
    earlier = as_of(frame, data.START + pd.Timedelta(days=60), space.problem)
    assert earlier.settled > data.START + pd.Timedelta(days=57)


def test_where_no_day_has_enough_outcomes_none_counts(sampled: Workspace):
    space = sharing(sampled, 1.0)
    rows = build(space).rows
    rows = rows.assign(returned=rows["returned"].where(rows.index > 2))
    frame = Frame(rows, (), {}, 0, "returned", "ordered_at", None)
    assert frame.labelled.empty
    assert len(frame.still_open) == int(rows["returned"].isna().sum())
    assert maturity(rows, space.problem).counting == 0
    assert f"0 of them count: they count up to the last day of which 100% of the rows have one ({FIELD})" in why_so_few(rows, space.problem)


def test_a_training_on_the_few_that_count_goes_on_and_is_told_what_it_leaves_out(empty_space: Workspace):
    deliver_days(empty_space, DAYS, without=("outcomes",))
    everything = outcomes_of(range(DAYS))
    late = everything["ordered_at"] > data.START + pd.Timedelta(days=15)
    deliver(empty_space, "outcomes", "mixed.csv", everything[~late | (everything.index % 5 < 2)])
    ingest(empty_space)
    space = under(empty_space, changed(split=changed(empty_space.problem.split, holdout_days=4, min_train_days=8)))
    material = prepare(space)
    assert material.split.end < data.START + pd.Timedelta(days=17)
    (told,) = material.warnings
    assert FIELD in told


def test_outcomes_that_are_merely_late_are_no_sample(empty_space: Workspace):
    deliver_days(empty_space, DAYS, without=("outcomes",))
    deliver(empty_space, "outcomes", "some.csv", outcomes_of(range(20)))
    ingest(empty_space)
    with pytest.raises(DataError, match="Wait for more outcomes") as raised:
        prepare(empty_space)
    assert FIELD not in str(raised.value)


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_the_share_is_one_of_rows_and_never_none(sampled: Workspace, share: float):
    with pytest.raises(ContractError, match="settled_share"):
        changed(sampled.problem.target, settled_share=share)


def test_the_check_says_how_many_outcomes_of_its_sample_count(sampled: Workspace):
    told = next(one for one in check_problem(sampled) if "have their outcome" in one)
    assert "of them count, up to 2026-01-05" in told
    assert FIELD in told
    told = next(one for one in check_problem(sharing(sampled, 0.3)) if "have their outcome" in one)
    assert FIELD not in told
    assert told.endswith("of these count.")


@pytest.fixture
def stranger(empty_space: Workspace) -> Workspace:
    """Outcomes whose keys are written otherwise than those of the orders."""
    deliver_days(empty_space, DAYS, without=("outcomes",))
    told = outcomes_of(range(DAYS))
    deliver(empty_space, "outcomes", "all.csv", told.assign(order_id=told["order_id"].str.removeprefix("o")))
    ingest(empty_space)
    return empty_space


def test_outcomes_of_which_none_finds_its_row_stop_a_training_with_keys_of_both_sides(stranger: Workspace):
    with pytest.raises(JoinError) as raised:
        prepare(stranger)
    said = str(raised.value)
    assert said.startswith("Outcomes of outcomes: 0 of ")
    assert f"Of an outcome, for example: {BEGIN}order_id 0000-000; " in said
    assert f"; of a row: {BEGIN}order_id o0000-000; " in said
    assert "0000-000" not in withheld(said)
    assert raised.value.source == "outcomes"


def test_the_check_names_keys_of_both_sides_too(stranger: Workspace):
    with pytest.raises(DataError, match=r"their keys are of another form\. Of an outcome, for example: .*0000-000.* of a row: .*o0000-000"):
        list(check_problem(stranger))


def test_newest_outcomes_that_find_no_row_are_told_and_kept_from_models(empty_space: Workspace):
    deliver_days(empty_space, 60)
    ingest(empty_space)
    (sound,) = [one for one in look_at_health(empty_space, NOW) if one.column == "outcomes"]
    assert (sound.state, sound.value) == ("ok", 1.0)
    deliver_days(empty_space, 30, start=60, without=("outcomes",))
    told = outcomes_of(range(60, 90))
    deliver(empty_space, "outcomes", "other-form.csv", told.assign(order_id=told["order_id"].str.removeprefix("o")))
    ingest(empty_space)
    (found,) = [one for one in look_at_health(empty_space, NOW) if one.column == "outcomes"]
    assert (found.pillar, found.state, found.value) == ("joins", "fail", 0.0)
    assert found.sentence.startswith(
        "0.0% of the newest outcomes belong to a row of orders; 100.0% did before. Of an outcome, for example: "
    )
    (alarm,) = [one for one in find_alerts(empty_space, NOW) if one.kind == "health"]
    assert alarm.what.startswith("The data of outcomes are not well (joins): 0.0% of the newest outcomes belong to a row of orders")
    with pytest.raises(JoinError, match=r"outcomes: 0\.0% of the newest outcomes .* No model was trained"):
        prepare(empty_space)


@pytest.mark.parametrize(
    ("found", "entities", "is_refused"), [(5, 5, False), (0, 5, True), (9, 2_000, True), (11, 2_000, False), (1_000, 2_000, False)]
)
def test_outcomes_that_are_about_more_than_was_delivered_are_none_of_another_form(found: int, entities: int, is_refused: bool):
    ids = pd.DataFrame({"order_id": [f"o{number}" for number in range(1_000)]}, dtype="str")
    outcomes = Outcomes(ids.assign(**{FOUND: ids.index < found}), None, ids.head(3), entities)
    if not is_refused:
        return refuse_orphans(PROBLEM, outcomes)
    with pytest.raises(JoinError, match=rf"Outcomes of outcomes: {found} of 1,000 belong to a row of orders by order_id"):
        refuse_orphans(PROBLEM, outcomes)
    return None


def test_outcomes_of_which_none_counts_are_told_from_none_at_all(space: Workspace):
    frame = build(space)
    unsettled = replace(frame, settled=None)
    assert (frame.is_unsettled, unsettled.is_unsettled) == (False, True)
    assert unsettled.labelled.empty
    assert not replace(unsettled, rows=frame.rows.assign(**{frame.target: float("nan")})).is_unsettled
