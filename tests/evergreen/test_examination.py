import dataclasses
import importlib
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from candidates import toy_candidate
from logged import put_decisions, put_shadowed
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import make_pipeline
from toy import features
from toy.contract import PROBLEM
from workspaces import changed, deliver_days, ingest, open_space, toy_frame

from evergreen import examination, retraining, shadows
from evergreen.data.snapshots import Frame, row_fingerprints, take_snapshot
from evergreen.errors import ContractError, ModelError
from evergreen.evaluation import Predicted, read_predicted
from evergreen.examination import Examination, perturbed
from evergreen.gate.collection import ModelAnswer
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION
from evergreen.metering import CALLS, _family
from evergreen.policies import Perturbation
from evergreen.predictor import Job
from evergreen.workspace import Workspace


def as_they_are(X: pd.DataFrame) -> pd.DataFrame:
    """The same rows."""
    return X.assign()


def order_more(X: pd.DataFrame) -> pd.DataFrame:
    """Larger orders, which come back more often."""
    return X.assign(amount=X["amount"] + 20)


CLAIMS = (
    Perturbation(name="The same order has the same chance.", change=as_they_are, expect="same"),
    Perturbation(name="A larger order comes back more often.", change=order_more, expect="up"),
)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A toy workspace with 70 days of outcomes and 5 more of orders."""
    space = open_space(tmp_path_factory.mktemp("toy"), problem=changed(behaviour=CLAIMS))
    deliver_days(space, 70)
    deliver_days(space, 5, start=70, without=("outcomes",))
    ingest(space)
    return space


@pytest.fixture(scope="module")
def asked(space: Workspace) -> Examination:
    return examined(space)


def examined(space: Workspace) -> Examination:
    """What is found of a candidate that is trained on what there is."""
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    candidate = retraining.make_candidate(space, material, tuning=False)
    return retraining.ask_models(space, material, candidate)


def test_the_candidate_answers_as_in_training_in_any_order_and_batches(asked: Examination):
    assert [(one.rows, one.differing, one.infinite) for one in asked.trials.replays] == [(1_000, 0, 0)] * 2
    assert all(one.farthest < 1e-9 for one in asked.trials.replays)
    assert asked.trials.replays[0].how != asked.trials.replays[1].how


def test_what_the_candidate_said_in_shadow_is_a_part_of_what_is_found(space: Workspace, asked: Examination):
    assert asked.trials.shadow is None
    known = toy_frame(70).head(2)
    shadows.begin(space.journal, 1, reason="A try.")
    put_decisions(space.journal, known["order_id"].tolist(), [1, 0], asked=datetime(2026, 1, 1, tzinfo=UTC), version=9)
    put_shadowed(space.journal, [{"decision": 0, "probability": 0.1}, {"decision": 0, "probability": 0.2}])
    shadows.end(space.journal, reason="Seen.")
    found = examined(space).trials.shadow
    assert found is not None
    assert (found.scored, found.served, len(found.things.cluster)) == (2, {9: 2}, 0)  # there is no champion


def test_the_golden_rows_are_rows_of_the_holdout(space: Workspace, asked: Examination):
    version = space.registry.version(1)
    golden = pd.read_parquet(space.registry.evidence_folder(version) / "golden.parquet")[list(PROBLEM.features)]
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    unseen = pd.MultiIndex.from_frame(material.split.holdout[list(PROBLEM.features)])
    assert pd.MultiIndex.from_frame(golden).isin(unseen).all()


@pytest.mark.parametrize(("golden", "outcome"), [(1_000, "pass"), (100, "reject")], ids=["all there were", "few on purpose"])
def test_a_candidate_of_few_rows_is_judged_later_by_the_rows_that_it_had(
    space: Workspace, asked: Examination, monkeypatch: pytest.MonkeyPatch, golden: int, outcome: str
):
    monkeypatch.setattr("evergreen.facts.GOLDEN_ROWS", golden)
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    split = material.split
    few = dataclasses.replace(split, train=split.train.sample(600, random_state=0), holdout=split.holdout.sample(200, random_state=0))
    candidate = retraining.make_candidate(space, dataclasses.replace(material, split=few, content=f"few, {golden}"), tuning=False)
    found = retraining.ask_models(space, material, candidate)
    assert (found.trials.replays[0].rows, found.trials.replayable) == (min(golden, 800), 800)
    findings = {one["check"]: one for one in retraining.decide(space, material, candidate, found)["findings"]}
    assert findings["parity"]["outcome"] == outcome, findings["parity"]["reason"]


def test_a_feature_that_looks_at_the_other_rows_of_its_batch_is_seen_in_the_second_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "looking"
    shutil.copytree(Path(features.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (package / "features.py").read_text()
    (package / "features.py").write_text(code.replace('X["stock_level"].clip(lower=1)', 'X["stock_level"].mean()'))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    space = open_space(tmp_path / "home", problem=changed(build_estimator=importlib.import_module("looking.features").build_estimator))
    deliver_days(space, 70)
    ingest(space)
    whole, mixed = examined(space).trials.replays
    for name in [name for name in sys.modules if name.partition(".")[0] == "looking"]:
        del sys.modules[name]
    assert (whole.differing, whole.infinite) == (0, 0)
    assert mixed.differing > 900
    assert mixed.farthest > 1e-3


def test_the_promise_is_what_the_folds_saved_against_the_cheapest_constant_answer(space: Workspace, asked: Examination):
    promise = asked.trials.promise
    assert promise is not None
    folds = space.registry.version(1).facts["folds"]
    assert promise.rows == sum(fold["rows"] for fold in folds)
    assert 0 < promise.se < promise.saving < 10
    assert promise.clusters == pytest.approx(promise.rows / 150, rel=0.1)


def test_every_claim_is_tried_and_an_unchanged_row_does_not_move(asked: Examination):
    same, up = asked.trials.reactions
    assert (same.claim, up.claim) == CLAIMS
    assert same.moved.shape == up.moved.shape == (1_000,)
    assert np.abs(same.moved).max() == 0
    assert up.moved.min() > 0


def test_rows_to_be_predicted_are_held_against_the_training_rows(asked: Examination):
    support = asked.trials.support
    assert support is not None
    assert support.rows > 500
    assert support.outside == sum(support.features.values()) == 0
    assert support.champion_outside is None
    assert 0.9 < (support.separable or 0) <= 1.0  # every day has stock levels of its own


def test_each_compared_model_is_measured(asked: Examination):
    footprint = asked.answers[CANDIDATE].footprint
    assert footprint is not None
    assert footprint.one_row_seconds.shape == (CALLS,)
    assert (footprint.one_row_seconds > 1e-5).all()
    assert footprint.rows_per_second > 1_000
    assert 0.005 < footprint.megabytes < 1
    assert 0 <= footprint.memory_megabytes < 500
    assert 0.001 < footprint.load_seconds < 30
    assert footprint.family == "LogisticRegression"


def test_a_champion_is_asked_too_and_what_it_has_not_seen_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    space = open_space(tmp_path)
    deliver_days(space, 70)
    ingest(space)
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    candidate = retraining.make_candidate(space, material, tuning=False)
    record = retraining.decide(space, material, candidate, retraining.ask_models(space, material, candidate))
    assert record["verdict"] == "promote", [f for f in record["findings"] if f["outcome"] != "pass"]
    retraining.apply(space, record)
    deliver_days(space, 25, start=70)
    ingest(space)
    deliver_days(space, 5, start=95, without=("outcomes",))
    ingest(space)
    again = examined(space)
    assert again.answers[CHAMPION].version == 1
    assert again.answers[CHAMPION].footprint is not None
    assert again.trials.support is not None
    assert again.trials.support.champion_outside == 0

    def emptied(file: Path, task: str) -> Predicted:
        said = read_predicted(file, task)
        rows = np.arange(len(said.decision))
        return said if file.stem != "version-1" else dataclasses.replace(said, probability=np.where(rows < 3, np.nan, said.probability))

    monkeypatch.setattr(examination, "read_predicted", emptied)
    mute = examined(space)
    assert mute.silent == dict.fromkeys((CHAMPION, ANCHOR), "champion (version 1) gives no finite answer to 3 of these rows")
    assert [*mute.answers] == [CANDIDATE]


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        (Predicted(np.array([1.0, np.nan, np.inf])), 2),
        (Predicted(np.array([0, 1, 1]), np.array([0.1, np.inf, 0.9])), 1),
        (Predicted(np.array(["a", None, "b"], dtype=object), np.array([[0.5, 0.5], [0.5, np.nan], [np.nan, 0.5]])), 2),
        (Predicted(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.9])), 0),
    ],
)
def test_an_answer_that_is_no_number_is_none(said: Predicted, rows: int):
    assert examination._unanswered(said) == rows


def test_what_a_champion_has_seen_is_counted_although_the_candidate_neither_learnt_from_it_nor_is_judged_on_it():
    rows = toy_frame(10)
    day = (rows["ordered_at"] - rows["ordered_at"].min()).dt.days
    rows = rows.assign(product=rows["product"].where(day < 5, "rug"), returned=rows["returned"].where(day < 8))
    frame = Frame(rows, (), {}, 0, "returned", "ordered_at", rows.loc[day < 8, "ordered_at"].max())
    learnt = row_fingerprints(rows[day < 7], PROBLEM.key)  # as with a version that is judged again and learnt from the first 5 days
    champion = ModelAnswer(2, Predicted(np.zeros(0)), learnt, None)
    support = examination.support_of(PROBLEM, rows[day < 5], frame, champion)
    assert support.outside == support.features["product"] == support.rows == int((day >= 8).sum())
    assert support.champion_outside == 0


def test_only_the_candidates_failure_is_an_error_and_what_fails_among_others_only_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(jobs: list[Job], *, seconds: float) -> None:
        for job in jobs:
            if job.model.name in broken and (len(jobs) > 1 or job.model.name != "short of memory"):
                raise ModelError(f"The model {job.model} cannot predict {job.rows.name}: the rows lack region.")

    monkeypatch.setattr(examination, "predict_all", fail)
    monkeypatch.setattr(examination, "predict", lambda job, *, seconds: fail([job], seconds=seconds))
    names = ("candidate", "old", "short of memory")
    jobs = {number: Job(tmp_path / name, tmp_path / "holdout.parquet", tmp_path / "out", key="k") for number, name in enumerate(names)}
    broken = {"old", "short of memory"}
    assert examination._have_predicted(jobs, seconds=1) == {1: "cannot predict these rows: the rows lack region"}
    broken = {"candidate"}
    with pytest.raises(ModelError, match=r"cannot predict holdout\.parquet: the rows lack region"):
        examination._have_predicted(jobs, seconds=1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda X: X.head(3), "gave DataFrame of shape"),
        (lambda X: X.drop(columns="amount"), "gave DataFrame of shape"),
        (lambda X: X["amount"], "gave Series of shape"),
        (lambda X: X.__setitem__("amount", 1) or X, "changes the frame that it is given"),
        (lambda X: 1 / 0, "failed: ZeroDivisionError"),
    ],
)
def test_a_perturbation_that_gives_other_rows_is_refused(change, complaint):
    problem = changed(behaviour=(CLAIMS[0].model_copy(update={"change": change}),))
    rows = toy_candidate().golden[list(PROBLEM.features)]
    with pytest.raises(ContractError, match=f"behaviour.0.change: .*{complaint}"):
        perturbed(problem, 0, rows)


def test_the_kind_of_model_is_what_predicts_in_the_end():
    assert _family(toy_candidate().estimator) == "LogisticRegression"
    assert _family(make_pipeline(ExtraTreesClassifier())) == "ExtraTreesClassifier"
    assert _family(ExtraTreesClassifier()) == "ExtraTreesClassifier"
