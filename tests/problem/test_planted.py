"""Mistakes that people make with flights, planted one by one: each ends in a refusal that names it; the honest model is not refused."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workspaces import judge

from evergreen import retraining
from evergreen.contract import Problem
from evergreen.data.batches import Intake, ingest_one
from evergreen.data.landing import find
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import ContractError
from evergreen.journal import Journal
from evergreen.moves import standing
from evergreen.prediction import predict
from evergreen.predictor import Job
from evergreen.report.quarantine import render
from evergreen.retraining import Material
from evergreen.settings import Settings
from evergreen.splitting import split_rows
from evergreen.workspace import Workspace
from problem import data, feed

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OpenSpace = Callable[[Problem], Workspace]

MISTAKES = '''

def build_with_registration() -> Pipeline:
    """Takes the aircraft's registration as one more category."""
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=20), [*CATEGORIES, "registration"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return build_estimator().set_params(encode=encode)


class Forgetful(HistGradientBoostingClassifier):
    """Knows no answer for the first column's first category."""

    def predict_proba(self, X):
        probability = super().predict_proba(X)
        probability[X[:, 0] == 0] = float("nan")
        return probability


def build_forgetful() -> Pipeline:
    """Its predictions are not all numbers."""
    return build_estimator().set_params(model=Forgetful(max_iter=5))
'''


def changed(part: Any, **values: Any) -> Any:
    """A contract, or a part of one, with other values, checked as if it had been written down so."""
    return type(part)(**{**dict(part), **values})


def read_schedule_with_hindsight(path: Path) -> pd.DataFrame:
    """A careless reader: it puts beside each flight what only its outcome tells. Honest contracts do not look at these columns."""
    schedule, file = data.read_schedule(path), path.parents[1] / "outcomes" / path.name
    if not file.exists():
        return schedule.assign(punctuality=np.nan, registration=pd.Series(dtype="str"), is_assigned=np.nan)
    known = data.read_outcomes(file).set_index("flight_id").loc[schedule["flight_id"]].reset_index()
    late = -known["dep_delay"].fillna(999) + np.random.default_rng(0).normal(0, 5, len(known))
    return schedule.assign(punctuality=late, registration=known["tailnum"], is_assigned=known["tailnum"].notna().astype("float64"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A copy of the problem's package with fewer trees and some mistakes, as a fork would have it; its contract's module."""
    folder = tmp_path_factory.mktemp("fork") / "planted"
    shutil.copytree(REPOSITORY / "src" / "problem", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "contract.py").write_text((folder / "contract.py").read_text().replace("from problem import", "from planted import"))
    features = (folder / "features.py").read_text()
    assert "max_iter=100" in features
    (folder / "features.py").write_text(features.replace("max_iter=100", "max_iter=40") + MISTAKES)
    sys.path.insert(0, str(folder.parent))
    yield importlib.import_module("planted.contract")
    sys.path.remove(str(folder.parent))


@pytest.fixture(scope="module")
def honest(planted: ModuleType) -> Problem:
    """The contract as it stands, quicker, and read by the careless reader."""
    problem = planted.PROBLEM
    sources = tuple(changed(s, read=read_schedule_with_hindsight) if s.name == "schedule" else s for s in problem.sources)
    return changed(problem, sources=sources, retraining=changed(problem.retraining, folds=2))


@pytest.fixture(scope="module")
def flights(honest: Problem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January to May, delivered and ingested once: a home whose batches and journal the others begin with."""
    home = tmp_path_factory.mktemp("flights")
    feed.deliver(home / "landing", "2013-05")
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    intake = Intake(home, REPOSITORY / "expectations", journal, render)
    found = find(home / "landing", honest, settle_seconds=0, now=NOW)
    judged = [ingest_one(delivery, honest.source(delivery.source), intake=intake, now=NOW) for delivery in found.ready]
    assert {one.outcome for one in judged} == {"published"}
    journal.close()
    return home


@pytest.fixture(scope="module")
def open_space(flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSpace]:
    """Opens a workspace with the flights' batches, and with a registry and decisions of its own."""
    opened: list[Workspace] = []

    def open_with(problem: Problem) -> Workspace:
        root = tmp_path_factory.mktemp("space")
        shutil.copyfile(flights / "journal.db", root / "journal.db")
        (root / "batches").symlink_to(flights / "batches", target_is_directory=True)
        settings = Settings(_env_file=None, home=root, expectations=REPOSITORY / "expectations", lock=REPOSITORY / "requirements.txt")
        opened.append(Workspace(settings, problem, Journal(settings.journal)))
        take_snapshot(opened[-1].journal, problem)
        return opened[-1]

    yield open_with
    for space in opened:
        space.journal.close()


def prepare(space: Workspace) -> Material:
    return retraining.prepare(space, take_snapshot(space.journal, space.problem))


@pytest.fixture(scope="module")
def honest_space(open_space: OpenSpace, honest: Problem) -> Workspace:
    return open_space(honest)


@pytest.fixture(scope="module")
def material(honest_space: Workspace) -> Material:
    """Joined, validated and split once; a planted contract that joins the same splits the same rows again."""
    return prepare(honest_space)


@pytest.fixture(scope="module")
def honest_record(honest_space: Workspace, material: Material) -> dict[str, Any]:
    return retrain(honest_space, material)


def retrain(space: Workspace, material: Material) -> dict[str, Any]:
    """Train, judge, and carry the verdict out; the decision record."""
    record = judge(space, material)
    retraining.apply(space, record)
    return record


def refusals(record: dict[str, Any]) -> dict[str, str]:
    """The checks that did not pass, each with its reason."""
    return {finding["check"]: finding["reason"] for finding in record["findings"] if finding["outcome"].upper() != "PASS"}


def rejected_by(record: dict[str, Any]) -> set[str]:
    """The checks that say REJECT; in May others hold the honest model too."""
    return {finding["check"] for finding in record["findings"] if finding["outcome"].upper() == "REJECT"}


def assert_nothing_serves(space: Workspace) -> None:
    assert standing(space.journal).champion is None
    assert space.registry.aliases() == {}


def test_an_honest_model_is_not_refused_and_held_at_most_for_what_is_true_of_may(honest_record: dict[str, Any]):
    # spring has more delays than winter, and June's air is moister than any before: a person may have to look
    assert rejected_by(honest_record) == set(), refusals(honest_record)
    assert set(refusals(honest_record)) <= {"calibration", "representativeness"}, refusals(honest_record)


@pytest.mark.parametrize(
    ("feature", "told"), [("late", "'late' is the target itself"), ("dep_delay", "'dep_delay' is forbidden"), ("tailnum", "'tailnum' is")]
)
def test_a_feature_that_is_the_answer_by_name_is_refused_when_the_contract_is_written(honest: Problem, feature: str, told: str):
    with pytest.raises(ContractError, match=rf"features: {told}.*; a model that is given it knows the answer"):
        changed(honest, features=(*honest.features, feature))


def test_outcomes_joined_as_features_are_refused_when_the_contract_is_written(honest: Problem):
    join = changed(honest.joins[0], source="outcomes", on={"flight_id": "flight_id"}, take=("arr_time",))
    with pytest.raises(ContractError, match="'outcomes' holds the outcomes; joined as features they tell the answer"):
        changed(honest, joins=(*honest.joins, join))


@pytest.mark.parametrize(
    ("feature", "recipe", "told"),
    [
        ("punctuality", "build_estimator", "punctuality alone ranks the outcomes with an AUC of"),
        ("is_assigned", "build_estimator", "is_assigned = 0"),
        ("registration", "build_with_registration", "registration missing"),
    ],
    ids=["the delay under another name", "whether the tail number is known", "the tail number under another name"],
)
def test_hindsight_under_another_name_is_rejected_as_leakage(
    open_space: OpenSpace, honest: Problem, planted: ModuleType, material: Material, feature: str, recipe: str, told: str
):
    recipes = {"build_estimator": getattr(planted.features, recipe)}
    space = open_space(changed(honest, features=(*honest.features, feature), **recipes))
    record = retrain(space, replace(material, split=split_rows(material.frame.labelled, space.problem)))
    assert record["verdict"].upper() == "REJECT"
    assert "leakage" in rejected_by(record)
    assert told in refusals(record)["leakage"]
    assert_nothing_serves(space)


def test_weather_as_of_the_departure_itself_is_refused_by_the_contract(honest: Problem):
    joins = tuple(changed(join, offset=timedelta(0)) if join.source == "weather" else join for join in honest.joins)
    with pytest.raises(ContractError, match=r"joins\.0\.offset: got 0:00:00 for 'weather'; expected at least prediction_lead, 2:00:00"):
        changed(honest, joins=joins)


def test_a_model_that_has_learnt_from_the_holdout_is_rejected_by_hygiene(open_space: OpenSpace, honest: Problem, material: Material):
    space, split = open_space(honest), material.split
    seen = split.holdout.head(100)
    record = retrain(space, replace(material, split=replace(split, train=pd.concat([split.train, seen]))))
    assert record["verdict"].upper() == "REJECT"
    assert rejected_by(record) == {"hygiene"}
    assert f"trained on 100 of {len(split.holdout):,} holdout rows" in refusals(record)["hygiene"]
    assert_nothing_serves(space)


def test_a_model_that_has_learnt_from_shuffled_outcomes_is_not_promoted(open_space: OpenSpace, honest: Problem, material: Material):
    space, train = open_space(honest), material.split.train
    shuffled = train.assign(late=np.random.default_rng(0).permutation(train["late"]))
    record = retrain(space, replace(material, split=replace(material.split, train=shuffled)))
    assert record["verdict"].upper() in {"HOLD", "REJECT"}
    assert "baseline" in refusals(record), refusals(record)
    assert_nothing_serves(space)


def test_predictions_that_are_not_numbers_are_rejected(open_space: OpenSpace, honest: Problem, planted: ModuleType, material: Material):
    space = open_space(changed(honest, build_estimator=planted.features.build_forgetful))
    record = retrain(space, material)
    assert record["verdict"].upper() == "REJECT"
    assert "candidate's measure is missing or infinite" in refusals(record)["finite"]
    assert_nothing_serves(space)


def test_the_champion_predicts_with_its_own_features_after_the_problems_have_changed(
    honest_space: Workspace, honest_record: dict[str, Any], material: Material, planted: ModuleType, tmp_path: Path
):
    champion = honest_space.registry.version(honest_record["candidate"]["version"])
    rows = tmp_path / "rows.parquet"
    some = material.split.holdout[["flight_id", *honest_space.problem.features]].head(2_000)
    some.to_parquet(rows, index=False)

    def answer(name: str) -> pd.DataFrame:
        job = Job(honest_space.registry.folder(champion), rows, tmp_path / name, key="flight_id")
        return pd.read_parquet(predict(job))

    features = Path(str(planted.features.__file__))
    before, written, today = answer("before"), features.read_text(), planted.features.add_flight_features(some)
    try:
        features.write_text(written.replace("// 100 * 60", "// 100 * 6").replace("2013 - X", "1913 - X"))
        assert not importlib.reload(planted.features).add_flight_features(some).equals(today)
        pd.testing.assert_frame_equal(answer("after"), before, check_exact=True)
    finally:
        features.write_text(written)
        importlib.reload(planted.features)
    assert before["probability"].nunique() > 100
