"""Numbers and several classes pass through the same gate as a yes, with a time column and without one: real files, MLflow and processes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy.results import CLASSES
from toy.tasks import TASKS
from workspaces import deliver_days, ingest, judge, open_space

from evergreen import journal as tables
from evergreen import retraining
from evergreen.contract import Problem
from evergreen.data.snapshots import take_snapshot
from evergreen.moves import standing
from evergreen.report.contract import describe
from evergreen.report.decision import render_decision
from evergreen.report.site import write_decision
from evergreen.retraining import Material
from evergreen.workspace import Workspace

NAMES = list(TASKS)
WITHOUT_TIME = [name for name in NAMES if TASKS[name].time is None]


@dataclass(frozen=True)
class Story:
    """A home in which a first model was trained and a second one on more data, and the records of both verdicts."""

    space: Workspace
    first: dict[str, Any]
    second: dict[str, Any]
    material: Material
    """Of the second one."""


Tell = Callable[[str], Story]


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Tell:
    """The story of a task, lived through once; all homes share one MLflow, which takes longer to set up than to train."""
    root, told = tmp_path_factory.mktemp("tasks"), dict[str, Story]()

    def story(name: str) -> Story:
        if name not in told:
            told[name] = live(TASKS[name], root / name.replace(" ", "-"), f"sqlite:///{root / 'mlflow.db'}")
        return told[name]

    yield story
    for one in told.values():
        one.space.journal.close()


def live(problem: Problem, home: Path, mlflow: str) -> Story:
    space = open_space(home, problem=problem)
    space = Workspace(space.settings.model_copy(update={"mlflow_uri": mlflow}), problem, space.journal)
    days, more = (60, 20) if problem.time else (30, 15)
    first, _ = retrain(space, days, start=0)
    second, material = retrain(space, more, start=days)
    return Story(space, first, second, material)


def retrain(space: Workspace, days: int, *, start: int) -> tuple[dict[str, Any], Material]:
    deliver_days(space, days, start=start, without=() if space.problem.time else ("stock",))
    ingest(space)
    material = retraining.prepare(space, take_snapshot(space.journal, space.problem))
    record = judge(space, material)
    retraining.apply(space, record)
    return record, material


def findings(record: dict[str, Any]) -> str:
    return "\n".join(f"{one['check']}: {one['outcome']}: {one['reason']}" for one in record["findings"])


def outcomes(record: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["outcome"] for one in record["findings"]}


def planted(story: Story, name: str, **split: pd.DataFrame) -> Material:
    """The second model's material with other rows in its split; the name makes it a training of its own."""
    return replace(story.material, split=replace(story.material.split, **split), content=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_first_model_of_every_task_is_promoted_on_honest_data(tell: Tell, name: str):
    story = tell(name)
    assert story.first["verdict"] == "promote", findings(story.first)
    assert story.first["champion"] is None
    assert story.space.journal.rows(tables.promotions)[0]["version"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_retrain_of_every_task_on_more_data_is_not_refused(tell: Tell, name: str):
    story = tell(name)
    assert story.second["verdict"] != "reject", findings(story.second)
    assert story.second["candidate"]["version"] == 2
    assert story.second["champion"]["version"] == 1
    assert outcomes(story.second)["champion"] == "pass", findings(story.second)
    assert standing(story.space.journal).champion == (2 if story.second["verdict"] == "promote" else 1)


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_were_shuffled_before_training_are_refused_by_the_champion(tell: Tell, name: str):
    story = tell(name)
    target, train = story.space.problem.target.name, story.material.split.train
    shuffled = np.random.default_rng(5).permutation(train[target].to_numpy())
    record = judge(story.space, planted(story, "shuffled", train=train.assign(**{target: shuffled})))
    assert record["verdict"] == "reject", findings(record)
    assert outcomes(record)["champion"] == "reject", findings(record)


@pytest.mark.parametrize("name", ["regression", "multiclass", "regression without time", "multiclass without time"])
def test_rows_of_the_holdout_among_those_learnt_from_are_refused_as_unhygienic(tell: Tell, name: str):
    story = tell(name)
    split = story.material.split
    record = judge(story.space, planted(story, "contaminated", train=pd.concat([split.train, split.holdout.head(300)])))
    assert record["verdict"] == "reject", findings(record)
    (finding,) = (one for one in record["findings"] if one["check"] == "hygiene")
    assert "candidate (version" in finding["reason"]
    assert f"was trained on 300 of {len(split.holdout):,} holdout rows" in finding["reason"]


@pytest.mark.parametrize("name", ["multiclass", "multiclass without time"])
def test_a_candidate_that_has_never_seen_a_class_is_judged_and_refused(tell: Tell, name: str):
    story = tell(name)
    train, target = story.material.split.train, story.space.problem.target.name
    record = judge(story.space, planted(story, "two classes", train=train[~train[target].isin(["return", 2])]))
    assert outcomes(record)["champion"] == "reject", findings(record)
    assert "error" not in outcomes(record).values(), findings(record)
    assert (record["metrics"]["candidate"]["log_loss"], record["metrics"]["champion"]["log_loss"] > 0) == (None, True)


@pytest.mark.parametrize("name", ["multiclass", "multiclass without time"])
def test_a_class_that_is_missing_in_the_holdout_holds_and_is_named(tell: Tell, name: str):
    story = tell(name)
    holdout, target = story.material.split.holdout, story.space.problem.target.name
    record = judge(story.space, planted(story, "a class less", holdout=holdout[~holdout[target].isin(["return", 2])]))
    assert "error" not in outcomes(record).values(), findings(record)
    assert outcomes(record)["size"] == "hold", findings(record)
    assert f"0 rows of class {'return' if 'without' in name else 2}, of 50 needed" in findings(record)


@pytest.mark.parametrize(
    ("name", "told", "reason"),
    [
        ("regression", lambda y: 1.1 * y.astype(float) + 0.3, "told explains the target with an R2 of 1.000"),
        ("regression without time", lambda y: -100 * y.astype(float), "told explains the target with an R2 of 1.000"),
        ("multiclass", lambda y: 7.0 * y.astype(float), "told alone ranks the outcomes with an AUC of 1.000"),
        ("multiclass without time", lambda y: y.map(CLASSES.index).astype(float), "told = 0.0 settles the outcome"),
    ],
)
def test_a_feature_that_is_the_target_in_other_units_is_refused_as_a_leak(tell: Tell, name: str, told: Callable, reason: str):
    story = tell(name)
    target, split = story.space.problem.target.name, story.material.split
    leaky = {side: rows.assign(told=told(rows[target])) for side, rows in (("train", split.train), ("holdout", split.holdout))}
    problem = type(story.space.problem)(**{**dict(story.space.problem), "features": (*story.space.problem.features, "told")})
    space = Workspace(story.space.settings, problem, story.space.journal)
    frame = replace(story.material.frame, rows=story.material.frame.rows.assign(told=0.0))
    record = judge(space, replace(planted(story, "leaky", **leaky), frame=frame))
    assert record["verdict"] == "reject", findings(record)
    (finding,) = (one for one in record["findings"] if one["check"] == "leakage")
    assert finding["outcome"] == "reject"
    assert any(reason in detail for detail in finding["details"]), finding


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_every_task_speaks_of_its_own_window_and_errors(tell: Tell, name: str, tmp_path: Path):
    story = tell(name)
    problem, record = story.space.problem, story.second
    page, file = write_decision(tmp_path, record, problem)
    html = page.read_text()
    assert file.is_file()
    assert html == render_decision(record, problem, overview="../index.html")
    assert "None" not in html.replace("None of", "").replace('"commit": None', "")
    assert ("Cost over time" in html) == (problem.time is not None)
    assert ("truth minus prediction" in html) == (problem.task == "regression")
    assert ("What that means for 1,000 orders" in html) == (problem.task == "binary")
    assert ("names the right class of" in html) == (problem.task == "multiclass")
    assert ("is off by at most" in html) == (problem.task == "regression")
    assert ("range of costs" in html) == (problem.task == "binary")


@pytest.mark.parametrize("name", WITHOUT_TIME)
def test_a_verdict_without_time_names_no_days(tell: Tell, name: str):
    record = tell(name).second
    assert record["window"]["start"] is record["window"]["end"] is record["candidate"]["training_end"] is None
    assert record["window"]["cluster"] == ("rows" if tell(name).space.problem.gate.cluster == "row" else "groups of customer_id")
    assert f"On {record['window']['rows']:,} orders held out, 1,000 cost" in " ".join(record["why"])


@pytest.mark.parametrize("name", WITHOUT_TIME)
def test_a_window_without_time_is_named_by_its_rows(tell: Tell, name: str):
    split, problem = tell(name).material.split, tell(name).space.problem
    named = retraining._window(problem, split)
    assert named == retraining._window(problem, replace(split, holdout=split.holdout.iloc[::-1]))
    assert named != retraining._window(problem, replace(split, holdout=split.holdout.iloc[1:]))


@pytest.mark.parametrize("name", [name for name in NAMES if TASKS[name].task == "multiclass"])
def test_every_class_is_measured_whatever_type_its_name_has(tell: Tell, name: str):
    record = tell(name).second
    metrics = {who: record["metrics"][who] for who in ("candidate", "champion", "dummy")}
    assert all(0 < told["log_loss"] < metrics["dummy"]["log_loss"] for who, told in metrics.items() if who != "dummy")
    (size,) = (one for one in record["findings"] if one["check"] == "size")
    classes = CLASSES if "without" in name else range(len(CLASSES))
    assert all(f"rows of class {label}" in size["reason"] for label in classes)
    (best,) = (row for row in record["money"] if row["name"] == "best trivial")
    assert best["label"] in {f"the best trivial policy (always {label})" for label in classes}


@pytest.mark.parametrize("name", ["regression", "multiclass without time"])
def test_the_contract_speaks_of_constant_answers_and_evidence_that_the_task_has(name: str):
    sure = " ".join(dict(describe(TASKS[name]))["How sure we must be"])
    assert "always yes" not in sure
    assert ("rows of each outcome" in sure) == (TASKS[name].task == "multiclass")


def test_independent_rows_need_no_number_of_pieces_of_evidence():
    sure = " ".join(dict(describe(TASKS["regression without time"]))["How sure we must be"])
    assert "No verdict on less than 500 rows." in sure
