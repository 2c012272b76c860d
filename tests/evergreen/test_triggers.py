from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.policies import RetrainingPolicy
from evergreen.triggers import KINDS, Decision, Kind, State, Trigger, decide

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICY = RetrainingPolicy(cooldown=timedelta(hours=1), per_day=3, debounce=(2, 3))
FREE = State(now=NOW, windows=(True, True))
AUTOMATIC: tuple[Kind, ...] = ("schedule", "data", "drift", "decay")


def answer(kind: Kind, state: State = FREE, policy: RetrainingPolicy = POLICY) -> tuple[str, str]:
    decision = decide(Trigger(kind, "inputs", "2026-11-25T03:30"), policy, state)
    return decision.action, decision.rule


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_each_reason_retrains_when_nothing_stands_against_it(kind: Kind):
    assert answer(kind) == ("retrain", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_trained_on_while_a_source_has_nothing(kind: Kind):
    assert answer(kind, replace(FREE, missing=("weather",))) == ("skip", "no data")


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_its_verdict_is_not_trained_again_whoever_asks(kind: Kind):
    assert answer(kind, replace(FREE, is_judged=True)) == ("skip", "nothing new")


def test_a_person_is_refused_only_what_cannot_be_done():
    everything = replace(FREE, stale=("weather",), failed="no space", windows=(), begun=tuple(ago(minutes=n) for n in range(9)))
    assert answer("person", everything, RetrainingPolicy(on=())) == ("retrain", "person")


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_a_reason_that_the_contract_leaves_out_is_skipped(kind: Kind):
    others = tuple(one for one in AUTOMATIC if one != kind)
    assert answer(kind, policy=RetrainingPolicy(on=others)) == ("skip", "not wanted")
    assert answer(kind, policy=RetrainingPolicy(on=(kind,))) == ("retrain", kind)


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_stale_data_suppress_a_training_that_would_begin_by_itself(kind: Kind):
    decision = decide(Trigger(kind, "inputs"), POLICY, replace(FREE, stale=("weather", "outcomes")))
    assert decision == Decision("skip", "stale", "weather, outcomes lie farther behind than the contract allows")


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_a_training_that_failed_for_good_is_not_tried_again_by_itself(kind: Kind):
    assert answer(kind, replace(FREE, failed="a column is gone", acted="retrain")) == ("skip", "failed")


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ((), "debounce"),
        ((True,), "debounce"),
        ((True, False), "debounce"),
        ((True, True, False), "debounce"),
        ((False, False, True), "debounce"),
        ((True, True, False, False, True), "debounce"),
        ((True, False, True), "drift"),
        ((False, True, True), "drift"),
        ((True, True), "drift"),
    ],
)
def test_drift_counts_when_seen_often_enough_and_in_the_newest_window(windows: tuple[bool, ...], expected: str):
    assert answer("drift", replace(FREE, windows=windows))[1] == expected
    assert answer("decay", replace(FREE, windows=windows))[1] == expected.replace("drift", "decay")
    assert answer("data", replace(FREE, windows=windows))[1] == "data"


@pytest.mark.parametrize(("minutes", "rule"), [(59.99, "cooldown"), (60, "data"), (61, "data"), (0, "cooldown")])
def test_the_next_training_begins_when_the_cooldown_is_over(minutes: float, rule: str):
    assert answer("data", replace(FREE, begun=(ago(days=3), ago(minutes=minutes))))[1] == rule


def test_the_first_model_waits_for_no_cooldown():
    assert answer("data", replace(FREE, begun=(ago(minutes=1),), is_first=True)) == ("retrain", "data")


def test_a_training_in_the_future_has_no_say_for_somebody_set_the_clock_back():
    assert answer("data", replace(FREE, begun=(NOW + timedelta(days=400),))) == ("retrain", "data")


def test_so_many_trainings_begin_by_themselves_within_a_day_and_no_more():
    policy = RetrainingPolicy(cooldown=timedelta(0), per_day=2)
    day = [ago(hours=24), ago(hours=23.9), ago(hours=1)]
    assert answer("data", replace(FREE, begun=tuple(day)), policy) == ("skip", "budget")
    assert answer("data", replace(FREE, begun=tuple(day[:2])), policy) == ("retrain", "data")
    assert answer("person", replace(FREE, begun=tuple(day)), policy) == ("retrain", "person")


@pytest.mark.parametrize("brake", [{"begun": (ago(minutes=1),)}, {"begun": tuple(ago(hours=2 + n) for n in range(3))}])
def test_a_held_version_is_judged_again_while_no_training_may_begin(brake: dict[str, tuple[datetime, ...]]):
    decision = decide(Trigger("data", "inputs"), POLICY, replace(FREE, held=4, **brake))
    assert (decision.action, decision.rule) == ("resume", "held")
    assert "version 4 is held and can be judged again" in decision.reason
    assert answer("data", replace(FREE, held=4)) == ("retrain", "data")


FULL = "the error budget has no room for another candidate until outcomes reach 2027-01-05"


@pytest.mark.parametrize("kind", KINDS)
def test_what_could_not_be_promoted_is_not_trained_by_the_calendar_or_for_new_data_but_for_what_was_found(kind: Kind):
    expected = ("skip", "error budget") if kind in {"schedule", "data"} else ("retrain", kind)
    assert answer(kind, replace(FREE, no_room=FULL)) == expected
    assert decide(Trigger("data", "inputs"), POLICY, replace(FREE, no_room=FULL)).reason == FULL


@pytest.mark.parametrize("free", [{"is_first": True}, {"spoilt": "a batch"}, {"acted": "retrain"}])
def test_a_first_model_one_after_spoilt_data_and_one_that_was_cut_short_wait_for_no_error_budget(free: dict[str, Any]):
    assert answer("data", replace(FREE, no_room=FULL, **free))[0] == "retrain"


def test_a_held_version_is_judged_again_while_the_error_budget_has_no_room_for_a_new_one():
    assert answer("data", replace(FREE, no_room=FULL, held=4)) == ("resume", "held")


def test_what_was_cut_short_goes_on_although_its_own_beginning_is_a_minute_ago():
    state = replace(FREE, acted="retrain", begun=(ago(minutes=1),))
    assert answer("data", state) == ("retrain", "cut short")
    assert answer("data", replace(state, is_judged=True)) == ("skip", "nothing new")


def test_a_held_version_is_judged_again_once_for_the_same_reason_and_the_training_begins_when_it_may():
    state = replace(FREE, held=4, acted="resume", begun=(ago(minutes=1),))
    assert answer("data", state) == ("skip", "cooldown")
    assert answer("data", replace(state, begun=(ago(hours=2),))) == ("retrain", "data")


def test_the_same_reason_has_the_same_key_and_any_difference_another():
    keys = {Trigger(*parts).key for parts in product(("data", "schedule"), ("a", "b"), ("", "w"))}
    assert len(keys) == 8
    assert Trigger("data", "a", "w").key == Trigger("data", "a", "w").key


states = st.builds(
    State,
    now=st.just(NOW),
    missing=st.sampled_from([(), ("weather",)]),
    stale=st.sampled_from([(), ("weather",)]),
    is_judged=st.booleans(),
    failed=st.sampled_from(["", "no"]),
    acted=st.sampled_from([None, "retrain", "resume"]),
    windows=st.lists(st.booleans(), max_size=5).map(tuple),
    begun=st.lists(st.timedeltas(timedelta(days=-2), timedelta(days=2)).map(NOW.__add__), max_size=5).map(tuple),
    is_first=st.booleans(),
    no_room=st.sampled_from(["", FULL]),
    held=st.sampled_from([None, 3]),
)


@given(kind=st.sampled_from(KINDS), state=states)
def test_whatever_comes_there_is_one_answer_with_a_reason_and_never_a_training_without_new_data(kind: Kind, state: State):
    decision = decide(Trigger(kind, "inputs"), POLICY, state)
    assert decision.action in {"retrain", "resume", "skip"}
    assert decision.reason
    if state.is_judged or state.missing:
        assert decision.action == "skip"
    if decision.action == "resume":
        assert state.held is not None
