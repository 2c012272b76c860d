import dataclasses

import gate_evidence as given
import numpy as np
import pandas as pd
import pytest

from evergreen.gate.checks_quality import CHANCE_RANGE, generalization, slices, stability
from evergreen.gate.evidence import CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, Promise
from evergreen.gate.finding import Outcome
from evergreen.policies import GatePolicy

POLICY = GatePolicy()
ALPHA = POLICY.alpha


def kept(saved, spread=0.0, *, promise=None, first=True, **changes):
    """Evidence whose candidate saves so much a row against the only constant answer; 1.0 was promised, so 0.5 must be kept."""
    evidence = given.saving(given.make_evidence(first=first, **changes), saved, spread=spread, over=DUMMY)
    trivial = {"always 0": dataclasses.replace(evidence.contenders[DUMMY], name="always 0")}
    return dataclasses.replace(evidence, trivial=trivial, promise=promise or Promise(1.0, 0.0, clusters=1_000, rows=3_000))


def judged(saved, spread=0.0, **changes):
    return generalization(kept(saved, spread, **changes), POLICY, ALPHA).outcome


def test_a_candidate_that_keeps_half_of_its_promise_passes():
    finding = generalization(kept(0.6, 0.5), POLICY, ALPHA)
    assert finding.outcome is Outcome.PASS
    assert "promised 1,000 per 1,000 rows against the best single answer (always 0), of which at least 500 must be kept" in finding.reason
    assert finding.estimate == pytest.approx(0.1)


def test_exactly_half_is_kept_and_less_is_not():
    assert judged(0.5 + 1e-9, 0.5) is Outcome.PASS
    assert judged(0.5 - 1e-9, 0.5) is Outcome.HOLD
    assert judged(0.5 - 1e-9) is Outcome.REJECT  # nothing is left to chance


def test_both_uncertainties_count_with_the_fewer_degrees_of_freedom():
    # SE^2 = 0.25^2 + (0.5 * 0.2)^2 = 0.26926^2; t at 0.95 is 1.6849 with 39 degrees of freedom, 1.8125 with 10
    many, few = (Promise(1.0, 0.2, clusters=clusters, rows=3_000) for clusters in (1_000, 11))
    for promise, short in ((many, 0.5 - 0.45368), (few, 0.5 - 0.48802)):
        assert judged(short + 0.0002, 0.25 * 40**0.5, promise=promise) is Outcome.HOLD
        assert judged(short - 0.0002, 0.25 * 40**0.5, promise=promise) is Outcome.REJECT


def test_what_must_be_kept_is_the_policys_share():
    assert generalization(kept(0.6), GatePolicy(kept_share=0.7), ALPHA).outcome is Outcome.REJECT


def test_a_hold_says_how_many_days_settle_it_and_so_many_do():
    def after(days):
        return generalization(kept(0.4, 0.5, days=days), POLICY, ALPHA)

    held = after(40)
    assert held.outcome is Outcome.HOLD
    more = int(held.settle.split()[1])
    assert (after(40 + more).outcome, after(40 + more // 2).outcome) == (Outcome.REJECT, Outcome.HOLD)


def test_days_do_not_settle_what_the_promise_itself_leaves_open():
    finding = generalization(kept(0.4, 0.5, promise=Promise(1.0, 5.0, clusters=60, rows=3_000)), POLICY, ALPHA)
    assert finding.outcome is Outcome.HOLD
    assert "More outcomes alone are not likely" in finding.settle


@pytest.mark.parametrize("promise", [Promise(np.nan, 0.1, 60, 3_000), Promise(np.inf, 0.1, 60, 3_000), Promise(1.0, np.nan, 60, 3_000)])
def test_a_promise_that_is_no_number_cannot_be_judged(promise):
    assert judged(2.0, promise=promise) is Outcome.ERROR


def test_a_promise_that_was_not_measured_cannot_be_judged():
    finding = generalization(dataclasses.replace(kept(2.0), promise=None), POLICY, ALPHA)
    assert finding.outcome is Outcome.ERROR
    assert "was not measured" in finding.reason


def test_where_nothing_was_promised_nothing_is_to_be_kept():
    assert judged(-1.0, promise=Promise(0.0, 0.1, 60, 3_000)) is Outcome.PASS
    assert judged(-1.0, promise=Promise(-0.3, 0.1, 60, 3_000)) is Outcome.PASS
    assert judged(-1.0, promise=Promise(1e-9, 0.0, 60, 3_000)) is Outcome.REJECT


def test_one_day_proves_nothing_kept():
    evidence = dataclasses.replace(kept(2.0), cluster=np.full(2000, "2013-05-01", dtype=object))
    assert generalization(evidence, POLICY, ALPHA).outcome is Outcome.HOLD


def test_numbers_that_are_none_are_never_kept():
    evidence = kept(2.0)
    with pytest.raises(ValueError, match="missing or infinite"):
        generalization(given.change(evidence, CANDIDATE, measure=np.full(2000, np.nan)), POLICY, ALPHA)


@pytest.mark.parametrize(
    ("against_champion", "spread", "outcome"),
    [
        (0.0, 0.0, Outcome.HOLD),  # the champion does as badly
        (0.2, 0.1, Outcome.HOLD),  # the champion does worse
        (-0.05, 1.0, Outcome.HOLD),  # nobody knows
        (-0.2, 0.1, Outcome.REJECT),  # the champion surely does better: it is not the world
    ],
)
def test_a_broken_promise_is_held_when_the_champion_does_no_better_on_the_same_rows(against_champion, spread, outcome):
    evidence = given.saving(kept(0.1, first=False), against_champion, spread=spread)
    finding = generalization(evidence, POLICY, ALPHA)
    assert finding.outcome is outcome
    assert ("the world may have changed" in finding.reason) is (outcome is Outcome.HOLD)
    assert bool(finding.settle) is (outcome is Outcome.HOLD)


def with_slices(where, loss, *, spread=0.0, first=False, **changes):
    """Evidence whose candidate loses so much a row where `where` is true, and nothing elsewhere."""
    evidence = given.make_evidence(first=first, **changes)
    noise = np.random.default_rng(1).normal(size=len(evidence.y)) * spread
    other = RULE_OF_THUMB if first else CHAMPION
    evidence = given.change(evidence, other, measure=evidence.contenders[CANDIDATE].measure - where * (loss + noise))
    return dataclasses.replace(evidence, slices=pd.DataFrame({"origin": np.where(where, "EWR", "JFK")}))


def first_rows(n, per_day=50, of=2000):
    """So many rows of each of the first days."""
    where = np.arange(of) % 50 < per_day
    return where & (np.cumsum(where) <= n)


def test_a_candidate_that_harms_no_slice_passes():
    finding = slices(with_slices(first_rows(1000), 0.1, spread=1.0), POLICY, ALPHA)
    assert finding.outcome is Outcome.PASS
    assert "None of 2 slices is surely harmed; the nearest to it: where origin = EWR (1,000 rows) it loses" in finding.reason


def test_a_candidate_that_harms_a_slice_is_refused_whatever_it_gains_elsewhere():
    evidence = with_slices(first_rows(1000), 0.6, spread=1.0)
    gain = np.where(evidence.slices["origin"] == "JFK", 5.0, 0.0)
    evidence = given.change(evidence, CHAMPION, measure=evidence.contenders[CHAMPION].measure + gain)
    finding = slices(evidence, POLICY, ALPHA)
    assert finding.outcome is Outcome.REJECT
    assert finding.reason.startswith("A part of the users is harmed: where origin = EWR (1,000 rows) it loses 546 per 1,000 rows")
    assert finding.reason.endswith("against the champion (version 6); a loss of up to 300 is allowed.")
    assert finding.high < -0.3 == finding.threshold


def test_a_slice_may_lose_exactly_its_margins():
    assert slices(with_slices(first_rows(1000), 0.3 - 1e-9), POLICY, ALPHA).outcome is Outcome.PASS
    assert slices(with_slices(first_rows(1000), 0.3 + 1e-9), POLICY, ALPHA).outcome is Outcome.REJECT
    assert slices(with_slices(first_rows(1000), 0.4), GatePolicy(slice_margins=3), ALPHA).outcome is Outcome.PASS


def test_a_slice_is_judged_from_two_hundred_rows_on_and_named_when_it_is_not():
    assert slices(with_slices(first_rows(200, per_day=5), 1.0), POLICY, ALPHA).outcome is Outcome.REJECT
    finding = slices(with_slices(first_rows(199, per_day=5), 1.0), POLICY, ALPHA)
    assert finding.outcome is Outcome.PASS
    assert finding.details == ("Too small to be judged on their own: origin: EWR (fewer than 200 rows or 20 days each).",)


def test_a_slice_is_judged_from_twenty_days_on_unless_rows_are_independent():
    few = with_slices(first_rows(950), 1.0)
    assert slices(with_slices(first_rows(1000), 1.0), POLICY, ALPHA).outcome is Outcome.REJECT
    assert slices(few, POLICY, ALPHA).outcome is Outcome.PASS
    assert slices(few, GatePolicy(cluster="row"), ALPHA).outcome is Outcome.REJECT


def test_many_small_slices_are_counted():
    names = np.array([f"N{i:04}" for i in range(20)])[np.arange(2000) % 20]
    finding = slices(given.make_evidence(slices=pd.DataFrame({"tail": names})), POLICY, ALPHA)
    assert (finding.outcome, finding.reason) == (Outcome.PASS, "No slice is large enough to be judged on its own.")
    assert "N0000, N0001" in finding.details[0]
    assert "N0011 and 8 more (fewer" in finding.details[0]


def test_the_more_slices_are_looked_at_the_surer_a_harm_must_be():
    evidence = with_slices(first_rows(1000, per_day=25), 0.3 + 2.8 * 0.1, first=False)  # its own chance is about 0.004
    evidence = swinging(evidence, 0.1)
    assert slices(evidence, POLICY, ALPHA).outcome is Outcome.REJECT
    others = pd.DataFrame({f"other{i}": np.where(np.arange(2000) % 2, "a", "b") for i in range(3)})
    more = dataclasses.replace(evidence, slices=pd.concat([evidence.slices, others], axis=1))
    held = slices(more, POLICY, ALPHA)
    assert held.outcome is Outcome.HOLD
    assert held.reason.startswith("A part of the users may be harmed: where origin = EWR (1,000 rows) it loses")
    assert "A person looks at these slices" in held.settle


@pytest.mark.parametrize(("loss", "outcome"), [(0.32, Outcome.HOLD), (0.29, Outcome.PASS)])
def test_a_slice_that_surely_loses_and_by_more_than_its_margins_as_far_as_one_can_tell_is_held(loss, outcome):
    assert slices(swinging(with_slices(first_rows(1000, per_day=25), loss), 0.1), POLICY, ALPHA).outcome is outcome


# of two slices the one that seems to lose most may do so with chance 0.2 / 2: 1.3 standard errors
@pytest.mark.parametrize(("se", "outcome"), [(0.22, Outcome.HOLD), (0.30, Outcome.PASS)])
def test_a_slice_that_seems_to_lose_is_held_unless_chance_often_makes_it_look_so(se, outcome):
    assert slices(swinging(with_slices(first_rows(1000, per_day=25), 0.32), se), POLICY, ALPHA).outcome is outcome
    surer = GatePolicy(slice_doubt=0.01)
    assert slices(swinging(with_slices(first_rows(1000, per_day=25), 0.32), se), surer, ALPHA).outcome is Outcome.PASS


def swinging(evidence, se):
    """The same on average, with days that differ in the slice so that its mean has this standard error."""
    days, of = np.unique(evidence.cluster, return_inverse=True)
    noise = np.random.default_rng(3).normal(size=len(days))
    noise = (noise - noise.mean()) / noise.std(ddof=1) * se * 40**0.5
    where = (evidence.slices["origin"] == "EWR").to_numpy()
    return given.change(evidence, CHAMPION, measure=evidence.contenders[CHAMPION].measure + where * noise[of])


def test_equal_models_seldom_harm_a_slice():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        evidence = given.make_evidence(days=25, seed=seed, slices=pd.DataFrame({"s": rng.integers(0, 5, 1250)}))
        found.append(slices(evidence, GatePolicy(slice_margins=1e-9), ALPHA).outcome)  # the hardest case: no room at all
    assert found.count(Outcome.REJECT) <= 3
    assert found.count(Outcome.HOLD) <= 21  # 12 are allowed, and chance adds as much as three standard errors, 9


def test_a_missing_value_is_a_slice_and_values_that_look_alike_are_several():
    evidence = with_slices(first_rows(1000), 1.0)
    where = evidence.slices["origin"] == "EWR"
    missing = dataclasses.replace(evidence, slices=pd.DataFrame({"origin": evidence.slices["origin"].where(~where, None)}))
    assert "where origin = missing (1,000 rows) it loses 1,000" in slices(missing, POLICY, ALPHA).reason
    for names in (("x" * 50 + "1", "x" * 50 + "2"), ("x" * 50 + "2", "x" * 50 + "1")):
        alike = dataclasses.replace(evidence, slices=pd.DataFrame({"origin": np.where(where, *names)}))
        assert slices(alike, POLICY, ALPHA).outcome is Outcome.REJECT


def test_a_first_model_is_compared_with_the_rule_of_thumb_and_a_fresh_margin():
    evidence = with_slices(first_rows(1000), 0.4, first=True)
    cheapest = min(policy.measure.mean() for policy in evidence.trivial.values())
    assert 2 * 0.02 * cheapest == pytest.approx(0.3312)
    finding = slices(evidence, POLICY, ALPHA)
    assert finding.outcome is Outcome.REJECT
    assert "against the rule of thumb" in finding.reason
    assert finding.threshold == pytest.approx(-2 * 0.02 * cheapest)
    assert slices(evidence, GatePolicy(margin=0.2001), ALPHA).outcome is Outcome.PASS


def test_without_declared_slices_there_is_nothing_to_judge():
    finding = slices(given.make_evidence(slices=pd.DataFrame(index=range(2000))), POLICY, ALPHA)
    assert (finding.outcome, finding.reason) == (Outcome.PASS, "No slices are declared.")


@pytest.mark.parametrize("margin", [None, np.nan, np.inf, -0.1])
@pytest.mark.parametrize("check", [slices, stability])
def test_without_a_margin_nothing_can_be_judged(check, margin):
    finding = check(given.make_evidence(margin=margin), POLICY, ALPHA)
    assert finding.outcome is Outcome.ERROR
    assert "fixes no margin" in finding.reason


def test_slices_of_other_rows_and_numbers_that_are_none_cannot_be_judged():
    evidence = given.make_evidence()
    with pytest.raises(ValueError, match="slices of 1,999 rows"):
        slices(dataclasses.replace(evidence, slices=evidence.slices[:-1]), POLICY, ALPHA)
    with pytest.raises(ValueError, match="missing or infinite"):
        slices(given.change(evidence, CHAMPION, measure=np.full(2000, np.nan)), POLICY, ALPHA)


def seeded(*costs, policy=POLICY, **changes):
    return stability(given.make_evidence(seeds=dict(enumerate(costs)), **changes), policy, ALPHA)


def test_a_recipe_whose_seeds_cost_nearly_the_same_passes():
    finding = seeded(5.0, 5.02, 4.99)
    assert finding.outcome is Outcome.PASS
    assert "with 3 seeds 1,000 rows cost 4,990 to 5,020, 30 apart (30 without what chance explains); 75 are allowed" in finding.reason


def test_a_recipe_that_depends_on_its_seed_is_held():
    finding = seeded(5.0, 5.3, 4.9)
    assert finding.outcome is Outcome.HOLD
    assert "average of models with several seeds" in finding.settle


def test_the_seeds_may_lie_exactly_half_a_margin_apart():
    assert seeded(0.0, 0.07, 0.075).outcome is Outcome.PASS
    assert seeded(0.0, 0.07, np.nextafter(0.075, 1)).outcome is Outcome.HOLD
    assert seeded(0.0, 0.07, 0.1, policy=GatePolicy(max_seed_spread=0.7)).outcome is Outcome.PASS


def test_what_the_choice_of_rows_makes_of_the_seeds_is_not_their_luck():
    # 0.09 apart; with a standard error of 0.0416 chance explains 0.05 of it in squares, and 0.075 stays
    just = 0.09**2 - 0.075**2
    assert seeded(0.0, 0.05, 0.09, seeds_se=np.sqrt(just / 1.43) + 1e-9).outcome is Outcome.PASS
    assert seeded(0.0, 0.05, 0.09, seeds_se=np.sqrt(just / 1.43) - 1e-6).outcome is Outcome.HOLD
    assert seeded(0.0, 0.05, 0.09, seeds_se=1.0).outcome is Outcome.PASS


@pytest.mark.parametrize("noise", [np.nan, np.inf, -0.1])
def test_chance_that_was_not_measured_excuses_nothing(noise):
    assert seeded(5.0, 5.01, 4.99, seeds_se=noise).outcome is Outcome.ERROR


def test_three_draws_lie_apart_by_chance_as_far_as_is_taken_off():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(200_000, 3))
    assert np.ptp(draws, axis=1).mean() ** 2 / 2 == pytest.approx(CHANCE_RANGE, rel=0.01)


def test_a_first_models_seeds_are_judged_by_a_fresh_margin():
    assert seeded(0.0, 0.08, 0.0827, first=True).outcome is Outcome.PASS  # half of 2% of 8.28
    assert seeded(0.0, 0.08, 0.0829, first=True).outcome is Outcome.HOLD
    assert seeded(0.0, 0.08, 0.0829, first=True, policy=GatePolicy(margin=0.2)).outcome is Outcome.PASS


def test_one_seed_is_a_recipe_without_chance_and_two_are_too_few():
    alone = seeded(5.0)
    assert (alone.outcome, alone.reason) == (Outcome.PASS, "Nothing in the recipe is random.")
    assert "so luck was not looked for" in seeded(5.0, policy=GatePolicy(seeds=1)).reason
    hidden = seeded(5.0, random_without_seed=True)
    assert hidden.outcome is Outcome.HOLD
    assert "It is random, but has no seed that could be set" in hidden.reason
    assert "random_state, random_seed or seed" in hidden.settle
    two = seeded(5.0, 5.01)
    assert two.outcome is Outcome.HOLD
    assert two.settle == "Train with 1 more, of 3 in all."
    assert seeded(5.0, 5.01, policy=GatePolicy(seeds=2)).outcome is Outcome.PASS


@pytest.mark.parametrize("seeds", [None, {}, {1: np.nan}, {1: 5.0, 2: np.nan, 3: 5.0}, {1: np.inf, 2: np.inf, 3: np.inf}])
def test_seeds_that_were_not_measured_cannot_be_judged(seeds):
    finding = stability(given.make_evidence(seeds=seeds), POLICY, ALPHA)
    assert finding.outcome is Outcome.ERROR
    assert "was not measured" in finding.reason
