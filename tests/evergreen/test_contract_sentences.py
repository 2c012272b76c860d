from datetime import timedelta
from typing import Any

import pytest
from toy.contract import PROBLEM

from evergreen import policies as p
from evergreen.contract import Problem
from evergreen.limits import OnlinePolicy
from evergreen.report.contract import describe
from evergreen.report.pace import asks_too_often, pace
from evergreen.report.words import percent, span
from evergreen.watches import DecayPolicy, DriftPolicy, PerformancePolicy


def changed(**values: object) -> Problem:
    return Problem(**{**{name: getattr(PROBLEM, name) for name in type(PROBLEM).model_fields}, **values})


def text(problem: Problem, heading: str) -> str:
    return " ".join(dict(describe(problem))[heading])


def test_every_group_answers_something_in_whole_sentences():
    groups = describe(PROBLEM)
    assert [heading for heading, _ in groups][:3] == ["Question", "What a mistake costs", "Where the data come from"]
    for _, sentences in groups:
        assert sentences
        assert all(sentence.endswith((".", "?", "!")) for sentence in sentences)


def test_the_costs_are_told_in_the_problems_unit_with_the_chance_from_which_it_pays_to_act():
    costs = text(PROBLEM, "What a mistake costs")
    assert "To miss one that comes true costs 20 EUR, a false alarm 10 EUR" in costs
    assert "as soon as the chance is 33.3% or more" in costs
    assert "a miss may be worth 1.5 to 3 false alarms" in costs
    assert "at least 5% of what that rule costs" in costs


def test_a_cost_that_is_a_function_is_told_by_its_own_words():
    def absolute_error(rows: object, y_true: object, decision: object) -> object:
        """How many euros the estimate is off."""

    business = p.Business(**{**dict(PROBLEM.business), "row_cost": absolute_error})
    costs = text(changed(business=business, task="regression"), "What a mistake costs")
    assert "worked out by a function, in EUR: How many euros the estimate is off." in costs
    assert "false alarm" not in costs


def test_every_source_join_and_feature_of_the_contract_is_named():
    sources, joins, seen = (text(PROBLEM, h) for h in ("Where the data come from", "How they are merged", "What the model may see"))
    assert all(source.name in sources for source in PROBLEM.sources)
    assert "stock, by product: the newest row known 1 hour before the order, if at most 1 day older than that" in joins
    assert "At least 99% of the rows must find theirs" in joins
    assert all(feature in seen for feature in PROBLEM.features)


def test_a_join_in_which_every_row_must_find_its_own_says_so():
    join = p.LookupJoin(source="customers", on={"customer_id": "customer_id"}, take=("region",), min_match=1.0)
    assert "Every row must find its own" in text(changed(joins=(join,)), "How they are merged")


def test_forbidden_columns_are_told_only_when_there_are_some():
    assert "Never" not in text(PROBLEM, "What the model may see")
    assert "too late: refunded_at or refund." in text(changed(forbidden=("refunded_at", "refund")), "What the model may see")


def test_both_ways_of_keeping_rows_unseen_are_told():
    assert "newest 25 days with known outcomes" in text(PROBLEM, "What it is judged on")
    hashed = changed(split=p.HashedSplit(group="customer_id", holdout_share=0.25))
    assert "25% of all customer_id values, drawn once by lot" in text(hashed, "What it is judged on")


def test_how_sure_one_must_be_follows_the_gate_policy():
    gate = p.GatePolicy(cluster="customer_id", alpha_per_year=0.02, gates_per_year=4, margin=0.5)
    problem = changed(gate=gate)
    sure = text(problem, "How sure we must be")
    assert "2% a year, shared by 4 decisions" in sure
    assert "by more than 0.5 EUR for one order" in sure
    assert "Rows with the same customer_id count as one piece of evidence" in text(problem, "What it is judged on")


def test_what_is_watched_in_service_is_told_with_every_floor():
    drift = DriftPolicy(days=7, min_rows=80, min_psi=0.3, min_distance=0.15, min_features=2)
    decay = DecayPolicy(days=14, min_rows=90, min_clusters=12, margin_share=0.2, alpha=0.01)
    told = text(changed(retraining=p.RetrainingPolicy(drift=drift, decay=decay)), "What is watched in service")
    assert "Drift: the newest 7 days of rows are held against windows as long of what the model has learnt from." in told
    assert "differs by 15% of the rows or more (and a PSI of 0.3) from the most similar window, and by more than what neighbouring" in told
    assert "Drift is 2 such columns or more." in told
    assert "Decay: the newest 14 days with known outcomes, as far as the model itself predicted them, surely cost 20% more" in told
    assert "with a chance of 1% of being wrong" in told
    assert "Drift is not judged on less than 80 rows, decay not on less than 90 rows or 12 pieces of evidence." in told


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (0.0, "similar window. Drift"),
        (1.0, "by more than what neighbouring windows do."),
        (1.5, "more than 1.5 times what neighbouring windows do."),
    ],
)
def test_what_is_usual_is_told_as_far_as_it_counts(times: float, words: str):
    policy = p.RetrainingPolicy(drift=DriftPolicy(times_usual=times))
    assert words in text(changed(retraining=policy), "What is watched in service")


def test_what_the_model_must_do_is_told_in_its_authors_words():
    assert text(PROBLEM, "How it must react") == "Nothing is declared, so the gate tries nothing."
    claim = p.Perturbation(name="A larger order comes back more often", change=lambda X: X, expect="up")
    assert text(changed(behaviour=(claim,)), "How it must react") == "A larger order comes back more often."


def test_what_production_can_afford_is_told_with_every_limit():
    cost = p.CostPolicy(
        max_predict_seconds=90.0,
        max_model_megabytes=11.0,
        max_memory_megabytes=222.0,
        max_load_seconds=3.0,
        max_one_row_milliseconds=44.0,
        min_rows_per_second=55.0,
    )
    told = text(changed(cost=cost, gate=p.GatePolicy(costlier_ratio=3.0)), "What it may take")
    assert "At most 90 seconds for a batch" in told
    assert "At most 11 MB for a stored model, 222 MB of memory to predict with it, and 3 s to load it." in told
    assert "within 44 ms, 99 times of 100; a batch at 55 rows a second or faster." in told
    assert "more than 3 times what today's takes must be better" in told


def test_a_daily_schedule_is_told_as_a_time_and_any_other_as_it_is():
    daily = p.RetrainingPolicy(cron="5 4 * * *", on=("schedule", "drift"), cooldown=timedelta(hours=2), per_day=3)
    told = text(changed(retraining=daily), "When it retrains")
    assert "the platform is up: every day at 04:05 UTC and when drift was seen in 2 of 3 windows." in told
    assert "At most 3 trainings in 24 hours begin by themselves, not within 2 hours of the one before, and none while a source" in told
    never = text(changed(retraining=p.RetrainingPolicy(on=())), "When it retrains")
    assert "Never by itself: a person must ask for it." in never
    assert "“0 6 * * 1”" in text(changed(retraining=p.RetrainingPolicy(cron="0 6 * * 1")), "When it retrains")


@pytest.mark.parametrize(
    ("policy", "gates", "told", "is_too_often"),
    [
        ({}, 12, "The schedule asks 365 times a year and new outcomes ask whenever they arrive; the gate has room for 12 verdicts", True),
        ({"on": ("schedule",), "cron": "* * * * *"}, 12, "The schedule asks at least 1,000 times a year; the gate has room", True),
        ({"on": ("schedule", "decay"), "cron": "30 3 1 * *"}, 12, "The schedule asks 12 times a year; the gate has room for 12", False),
        ({"on": ("schedule",), "cron": "30 3 * * 1"}, 52, "The schedule asks 52 times a year; the gate has room for 52 verdicts", False),
        ({"on": ("data",)}, 52, "New outcomes ask whenever they arrive; the gate has room for 52 verdicts a year", True),
        ({"cooldown": timedelta(days=31)}, 12, "The schedule asks 365 times", False),
        ({"on": ("drift", "decay")}, 12, "", False),
    ],
)
def test_how_often_the_contract_asks_is_held_against_how_often_the_gate_may_be_asked(
    policy: dict[str, Any], gates: int, told: str, is_too_often: bool
):
    problem = changed(retraining=p.RetrainingPolicy(**policy), gate=p.GatePolicy(gates_per_year=gates))
    assert pace(problem).startswith(told)
    assert bool(pace(problem)) is bool(told)
    assert pace(problem) in text(problem, "When it retrains")
    assert ("cooldown of" in asks_too_often(problem)) is is_too_often


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=45), "45 seconds"),
        (timedelta(0), "0 seconds"),
    ],
)
def test_spans_are_told_in_their_largest_whole_unit(time: timedelta, words: str):
    assert span(time) == words


def test_shares_are_told_in_percent_without_needless_digits():
    assert [percent(share) for share in (0.05, 1.0, 1 / 6)] == ["5%", "100%", "16.7%"]


def test_how_performance_is_measured_is_told_with_every_limit():
    policy = PerformancePolicy(
        days=14, windows=6, min_rows=70, min_clusters=7, alpha=0.02, versions=3, max_bias=0.3, served_rows=400, max_features_share=0.01
    )
    told = text(changed(performance=policy, online=OnlinePolicy()), "What is watched in service")
    assert "of the newest 6 windows of predictions in service is measured" in told
    assert "each bound with a chance of 2% of being wrong; not on less than 70 rows or 7 pieces of evidence." in told
    assert "farther from what was observed than 30% of the share of the rarer outcome." in told
    assert "calibrated on the newest 14 days with known outcomes that the version has not learnt from" in told
    assert "Alarming is what surely costs 10% more" in told
    assert "The newest 3 stored versions are asked" in told
    assert "Of the newest 400 predictions over HTTP surely no more than 1% may differ from the data" in told


def test_of_performance_only_what_applies_to_the_task_is_told():
    business = p.Business(**{**dict(PROBLEM.business), "row_cost": lambda rows, y_true, decision: y_true})
    told = text(changed(task="regression", business=business), "What is watched in service")
    assert "30% of a standard deviation" not in told
    assert "50% of a standard deviation" in told
    assert "Before outcomes are known" not in told
    assert "over HTTP" not in told
