from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy.contract import PROBLEM
from workspaces import changed, toy_frame

from evergreen.data.snapshots import row_fingerprints
from evergreen.errors import ContractError
from evergreen.evaluation import Predicted, central_cost, measure
from evergreen.gate.collection import ModelAnswer, Origin, collect_evidence
from evergreen.gate.evidence import CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, DataVerdict, Evidence
from evergreen.policies import ForwardSplit, GatePolicy, HashedSplit
from evergreen.splitting import Split, split_rows

PROBLEM_OF_DAYS = changed(split=ForwardSplit(holdout_days=3, min_train_days=3))
SPLIT = split_rows(toy_frame(10), PROBLEM_OF_DAYS)
N = len(SPLIT.holdout)
P = np.linspace(0, 1, N)
ORIGIN = Origin({"snapshot": "s1"}, {"snapshot": "s2"}, [DataVerdict("stock", passed=True)], 0.1, {"seconds": 1.5})


def answer(version: int, probability: np.ndarray = P) -> ModelAnswer:
    return ModelAnswer(version, Predicted((probability >= 1 / 3).astype(int), probability), np.array([9, 3], dtype=np.uint64), "2026-01-09")


def collect(problem: Any = PROBLEM_OF_DAYS, split: Split = SPLIT, **answers: ModelAnswer) -> Evidence:
    told = {CANDIDATE: answer(2)} | answers
    return collect_evidence(problem, split, told, ORIGIN)


def test_all_contenders_stand_side_by_side_on_the_holdout_rows():
    evidence = collect(champion=answer(1, 1 - P))
    assert set(evidence.contenders) == {CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB}
    assert set(evidence.trivial) == {"always 0", "always 1"}
    assert (evidence.rows == row_fingerprints(SPLIT.holdout, "order_id")).all()
    assert (evidence.y == SPLIT.holdout["returned"]).all()
    for one in (*evidence.contenders.values(), *evidence.trivial.values()):
        assert {len(one.measure), len(one.cost), len(one.decision)} == {N}


def test_each_contender_costs_what_its_own_answers_cost():
    evidence = collect(champion=answer(1, 1 - P))
    said = answer(1, 1 - P).predicted
    champion = evidence.contenders[CHAMPION]
    assert (champion.measure == measure(PROBLEM, SPLIT.holdout, evidence.y, said)).all()
    assert (champion.cost == central_cost(PROBLEM, SPLIT.holdout, evidence.y, said)).all()
    assert (champion.version, champion.training_end) == (1, "2026-01-09")
    assert champion.training_rows.tolist() == [3, 9]
    rule = evidence.contenders[RULE_OF_THUMB]
    assert (rule.decision == (SPLIT.holdout["product"] == "shoe")).all()
    assert (rule.probability, rule.version) == (None, None)
    assert evidence.trivial["always 1"].cost.tolist() == [0.0 if one else 10.0 for one in evidence.y]


def test_the_dummy_knows_the_training_rows_only():
    turned = Split(SPLIT.train.assign(returned=1 - SPLIT.train["returned"]), SPLIT.holdout, SPLIT.start, SPLIT.end)
    share = SPLIT.train["returned"].mean()
    assert collect().contenders[DUMMY].probability[0] == pytest.approx(share)
    assert collect(split=turned).contenders[DUMMY].probability[0] == pytest.approx(1 - share)


def test_features_slices_and_clusters_are_those_of_the_contract():
    evidence = collect()
    assert list(evidence.features) == list(PROBLEM.features)
    assert list(evidence.slices) == ["region"]
    assert evidence.slices.index.tolist() == list(range(N))
    assert np.unique(evidence.cluster).tolist() == ["2026-01-12", "2026-01-13", "2026-01-14"]
    by_customer = collect(changed(PROBLEM_OF_DAYS, gate=GatePolicy(cluster="customer_id")))
    assert by_customer.cluster.tolist() == SPLIT.holdout["customer_id"].tolist()


def test_what_was_recorded_and_what_was_found_stay_apart():
    evidence = collect()
    assert (evidence.provenance, evidence.provenance_now) == ({"snapshot": "s1"}, {"snapshot": "s2"})
    assert evidence.data == (DataVerdict("stock", passed=True),)
    assert (evidence.margin, evidence.good_enough, evidence.embargo_seconds) == (0.1, 0.05, 86400)
    assert (evidence.holdout_start, evidence.holdout_end) == (SPLIT.start.isoformat(), SPLIT.end.isoformat())
    assert evidence.facts == {"seconds": 1.5}


def test_a_probability_that_is_no_number_reaches_the_gate():
    evidence = collect(candidate=answer(2, np.where(np.arange(N) == 3, np.nan, P)))
    assert np.flatnonzero(np.isnan(evidence.contenders[CANDIDATE].measure)).tolist() == [3]
    assert np.isnan(evidence.contenders[CANDIDATE].probability[3])


def test_a_row_that_was_given_something_late_reaches_the_gate():
    late = SPLIT.holdout.assign(**{"stock.observed_at": SPLIT.holdout["ordered_at"]})
    assert collect().late_features == ()
    assert collect(split=Split(SPLIT.train, late, SPLIT.start, SPLIT.end)).late_features == ("stock",)


def test_data_without_time_have_no_bounds():
    hashed = changed(split=HashedSplit(group="customer_id"))
    split = split_rows(toy_frame(10), hashed)
    evidence = collect_evidence(hashed, Split(split.train, split.holdout, None, None), {}, replace(ORIGIN, margin=None))
    assert (evidence.holdout_start, evidence.holdout_end, evidence.margin) == (None, None, None)


def test_a_rule_of_thumb_of_the_wrong_shape_is_told():
    rule = changed(PROBLEM.business.rule_of_thumb, decide=lambda rows: np.ones(3))
    with pytest.raises(ContractError, match=rf"rule_of_thumb.*shape \(3,\).*{N}"):
        collect(changed(PROBLEM_OF_DAYS, business=changed(PROBLEM.business, rule_of_thumb=rule)))


def test_collecting_changes_nothing_in_the_rows_given():
    before = SPLIT.holdout.copy(deep=True)
    collect()
    pd.testing.assert_frame_equal(SPLIT.holdout, before)
