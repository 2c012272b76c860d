"""What a candidate shows on the holdout: measured once, on rows it has not seen, and told although the model fails."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workspaces import deliver_days, ingest, keep, kept, open_space, train

from evergreen import journal as tables
from evergreen import portrait
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import ModelError
from evergreen.evaluation import Predicted
from evergreen.monitoring.asking import ask
from evergreen.retraining import prepare
from evergreen.workspace import Workspace


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose first version was trained and judged."""
    space = open_space(tmp_path_factory.mktemp("portrait") / "home")
    deliver_days(space, 70)
    ingest(space)
    train(space)
    return keep(space)


@pytest.fixture
def space(home: Path) -> Iterator[Workspace]:
    with kept(home) as space:
        yield space


def holdout_of(space: Workspace) -> pd.DataFrame:
    return prepare(space, take_snapshot(space.journal, space.problem)).split.holdout


def rows_of(space: Workspace) -> list[dict]:
    return space.journal.rows(tables.signals, kind=portrait.KIND)


def test_a_judged_candidate_tells_what_its_decisions_rest_on_weightiest_first(space: Workspace):
    told = portrait.newest(space.journal, 1)
    assert told is not None
    assert told["is_judged"]
    worth = {one["feature"]: one["cost"]["estimate"] for one in told["importances"]}
    assert list(worth) == sorted(worth, key=lambda name: -worth[name])
    assert set(worth) == {"product", "amount", "stock_level"}
    # What makes an order come back in the toy shop is the product, and next the amount.
    assert list(worth)[:2] == ["product", "amount"] or list(worth)[:2] == ["amount", "product"]
    assert all(one["cost"]["low"] <= one["cost"]["estimate"] <= one["cost"]["high"] for one in told["importances"])
    first = told["importances"][0]
    assert first["cost"]["low"] > 0
    assert first["auc"] > 0.02
    assert {one["slice"] for one in told["slices"]} == {"region"}


def test_the_same_holdout_is_measured_once_and_a_new_measurement_is_the_same(space: Workspace):
    before, holdout = portrait.newest(space.journal, 1), holdout_of(space)
    said, _ = ask(space, [space.registry.version(1)], holdout)
    assert portrait.draw(space, holdout, space.registry.version(1), said[1]) == before
    assert len(rows_of(space)) == 1
    again = portrait.draw(
        space, holdout.iloc[::-1].reset_index(drop=True), space.registry.version(1), said[1].__class__(said[1].decision[::-1])
    )
    assert len(rows_of(space)) == 2  # another order of rows is another content: newest counts
    assert again["asked"] == before["asked"]


def test_a_feature_that_the_model_does_not_look_at_is_worth_nothing(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    """A model of the amount alone, asked as the real one is."""

    def amount_alone(space, versions, rows):
        return {versions[0].number: Predicted((rows["amount"] > 30).to_numpy(dtype=int), rows["amount"].to_numpy() / 60)}, {}

    monkeypatch.setattr(portrait, "ask", amount_alone)
    told = {one["feature"]: one for one in portrait._importances(space, holdout_of(space), space.registry.version(1))["importances"]}
    assert told["product"]["cost"] == told["stock_level"]["cost"] == {"estimate": 0.0, "low": 0.0, "high": 0.0}
    assert told["product"]["auc"] == 0.0
    assert told["amount"]["cost"]["estimate"] > 0
    assert told["amount"]["auc"] > 0.02


def test_a_model_that_cannot_answer_changed_rows_has_no_importances_and_says_why(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portrait, "ask", lambda *_: ({}, {1: "it cannot"}))
    told = portrait._importances(space, holdout_of(space), space.registry.version(1))
    assert (told["importances"], told["unable"]) == ([], "it cannot")

    def fails(*_: object) -> None:
        raise ModelError("it broke")

    monkeypatch.setattr(portrait, "ask", fails)
    assert portrait._importances(space, holdout_of(space), space.registry.version(1))["unable"] == "it broke"


def test_answers_that_are_no_numbers_are_told_and_not_raised(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portrait, "ask", lambda *a: ({1: Predicted(np.full(len(a[2]), 1), np.full(len(a[2]), np.nan))}, {}))
    told = portrait._importances(space, holdout_of(space), space.registry.version(1))
    assert told["importances"] == []
    assert "NaN" in told["unable"]


def test_many_features_are_asked_on_fewer_rows(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(portrait, "MOST_ASKED", 3_000)
    assert portrait._importances(space, holdout_of(space), space.registry.version(1))["asked"] == 300
    monkeypatch.setattr(portrait, "MOST_ASKED", 10)
    assert portrait._importances(space, holdout_of(space), space.registry.version(1))["asked"] == portrait.LEAST_ROWS
