"""Predictions in service, from deliveries to what `history` tells: estimated, realized, by slice, and how versions grow old."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_service import COMING, DAYS, mature, predict
from logged import put_decisions
from sklearn.metrics import roc_auc_score
from toy import data
from toy.tasks import MULTICLASS, REGRESSION, REGRESSION_WITHOUT_TIME
from workspaces import changed, deliver, deliver_days, ingest, open_space, toy_frame, train

from evergreen import journal as tables
from evergreen.data.snapshots import build_frame, published_now
from evergreen.errors import UnreachableError
from evergreen.evaluation import Predicted
from evergreen.monitoring import measuring, staleness
from evergreen.monitoring.concerns import find_concerns
from evergreen.monitoring.figures import by_slice, figures
from evergreen.monitoring.kinds import of_version
from evergreen.monitoring.measuring import Window, _came_to, estimate_published, known_to, measure
from evergreen.monitoring.service import history
from evergreen.moves import standing
from evergreen.revocations import restore, revoke
from evergreen.watches import PerformancePolicy
from evergreen.workspace import Workspace

NOW = datetime(2030, 1, 1, tzinfo=UTC)
START = "2026-03-31"
"""The first day of what is to come."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which version 1 serves, and the orders of the next days wait for their outcomes."""
    home = tmp_path_factory.mktemp("trained") / "home"
    space = open_space(home)
    deliver_days(space, DAYS)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    deliver_days(space, COMING, start=DAYS, without=("outcomes",))
    ingest(space)
    space.journal.close()
    return home


@pytest.fixture
def serving(trained: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of that home for one test; the model's own files are those of the first."""
    shutil.copytree(trained, tmp_path / "home")
    space = open_space(tmp_path / "home")
    yield space
    space.journal.close()


def told(space: Workspace) -> dict[str, Any]:
    found = history(space.journal, space.problem, NOW)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def facts(space: Workspace, kind: str) -> list[dict[str, Any]]:
    return [row["facts"] for row in space.journal.rows(tables.signals, kind=kind)]


# --- estimated before, realized afterwards


def test_what_is_published_is_estimated_before_and_measured_when_its_outcomes_come(serving: Workspace):
    predict(serving)
    first = estimate_published(serving)
    assert first is not None
    (before,) = told(serving)["windows"]
    assert (before["window"], before["version"], before["realized"], before["missed"]) == (START, 1, None, {"cost": None, "auc": None})
    mature(serving)
    measure(serving)
    assert estimate_published(serving) == first
    (after,) = told(serving)["windows"]
    realized, estimate = after["realized"], after["estimate"]
    published = pd.read_parquet(next((serving.settings.root / "predictions").rglob("*.parquet")))
    truth = pd.concat([data.day_of_orders(day) for day in range(DAYS, DAYS + COMING)]).set_index("order_id")["returned"]
    happened = truth[published["order_id"]].to_numpy().astype(int)
    decision, chance = published["decision"].to_numpy(), published["probability"].to_numpy()
    cost = 1000 * np.mean(20 * happened * (1 - decision) + 10 * (1 - happened) * decision)
    assert realized["cost"]["estimate"] == pytest.approx(cost)
    assert realized["auc"]["estimate"] == pytest.approx(roc_auc_score(happened, chance))
    assert realized["bias"]["estimate"] == pytest.approx(chance.mean() - happened.mean())
    assert realized["error"]["estimate"] == pytest.approx((decision != happened).mean())
    assert 0.5 < realized["calibration"]["slope"]["estimate"] < 1.5
    assert estimate["cost"]["low"] < cost < estimate["cost"]["high"]
    assert after["missed"] == {what: estimate[what]["estimate"] - realized[what]["estimate"] for what in ("cost", "auc")}


def test_what_was_estimated_and_measured_is_never_rewritten(serving: Workspace):
    predict(serving)
    estimate_published(serving)
    mature(serving)
    measure(serving)
    before = serving.journal.rows(tables.signals)
    measure(serving)
    assert serving.journal.rows(tables.signals) == before  # nothing new: nothing is measured again
    orders = pd.concat([data.day_of_orders(day) for day in range(DAYS, DAYS + 3)])[["order_id", "ordered_at", "returned"]]
    outcomes = serving.settings.landing / "outcomes"
    whole = pd.read_csv(sorted(outcomes.glob("*.csv"))[-1]).set_index("order_id").loc[orders["order_id"]].reset_index()
    deliver(serving, "outcomes", "correction.csv", whole.assign(returned=~whole["returned"]))
    ingest(serving)
    measure(serving)
    estimate_published(serving)
    after = serving.journal.rows(tables.signals)
    assert after[: len(before)] == before
    (window,) = told(serving)["windows"]
    first, second = facts(serving, "realized")
    assert (window["realized"]["measured"], window["realized"]["cost"]) == (2, second["cost"])
    assert second["cost"]["estimate"] > first["cost"]["estimate"]
    assert len(facts(serving, "estimate")) == 1
    deliver(serving, "outcomes", "as-before.csv", whole)
    ingest(serving)
    measure(serving)
    (window,) = told(serving)["windows"]
    assert (window["realized"]["measured"], window["realized"]["cost"]) == (3, first["cost"])  # what comes back is the newest again
    assert [row["cost"] for row in facts(serving, "realized")] == [first["cost"], second["cost"], first["cost"]]
    oldest, corrected, *_ = facts(serving, "staleness")
    assert facts(serving, "staleness")[-1]["cost"] == oldest["cost"] != corrected["cost"]


def test_outcomes_that_are_taken_back_are_known_no_longer_until_they_are_given_back(serving: Workspace):
    predict(serving, off=0.5)
    mature(serving)
    assert concerns(serving) == ["bias"]
    known = told(serving)["windows"][0]["realized"]
    words = {"reason": "r", "person": "p"}
    batches = [row["batch"] for row in serving.journal.rows(tables.deliveries, source="outcomes", outcome="published")]
    for gone in (batches[-1:], batches):  # what brought them; and then all outcomes there are
        for batch in gone:
            revoke(serving.journal, batch, root=serving.settings.root, words=words)
        assert concerns(serving) == []
        (window,) = told(serving)["windows"]
        assert (window["realized"], window["missed"]["cost"]) == (None, None)
    for batch in batches:
        restore(serving.journal, batch, root=serving.settings.root, words=words)
    assert concerns(serving) == ["bias"]
    assert told(serving)["windows"][0]["realized"]["cost"] == known["cost"]


def test_outcomes_that_are_known_and_do_not_count_take_nothing_back(serving: Workspace, monkeypatch: pytest.MonkeyPatch):
    predict(serving)
    mature(serving)
    measure(serving)
    before = serving.journal.rows(tables.signals, kind="realized")
    frame = replace(build_frame(serving.settings.root, published_now(serving.journal, serving.problem), serving.problem), settled=None)
    monkeypatch.setattr(measuring, "_frame", lambda _: frame)
    measure(serving)
    assert [row["facts"]["rows"] for row in before]
    assert serving.journal.rows(tables.signals, kind="realized") == before


def test_what_a_window_came_to_is_told_of_each_of_its_versions(serving: Workspace):
    problem = serving.problem
    rows = build_frame(serving.settings.root, published_now(serving.journal, problem), problem).labelled
    said = rows.assign(decision=1, probability=0.95, model_version=1)
    said.loc[said.index[-3:], ["probability", "model_version"]] = (0.2, 2)
    facts = _came_to(problem, Window("published", "w", said))
    assert (facts["version"], facts["rows"], sorted(facts["by_version"])) == (2, len(rows), ["1", "2"])
    first, second = (of_version(facts, version) for version in (1, 2))
    assert first is not None
    assert second is not None
    assert (first["rows"], first["predicted"]) == (len(rows) - 3, pytest.approx(0.95))
    assert (second["rows"], second["is_judged"]) == (3, False)
    assert of_version(facts, 3) is None
    alone = _came_to(problem, Window("published", "w", said[said["model_version"] == 1]))
    assert (alone["by_version"], of_version(alone, 1), of_version(alone, 2)) == ({}, alone, None)
    assert alone["saved"]["estimate"] == pytest.approx(alone["rule_of_thumb"]["estimate"] - alone["cost"]["estimate"])


def test_an_estimate_that_could_not_be_made_is_made_once_it_can_and_never_again(serving: Workspace, monkeypatch: pytest.MonkeyPatch):
    predict(serving)
    with monkeypatch.context() as away:
        away.setattr(measuring, "known_to", lambda *_, **__: "the model does not fit")
        assert [facts["why"] for facts in ((estimate_published(serving) or {})["facts"], (estimate_published(serving) or {})["facts"])] == [
            "the model does not fit"
        ] * 2
        away.setattr(measuring, "unseen", lambda *_: (_ for _ in ()).throw(UnreachableError("MLflow does not answer.")))
        away.setattr(measuring, "known_to", known_to)
        with pytest.raises(UnreachableError):
            estimate_published(serving)
    made = estimate_published(serving)
    assert made is not None
    assert made["facts"]["is_judged"]
    assert len(facts(serving, "estimate")) == 2
    assert estimate_published(serving) == made
    assert told(serving)["windows"][0]["estimate"]["cost"] == made["facts"]["cost"]


def test_an_estimate_after_the_fact_is_none(serving: Workspace):
    predict(serving)
    mature(serving, days=2)
    assert estimate_published(serving) is None
    assert facts(serving, "estimate") == []


def test_without_publication_or_champion_nothing_is_told(empty_space: Workspace):
    assert (measure(empty_space), estimate_published(empty_space)) == ([], None)
    nothing = told(empty_space)
    assert [nothing[name] for name in ("windows", "accuracy", "staleness", "features", "age")] == [[], None, None, None, None]


def test_an_estimate_rests_on_no_row_that_the_version_has_learnt_from(serving: Workspace):
    predict(serving)
    row = estimate_published(serving)
    assert row is not None
    labelled = build_frame(serving.settings.root, published_now(serving.journal, serving.problem), serving.problem).labelled
    learnt = len(serving.registry.training_rows(serving.registry.version(1)))
    assert row["facts"]["calibrated_on"] <= len(labelled) - learnt


def test_a_version_that_is_no_longer_stored_is_not_estimated_and_says_why(serving: Workspace):
    predict(serving)
    serving.journal.add(tables.removals, removal="r", kind="model", name="1", reason="to save room")
    row = estimate_published(serving)
    assert row is not None
    assert not row["facts"]["is_judged"]
    assert "is not there any more" in row["facts"]["why"]


def test_the_error_of_estimates_is_told_beside_that_of_the_window_before(serving: Workspace):
    for start in (DAYS, DAYS + COMING):
        if start > DAYS:
            deliver_days(serving, COMING, start=start, without=("outcomes",))
            ingest(serving)
        predict(serving)
        estimate_published(serving)
        mature(serving, start=start)
        measure(serving)
    found = told(serving)
    first, second = found["windows"]
    assert found["accuracy"]["windows"] == 1
    assert found["accuracy"]["cost"] == pytest.approx(abs(second["missed"]["cost"]))
    assert found["accuracy"]["cost_as_before"] == pytest.approx(
        abs(first["realized"]["cost"]["estimate"] - second["realized"]["cost"]["estimate"])
    )


# --- slices and tasks


def test_each_slice_is_told_and_one_with_few_rows_is_not_judged(serving: Workspace):
    predict(serving)
    mature(serving)
    regions = data._customers().set_index("customer_id")["region"]
    orders = pd.concat([data.day_of_orders(day) for day in range(DAYS, DAYS + COMING)])
    least = int(orders["customer_id"].map(regions).value_counts().max())
    space = Workspace(serving.settings, changed(performance=PerformancePolicy(min_rows=least)), serving.journal)
    measure(space)
    (window,) = told(space)["windows"]
    slices = {one["value"]: one for one in window["realized"]["slices"]}
    assert sum(one["rows"] for one in slices.values()) == window["realized"]["rows"]
    assert {one["is_judged"] for one in slices.values()} == {True, False}
    for one in slices.values():
        assert one["is_judged"] == (one["rows"] >= least)
        assert ("why" in one) is not ("cost" in one)


def test_of_a_number_there_is_an_error_and_a_bias_and_no_auc():
    rows = toy_frame(20)
    earned = np.linspace(-5, 5, len(rows))
    found = figures(REGRESSION, rows.assign(earned=earned), Predicted(earned + np.where(np.arange(len(rows)) % 2, 3.0, -1.0)))
    assert found["bias"]["estimate"] == pytest.approx(1.0, abs=0.01)
    assert found["error"]["estimate"] == pytest.approx(2.0, abs=0.01)
    assert (found["auc"], found["calibration"]) == (None, None)
    assert found["spread"] == pytest.approx(earned.std())


def test_of_several_classes_there_is_an_error_and_nothing_that_does_not_apply():
    rows = toy_frame(20)
    wanted = np.arange(len(rows)) % 3
    found = figures(MULTICLASS, rows.assign(wanted=wanted.astype(float)), Predicted(np.zeros(len(rows), dtype=int)))
    assert found["error"]["estimate"] == pytest.approx(2 / 3, abs=0.001)
    assert [found[name] for name in ("auc", "bias", "predicted", "observed", "calibration")] == [None] * 5
    assert len(by_slice(MULTICLASS, rows.assign(wanted=wanted.astype(float)), Predicted(np.zeros(len(rows), dtype=int)))) > 1


# --- over HTTP


def test_served_things_are_measured_in_the_windows_of_what_was_published(serving: Workspace):
    predict(serving)
    mature(serving)
    orders = pd.concat([data.day_of_orders(day) for day in range(DAYS - 20, DAYS + COMING)])
    keys, truth = orders["order_id"].tolist(), orders["returned"].astype(int).tolist()
    put_decisions(serving.journal, keys, truth, asked=datetime(2026, 1, 5, tzinfo=UTC))
    measure(serving)
    served = [one for one in told(serving)["windows"] if one["origin"] == "served"]
    assert [(one["window"], one["version"], one["realized"]["rows"]) for one in served] == [
        ("2026-03-01", 1, int((orders["order_id"] < f"o{DAYS:04d}").sum())),
        (START, 1, int((orders["order_id"] >= f"o{DAYS:04d}").sum())),
    ]
    assert [one["realized"]["cost"]["estimate"] for one in served] == [0, 0]
    assert {one["estimate"] for one in served} == {None}


# --- growing old


def test_versions_are_asked_about_the_newest_outcomes_once_each_with_their_age(serving: Workspace, monkeypatch: pytest.MonkeyPatch):
    mature(serving)
    train(serving)
    asked: list[int] = []
    ask = staleness.ask
    monkeypatch.setattr(
        staleness, "ask", lambda space, versions, rows: asked.extend(v.number for v in versions) or ask(space, versions, rows)
    )
    measure(serving)
    points = told(serving)["staleness"]["points"]
    assert [one["version"] for one in points] == [1, 2]
    old, new = points
    assert old["age_days"] - new["age_days"] == pytest.approx(COMING, abs=1)
    assert old["is_judged"]
    assert old["cost"]["low"] < old["cost"]["estimate"] < old["cost"]["high"]
    assert not new["is_judged"]
    assert new["why"].startswith("it has learnt from ")
    measure(serving)
    assert asked == [1]


def test_a_version_is_never_asked_about_what_it_has_learnt_from(serving: Workspace):
    wide = Workspace(serving.settings, changed(performance=PerformancePolicy(days=60)), serving.journal)
    measure(wide)
    (point,) = told(wide)["staleness"]["points"]
    assert not point["is_judged"]
    assert point["why"].startswith("it has learnt from ")
    assert "cost" not in point


def test_removed_versions_are_left_out_and_no_more_are_asked_than_the_contract_says(serving: Workspace):
    mature(serving)
    train(serving)
    one = Workspace(serving.settings, changed(performance=PerformancePolicy(versions=1)), serving.journal)
    measure(one)
    assert [point["version"] for point in told(one)["staleness"]["points"]] == [2]
    serving.journal.add(tables.removals, removal="r", kind="model", name="2", reason="to save room")
    measure(serving)
    assert [row["version"] for row in facts(serving, "staleness")] == [2, 1]


def test_data_without_time_are_measured_on_what_no_version_may_learn_from(tmp_path: Path):
    space = open_space(tmp_path / "home", problem=REGRESSION_WITHOUT_TIME)
    deliver_days(space, 60, without=("stock",))
    ingest(space)
    train(space)
    measure(space)
    found = told(space)
    (point,) = found["staleness"]["points"]
    assert point["is_judged"], point
    assert (point["age_days"], found["age"]) == (None, None)
    space.journal.close()


def test_the_age_of_what_the_champion_knows_is_told_by_the_contracts_clock(serving: Workspace):
    age = told(serving)["age"]
    learnt = pd.Timestamp(serving.registry.version(1).facts["training_end"])
    newest = pd.concat([data.day_of_orders(DAYS + COMING - 1)])["ordered_at"].max()
    assert (age["version"], age["clock"]) == (1, "the newest row of all")
    assert age["days"] == pytest.approx((newest - learnt) / timedelta(days=1))
    wall = Workspace(serving.settings, changed(clock="wall"), serving.journal)
    assert told(wall)["age"]["days"] == pytest.approx((pd.Timestamp(NOW) - learnt) / timedelta(days=1))


# --- what people are told


def concerns(space: Workspace) -> list[str]:
    measure(space)
    return [one.kind for one in find_concerns(space.journal, space.problem, NOW)]


def test_a_champion_that_does_as_it_was_promoted_to_do_is_no_concern(serving: Workspace):
    assert standing(serving.journal).champion == 1
    predict(serving)
    estimate_published(serving)
    assert concerns(serving) == []
    mature(serving)
    assert concerns(serving) == []


@pytest.mark.parametrize("off", [0.5, -0.5])
def test_probabilities_that_are_surely_off_are_told_once_for_each_version(serving: Workspace, off: float):
    predict(serving, off=off)
    mature(serving)
    assert concerns(serving) == ["bias"]
    (one,) = find_concerns(serving.journal, serving.problem, NOW)
    assert one.command == "evergreen performance"
    assert "Version 1 predicts" in one.what
    serving.journal.add(
        tables.promotions, promotion="p", state="done", version=2, champion=1, anchor=1, kind="release", reason="r", person="a"
    )
    assert concerns(serving) == []


def test_predictions_that_are_expected_to_cost_surely_more_are_told_until_their_outcomes_come(serving: Workspace):
    predict(serving, turned=True)
    estimate_published(serving)
    (one,) = find_concerns(serving.journal, serving.problem, NOW)
    assert one.kind == "estimate"
    assert "made before any outcome" in one.what
    patient = changed(retraining=changed(serving.problem.retraining, decay=changed(serving.problem.retraining.decay, margin_share=1.0)))
    assert "estimate" not in [each.kind for each in find_concerns(serving.journal, patient, NOW)]
    mature(serving)
    assert "estimate" not in concerns(serving)
