import dataclasses

import gate_evidence as given
import numpy as np
import pytest

from evergreen.gate.checks_data import data, finite, hygiene, provenance, size
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, DataVerdict
from evergreen.gate.finding import Outcome
from evergreen.policies import GatePolicy

POLICY = GatePolicy()


def ask(check, evidence, policy=POLICY):
    return check(evidence, policy, policy.alpha)


@pytest.mark.parametrize("check", [provenance, data, finite, size, hygiene])
@pytest.mark.parametrize("first", [True, False])
def test_sound_evidence_passes(check, first):
    finding = ask(check, given.make_evidence(first=first))
    assert (finding.check, finding.outcome) == (check.__name__, Outcome.PASS)


@pytest.mark.parametrize("digest", given.DIGESTS)
def test_provenance_refuses_what_is_no_longer_what_was_recorded(digest):
    finding = ask(provenance, given.make_evidence(provenance_now={**given.DIGESTS, digest: "other"}))
    assert finding.outcome is Outcome.REJECT
    assert f"the {digest} is no longer the one recorded" in finding.reason


@pytest.mark.parametrize("recorded", [{}, {**given.DIGESTS, "lock": ""}])
def test_provenance_refuses_digests_that_were_never_recorded(recorded):
    finding = ask(provenance, given.make_evidence(provenance=recorded, provenance_now=recorded))
    assert finding.outcome is Outcome.REJECT
    assert "no digest of the lock was recorded" in finding.reason


def test_provenance_refuses_what_cannot_be_computed_again():
    now = {name: digest for name, digest in given.DIGESTS.items() if name != "artefact"}
    assert ask(provenance, given.make_evidence(provenance_now=now)).outcome is Outcome.REJECT


def test_data_that_broke_an_expectation_are_refused_by_name():
    verdicts = (DataVerdict("weather", passed=True), DataVerdict("training frame", passed=False, failed=("hour is between 0 and 23",)))
    finding = ask(data, given.make_evidence(data=verdicts))
    assert finding.outcome is Outcome.REJECT
    assert "training frame (hour is between 0 and 23)" in finding.reason
    assert "weather" not in finding.reason


def test_data_that_nobody_validated_are_refused():
    assert ask(data, given.make_evidence(data=())).outcome is Outcome.REJECT


@pytest.mark.parametrize("part", ["measure", "cost", "probability"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [CANDIDATE, CHAMPION])
def test_numbers_that_are_none_are_refused_with_name_and_count(part, bad, name):
    evidence = given.make_evidence()
    values = getattr(evidence.contenders[name], part).astype(float).copy()
    values[[3, 5]] = bad
    finding = ask(finite, given.change(evidence, name, **{part: values}))
    assert finding.outcome is Outcome.REJECT
    assert f"{name}'s {part} is missing or infinite on 2 of 2,000 rows" in finding.reason


def test_a_probability_of_more_than_one_is_refused():
    evidence = given.make_evidence()
    probability = evidence.contenders[CANDIDATE].probability.copy()
    probability[0] = 1.0
    assert ask(finite, given.change(evidence, CANDIDATE, probability=probability)).outcome is Outcome.PASS
    probability[0] = 1.0001
    assert ask(finite, given.change(evidence, CANDIDATE, probability=probability)).outcome is Outcome.REJECT


def test_predictions_for_other_rows_are_refused():
    evidence = given.make_evidence()
    finding = ask(finite, given.change(evidence, CANDIDATE, measure=evidence.contenders[CANDIDATE].measure[:-1]))
    assert finding.outcome is Outcome.REJECT
    assert "candidate's measure has shape (1999,) instead of (2000,)" in finding.reason


@pytest.mark.parametrize("missing", [CANDIDATE, DUMMY, CHAMPION, ANCHOR])
def test_a_missing_contender_is_refused(missing):
    assert ask(finite, given.without(given.make_evidence(), missing)).outcome is Outcome.REJECT


def test_outcomes_or_clusters_that_are_missing_are_refused():
    evidence = given.make_evidence()
    y = evidence.y.astype(float)
    y[7] = np.nan
    assert "y is missing or infinite on 1 of" in ask(finite, dataclasses.replace(evidence, y=y)).reason
    cluster = evidence.cluster.copy()
    cluster[7] = None
    assert "cluster is missing or infinite on 1 of" in ask(finite, dataclasses.replace(evidence, cluster=cluster)).reason


def test_gate_holds_when_the_holdout_is_too_small():
    finding = ask(size, given.make_evidence(days=25, per_day=19))
    assert finding.outcome is Outcome.HOLD
    assert "475 rows, of 500 needed" in finding.reason
    assert "25 more rows" in finding.settle


def test_the_smallest_holdout_that_is_enough_passes():
    evidence = given.make_evidence(days=20, per_day=25)
    events = int(evidence.y.sum())
    assert ask(size, evidence, GatePolicy(min_events=events)).outcome is Outcome.PASS
    finding = ask(size, evidence, GatePolicy(min_events=events + 1))
    assert finding.outcome is Outcome.HOLD
    assert "Wait for 1 more rows of class 1" in finding.settle


def test_gate_holds_when_one_class_is_missing():
    evidence = given.make_evidence()
    finding = ask(size, dataclasses.replace(evidence, y=np.zeros_like(evidence.y)))
    assert finding.outcome is Outcome.HOLD
    assert "0 rows of class 1, of 50 needed" in finding.reason
    alone = ask(size, dataclasses.replace(evidence, y=np.zeros_like(evidence.y), trivial={}))
    assert alone.outcome is Outcome.HOLD
    assert "0 rows of any other class" in alone.reason


@pytest.mark.parametrize("kind", [int, str])
def test_gate_holds_when_a_class_of_several_that_training_knows_is_missing(kind: type):
    evidence = given.make_evidence()
    trivial = {
        f"always {value}": dataclasses.replace(evidence.trivial["always 0"], decision=np.full(2000, kind(value))) for value in (0, 1, 2)
    }
    several = dataclasses.replace(evidence, task="multiclass", y=evidence.y.astype(kind), trivial=trivial)
    finding = ask(size, several)
    assert finding.outcome is Outcome.HOLD
    assert finding.reason == "Too little to go by: 0 rows of class 2, of 50 needed."
    del trivial["always 2"]
    assert ask(size, several).outcome is Outcome.PASS


def test_few_clusters_hold_unless_rows_are_independent():
    evidence = given.make_evidence(days=19, per_day=100)
    assert ask(size, evidence).settle == "Wait for 1 more clusters (day)."
    assert ask(size, evidence, GatePolicy(cluster="row")).outcome is Outcome.PASS


@pytest.mark.parametrize("name", [CANDIDATE, CHAMPION, ANCHOR, DUMMY])
def test_one_holdout_row_in_the_training_rows_of_any_contender_is_refused(name):
    rows = np.array([1999, 50_000_000], dtype=np.uint64)
    finding = ask(hygiene, given.change(given.make_evidence(), name, training_rows=rows))
    assert finding.outcome is Outcome.REJECT
    assert "was trained on 1 of 2,000 holdout rows" in finding.reason


def test_fingerprints_that_differ_in_the_last_bit_are_different_rows():
    evidence = given.make_evidence(rows=np.arange(2000, dtype=np.uint64) * 2 + 2**63)
    near = np.arange(2000, dtype=np.uint64) * 2 + 2**63 + 1
    assert ask(hygiene, given.change(evidence, CHAMPION, training_rows=near)).outcome is Outcome.PASS
    with pytest.raises(ValueError, match="uint64"):
        ask(hygiene, given.change(evidence, CHAMPION, training_rows=near.astype(float)))


@pytest.mark.parametrize("rows", [None, np.array([], dtype=np.uint64)])
def test_a_champion_whose_training_rows_are_unknown_is_refused(rows):
    finding = ask(hygiene, given.change(given.make_evidence(), CHAMPION, training_rows=rows))
    assert finding.outcome is Outcome.REJECT
    assert "champion (version 6)" in finding.reason
    assert "cannot be shown to be unseen" in finding.reason


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("2013-04-29T00:00:00+00:00", Outcome.PASS),  # two days of embargo to the minute
        ("2013-04-29T00:00:01+00:00", Outcome.REJECT),
        ("2013-05-20T00:00:00+00:00", Outcome.REJECT),
        (None, Outcome.REJECT),
    ],
)
def test_training_must_end_an_embargo_before_the_holdout(end, outcome):
    assert ask(hygiene, given.change(given.make_evidence(), CANDIDATE, training_end=end)).outcome is outcome


def test_data_without_time_need_no_embargo():
    evidence = given.change(given.make_evidence(holdout_start=None), CANDIDATE, training_end=None)
    assert ask(hygiene, evidence).outcome is Outcome.PASS


def test_features_from_the_future_are_refused_by_name():
    finding = ask(hygiene, given.make_evidence(late_features=("dep_delay",)))
    assert finding.outcome is Outcome.REJECT
    assert "dep_delay" in finding.reason


def test_a_holdout_row_that_is_there_twice_is_refused():
    evidence = given.make_evidence()
    rows = evidence.rows.copy()
    rows[1] = rows[0]
    assert "1 holdout rows are there twice" in ask(hygiene, dataclasses.replace(evidence, rows=rows)).reason
