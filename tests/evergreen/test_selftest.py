import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workspaces import changed, deliver_days, ingest, open_space, toy_frame

from evergreen.errors import DataError, RefusedError
from evergreen.gate import decision
from evergreen.gate.checks import CHECKS
from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.policies import CostPolicy, GatePolicy
from evergreen.selftest.planted import Defective, overfitted, underfitted
from evergreen.selftest.running import Result, run_selftest
from evergreen.selftest.trials import TRIALS, Trial, contaminate, leak, no_carrier, shuffle_labels
from evergreen.splitting import split_rows
from evergreen.workspace import Workspace

NAMES = [trial.name for trial in TRIALS]
PROBLEM = changed(cost=CostPolicy(max_one_row_milliseconds=150.0))
SPLIT = split_rows(toy_frame(80), PROBLEM)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The toy problem with 130 days of deliveries."""
    space = open_space(tmp_path_factory.mktemp("toy"), problem=PROBLEM)
    deliver_days(space, 130)
    ingest(space)
    return space


@pytest.fixture(scope="module")
def results(space: Workspace) -> dict[str, Result]:
    return {one.trial.name: one for one in run_selftest(space)}


@pytest.mark.parametrize("name", [trial.name for trial in TRIALS if trial.caught_by])
def test_every_planted_defect_is_refused_by_a_check_that_is_meant_for_it(results: dict[str, Result], name: str):
    one = results[name]
    assert one.verdict in (Verdict.HOLD, Verdict.REJECT), one.stopped_by
    assert {*one.trial.caught_by} & {*one.caught_by}
    assert one.passed


def test_an_honest_retrain_is_not_rejected(results: dict[str, Result]):
    honest = results["honest"]
    assert honest.verdict is not Verdict.REJECT, [finding for finding in honest.findings if finding.outcome is not Outcome.PASS]
    assert honest.passed


def test_an_honest_candidate_and_nine_defects_are_tried():
    assert [
        *("honest", "leak", "shuffled labels", "underfit", "overfit", "contaminated holdout"),
        *("skewed artefact", "slice failure", "slow model", "NaN model"),
    ] == NAMES


def test_it_leaves_the_problems_own_journal_and_registry_as_they_were(space: Workspace, results: dict[str, Result]):
    assert results
    assert space.registry.versions() == []
    assert not (space.settings.root / "mlflow.db").exists() or space.registry.aliases() == {}


@pytest.mark.parametrize("name", ["leak", "contaminated holdout", "slow model"])
def test_a_gate_without_the_check_lets_the_defect_through_and_the_self_test_says_so(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
):
    trial = next(trial for trial in TRIALS if trial.name == name)
    fewer = tuple(check for check in CHECKS if check.__name__ not in trial.caught_by)
    judge = decision.judge
    monkeypatch.setattr("evergreen.selftest.running.judge", lambda *given, **named: judge(*given, **named, checks=fewer))
    (one,) = run_selftest(space, only=[name])
    assert not one.passed


def test_a_defect_that_another_check_stops_by_chance_is_not_taken_for_caught():
    found = Finding("size", "No verdict rests on a handful of cases.", Outcome.HOLD, "too few")
    assert not Result(Trial("leak", "", ("leakage",)), Verdict.HOLD, (found,)).passed
    assert Result(Trial("leak", "", ("size",)), Verdict.HOLD, (found,)).passed
    assert not Result(Trial("leak", "", ("size",)), Verdict.PROMOTE, (found,)).passed
    assert Result(Trial("honest", ""), Verdict.HOLD, (found,)).passed
    assert not Result(Trial("honest", ""), Verdict.REJECT, (found,)).passed


@pytest.mark.parametrize(
    ("honest", "found", "caught"),
    [
        (Outcome.PASS, Outcome.HOLD, True),
        (Outcome.PASS, Outcome.ERROR, True),
        (Outcome.HOLD, Outcome.HOLD, False),
        (Outcome.HOLD, Outcome.REJECT, True),
        (Outcome.HOLD, Outcome.ERROR, True),
        (Outcome.ERROR, Outcome.REJECT, False),
        (Outcome.REJECT, Outcome.ERROR, False),
    ],
)
def test_a_check_has_caught_a_defect_where_it_says_worse_of_it_than_of_the_honest_candidate(honest: Outcome, found: Outcome, caught: bool):
    one, usual = (Finding("champion", "", outcome, "") for outcome in (found, honest))
    result = Result(Trial("underfit", "", ("champion",)), Verdict.HOLD, (one,), usual=(usual,))
    assert result.passed is caught


def test_a_check_that_holds_everybody_for_want_of_days_has_caught_nobody(space: Workspace):
    short = Workspace(space.settings, changed(PROBLEM, gate=GatePolicy(min_clusters=100)), space.journal)
    (one,) = run_selftest(short, only=["underfit"])
    assert {finding.check: finding.outcome for finding in one.usual}["champion"] is Outcome.HOLD
    assert "champion" in one.stopped_by
    assert "champion" not in one.caught_by


def test_a_problem_without_slices_is_told_what_was_not_tried(space: Workspace):
    without = Workspace(space.settings, changed(PROBLEM, slices=()), space.journal)
    (one,) = run_selftest(without, only=["slice failure"])
    assert (one.verdict, one.impossible, one.passed) == (None, "the contract declares no slices", True)


def test_an_unknown_name_is_refused_with_those_that_there_are(space: Workspace):
    with pytest.raises(RefusedError, match=r"There is no trial 'leek'; there are: honest, leak, "):
        list(run_selftest(space, only=["leek"]))


def test_without_data_it_says_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match="Nothing has been published yet"):
        list(run_selftest(open_space(tmp_path, problem=PROBLEM)))


def test_a_leak_keeps_the_kind_of_the_column_that_it_is_planted_into():
    target = PROBLEM.target.name
    for feature in PROBLEM.features:
        problem = changed(PROBLEM, features=(feature,))
        _, planted = leak(problem, SPLIT)
        for part in ("train", "holdout"):
            before, after = getattr(SPLIT, part), getattr(planted, part)
            told = after.groupby(target)[feature].nunique()
            assert told.tolist() == [1, 1]
            assert after[feature].nunique() == 2
            assert pd.api.types.is_numeric_dtype(after[feature]) == pd.api.types.is_numeric_dtype(before[feature])
            assert feature == "product" or after[feature].dtype == float


def test_where_no_feature_can_carry_the_answer_that_is_told():
    few = dataclasses.replace(SPLIT, train=SPLIT.train.assign(product="shoe"))
    texts = changed(PROBLEM, features=("product",))
    assert "no feature is a number" in str(no_carrier(texts, few))
    assert no_carrier(texts, SPLIT) is None
    assert "no feature is a number" in str(no_carrier(texts.model_copy(update={"task": "regression"}), SPLIT))


def test_labels_are_shuffled_in_training_alone():
    target = PROBLEM.target.name
    _, planted = shuffle_labels(PROBLEM, SPLIT)
    assert planted.train[target].sum() == SPLIT.train[target].sum()
    assert abs(np.corrcoef(planted.train[target], SPLIT.train[target])[0, 1]) < 0.05
    pd.testing.assert_frame_equal(planted.holdout, SPLIT.holdout)


def test_half_of_the_holdout_is_learnt_from():
    _, planted = contaminate(PROBLEM, SPLIT)
    assert len(planted.train) - len(SPLIT.train) == (len(SPLIT.holdout) + 1) // 2


def test_a_defective_estimator_is_what_it_holds_but_for_its_defect():
    X, y = SPLIT.train[list(PROBLEM.features)], SPLIT.train[PROBLEM.target.name].to_numpy()
    plain = PROBLEM.build_estimator().fit(X, y).predict_proba(X)
    slow = Defective(PROBLEM.build_estimator(), "slow", seconds=0.0).fit(X, y)
    np.testing.assert_array_equal(slow.predict_proba(X), plain)
    strange = Defective(PROBLEM.build_estimator(), "not a number").fit(X, y).predict_proba(X)
    assert 0.005 < np.isnan(strange).any(axis=1).mean() < 0.02
    around = Defective(PROBLEM.build_estimator(), "looks around").fit(X, y)
    assert np.abs(around.predict_proba(X)[:7] - around.predict_proba(X.head(7))).max() > 0.01


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_stand_ins_take_any_table(task: str):
    X = SPLIT.train[["product", "amount", "ordered_at"]].assign(amount=SPLIT.train["amount"].mask(SPLIT.train["amount"] > 50))
    y = SPLIT.train["amount"] if task != "binary" else SPLIT.train[PROBLEM.target.name]
    by_heart = overfitted(task).fit(X, y).predict(X)
    assert (by_heart == y).mean() > 0.9
    assert len(np.unique(underfitted(task).fit(X, y).predict(X))) == 1


def test_a_result_names_what_stopped_it():
    findings = tuple(Finding(name, "", outcome, "") for name, outcome in (("size", Outcome.PASS), ("cost", Outcome.REJECT)))
    assert dataclasses.replace(Result(TRIALS[0], Verdict.REJECT), findings=findings).stopped_by == ["cost"]
