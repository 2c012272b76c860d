import dataclasses

import gate_evidence as given
import numpy as np
import pytest

from evergreen.gate.checks_model import baseline, champion, non_inferiority
from evergreen.gate.comparison import is_superior, margin_in_force, next_alpha
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB
from evergreen.gate.finding import Outcome
from evergreen.gate.statistics import Interval
from evergreen.policies import GatePolicy

POLICY = GatePolicy()
ALPHA = POLICY.alpha


def first(**changes):
    return given.make_evidence(first=True, **changes)


def later(saved, spread=0.0, *, over_anchor=1.0, **changes):
    evidence = given.saving(given.make_evidence(**changes), over_anchor, over=ANCHOR)
    return given.saving(evidence, saved, spread=spread)


def test_a_first_model_that_surely_beats_doing_without_passes():
    assert baseline(first(), POLICY, ALPHA).outcome is Outcome.PASS


@pytest.mark.parametrize("other", [RULE_OF_THUMB, DUMMY])
def test_a_first_model_that_may_not_beat_doing_without_is_held(other):
    evidence = given.saving(first(), 0.5, spread=3.0, over=other)
    finding = baseline(evidence, POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert finding.settle.startswith("About ")
    assert "more days of outcomes" in finding.settle


def test_the_first_model_is_judged_at_the_chance_of_error_that_the_ledger_allows():
    evidence = given.saving(first(good_enough=0.0), 0.5, spread=0.25 * 40**0.5, over=RULE_OF_THUMB)  # twice its standard error
    assert baseline(evidence, POLICY, 0.05).outcome is Outcome.PASS
    assert baseline(evidence, POLICY, ALPHA).outcome is Outcome.HOLD


def test_a_first_model_that_equals_the_rule_of_thumb_is_held_and_more_data_will_not_help():
    finding = baseline(given.saving(first(), 0.0, over=RULE_OF_THUMB), POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert "a better model would" in finding.settle


def test_a_first_model_that_is_better_but_not_good_enough_is_held():
    evidence = given.saving(first(), 0.2, over=RULE_OF_THUMB)
    rule = float(evidence.contenders[RULE_OF_THUMB].measure.mean())
    enough = dataclasses.replace(evidence, good_enough=0.2 / rule - 1e-9)
    short = dataclasses.replace(evidence, good_enough=0.2 / rule + 1e-6)
    assert baseline(enough, POLICY, ALPHA).outcome is Outcome.PASS
    finding = baseline(short, POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert "not good enough" in finding.reason


@pytest.mark.parametrize(("other", "called"), [(RULE_OF_THUMB, "the rule of thumb"), (DUMMY, "a model without features")])
@pytest.mark.parametrize("evidence", [first(), given.make_evidence()], ids=["first", "later"])
def test_a_model_that_is_surely_worse_than_doing_without_is_rejected(other, called, evidence):
    finding = baseline(given.saving(evidence, -0.5, spread=0.5, over=other), POLICY, ALPHA)
    assert finding.outcome is Outcome.REJECT
    assert f"against {called} it loses 500" in finding.reason


def test_a_model_that_is_surely_worse_than_a_constant_is_rejected():
    evidence = first()
    better = evidence.contenders[CANDIDATE].measure - 0.1
    trivial = {"always 1": dataclasses.replace(evidence.trivial["always 1"], measure=better)}
    finding = baseline(dataclasses.replace(evidence, trivial=trivial), POLICY, ALPHA)
    assert finding.outcome is Outcome.REJECT
    assert "always 1" in finding.reason


def test_a_later_model_passes_when_the_world_got_harder_and_the_champion_is_to_be_looked_at():
    sure = baseline(given.make_evidence(), POLICY, ALPHA)
    unsure = baseline(given.saving(given.make_evidence(), 0.0, spread=3.0, over=RULE_OF_THUMB), POLICY, ALPHA)
    assert (sure.outcome, unsure.outcome) == (Outcome.PASS, Outcome.PASS)
    assert sure.details == ()
    assert "the champion may not be either" in unsure.details[0]


def test_who_follows_a_champion_that_serves_against_the_gates_word_must_be_what_a_first_model_must():
    unsure = given.saving(given.make_evidence(), 0.0, spread=3.0, over=RULE_OF_THUMB)
    overruled = dataclasses.replace(unsure, is_overruled=True)
    assert (baseline(unsure, POLICY, ALPHA).outcome, baseline(overruled, POLICY, ALPHA).outcome) == (Outcome.PASS, Outcome.HOLD)
    sure = dataclasses.replace(given.saving(given.make_evidence(), 2.0, spread=0.1, over=RULE_OF_THUMB), is_overruled=True)
    assert baseline(sure, POLICY, ALPHA).outcome is Outcome.PASS


def test_where_costs_are_restated_the_smaller_margin_counts():
    evidence = given.make_evidence()
    fresh = margin_in_force(dataclasses.replace(evidence, margin=1e9, is_restated=True), POLICY)
    assert fresh == pytest.approx(0.02 * min(one.measure.mean() for one in evidence.trivial.values()))
    assert margin_in_force(dataclasses.replace(evidence, margin=fresh / 2, is_restated=True), POLICY) == fresh / 2
    assert margin_in_force(dataclasses.replace(evidence, margin=fresh * 2), POLICY) == fresh * 2
    assert margin_in_force(dataclasses.replace(evidence, margin=None, is_restated=True), POLICY) is None


def test_baselines_without_a_trivial_policy_cannot_be_judged():
    with pytest.raises(ValueError, match="no trivial policy"):
        baseline(first(trivial={}), POLICY, ALPHA)


def test_the_first_model_has_no_champion_to_beat():
    finding = champion(first(), POLICY, ALPHA)
    assert (finding.outcome, finding.reason) == (Outcome.PASS, "There is no champion yet.")


def test_a_champion_that_cannot_predict_holds_the_candidate_and_a_person_decides():
    told = "champion (version 6) cannot predict these rows: the rows lack region"
    finding = champion(first(silent={CHAMPION: told, ANCHOR: told}), POLICY, ALPHA)
    assert (finding.outcome, finding.reason.count(told)) == (Outcome.HOLD, 1)
    assert 'releases it with `evergreen promote 7 --reason "..."`' in finding.settle


@pytest.mark.parametrize(
    ("saved", "spread", "outcome"),
    [
        (0.3, 0.1, Outcome.PASS),  # better
        (0.0, 0.0, Outcome.PASS),  # the same
        (0.0, 0.1, Outcome.PASS),  # surely not worse by 0.15
        (0.0, 1.0, Outcome.HOLD),  # nobody knows
        (-0.2, 1.0, Outcome.HOLD),
        (-0.14, 0.01, Outcome.PASS),  # worse, by less than the margin of 0.15: clearly so, and allowed
        (-0.10, 0.30, Outcome.REJECT),  # clearly worse, by more than half the margin, and perhaps by all of it
        (-0.07, 0.25, Outcome.HOLD),  # worse by less than half the margin
        (-0.3, 0.1, Outcome.REJECT),  # surely worse by more than the margin
    ],
)
def test_the_champion_is_replaced_only_by_what_is_surely_not_worse(saved, spread, outcome):
    assert champion(later(saved, spread), POLICY, ALPHA).outcome is outcome


def test_exactly_the_margin_is_not_less_than_the_margin():
    def interval(low, estimate, high):
        return Interval(estimate, 0.01, low, high, 40, 2000, 0.98)

    assert non_inferiority(interval(-0.15, 0.0, 0.15), 0.15) is Outcome.HOLD
    assert non_inferiority(interval(np.nextafter(-0.15, 0), 0.0, 0.15), 0.15) is Outcome.PASS
    assert non_inferiority(interval(np.nan, 0.0, 0.15), 0.15) is Outcome.HOLD
    assert non_inferiority(interval(-0.5, -0.3, np.nextafter(-0.15, -1)), 0.15) is Outcome.REJECT


def test_slow_decay_is_stopped_by_the_anchor():
    evidence = later(0.0, over_anchor=-0.3)
    finding = champion(evidence, POLICY, ALPHA)
    assert finding.outcome is Outcome.REJECT
    assert "against the best champion so far (version 4) it loses 300" in finding.reason
    assert champion(given.saving(evidence, 0.0, over=ANCHOR), POLICY, ALPHA).outcome is Outcome.PASS


def test_a_champion_that_is_the_anchor_is_judged_once():
    evidence = given.change(later(0.3, 0.1), ANCHOR, version=6)
    evidence = given.change(evidence, ANCHOR, measure=evidence.contenders[CHAMPION].measure)
    finding = champion(evidence, POLICY, ALPHA)
    assert finding.reason.count("against") == 1
    assert finding.estimate == pytest.approx(0.3)


@pytest.mark.parametrize("margin", [None, np.nan, np.inf, -0.1])
def test_a_champion_without_a_margin_cannot_be_judged(margin):
    assert champion(dataclasses.replace(later(0.3), margin=margin), POLICY, ALPHA).outcome is Outcome.ERROR


@pytest.mark.parametrize("missing", [CHAMPION, ANCHOR])
def test_a_champion_without_anchor_or_an_anchor_without_champion_cannot_be_judged(missing):
    with pytest.raises(ValueError, match="expected champion and anchor"):
        champion(given.without(later(0.3), missing), POLICY, ALPHA)


def test_few_clusters_hold_even_what_looks_better():
    finding = champion(later(0.3, days=19), POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert "About 1 more days" in finding.settle
    assert champion(later(0.3, days=20), POLICY, ALPHA).outcome is Outcome.PASS
    assert champion(later(0.3, days=19), GatePolicy(cluster="row"), ALPHA).outcome is Outcome.PASS


def test_a_hold_says_how_many_days_settle_it_and_so_many_do():
    evidence = later(0.0, 0.5, days=40)
    finding = champion(evidence, POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    more = int(finding.settle.split()[1])
    second = ALPHA * POLICY.resume_share / 2
    assert champion(later(0.0, 0.5, days=40 + more), POLICY, second).outcome is Outcome.PASS
    assert champion(later(0.0, 0.5, days=40 + more // 2), POLICY, second).outcome is Outcome.HOLD


# the margin is 0.15: from half of it on, being surely worse at all is enough
@pytest.mark.parametrize(("saved", "outcome"), [(-0.09, Outcome.REJECT), (-0.06, Outcome.PASS)])
def test_what_seems_worse_is_told_how_many_days_settle_that(saved, outcome):
    finding, second = champion(later(saved, 0.5, days=40), POLICY, ALPHA), ALPHA * POLICY.resume_share / 2
    assert finding.outcome is Outcome.HOLD
    more = int(finding.settle.split()[1])
    assert champion(later(saved, 0.5, days=40 + more), POLICY, second).outcome is outcome
    assert champion(later(saved, 0.5, days=40 + more // 2), POLICY, second).outcome is Outcome.HOLD


@pytest.mark.parametrize("look", range(1, 6))
def test_waiting_is_told_for_the_next_look_which_has_less_to_spend(look):
    """As the ledger deals alpha out; see docs/decisions/0008."""
    alphas = [ALPHA * (1 - POLICY.resume_share), *(ALPHA * POLICY.resume_share / 2**n for n in range(1, 7))]
    assert next_alpha(alphas[look - 1], POLICY) == pytest.approx(alphas[look])


def test_the_smaller_the_allowed_error_the_more_evidence_it_takes():
    evidence = later(0.0, 0.3)
    assert champion(evidence, POLICY, 0.05).outcome is Outcome.PASS
    assert champion(evidence, POLICY, 0.0001).outcome is Outcome.HOLD


@pytest.mark.parametrize(("saved", "spread", "better"), [(0.3, 0.1, True), (0.3, 2.0, False), (0.0, 0.0, False), (-0.3, 0.1, False)])
def test_superior_is_only_what_is_surely_better(saved, spread, better):
    evidence = given.saving(given.make_evidence(), saved, spread=spread, over=ANCHOR)
    assert is_superior(evidence, POLICY, ALPHA) is better


def test_nothing_is_superior_on_few_clusters_unless_rows_are_independent():
    evidence = later(0.3, days=19)
    assert not is_superior(evidence, POLICY, ALPHA, to=CHAMPION)
    assert is_superior(evidence, GatePolicy(cluster="row"), ALPHA, to=CHAMPION)


def taking(evidence, **changes):
    return given.change(evidence, CANDIDATE, footprint=given.make_footprint(**changes))


def took(evidence, **changes):
    return given.change(evidence, CHAMPION, footprint=given.make_footprint(**changes))


@pytest.mark.parametrize(
    ("takes", "said"),
    [
        ({"processor_seconds": 0.0155}, "it takes 3.1 times the processor time for one row"),
        ({"memory_megabytes": 310.0}, "it takes 3.1 times the memory"),
        ({"megabytes": 3.1}, "it takes 3.1 times the size"),
        ({"family": "ExtraTreesClassifier"}, "ExtraTreesClassifier instead of HistGradientBoostingClassifier"),
    ],
)
def test_what_is_costlier_must_be_surely_better(takes, said):
    finding = champion(taking(later(0.0, 0.1), **takes), POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert said in finding.reason
    assert finding.settle.startswith("A model as cheap as the champion.")
    assert champion(taking(later(0.3, 0.1), **takes), POLICY, ALPHA).outcome is Outcome.PASS


def test_a_costlier_model_that_may_be_better_is_told_how_many_days_show_it():
    def after(days, alpha=ALPHA):
        return champion(taking(later(0.1, 0.3, days=days), memory_megabytes=200.0), POLICY, alpha)

    held, second = after(40), ALPHA * POLICY.resume_share / 2
    assert (held.outcome, held.threshold) == (Outcome.HOLD, 0.0)
    more = int(held.settle.split("About ")[1].split()[0])
    assert (after(40 + more, second).outcome, after(40 + more // 2, second).outcome) == (Outcome.PASS, Outcome.HOLD)


def test_it_is_the_champion_that_a_costlier_model_must_beat_not_the_anchor():
    evidence = taking(later(0.3, 0.1, over_anchor=0.0), memory_megabytes=200.0)
    assert champion(evidence, POLICY, ALPHA).outcome is Outcome.PASS


def test_exactly_the_ratio_is_not_costlier():
    equal = later(0.0, 0.1)
    for quantity, limit in (("memory_megabytes", 150.0), ("megabytes", 15.0)):
        evidence = took(equal, megabytes=10.0)
        assert champion(taking(evidence, **{"megabytes": 10.0, quantity: limit}), POLICY, ALPHA).outcome is Outcome.PASS
        more = taking(evidence, **{"megabytes": 10.0, quantity: np.nextafter(limit, 1e9)})
        assert champion(more, POLICY, ALPHA).outcome is Outcome.HOLD
    assert champion(taking(equal, memory_megabytes=190.0), GatePolicy(costlier_ratio=2), ALPHA).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("quantity", "before", "noise"), [("processor_seconds", 0.0025, 0.005), ("memory_megabytes", 10.0, 20.0), ("megabytes", 0.25, 1.0)]
)
def test_a_difference_that_is_noise_is_no_cost(quantity, before, noise):
    def outcome(before, now):
        return champion(taking(took(later(0.0, 0.1), **{quantity: before}), **{quantity: now}), POLICY, ALPHA).outcome

    assert outcome(before, before + noise * 0.999) is Outcome.PASS
    assert outcome(before, before + noise * 1.001) is Outcome.HOLD
    assert outcome(0.0, noise * 1.001) is Outcome.HOLD


def test_it_is_the_processor_time_of_one_row_that_counts_not_the_time_by_the_clock():
    assert champion(taking(later(0.0, 0.1), one_row_seconds=np.full(100, 1.0)), POLICY, ALPHA).outcome is Outcome.PASS


@pytest.mark.parametrize("name", [CANDIDATE, CHAMPION])
@pytest.mark.parametrize(
    "footprint",
    [
        None,
        given.make_footprint(processor_seconds=np.nan),
        given.make_footprint(memory_megabytes=np.inf),
        given.make_footprint(megabytes=np.nan),
    ],
    ids=["none", "no times", "memory", "size"],
)
def test_what_was_not_measured_cannot_be_compared(name, footprint):
    finding = champion(given.change(later(0.3, 0.1), name, footprint=footprint), POLICY, ALPHA)
    assert finding.outcome is Outcome.ERROR
    assert f"What predicting with the {name} takes was not measured" in finding.reason
    worse = champion(given.change(later(-0.3, 0.1), name, footprint=footprint), POLICY, ALPHA)
    assert worse.outcome is Outcome.REJECT
