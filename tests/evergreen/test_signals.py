"""Drift and decay of a toy champion, from deliveries to the rows of the journal."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy import data
from toy.tasks import MULTICLASS_WITHOUT_TIME
from workspaces import changed, correct, deliver, deliver_days, ingest, open_space, train

from evergreen import journal as tables
from evergreen.data.publishing import Order, publish
from evergreen.data.snapshots import build_frame, take_snapshot
from evergreen.errors import StoreError
from evergreen.journal import Journal
from evergreen.monitoring import signals
from evergreen.monitoring.signals import findings, measure
from evergreen.moves import standing
from evergreen.workspace import Workspace

DAYS = 85
"""Of which the champion has learnt from 59 and was judged on 25."""
COMING = 30


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which version 1 serves, and the orders of the next days wait for their outcomes."""
    home = tmp_path_factory.mktemp("trained") / "home"
    space = open_space(home)
    deliver_days(space, DAYS)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    space.journal.close()
    return home


@pytest.fixture
def served(trained: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of that home for one test; the model's own files are those of the first."""
    shutil.copytree(trained, tmp_path / "home")
    space = open_space(tmp_path / "home")
    yield space
    space.journal.close()


def watched(journal: Journal) -> list[dict[str, Any]]:
    """What was written down of drift and decay."""
    return [row for row in journal.rows(tables.signals) if row["kind"] in {"drift", "decay"}]


def arrive(space: Workspace, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda orders: orders, *, start: int = DAYS) -> None:
    """Have the orders of the next days arrive, without their outcomes."""
    deliver_days(space, COMING, start=start, without=("outcomes", "orders"))
    orders = pd.concat([data.day_of_orders(day) for day in range(start, start + COMING)], ignore_index=True)
    deliver(space, "orders", f"orders-{start}.csv", change(orders.drop(columns="returned")))
    ingest(space)


def mature(space: Workspace, *, start: int = DAYS, days: int = COMING) -> None:
    """Have their outcomes arrive."""
    deliver_days(space, days, start=start, without=("orders", "stock"))
    ingest(space)


def predict(space: Workspace, *, wrong: float, version: int = 1, rows: slice = slice(None)) -> None:
    """Publish decisions for the orders that wait, of which a share is wrong."""
    snapshot = take_snapshot(space.journal, space.problem)
    waiting = build_frame(space.settings.root, snapshot, space.problem).still_open.iloc[rows]
    days = sorted({int(order[1:5]) for order in waiting["order_id"]})
    truth = pd.concat([data.day_of_orders(day) for day in days]).set_index("order_id")["returned"].astype("int64")

    def answer(files: list[tuple[Path, Path]]) -> None:
        for given, out in files:
            keys = pd.read_parquet(given)["order_id"]
            lot = pd.util.hash_pandas_object(keys, index=False).to_numpy() / 2**64
            decision = truth[keys].to_numpy() ^ (lot < wrong)
            pd.DataFrame({"order_id": keys, "decision": decision, "probability": np.where(decision, 0.9, 0.1)}).to_parquet(out, index=False)

    order = Order(waiting, version, f"{version}" * 64, snapshot.id, space.problem.features)
    publish(space.settings.root, space.journal, space.problem, order, predict=answer)


def facts(space: Workspace, kind: str) -> dict[str, Any]:
    drift, decay = (row["facts"] for row in measure(space))
    return {"drift": drift, "decay": decay}[kind]


# --- what is measured


def test_without_a_champion_nothing_is_measured(space: Workspace):
    assert measure(space) == []
    assert watched(space.journal) == []


def test_orders_like_those_of_the_training_are_no_drift(served: Workspace):
    arrive(served)
    told = facts(served, "drift")
    assert (told["found"], told["is_judged"]) == (False, True), told["sentence"]
    assert {one["feature"] for one in told["features"]} == {*served.problem.features, "predicted decision", "predicted probability"}


@pytest.mark.parametrize(
    ("feature", "change"),
    [
        ("product", lambda orders: orders.assign(product=orders["product"].replace("sofa", "settee"))),
        ("amount", lambda orders: orders.assign(amount=orders["amount"] + 25)),
        ("amount", lambda orders: orders.assign(amount=(orders["amount"] * 100).astype(int))),
        ("amount", lambda orders: orders.assign(amount=orders["amount"].where(orders.index % 3 > 0))),
    ],
    ids=["a category renamed", "a number shifted", "a unit changed", "values missing"],
)
def test_a_change_of_a_feature_is_drift_and_names_it(served: Workspace, feature: str, change: Any):
    arrive(served, lambda orders: change(orders) if feature == "amount" else orders)
    if feature == "product":  # the stock must know the product too, or its level is missing as well
        orders = pd.concat([data.day_of_orders(day) for day in range(DAYS, DAYS + COMING)], ignore_index=True).drop(columns="returned")
        deliver(served, "orders", f"orders-{DAYS}.csv", change(orders))
        stock = data._stock(range(DAYS, DAYS + COMING))
        deliver(served, "stock", "settee.csv", stock[stock["product"] == "sofa"].assign(product="settee"))
        ingest(served)
    told = facts(served, "drift")
    assert told["found"], told["sentence"]
    assert {one["feature"] for one in told["features"] if one["is_drifted"]} == {feature}


def test_the_windows_end_and_the_figures_are_on_record(served: Workspace):
    arrive(served)
    drift, decay = measure(served)
    frame = build_frame(served.settings.root, take_snapshot(served.journal, served.problem), served.problem)
    assert drift["window"] == drift["facts"]["window_end"] == frame.rows["ordered_at"].max().isoformat()
    assert decay["window"] == frame.labelled["ordered_at"].max().isoformat()
    assert [row["kind"] for row in watched(served.journal)] == ["drift", "decay"]
    assert {row["facts"]["champion"] for row in (drift, decay)} == {1}
    amount = next(one for one in drift["facts"]["features"] if one["feature"] == "amount")
    assert 0 < amount["distance"] < 0.1
    assert amount["usual"] > 0


# --- decay


def test_before_the_champions_rows_have_outcomes_decay_is_not_judged(served: Workspace):
    arrive(served)
    predict(served, wrong=0.5)
    told = facts(served, "decay")
    assert (told["found"], told["is_judged"], told["rows"]) == (False, False, 0)


@pytest.mark.parametrize(("wrong", "found"), [(0.02, False), (0.6, True)])
def test_decay_is_found_when_the_published_decisions_come_to_cost_more(served: Workspace, wrong: float, found: bool):
    arrive(served)
    predict(served, wrong=wrong)
    mature(served)
    told = facts(served, "decay")
    assert (told["found"], told["is_judged"]) == (found, True), told["sentence"]
    before = served.journal.last(tables.decisions)["record"]["cost_level"]
    assert told["before"] == before["estimate"]


def test_only_rows_that_the_champion_itself_predicted_count(served: Workspace):
    arrive(served)
    predict(served, wrong=0.02)
    predict(served, wrong=1.0, version=2, rows=slice(3_500, None))
    mature(served)
    told = facts(served, "decay")
    assert told["is_judged"]
    assert not told["found"], told["sentence"]
    assert told["rows"] == 3_500


def test_a_champion_whose_predictions_another_one_has_replaced_is_not_judged(served: Workspace):
    arrive(served)
    predict(served, wrong=1.0)
    predict(served, wrong=1.0, version=2)
    mature(served)
    told = facts(served, "decay")
    assert (told["is_judged"], told["found"], told["rows"]) == (False, False, 0)


def test_predictions_are_watched_for_drift_as_far_as_the_champion_made_them(served: Workspace):
    def said() -> dict[str, Any]:
        features = facts(served, "drift")["features"]
        return next(one for one in features if one["feature"] == "predicted decision")

    assert said()["q"] is None
    assert "predicted decision was not judged" in said()["sentence"]
    arrive(served)
    predict(served, wrong=1.0)
    assert said()["is_drifted"]


def test_predictions_that_are_not_what_was_published_are_not_priced(served: Workspace):
    arrive(served)
    predict(served, wrong=0.1)
    (file,) = (served.settings.root / "predictions").rglob("*.parquet")
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(StoreError, match="is not what was published"):
        measure(served)
    assert watched(served.journal) == []


# --- written once


def test_the_same_snapshot_is_measured_once(served: Workspace, monkeypatch: pytest.MonkeyPatch):
    first = measure(served)
    monkeypatch.setattr(signals, "frame_of", None)
    assert measure(served) == first == watched(served.journal)


def test_a_new_snapshot_another_contract_and_another_champion_are_measured_anew(served: Workspace):
    measure(served)
    arrive(served)
    measure(served)
    assert len(watched(served.journal)) == 4
    measure(Workspace(served.settings, changed(served.problem, slices=("product",)), served.journal))
    assert len(watched(served.journal)) == 6
    mature(served)
    train(served)
    assert standing(served.journal).champion == 2
    measure(served)
    assert [row["facts"]["champion"] for row in watched(served.journal)] == [1] * 6 + [2] * 2


# --- what a debounce is given


def write(journal: Journal, name: str, window: str, found: bool, *, champion: int = 1, kind: str = "drift") -> None:
    journal.add(tables.signals, signal=name, kind=kind, window=window, facts={"champion": champion, "found": found, "is_judged": True})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def test_findings_are_those_of_successive_windows_the_newest_last(journal: Journal):
    assert findings(journal, "drift", 1) == ()
    for day, found in enumerate((True, False, True, True), start=1):
        write(journal, f"s{day}", f"2026-03-0{day}", found)
    assert findings(journal, "drift", 1) == (True, False, True, True)


def test_findings_of_another_champion_or_kind_do_not_count(journal: Journal):
    write(journal, "a", "2026-03-01", True)
    write(journal, "b", "2026-03-02", False, champion=2)
    write(journal, "c", "2026-03-03", False, kind="decay")
    assert findings(journal, "drift", 1) == (True,)
    assert findings(journal, "drift", 2) == findings(journal, "decay", 1) == (False,)


def test_a_window_that_was_judged_again_counts_once_by_its_last_judgement(journal: Journal):
    write(journal, "a", "2026-03-01", True)
    write(journal, "b", "2026-03-02", True)
    write(journal, "c", "2026-03-02", False)
    assert findings(journal, "drift", 1) == (True, False)


def test_a_correction_judges_the_same_window_again(served: Workspace):
    arrive(served)
    measure(served)
    newest = build_frame(served.settings.root, take_snapshot(served.journal, served.problem), served.problem).still_open
    correct(served, newest, amount=newest["amount"] + 25)
    measure(served)
    assert [row["facts"]["found"] for row in served.journal.rows(tables.signals, kind="drift")] == [False, True]
    assert findings(served.journal, "drift", 1) == (True,)


def test_several_classes_without_time_are_watched_too_and_a_window_is_a_snapshot(tmp_path: Path):
    space = open_space(tmp_path / "home", problem=MULTICLASS_WITHOUT_TIME)
    deliver_days(space, 30, without=("stock",))
    ingest(space)
    assert train(space)["verdict"] == "promote"
    deliver_days(space, 20, start=30, without=("stock", "outcomes"))
    ingest(space)
    snapshot = take_snapshot(space.journal, space.problem)
    waiting = build_frame(space.settings.root, snapshot, space.problem).still_open

    def answer(files: list[tuple[Path, Path]]) -> None:
        for given, out in files:
            pd.read_parquet(given)[["order_id"]].assign(decision="exchange", probability_keep=0.0).to_parquet(out, index=False)

    publish(space.settings.root, space.journal, space.problem, Order(waiting, 1, "1" * 64, snapshot.id, ("amount",)), predict=answer)
    drift, decay = measure(space)
    assert {drift["window"], decay["window"]} == {snapshot.id}
    assert {one["feature"] for one in drift["facts"]["features"] if one["is_drifted"]} >= {
        "predicted decision",
        "predicted probability_keep",
    }
    assert not {one["feature"] for one in drift["facts"]["features"] if one["is_drifted"]} & {"product", "amount"}
    assert not decay["facts"]["is_judged"]
    deliver_days(space, 20, start=30, without=("stock", "orders"))
    ingest(space)
    assert facts(space, "decay")["found"]
    assert findings(space.journal, "decay", 1) == (False, True)
    space.journal.close()
