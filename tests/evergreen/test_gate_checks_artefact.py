import dataclasses

import gate_evidence as given
import numpy as np
import pytest

from evergreen.gate.checks import CHECKS
from evergreen.gate.checks_artefact import behaviour, cost, parity, representativeness
from evergreen.gate.evidence import CANDIDATE, Reaction, Replay, Support
from evergreen.gate.finding import Outcome
from evergreen.policies import CostPolicy, GatePolicy, Perturbation

POLICY = GatePolicy()
NONE = (np.nan, np.inf, -np.inf)
APART = Replay("in a process of its own", 1_000, 0, 0.0, 0)
SINGLY = Replay("one by one", 100, 0, 1e-12, 0)
FOG = "Thicker fog makes no flight more punctual"


IN_ORDER = (
    *("provenance", "data", "finite", "size", "hygiene", "leakage", "parity", "baseline", "generalization", "champion"),
    *("slices", "calibration", "stability", "behaviour", "cost", "representativeness", "shadow"),
)


def test_the_gate_asks_these_checks_and_in_order():
    names = [check.__name__ for check in CHECKS]
    assert {"parity", "behaviour", "cost", "representativeness"} <= set(names)
    assert names == [name for name in IN_ORDER if name in names]


def ask(check, policy=POLICY, **changes):
    return check(given.make_evidence(**changes), policy, POLICY.alpha)


def replayed(*replays, policy=POLICY, **changes):
    return ask(parity, policy, replays=replays, **changes)


def test_serving_that_answers_as_training_did_passes_and_says_how_it_was_shown():
    finding = replayed(APART, SINGLY)
    assert (finding.outcome, finding.estimate, finding.n) == (Outcome.PASS, 0.0, 1_000)
    assert finding.reason == "Serving answers as training did: 1,000 rows in a process of its own, 100 rows one by one."


def test_without_a_replay_nothing_was_shown():
    finding = replayed()
    assert finding.outcome is Outcome.REJECT
    assert "was not shown" in finding.reason


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("changes", [{"differing": 1, "farthest": 0.25}, {"infinite": 1}, *({"farthest": bad} for bad in NONE)])
def test_one_row_that_differs_or_is_no_number_is_refused_wherever_it_shows(at, changes):
    replays = [APART, SINGLY]
    replays[at] = dataclasses.replace(replays[at], **changes)
    finding = replayed(*replays)
    assert finding.outcome is Outcome.REJECT
    assert replays[at].how in finding.reason
    assert replays[1 - at].how not in finding.reason


def test_the_reason_has_the_rows_the_farthest_difference_and_likely_causes():
    first = replayed(dataclasses.replace(APART, differing=12, farthest=0.31), SINGLY)
    assert "in a process of its own, 12 of 1,000 rows got another answer, the farthest by 0.31. Likely: other packages" in first.reason
    assert "the clock or the environment" in first.reason
    later = replayed(APART, dataclasses.replace(SINGLY, differing=100, farthest=0.2))
    assert (
        "one by one, 100 of 100 rows got another answer, the farthest by 0.2. Likely: a feature that looks at the other rows"
        in later.reason
    )
    assert "packages" not in later.reason
    assert (first.estimate, later.estimate) == (12.0, 100.0)


@pytest.mark.parametrize(
    ("first", "later", "outcome"),
    [
        (1_000, 100, Outcome.PASS),
        (999, 100, Outcome.REJECT),
        (1_000, 99, Outcome.REJECT),
    ],
)
def test_enough_rows_are_replayed_and_of_the_later_replays_a_hundred(first, later, outcome):
    assert replayed(dataclasses.replace(APART, rows=first), dataclasses.replace(SINGLY, rows=later)).outcome is outcome


def test_a_number_of_rows_that_is_none_is_not_enough():
    assert replayed(dataclasses.replace(APART, rows=np.nan)).outcome is Outcome.REJECT


@pytest.mark.parametrize(("rows", "outcome"), [(60, Outcome.PASS), (59, Outcome.REJECT)])
def test_where_training_had_few_rows_all_of_them_are_replayed_however_many_have_come_since(rows, outcome):
    whole = dataclasses.replace(APART, rows=60)
    part = dataclasses.replace(APART, rows=rows)
    assert replayed(part, whole, replayable=60).outcome is outcome
    assert replayed(whole, part, replayable=60).outcome is outcome


def test_few_golden_rows_where_there_were_more_to_take_are_not_enough():
    few = dataclasses.replace(APART, rows=60)
    finding = replayed(few, few, replayable=2_000, days=6, per_day=10)
    assert finding.outcome is Outcome.REJECT
    assert "in a process of its own, 60 rows were predicted again, of 1,000 needed" in finding.reason


@pytest.mark.parametrize("replayable", [0, -1])
def test_where_there_was_no_row_to_take_one_is_needed_all_the_same(replayable):
    none = dataclasses.replace(APART, rows=0)
    assert replayed(none, none, replayable=replayable).outcome is Outcome.REJECT


def test_of_no_row_at_all_nothing_is_shown():
    empty = given.take(given.make_evidence(replays=(dataclasses.replace(APART, rows=0),)), np.arange(0))
    assert parity(empty, POLICY, POLICY.alpha).outcome is Outcome.REJECT


def test_the_policy_says_how_many_rows_are_enough():
    few = GatePolicy(min_replayed=50)
    assert replayed(*(dataclasses.replace(one, rows=50) for one in (APART, SINGLY)), policy=few).outcome is Outcome.PASS
    assert replayed(dataclasses.replace(APART, rows=49), policy=few).outcome is Outcome.REJECT


def claim(expect="up", **changes):
    return Perturbation(**{"name": FOG, "change": lambda rows: rows, "expect": expect, **changes})


def reacted(moved, expect="up", **changes):
    return ask(behaviour, reactions=(Reaction(claim(expect, **changes), np.asarray(moved, dtype=float)),))


def moves(wrong, rest):
    """A hundred answers, of which the first `bad` move by `wrong` and the others by `rest`."""
    return lambda bad: np.where(np.arange(100) < bad, wrong, rest)


def test_a_contract_without_claims_passes_and_says_so():
    finding = ask(behaviour)
    assert finding.outcome is Outcome.PASS
    assert "declares none" in finding.reason


@pytest.mark.parametrize(
    ("expect", "wrong", "rest"), [("up", -0.2, 0.1), ("down", 0.2, -0.1), ("same", 0.2, 0.0), ("same", -0.2, 0.0), ("same", 0.2, 0.01)]
)
def test_a_claim_may_be_broken_on_a_twentieth_of_the_rows_and_no_more(expect, wrong, rest):
    some = moves(wrong, rest)
    kept = reacted(some(5), expect)
    assert (kept.outcome, kept.estimate, kept.threshold, kept.n) == (Outcome.PASS, 0.95, 0.95, 100)
    broken = reacted(some(6), expect)
    assert (broken.outcome, broken.estimate) == (Outcome.REJECT, 0.94)
    assert f"{FOG}: not so on 6% of 100 rows (at most 5%)" in broken.reason


@pytest.mark.parametrize(("expect", "sign"), [("up", -1), ("down", 1), ("same", -1), ("same", 1)])
def test_an_answer_may_move_the_wrong_way_by_the_tolerance_and_no_more(expect, sign):
    def outcome(far):
        return reacted(moves(sign * far, -sign * far if expect != "same" else sign * far)(20), expect, min_share=1.0).outcome

    assert outcome(0.01) is Outcome.PASS
    assert outcome(np.nextafter(0.01, 1)) is Outcome.REJECT


@pytest.mark.parametrize(("expect", "sign"), [("up", 1), ("down", -1)])
def test_the_mean_must_not_go_the_wrong_way_even_where_each_row_is_within_the_tolerance(expect, sign):
    assert reacted(np.zeros(100), expect).outcome is Outcome.PASS
    assert reacted(np.full(100, -sign * 1e-12), expect).outcome is Outcome.PASS
    finding = reacted(np.full(100, -sign * 0.009), expect)
    assert finding.outcome is Outcome.REJECT
    assert f"not so on average, over 100 rows the answer moves by {-sign * 0.009:+.3g}" in finding.reason


def test_a_mean_that_moves_says_nothing_against_staying_the_same():
    assert reacted(np.full(100, 0.009), "same").outcome is Outcome.PASS
    assert reacted(np.full(100, -0.009), "same").outcome is Outcome.PASS


@pytest.mark.parametrize("expect", ["up", "down", "same"])
@pytest.mark.parametrize("bad", NONE)
def test_an_answer_that_is_no_number_keeps_no_claim(expect, bad):
    finding = reacted(np.where(np.arange(1000) == 3, bad, 0.0), expect)
    assert finding.outcome is Outcome.REJECT
    assert "1 of 1,000 answers are missing or infinite" in finding.reason


@pytest.mark.parametrize("moved", [np.zeros(0), np.zeros((10, 2))])
def test_a_claim_that_was_tried_on_no_row_or_another_shape_is_not_kept(moved):
    finding = reacted(moved)
    assert finding.outcome is Outcome.REJECT
    assert f"could not be tried, got answers of shape {moved.shape}" in finding.reason


def test_each_claim_is_judged_and_the_nearest_to_its_limit_is_the_estimate():
    good, close = Reaction(claim(), np.full(50, 0.1)), Reaction(claim(name="Another airport's name moves nothing"), np.zeros(40))
    bad = Reaction(claim("down", name="A later hour is no safer"), np.full(30, 0.5))
    finding = ask(behaviour, reactions=(good, close, bad))
    assert finding.outcome is Outcome.REJECT
    assert (finding.estimate, finding.n) == (0.0, 30)
    assert FOG not in finding.reason
    assert "A later hour is no safer: not so on 100% of 30 rows" in finding.reason
    passed = ask(behaviour, reactions=(good, close))
    assert (passed.outcome, len(passed.details)) == (Outcome.PASS, 2)
    assert "Thicker fog makes no flight more punctual: so on 100% of 50 rows, +0.1 on average" in passed.reason


LIMITS = CostPolicy()
EDGES = [
    ("rows_per_second", LIMITS.min_rows_per_second, -1),
    ("memory_megabytes", LIMITS.max_memory_megabytes, 1),
    ("load_seconds", LIMITS.max_load_seconds, 1),
    ("megabytes", LIMITS.max_model_megabytes, 1),
]


def costing(limits=LIMITS, **changes):
    evidence = given.change(given.make_evidence(limits=limits), CANDIDATE, footprint=given.make_footprint(**changes))
    return cost(evidence, POLICY, POLICY.alpha)


def test_a_small_and_quick_model_passes_and_its_figures_are_told():
    finding = costing()
    assert (finding.outcome, finding.estimate, finding.threshold, finding.n) == (Outcome.PASS, pytest.approx(5.0), 250.0, 100)
    assert "a single row takes 5 ms, the slowest of 100 aside (at most 250)" in finding.reason
    assert "a batch runs at 50,000 rows/s (at least 1,000)" in finding.reason


def test_a_model_that_was_not_measured_is_refused():
    evidence = given.change(given.make_evidence(), CANDIDATE, footprint=None)
    finding = cost(evidence, POLICY, POLICY.alpha)
    assert finding.outcome is Outcome.REJECT
    assert "was not measured" in finding.reason


@pytest.mark.parametrize(("part", "limit", "worse"), EDGES)
def test_each_limit_is_allowed_and_beyond_it_nothing(part, limit, worse):
    assert costing(**{part: limit}).outcome is Outcome.PASS
    assert costing(**{part: np.nextafter(limit, worse * np.inf)}).outcome is Outcome.REJECT


@pytest.mark.parametrize("answers", [2, 40, 100])
@pytest.mark.parametrize(("seconds", "outcome"), [(0.25, Outcome.PASS), (0.2501, Outcome.REJECT)])
def test_the_slowest_answer_but_one_counts(seconds, outcome, answers):
    slow = np.where(np.arange(answers) < 2, seconds, 0.001)
    assert costing(one_row_seconds=slow).outcome is outcome
    assert costing(one_row_seconds=np.where(np.arange(answers) == 0, 9.0, 0.001)).outcome is Outcome.PASS


def test_of_a_thousand_answers_ten_may_be_slower():
    slow = [np.where(np.arange(1000) < count, 1.0, 0.001) for count in (10, 11)]
    assert [costing(one_row_seconds=seconds).outcome for seconds in slow] == [Outcome.PASS, Outcome.REJECT]


@pytest.mark.parametrize("bad", NONE)
@pytest.mark.parametrize("part", [part for part, *_ in EDGES])
def test_a_cost_that_is_no_number_is_not_affordable(part, bad):
    assert costing(**{part: bad}).outcome is Outcome.REJECT


@pytest.mark.parametrize("bad", NONE)
def test_one_answer_that_was_not_timed_is_enough_to_refuse(bad):
    assert costing(one_row_seconds=np.where(np.arange(1000) == 7, bad, 0.001)).outcome is Outcome.REJECT
    assert costing(one_row_seconds=np.array([])).outcome is Outcome.REJECT


def test_every_exceeded_limit_is_named_with_what_was_got_and_what_is_allowed():
    reason = costing(
        one_row_seconds=np.full(100, 0.3), rows_per_second=500.0, megabytes=250.0, memory_megabytes=2_100.0, load_seconds=31.0
    ).reason
    for told in (
        "300 ms",
        "(at most 250)",
        "500 rows/s (at least 1,000)",
        "250 MB (at most 200)",
        "2,100 MB of memory (at most 2,000)",
        "31 s",
    ):
        assert told in reason
    assert "ms" not in costing(megabytes=250.0).reason


def test_the_contract_says_what_can_be_afforded():
    assert costing(CostPolicy(max_one_row_milliseconds=4.9)).outcome is Outcome.REJECT
    assert costing(CostPolicy(min_rows_per_second=60_000.0)).outcome is Outcome.REJECT


def supported(support, policy=POLICY):
    return ask(representativeness, policy, support=support)


def test_rows_like_those_of_training_pass_up_to_the_limit():
    finding = supported(Support(rows=500, outside=25, features={"carrier": 25}))
    assert (finding.outcome, finding.estimate, finding.threshold, finding.n) == (Outcome.PASS, 0.05, 0.05, 500)
    assert supported(Support(rows=500, outside=26, features={"carrier": 26})).outcome is Outcome.HOLD
    assert supported(Support(rows=500, outside=26, features={}), GatePolicy(max_outside_share=0.052)).outcome is Outcome.PASS


def test_rows_unlike_those_of_training_are_held_with_the_worst_features_and_what_to_do():
    features = {"wind": 5, "carrier": 100, "hour": 5, "temp": 1}
    finding = supported(Support(rows=500, outside=105, features=features))
    assert finding.outcome is Outcome.HOLD
    assert "21% of 500 rows" in finding.reason
    assert finding.reason.endswith("(at most 5%): carrier on 20%, hour on 1%, wind on 1%.")
    assert finding.details == ("carrier on 20%", "hour on 1%", "wind on 1%", "temp on 0.2%")
    assert "Train on data that cover these rows" in finding.settle


def test_what_was_not_measured_is_held():
    finding = supported(None)
    assert finding.outcome is Outcome.HOLD
    assert "was not measured" in finding.reason
    assert finding.settle


def test_when_nothing_waits_there_is_nothing_to_compare():
    finding = supported(Support(rows=0, outside=0, features={}))
    assert finding.outcome is Outcome.PASS
    assert "Nothing waits" in finding.reason


@pytest.mark.parametrize(("rows", "outside"), [(np.nan, 0), (500, np.nan), (-5, 0), (500, -1), (500, np.inf)])
def test_counts_that_are_none_are_held(rows, outside):
    assert supported(Support(rows=rows, outside=outside, features={"wind": 3})).outcome is Outcome.HOLD


def test_how_well_rows_can_be_told_from_training_is_told_and_decides_nothing():
    finding = supported(Support(rows=500, outside=0, features={}, separable=0.998))
    assert finding.outcome is Outcome.PASS
    assert "AUC of 0.998" in finding.details[0]
    assert "AUC" not in finding.reason


def test_one_replay_does_not_show_that_batches_change_nothing():
    evidence = given.make_evidence()
    once = dataclasses.replace(evidence, replays=evidence.replays[:1])
    assert parity(once, POLICY, 0.01).outcome is Outcome.REJECT
    assert parity(evidence, POLICY, 0.01).outcome is Outcome.PASS


@pytest.mark.parametrize(("champion", "outcome"), [(None, Outcome.HOLD), (99, Outcome.HOLD), (100, Outcome.PASS), (400, Outcome.PASS)])
def test_a_candidate_is_not_held_for_rows_that_the_champion_has_seen_even_less_of(champion, outcome):
    assert supported(Support(rows=500, outside=100, features={"wind": 100}, champion_outside=champion)).outcome is outcome
