"""What holds of the gate whatever checks it has: no luck, no missing number and no order of things promotes."""

import dataclasses
from datetime import UTC, datetime

import gate_evidence
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.gate.checks import CHECKS
from evergreen.gate.decision import judge
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, RULE_OF_THUMB, Promise, Reaction, Replay, Support
from evergreen.gate.finding import Outcome, Verdict
from evergreen.gate.ledger import FIRST, GATE, Budget
from evergreen.policies import GatePolicy, Perturbation

POLICY = GatePolicy()
NAMES = {check.__name__ for check in CHECKS}
N = 25 * 40
quick = settings(max_examples=25, deadline=None, derandomize=True)
bad_numbers = st.sampled_from([np.nan, np.inf, -np.inf])
rows = st.integers(0, N - 1)


def evidence_of(saved=0.3, spread=0.1, *, first=False, seed=0, **changes):
    """A small holdout on which a candidate, with a claim that it keeps, saves this much."""
    moved = np.random.default_rng(seed).random(50) * 0.1
    claim = Perturbation(name="Thicker fog makes no flight more punctual", change=lambda one: one, expect="up")
    changes = {"reactions": (Reaction(claim, moved),), **changes}
    evidence = gate_evidence.make_evidence(days=25, per_day=40, first=first, seed=seed, **changes)
    for other in () if first else (CHAMPION, ANCHOR):
        evidence = gate_evidence.saving(evidence, saved, spread=spread, over=other, seed=seed + 1)
    return evidence


def decide(evidence, checks=CHECKS):
    first = CHAMPION not in evidence.contenders
    alpha, allowed = (POLICY.alpha_first, POLICY.alpha_first) if first else (POLICY.alpha, POLICY.alpha_per_year)
    budget = Budget(alpha, 0.0, allowed, allowed, "key", False, FIRST if first else GATE, datetime(2013, 6, 9, tzinfo=UTC))
    return judge(evidence, POLICY, budget=budget, checks=checks)


def spoilt(values, at, bad):
    """A copy as floats in which one value, or row, is `bad`."""
    values = np.array(values, dtype=float)
    values[at % len(values)] = bad
    return values


def footprint(**changes):
    return lambda evidence: gate_evidence.change(evidence, CANDIDATE, footprint=gate_evidence.make_footprint(**changes))


def part(**changes):
    return lambda evidence: dataclasses.replace(evidence, **changes)


def reaction(evidence, moved):
    return dataclasses.replace(evidence, reactions=(dataclasses.replace(evidence.reactions[0], moved=moved),))


def test_the_evidence_that_is_spoilt_below_would_be_promoted():
    assert decide(evidence_of()).verdict is Verdict.PROMOTE
    assert decide(evidence_of(first=True)).verdict is Verdict.PROMOTE


@quick
@given(
    what=st.sampled_from(["measure", "cost", "probability", "decision"]),
    name=st.sampled_from([CANDIDATE, CHAMPION, ANCHOR]),
    at=rows,
    bad=bad_numbers,
    first=st.booleans(),
)
def test_a_contender_with_a_number_that_is_none_is_never_compared(what, name, at, bad, first):
    evidence = evidence_of(first=first)
    name = CANDIDATE if first else name
    changed = {what: spoilt(getattr(evidence.contenders[name], what), at, bad)}
    assert decide(gate_evidence.change(evidence, name, **changed)).verdict is Verdict.REJECT


@quick
@given(at=rows, bad=bad_numbers, first=st.booleans())
def test_an_outcome_that_is_no_number_is_never_judged(at, bad, first):
    evidence = evidence_of(first=first)
    assert decide(dataclasses.replace(evidence, y=spoilt(evidence.y, at, bad))).verdict is Verdict.REJECT


@quick
@given(what=st.sampled_from(["measure", "cost", "decision", "probability"]), name=st.sampled_from([CANDIDATE, CHAMPION, RULE_OF_THUMB]))
def test_a_contender_without_a_value_for_each_row_is_never_compared(what, name):
    assert decide(gate_evidence.change(evidence_of(), name, **{what: np.zeros(0)})).verdict is Verdict.REJECT


@quick
@given(count=st.integers(0, 499), first=st.booleans())
def test_a_holdout_of_a_handful_of_rows_never_promotes(count, first):
    assert decide(gate_evidence.take(evidence_of(first=first), np.arange(count) * 2)).verdict is not Verdict.PROMOTE


def spoilt_numbers(bad):
    """Evidence with one number that is none, by the check that must see it and what it is."""
    whole = Replay("in a process of its own", N, 0, 0.0, 0)
    promise, support = Promise(saving=1.0, se=0.1, clusters=60, rows=3_000), Support(rows=500, outside=0, features={})
    return {
        ("parity", "farthest"): part(replays=(dataclasses.replace(whole, farthest=bad),)),
        ("parity", "rows"): part(replays=(dataclasses.replace(whole, rows=np.nan),)),
        ("parity", "second"): part(replays=(whole, dataclasses.replace(whole, differing=bad))),
        ("parity", "infinite"): part(replays=(whole, dataclasses.replace(whole, infinite=bad))),
        ("generalization", "saving"): part(promise=dataclasses.replace(promise, saving=bad)),
        ("generalization", "se"): part(promise=dataclasses.replace(promise, se=bad)),
        ("stability", "one seed"): part(seeds={7: 5.0, 8: bad, 9: 5.0}),
        ("stability", "all seeds"): part(seeds=dict.fromkeys((7, 8, 9), bad)),
        ("behaviour", "one row"): lambda evidence: reaction(evidence, spoilt(evidence.reactions[0].moved, 3, bad)),
        ("behaviour", "all rows"): lambda evidence: reaction(evidence, np.full(50, bad)),
        ("cost", "latency"): footprint(one_row_seconds=spoilt(np.full(100, 0.005), 3, bad)),
        **{("cost", name): footprint(**{name: bad}) for name in ("rows_per_second", "memory_megabytes", "load_seconds", "megabytes")},
        ("representativeness", "outside"): part(support=dataclasses.replace(support, outside=bad)),
        ("representativeness", "rows"): part(support=dataclasses.replace(support, rows=np.nan)),
        ("shadow", "failed"): part(shadow=gate_evidence.make_shadowed(failed=bad)),
        ("shadow", "measure"): part(shadow=spoilt_in_shadow(bad)),
    }


def spoilt_in_shadow(bad):
    """A candidate that is better in shadow, and whose cost is no number on one row."""
    seen = gate_evidence.make_shadowed(0.5)
    mine = dataclasses.replace(seen.things.shadow, measure=spoilt(seen.things.shadow.measure, 3, bad))
    return dataclasses.replace(seen, things=dataclasses.replace(seen.things, shadow=mine))


NOTHING = {
    ("data", "no verdict"): part(data=()),
    ("provenance", "no digest"): part(provenance={}),
    ("leakage", "no features of the rows"): lambda evidence: dataclasses.replace(evidence, features=evidence.features[:0]),
    ("parity", "no replay"): part(replays=()),
    ("parity", "no row"): part(replays=(Replay("in a process of its own", 0, 0, 0.0, 0),)),
    ("generalization", "no promise"): part(promise=None),
    ("stability", "no seeds"): part(seeds=None),
    ("stability", "not one seed"): part(seeds={}),
    ("behaviour", "no row"): lambda evidence: reaction(evidence, np.zeros(0)),
    ("cost", "no footprint"): lambda evidence: gate_evidence.change(evidence, CANDIDATE, footprint=None),
    ("cost", "no call"): footprint(one_row_seconds=np.zeros(0)),
    ("representativeness", "no support"): part(support=None),
}


def judged_here(cases):
    """Those of checks that this gate has."""
    return [case for case in cases if case[0] in NAMES]


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", judged_here(spoilt_numbers(np.nan)), ids=" ".join)
def test_a_number_that_is_none_never_promotes_and_its_check_says_so(case, bad, first):
    decision = decide(spoilt_numbers(bad)[case](evidence_of(first=first)))
    assert decision.verdict is not Verdict.PROMOTE
    assert outcomes(decision)[case[0]] is not Outcome.PASS


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("case", judged_here(NOTHING), ids=" ".join)
def test_nothing_instead_of_evidence_never_promotes_and_its_check_says_so(case, first):
    decision = decide(NOTHING[case](evidence_of(first=first)))
    assert decision.verdict is not Verdict.PROMOTE
    assert outcomes(decision)[case[0]] is not Outcome.PASS


def outcomes(decision):
    return {finding.check: finding.outcome for finding in decision.findings}


@quick
@given(
    saved=st.floats(-0.5, 0.5),
    spread=st.floats(0, 1),
    seed=st.integers(0, 20),
    worse=st.floats(0, 5),
    first=st.booleans(),
)
def test_a_candidate_that_is_worse_on_every_row_is_never_promoted_where_the_better_one_was_not(saved, spread, seed, worse, first):
    # by the same amount on every row: a worsening that also made rows more alike, or less, would move any interval's other bound
    evidence = evidence_of(saved, spread, first=first, seed=seed)
    before = decide(evidence)
    assert outcomes(before)["leakage"] is not Outcome.HOLD, "too good to be true is the one thing that being worse heals"
    after = decide(gate_evidence.change(evidence, CANDIDATE, measure=evidence.contenders[CANDIDATE].measure + worse))
    rank = [Verdict.REJECT, Verdict.HOLD, Verdict.PROMOTE]
    assert rank.index(after.verdict) <= rank.index(before.verdict)


def test_too_good_to_be_true_is_the_one_thing_that_being_worse_heals():
    evidence = evidence_of()
    for measure, verdict in ((0.0, Verdict.HOLD), (1.0, Verdict.PROMOTE)):
        perfect = gate_evidence.change(evidence, CANDIDATE, measure=np.full(N, measure))
        assert decide(perfect).verdict is verdict


@quick
@given(
    saved=st.sampled_from([-0.3, -0.1, 0.0, 0.2]), spread=st.sampled_from([0.1, 0.4, 1.0]), seed=st.integers(0, 1000), first=st.booleans()
)
def test_no_order_of_rows_columns_contenders_or_checks_changes_a_verdict_or_a_number(saved, spread, seed, first):
    evidence = evidence_of(saved, spread, first=first, seed=seed % 3)
    rng = np.random.default_rng(seed)

    def mixed(things):
        return [things[at] for at in rng.permutation(len(things))]

    other = gate_evidence.take(evidence, rng.permutation(N))
    other = dataclasses.replace(
        other,
        features=other.features[mixed(list(other.features))],
        slices=other.slices[mixed(list(other.slices))],
        contenders=dict(mixed(list(other.contenders.items()))),
        trivial=dict(mixed(list(other.trivial.items()))),
        provenance=dict(mixed(list(other.provenance.items()))),
        data=tuple(mixed(other.data)),
        reactions=tuple(dataclasses.replace(one, moved=one.moved[rng.permutation(50)]) for one in other.reactions),
    )
    expected, got = decide(evidence), decide(other, checks=tuple(mixed(CHECKS)))
    assert got.verdict is expected.verdict
    assert got.rebase_anchor is expected.rebase_anchor
    assert got.margin_next == pytest.approx(expected.margin_next, rel=1e-9)
    found = {finding.check: finding for finding in got.findings}
    for finding in expected.findings:
        assert numbers(found[finding.check]) == (finding.outcome, pytest.approx(numbers(finding)[1], rel=1e-9, abs=1e-12, nan_ok=True))


def numbers(finding):
    parts = (finding.estimate, finding.low, finding.high, finding.threshold, finding.n)
    return finding.outcome, [np.nan if one is None else float(one) for one in parts]
