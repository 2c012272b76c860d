import dataclasses
import json
from datetime import UTC, datetime

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest

from evergreen.gate.checks import CHECKS
from evergreen.gate.decision import judge
from evergreen.gate.diagnosis import diagnose
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB
from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.gate.ledger import FIRST, GATE, Budget
from evergreen.gate.record import Context, build_record, json_safe
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.policies import GatePolicy

POLICY = GatePolicy()
KEYS = {
    *("decision", "problem", "question", "verdict", "headline", "made_at", "unit", "entity"),
    *("why", "settle", "checked", "not_judged", "changed", "changes", "next", "override"),
    *("candidate", "champion", "anchor", "window", "money", "comparisons", "frequencies", "findings", "budget"),
    *("metrics", "plots", "best_trivial_measure", "cost_level", "diagnosis", "margin_next", "provenance", "facts", "shadow"),
}
CONTEXT = Context(
    decision="d-1",
    problem="flights",
    question="Which departures will leave late?",
    unit="USD",
    entity="flights",
    cluster="days",
    made_at="2013-06-10T00:00:00+00:00",
    changes={"sentences": ["29 more days of training data."], "parameters": []},
)


def record(evidence, *, spent=0.0, context=CONTEXT, policy=POLICY, checks=CHECKS):
    first = CHAMPION not in evidence.contenders
    alpha, allowed = (policy.alpha_first, policy.alpha_first) if first else (policy.alpha, policy.alpha_per_year)
    budget = Budget(alpha, spent, allowed, allowed - spent, "key", False, FIRST if first else GATE, datetime(2013, 6, 9, tzinfo=UTC), alpha)
    return build_record(evidence, judge(evidence, policy, budget=budget, checks=checks), budget, context=context)


def compared(saved=0.3, spread=0.1):
    return given.saving(given.saving(given.make_evidence(), saved, spread=spread, over=ANCHOR), saved, spread=spread)


def regression():
    evidence = given.make_evidence(task="regression", first=True)
    y = np.random.default_rng(0).normal(size=2000) * 10
    guesses = {CANDIDATE: y + np.random.default_rng(1).normal(size=2000), DUMMY: np.zeros(2000), RULE_OF_THUMB: np.ones(2000)}
    for name, guess in guesses.items():
        evidence = given.change(evidence, name, decision=guess, measure=abs(y - guess), cost=abs(y - guess), probability=None)
    trivial = dataclasses.replace(evidence.contenders[DUMMY], name="always 0")
    return dataclasses.replace(evidence, y=y, trivial={"always 0": trivial})


def test_the_record_has_the_keys_the_pages_rely_on():
    assert set(record(compared())) == KEYS


@pytest.mark.parametrize(
    "evidence",
    [
        compared(),
        compared(-0.3),
        compared(0.0, 1.0),
        given.make_evidence(first=True),
        regression(),
        given.take(compared(), np.arange(0)),
        given.without(compared(), CANDIDATE),
        given.change(compared(), CHAMPION, measure=np.full(2000, np.nan)),
        given.change(compared(), CHAMPION, cost=np.full(2000, "cheap")),
        dataclasses.replace(compared(), cluster=np.full(2000, "one day", dtype=object)),
        dataclasses.replace(compared(), facts={"odd": {np.int64(3): float("nan"), "when": pd.NaT, "set": {2, 1}, "array": np.arange(2)}}),
    ],
    ids=[
        "promoted",
        "rejected",
        "held",
        "first",
        "regression",
        "empty",
        "no candidate",
        "not a number",
        "text",
        "one cluster",
        "odd facts",
    ],
)
def test_every_record_is_json_and_the_same_to_the_byte(evidence):
    one, two = (json.dumps(record(evidence), allow_nan=False, sort_keys=True) for _ in range(2))
    assert one == two


def test_money_is_the_mean_cost_of_a_thousand_rows_of_everyone():
    evidence = compared()
    rows = {row["name"]: row for row in record(evidence)["money"]}
    assert list(rows) == [*evidence.contenders, "best trivial"]
    assert rows[CANDIDATE]["label"] == "version 7"
    assert rows[CANDIDATE]["cost_per_1000"] == pytest.approx(1000 * evidence.contenders[CANDIDATE].cost.mean())
    assert rows["best trivial"]["cost_per_1000"] == pytest.approx(1000 * min(p.cost.mean() for p in evidence.trivial.values()))
    assert rows["best trivial"]["label"] == "the best trivial policy (always 1)"


def test_how_sure_the_candidates_cost_is_stands_on_record_for_decay_to_be_judged_by():
    evidence = compared()
    level = record(evidence)["cost_level"]
    assert Interval(**level) == paired_interval(evidence.contenders[CANDIDATE].cost, evidence.cluster, alpha=0.05)
    assert record(given.change(compared(), CHAMPION, measure=np.full(2000, np.nan)))["cost_level"] is None


def test_comparisons_are_those_the_gate_made():
    written = record(compared())
    against = {row["against"]: row for row in written["comparisons"]}
    assert list(against) == [CHAMPION, ANCHOR, RULE_OF_THUMB, DUMMY, "best trivial"]
    champion = against[CHAMPION]
    assert champion["saved_per_1000"] == pytest.approx(300)
    assert champion["margin_per_1000"] == 150
    assert champion["level"] == pytest.approx(1 - 2 * POLICY.alpha)
    finding = next(f for f in written["findings"] if f["check"] == "champion")
    assert finding["low"] * 1000 == pytest.approx(min(champion["low"], against[ANCHOR]["low"]))
    assert against[DUMMY]["margin_per_1000"] is None


def test_frequencies_count_out_of_a_thousand():
    evidence = compared()
    counted = record(evidence)["frequencies"][CANDIDATE]
    decision = evidence.contenders[CANDIDATE].decision
    assert counted["events"] == pytest.approx(1000 * evidence.y.mean())
    assert counted["caught"] == pytest.approx(1000 * ((decision == 1) & (evidence.y == 1)).mean())
    assert counted["missed"] + counted["caught"] == pytest.approx(counted["events"])
    assert counted["false_alarms"] + counted["caught"] == pytest.approx(counted["acted"])


def test_the_plots_hold_days_slices_and_calibration():
    evidence = compared()
    plots = record(evidence)["plots"]
    first_day = evidence.cluster == "2013-05-01"
    assert len(plots["costs_over_time"]) == 40
    assert plots["costs_over_time"][0]["cluster"] == "2013-05-01"
    assert plots["costs_over_time"][0][CANDIDATE] == pytest.approx(evidence.contenders[CANDIDATE].cost[first_day].mean())
    assert [(row["column"], row["value"]) for row in plots["slices"]] == [
        ("origin", "EWR"),
        ("origin", "JFK"),
        ("origin", "LGA"),
        ("carrier", "UA"),
    ]
    assert sum(row["n"] for row in plots["calibration"]) == 2000
    assert all(row["low"] <= row["observed"] <= row["high"] for row in plots["calibration"])
    assert plots["residuals"] == []


def test_a_constant_probability_is_one_bin():
    evidence = given.change(compared(), CANDIDATE, probability=np.full(2000, 0.2))
    (only,) = record(evidence)["plots"]["calibration"]
    assert (only["predicted"], only["n"]) == (pytest.approx(0.2), 2000)


def test_a_regression_reports_residuals_and_errors():
    written = record(regression())
    assert written["frequencies"] == {}
    assert written["plots"]["calibration"] == []
    assert len(written["plots"]["residuals"]) == 10
    assert written["metrics"][CANDIDATE]["r2"] > 0.9
    assert written["metrics"][DUMMY]["mae"] == pytest.approx(written["money"][1]["cost_per_1000"] / 1000)


def test_the_budget_shows_what_this_gate_spent():
    assert record(compared())["budget"] == pytest.approx({"allowed": 0.1, "spent": 0.0, "this": 0.1 / 12, "left": 0.1 * 11 / 12})
    spent = record(compared(), spent=0.1)
    assert spent["budget"] == {"allowed": 0.1, "spent": 0.1, "this": 0.0, "left": 0.0}
    assert spent["verdict"] == "hold"


def test_the_sentences_speak_of_money_and_of_cases():
    written = record(compared())
    why = " ".join(written["why"])
    assert "saves 300 USD per 1,000 flights against version 6" in why
    assert "very likely between" in why
    assert "Out of 1,000 flights, the answer is yes for 172: version 7 acts on 332, 142 of them rightly" in why
    assert written["changed"] == ["29 more days of training data."]


@pytest.mark.parametrize(
    ("evidence", "headline", "override"),
    [
        (compared(), "Version 7 is promoted: it is better than version 6.", "evergreen rollback --reason"),
        (compared(0.0, 0.1), "Version 7 is promoted: it is not worse than version 6 by more than the margin.", "evergreen rollback"),
        (given.make_evidence(first=True), "Version 7 is promoted: it is the first model", "none before it to go back to"),
        (compared(-0.3), "Version 7 is refused: it is worse than what serves or served.", "evergreen promote 7 --override --reason"),
        (
            compared(0.0, 1.0),
            "Version 7 is held: it may be worse by more than the margin.",
            "evergreen promote 7",
        ),
    ],
)
def test_the_headline_says_the_verdict_and_the_override_what_a_person_may_do(evidence, headline, override):
    written = record(evidence)
    assert written["headline"].startswith(headline)
    assert override in written["override"]
    assert bool(written["settle"]) is (written["verdict"] == "hold")


@pytest.mark.parametrize(
    ("reason", "clause"),
    [
        ("It is worse than what serves: by 3.5 per 1,000 rows; the margin is 2.", "it is worse than what serves"),
        ("9.58% of 28,243 rows lie outside (at most 5%): dewp on 8.04%.", "9.58% of 28,243 rows lie outside (at most 5%)"),
        ("It reacts as it must not. More rain: not so.", "it reacts as it must not"),
        ("MLflow has no model of it.", "MLflow has no model of it"),
    ],
)
@pytest.mark.parametrize(("outcome", "word"), [(Outcome.REJECT, "refused"), (Outcome.ERROR, "refused"), (Outcome.HOLD, "held")])
def test_the_headline_says_what_was_found_up_to_its_figures(reason, clause, outcome, word):
    assert headline_with(Finding("slices", "It protects.", outcome, reason)) == f"Version 7 is {word}: {clause}."


def test_the_headline_of_a_refusal_says_every_cause_and_leaves_out_what_is_only_held():
    told = [
        ("slices", Outcome.REJECT, "A part is harmed: x."),
        ("size", Outcome.HOLD, "Too few."),
        ("one of your own", Outcome.REJECT, "No."),
    ]
    findings = [Finding(check, "", outcome, reason) for check, outcome, reason in told]
    assert headline_with(*findings) == "Version 7 is refused: a part is harmed, and no."


def test_the_headline_tells_an_error_budget_that_is_spent():
    assert record(compared(), spent=0.1)["headline"] == "Version 7 is held: the year's error budget is spent."


def headline_with(*faults):
    """The headline where these checks have found something and all others nothing."""
    evidence = compared()
    budget = Budget(POLICY.alpha, 0.0, 0.1, 0.1, "key", False, GATE, datetime(2013, 6, 9, tzinfo=UTC))
    judged = judge(evidence, POLICY, budget=budget)
    kept = tuple(one for one in judged.findings if one.check not in {fault.check for fault in faults})
    worst = Verdict.HOLD if all(fault.outcome is Outcome.HOLD for fault in faults) else Verdict.REJECT
    return build_record(evidence, dataclasses.replace(judged, verdict=worst, findings=(*kept, *faults)), budget, context=CONTEXT)[
        "headline"
    ]


@pytest.mark.parametrize("check", ["hygiene", "parity"])
@pytest.mark.parametrize("outcome", [Outcome.REJECT, Outcome.ERROR])
def test_a_refusal_of_what_makes_the_other_numbers_worthless_cannot_be_overridden(check, outcome):
    evidence = compared(-0.3)
    budget = Budget(POLICY.alpha, 0.0, 0.1, 0.1, "key", False, GATE, datetime(2013, 6, 9, tzinfo=UTC))
    judged = judge(evidence, POLICY, budget=budget)
    kept = tuple(finding for finding in judged.findings if finding.check != check)
    refused = dataclasses.replace(judged, findings=(*kept, Finding(check, "It protects.", outcome, "It failed.")))
    told = build_record(evidence, refused, budget, context=CONTEXT)["override"]
    assert told.startswith(f"This refusal cannot be overridden (the check {check}): remove its cause and train again")
    assert "evergreen promote" not in told
    held = dataclasses.replace(judged, findings=(*kept, Finding(check, "It protects.", Outcome.HOLD, "Look at it.")))
    assert "--override" in build_record(evidence, held, budget, context=CONTEXT)["override"]


def test_a_learning_curve_is_on_record_for_a_thousand_rows_fewest_rows_first():
    points = [(200, 3.0, 5.0), (100, 2.0, 6.0), (50, None, 9.0)]
    facts = {"learning_curve": [{"rows": rows, "train": train, "holdout": holdout} for rows, train, holdout in points]}
    written = record(dataclasses.replace(compared(), facts=facts))
    assert written["plots"]["learning_curve"] == [
        {"rows": 100, "train": 2_000, "holdout": 6_000},
        {"rows": 200, "train": 3_000, "holdout": 5_000},
    ]
    assert record(compared())["plots"]["learning_curve"] == []


def test_the_diagnosis_is_on_record_and_none_where_the_evidence_is_none():
    written = record(compared())
    assert written["diagnosis"] == diagnose(compared())
    assert record(given.change(compared(), CHAMPION, measure=np.full(2000, np.nan)))["diagnosis"] is None


def test_what_changed_is_on_record_as_sentences_and_as_values():
    written = record(compared())
    assert written["changes"] == {"sentences": written["changed"], "parameters": []}
    unknown = record(compared(), context=dataclasses.replace(CONTEXT, changes={}))
    assert (unknown["changed"], unknown["changes"]) == ([], {})


def test_what_no_check_judged_is_said():
    written = record(given.make_evidence(first=True), checks=tuple(check for check in CHECKS if check.__name__ != "parity"))
    assert any("(parity)" in sentence for sentence in written["not_judged"])
    assert not any("(leakage)" in sentence for sentence in written["not_judged"])
    assert "There is no champion to compare with." in written["not_judged"]
    assert any("react to made-up changes, so none was tried" in sentence for sentence in written["not_judged"])
    assert "Too small to be shown on their own: carrier: OO (fewer than 100 rows each)." in written["not_judged"]
    assert "Too small to be judged on their own: carrier: OO (fewer than 200 rows or 20 days each)." in written["not_judged"]


def test_a_champion_that_cannot_predict_goes_on_serving_and_is_said_not_to_be_compared():
    evidence = given.make_evidence(first=True, silent={CHAMPION: "told"})
    context = dataclasses.replace(CONTEXT, labels={CHAMPION: "version 6"})
    budget = Budget(POLICY.alpha, 0.0, 0.1, 0.1, "key", False, GATE, datetime(2013, 6, 9, tzinfo=UTC), POLICY.alpha)
    written = build_record(evidence, judge(evidence, POLICY, budget=budget), budget, context=context)
    assert written["next"][0] == "Version 6 goes on serving."
    assert "It was not compared with champion and anchor." in written["not_judged"]
    assert "evergreen promote 7" in written["override"]


def test_evidence_that_is_no_evidence_leaves_no_numbers_on_record():
    written = record(given.change(compared(), CHAMPION, measure=np.full(2000, np.nan)))
    assert written["verdict"] == "reject"
    assert (written["money"], written["comparisons"], written["metrics"], written["margin_next"]) == ([], [], {}, None)
    assert "champion's measure is missing or infinite on 2,000 of 2,000 rows" in " ".join(written["why"])


def test_no_sentence_asks_its_reader_for_statistics():
    for evidence in (compared(), compared(-0.3), compared(0.0, 1.0), given.make_evidence(first=True)):
        written = record(evidence)
        told = (sentence for key in ("why", "settle", "checked", "not_judged", "next") for sentence in written[key])
        text = " ".join([written["headline"], written["override"], *told]).lower()
        for word in ("p-value", "p value", "alpha", "sigma", "significant", "standard error", "confidence", "null hypothesis"):
            assert word not in text
        assert text.isascii()


def test_a_label_from_the_context_is_used():
    written = record(compared(), context=dataclasses.replace(CONTEXT, labels={CHAMPION: "today's model"}))
    assert written["headline"].endswith("better than today's model.")


def test_what_json_does_not_know_becomes_what_it_knows():
    odd = {1: (np.float64("inf"), np.bool_(True), np.int8(3)), "t": datetime(2013, 1, 1, tzinfo=UTC), "none": None}
    assert json_safe(odd) == {"1": [None, True, 3], "t": "2013-01-01T00:00:00+00:00", "none": None}
