import dataclasses
from datetime import UTC, datetime

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest

from evergreen.gate.checks import CHECKS
from evergreen.gate.decision import conclude, judge
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, RULE_OF_THUMB, DataVerdict, Promise
from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.gate.ledger import FIRST, GATE, Budget
from evergreen.policies import GatePolicy

POLICY = GatePolicy()


def budget(*, first=False, spent=0.0):
    alpha, allowed = (POLICY.alpha_first, POLICY.alpha_first) if first else (POLICY.alpha, POLICY.alpha_per_year)
    return Budget(alpha, spent, allowed, allowed - spent, "key", False, FIRST if first else GATE, datetime(2013, 6, 9, tzinfo=UTC), alpha)


def decide(evidence, policy=POLICY, **asked):
    return judge(evidence, policy, budget=budget(first=CHAMPION not in evidence.contenders), **asked)


def better(saved=0.3, spread=0.1, **changes):
    evidence = given.saving(given.make_evidence(**changes), saved, spread=spread, over=ANCHOR)
    return given.saving(evidence, saved, spread=spread)


def outcomes(decision):
    return {finding.check: finding.outcome for finding in decision.findings}


def test_a_better_model_is_promoted_and_becomes_the_anchor():
    decision = decide(better())
    assert decision.verdict is Verdict.PROMOTE
    assert decision.rebase_anchor
    assert list(outcomes(decision)) == [
        *("provenance", "data", "finite", "size", "hygiene", "leakage", "parity"),
        *("baseline", "generalization", "champion", "slices", "calibration", "stability"),
        *("behaviour", "cost", "representativeness", "shadow", "budget"),
    ]


def test_an_equal_model_is_promoted_and_leaves_the_anchor_where_it_is():
    decision = decide(better(0.0, 0.1))
    assert decision.verdict is Verdict.PROMOTE
    assert not decision.rebase_anchor


def test_a_first_model_is_promoted_and_is_the_first_anchor():
    decision = decide(given.make_evidence(first=True))
    assert (decision.verdict, decision.rebase_anchor) == (Verdict.PROMOTE, True)


def test_a_worse_model_is_rejected_and_an_unsure_one_held():
    assert decide(better(-0.3)).verdict is Verdict.REJECT
    held = decide(better(0.0, 1.0))
    assert (held.verdict, held.rebase_anchor) == (Verdict.HOLD, False)


def test_beside_a_silent_anchor_a_good_model_is_held_by_the_comparison_alone_at_the_gates_alpha():
    evidence = given.make_evidence(first=True, silent={ANCHOR: "anchor (version 4) cannot predict these rows"})
    decision = judge(evidence, POLICY, budget=budget())
    assert decision.verdict is Verdict.HOLD
    assert [check for check, outcome in outcomes(decision).items() if outcome is not Outcome.PASS] == ["champion"]
    assert (decision.alpha, decision.alpha_first, decision.rebase_anchor) == (POLICY.alpha, POLICY.alpha, False)
    assert outcomes(judge(evidence, POLICY, budget=budget(first=True)))["budget"] is Outcome.ERROR


PLANTED = {
    "provenance": {"provenance_now": {}},
    "data": {"data": (DataVerdict("weather", passed=False, failed=("rows",)),)},
    "hygiene": {"late_features": ("dep_delay",)},
    "generalization": {"promise": None},
}
HELD = {
    "generalization": {"promise": Promise(100.0, 0.0, clusters=60, rows=3_000)},
    "stability": {"seeds": {1: 5.0, 2: 9.0, 3: 5.0}},
}


@pytest.mark.parametrize("check", HELD)
def test_one_hold_holds_however_good_the_model_is(check):
    decision = decide(better(**HELD[check]))
    assert decision.verdict is Verdict.HOLD
    assert [name for name, outcome in outcomes(decision).items() if outcome is not Outcome.PASS] == [check]
    fewer = tuple(one for one in CHECKS if one.__name__ != check)
    assert decide(better(**HELD[check]), checks=fewer).verdict is Verdict.PROMOTE


def test_harm_to_a_slice_rejects_and_wrong_probabilities_hold_however_good_the_model_is():
    evidence = better()
    harm = np.where(evidence.slices["origin"] == "EWR", -2.0, 1.0)
    measure = evidence.contenders[CHAMPION].measure + harm
    harmful = given.change(given.change(evidence, CHAMPION, measure=measure), ANCHOR, measure=measure)
    assert [name for name, outcome in outcomes(decide(harmful)).items() if outcome is not Outcome.PASS] == ["slices"]
    assert decide(harmful).verdict is Verdict.REJECT
    wrong = given.change(evidence, CANDIDATE, probability=evidence.contenders[CANDIDATE].probability ** 3)
    assert [name for name, outcome in outcomes(decide(wrong)).items() if outcome is Outcome.HOLD] == ["calibration"]
    assert decide(wrong).verdict is Verdict.HOLD


@pytest.mark.parametrize("check", PLANTED)
def test_one_refusal_rejects_however_good_the_model_is(check):
    decision = decide(better(**PLANTED[check]))
    assert decision.verdict is Verdict.REJECT
    assert [name for name, outcome in outcomes(decision).items() if outcome is not Outcome.PASS] == [check]


@pytest.mark.parametrize("check", PLANTED)
def test_without_its_check_each_planted_defect_would_be_promoted(check):
    fewer = tuple(one for one in CHECKS if one.__name__ != check)
    assert decide(better(**PLANTED[check]), checks=fewer).verdict is Verdict.PROMOTE


def test_a_check_that_breaks_rejects_and_says_why():
    def broken(evidence, policy, alpha):
        raise ZeroDivisionError("by nothing")

    decision = decide(better(), checks=(*CHECKS, broken))
    assert decision.verdict is Verdict.REJECT
    finding = next(f for f in decision.findings if f.check == "broken")
    assert (finding.outcome, finding.reason) == (Outcome.ERROR, "The check broken could not be made: ZeroDivisionError: ⟦by nothing⟧.")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], Verdict.HOLD),
        (["pass"], Verdict.PROMOTE),
        (["pass", "hold"], Verdict.HOLD),
        (["hold", "reject"], Verdict.REJECT),
        (["hold", "error"], Verdict.REJECT),
        (["pass", "error"], Verdict.REJECT),
    ],
)
def test_the_worst_answer_decides(found, verdict):
    findings = tuple(Finding("c", "p", Outcome(outcome), "r") for outcome in found)
    assert conclude(findings) is verdict
    assert conclude(findings[::-1]) is verdict


def test_a_spent_budget_holds_what_would_be_promoted():
    evidence = better()
    decision = judge(evidence, POLICY, budget=budget(spent=0.10))
    assert decision.verdict is Verdict.HOLD
    assert outcomes(decision)["budget"] is Outcome.HOLD
    assert judge(evidence, POLICY, budget=budget(spent=0.10 * 11 / 12)).verdict is Verdict.PROMOTE


@pytest.mark.parametrize("first", [True, False])
def test_a_budget_that_was_opened_for_another_question_rejects(first):
    evidence = given.make_evidence(first=True) if not first else better()
    decision = judge(evidence, POLICY, budget=budget(first=first))
    assert decision.verdict is Verdict.REJECT
    assert outcomes(decision)["budget"] is Outcome.ERROR


def test_the_next_margin_is_a_share_of_the_best_trivial_cost_or_an_amount():
    evidence = better()
    cheapest = min(policy.measure.mean() for policy in evidence.trivial.values())
    assert decide(evidence).margin_next == pytest.approx(0.02 * cheapest)
    assert decide(evidence, GatePolicy(margin=0.4)).margin_next == 0.4


def test_the_same_evidence_gives_the_same_decision():
    assert decide(better(0.0, 0.4)) == decide(better(0.0, 0.4))


def hostile():
    evidence = better()
    return {
        "no candidate": given.without(evidence, CANDIDATE),
        "no champion but an anchor": given.without(evidence, CHAMPION),
        "no baselines": given.without(evidence, RULE_OF_THUMB),
        "no trivial policy": dataclasses.replace(evidence, trivial={}),
        "one class": dataclasses.replace(evidence, y=np.ones_like(evidence.y)),
        "no features": dataclasses.replace(evidence, features=pd.DataFrame({"wind": []})),
        "one cluster": dataclasses.replace(evidence, cluster=np.full(2000, "2013-05-01", dtype=object)),
        "duplicate rows": dataclasses.replace(evidence, rows=np.zeros(2000, dtype=np.uint64)),
        "no margin": dataclasses.replace(evidence, margin=None),
        "a margin that is no number": dataclasses.replace(evidence, margin=float("nan")),
        "a date that is none": dataclasses.replace(evidence, holdout_start="soon"),
        "an embargo that is no number": dataclasses.replace(evidence, embargo_seconds=float("nan")),
        "text for numbers": given.change(evidence, CANDIDATE, measure=np.full(2000, "cheap")),
    }


@pytest.mark.parametrize("case", hostile())
def test_hostile_evidence_is_never_promoted_and_never_a_traceback(case):
    assert decide(hostile()[case]).verdict is not Verdict.PROMOTE
