"""Mistakes that people make with flights, planted one by one: each ends in a refusal that names it; the honest model is promoted."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen import retraining
from evergreen.contract import Problem
from evergreen.data.batches import Intake, ingest_one
from evergreen.data.landing import find
from evergreen.data.snapshots import build_frame, take_snapshot
from evergreen.errors import ContractError, JoinError
from evergreen.journal import Journal
from evergreen.prediction import predict
from evergreen.predictor import Job
from evergreen.promotion import standing
from evergreen.report.quarantine import render
from evergreen.settings import Settings
from evergreen.workspace import Workspace, load_problem
from problem import data, feed
from problem.contract import PROBLEM
from problem.features import build_estimator

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = "2013-05"
Record = dict[str, Any]


def build_quick_estimator() -> Any:
    """The estimator with fewer trees."""
    return build_estimator().set_params(model__max_iter=30, model__learning_rate=0.2)


def changed(part: Any, **values: Any) -> Any:
    """A contract, or a part of one, with other values, checked as if it had been written down so."""
    return type(part)(**{**dict(part), **values})


def with_source(problem: Problem, name: str, **values: Any) -> Problem:
    return changed(problem, sources=tuple(changed(s, **values) if s.name == name else s for s in problem.sources))


QUICK = changed(PROBLEM, build_estimator=build_quick_estimator, retraining=changed(PROBLEM.retraining, folds=2))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January to May, delivered and ingested once; the planted contracts share these batches and nothing else."""
    home = tmp_path_factory.mktemp("flights")
    feed.deliver(home / "landing", MONTHS)
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    intake = Intake(home, REPOSITORY / "expectations", journal, render)
    found = find(home / "landing", PROBLEM, settle_seconds=0, now=NOW)
    judged = [ingest_one(delivery, PROBLEM.source(delivery.source), intake=intake, now=NOW) for delivery in found.ready]
    assert {one.outcome for one in judged} == {"published"}
    journal.close()
    return home


@pytest.fixture
def open_space(home: Path, tmp_path: Path) -> Iterator[Any]:
    """Opens a workspace with the batches of `home`, and with a registry and decisions of its own."""
    opened: list[Workspace] = []

    def open_with(problem: Problem) -> Workspace:
        root = tmp_path / f"space-{len(opened)}"
        root.mkdir()
        shutil.copyfile(home / "journal.db", root / "journal.db")
        (root / "batches").symlink_to(home / "batches", target_is_directory=True)
        settings = Settings(_env_file=None, home=root, expectations=REPOSITORY / "expectations", lock=REPOSITORY / "requirements.txt")
        opened.append(Workspace(settings, problem, Journal(settings.journal)))
        return opened[-1]

    yield open_with
    for space in opened:
        space.journal.close()


def retrain(space: Workspace, material: retraining.Material | None = None) -> Record:
    """One retraining to its end: prepared, trained, judged, carried out."""
    material = material or retraining.prepare(space, take_snapshot(space.journal, space.problem))
    candidate = retraining.make_candidate(space, material, tuning=False)
    record = retraining.decide(space, material, candidate, retraining.ask_models(space, material, candidate))
    retraining.apply(space, record)
    return record


def refusals(record: Record) -> dict[str, str]:
    """The checks that did not pass, each with its reason."""
    return {finding["check"]: finding["reason"] for finding in record["findings"] if finding["outcome"].upper() != "PASS"}


def assert_rejected(space: Workspace, record: Record, *, by: str, naming: str) -> None:
    assert record["verdict"].upper() == "REJECT"
    assert naming in refusals(record)[by]
    assert standing(space.journal).champion is None
    assert "champion" not in space.registry.aliases()


def test_an_honest_model_is_promoted(open_space):
    space = open_space(QUICK)
    record = retrain(space)
    assert (record["verdict"].upper(), refusals(record)) == ("PROMOTE", {})
    assert standing(space.journal).champion == 1
    assert space.registry.aliases()["champion"] == 1


def test_the_target_as_a_feature_is_refused_when_the_contract_is_written():
    with pytest.raises(ContractError, match="'late' is the target itself"):
        changed(QUICK, features=(*QUICK.features, "late"))


def test_the_delay_as_a_feature_is_refused_when_the_contract_is_written():
    with pytest.raises(ContractError, match="'dep_delay' is forbidden; a model that is given it knows the answer"):
        changed(QUICK, features=(*QUICK.features, "dep_delay"))


def outcomes_of(path: Path) -> pd.DataFrame:
    """What became of the flights of a schedule's file."""
    file = path.parents[1] / "outcomes" / path.name
    return data.read_outcomes(file).set_index("flight_id")


def smuggled(problem: Problem, home: Path, column: str, values: Any) -> tuple[Problem, Any]:
    """A contract whose schedule carries one more column, worked out from the outcomes by flight, and such a frame's loader."""
    outcomes = pd.concat(data.read_outcomes(path) for path in sorted((home / "landing" / "outcomes").iterdir()))
    known = values(outcomes.set_index("flight_id"))

    def load(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(**{column: rows["flight_id"].map(known)})

    return changed(problem, features=(*problem.features, column)), load
