"""Predictions in service for tests: published by a version of the toy problem, their outcomes delivered afterwards."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
from workspaces import NOW, deliver, deliver_days, ingest, open_space, train, with_source

from evergreen import brakes, occasions
from evergreen import journal as tables
from evergreen.data.publishing import Order, publish
from evergreen.data.snapshots import build_frame, published_now
from evergreen.monitoring import signals
from evergreen.monitoring.measuring import estimate_published, measure
from evergreen.prediction import predict_all
from evergreen.predictor import Job
from evergreen.status import look_at_health
from evergreen.triggers import Decision, Trigger
from evergreen.workspace import Workspace

DAYS, COMING = 85, 20
"""Of the first the champion has learnt from 59 and was judged on 25."""
AGED = with_source("stock", max_age=timedelta(days=3))


def mature(space: Workspace, *, days: int = COMING, start: int = DAYS) -> None:
    deliver_days(space, days, start=start, without=("orders", "stock"))
    ingest(space)


def predict(space: Workspace, *, version: int = 1, turned: bool = False, off: float = 0.0) -> None:
    """Publish what a version says of the orders that wait; or the opposite; or with probabilities that are off."""
    snapshot, problem = published_now(space.journal, space.problem), space.problem
    asked = space.registry.version(version)
    waiting = build_frame(space.settings.root, snapshot, problem).still_open

    def answer(files: list[tuple[Path, Path]]) -> None:
        predict_all([Job(space.registry.folder(asked), rows, out, key=problem.key) for rows, out in files])
        for _, out in files:
            said = pd.read_parquet(out)
            said["decision"] = 1 - said["decision"] if turned else said["decision"]
            said.assign(probability=(said["probability"] + off).clip(0, 1)).to_parquet(out, index=False)

    order = Order(waiting, version, f"{version}" * 64, snapshot.id, problem.features)
    publish(space.settings.root, space.journal, problem, order, predict=answer)


def eventful(root: Path) -> Workspace:
    """A home in which everything that there is to tell has happened: predictions were estimated and came true, a delivery is refused."""
    space = open_space(root, problem=AGED)
    deliver_days(space, DAYS)
    ingest(space)
    assert train(space)["verdict"] == "promote"
    deliver_days(space, COMING, start=DAYS, without=("outcomes",))
    ingest(space)
    predict(space)
    estimate_published(space)
    mature(space)
    measure(space)
    signals.measure(space)
    deliver(space, "customers", "broken.csv", pd.DataFrame({"customer_id": []}))
    ingest(space)
    look_at_health(space, NOW)
    occasions.record(space.journal, Trigger("schedule", "", NOW.isoformat()), Decision("skip", "cooldown", "too early"))
    brakes.freeze(space.journal, root=space.settings.root, reason="audit", person="ann")
    space.journal.add(tables.cycles, cycle="deliveries 0", facts={"decision": None, "data": "", "state": ""})
    space.journal.add(tables.alerts, cause="a cause", kind="health", text="not well", after=0)
    return space
