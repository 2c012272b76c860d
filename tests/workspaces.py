"""The toy problem for tests: variants of its contract, its rows, and a workspace with deliveries already ingested."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from candidates import LOCK, toy_rows
from stores import lay_store
from toy import data
from toy.contract import PROBLEM

from evergreen import retraining
from evergreen.contract import Problem
from evergreen.data import batches, landing
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.snapshots import take_snapshot
from evergreen.journal import Journal
from evergreen.settings import Settings
from evergreen.validation import rules_of
from evergreen.workspace import Workspace

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
ANY_ROWS = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}


def changed(part: Any = PROBLEM, **values: Any) -> Any:
    """The toy contract (or a part of one) with other values, checked as if it had been written down so."""
    return type(part)(**{**dict(part), **values})


def with_source(name: str, problem: Problem = PROBLEM, **values: Any) -> Problem:
    """The contract with one of its sources changed."""
    return changed(problem, sources=tuple(changed(s, **values) if s.name == name else s for s in problem.sources))


def with_join(index: int, problem: Problem = PROBLEM, **values: Any) -> Problem:
    """The contract with one of its joins changed."""
    return changed(problem, joins=tuple(changed(j, **values) if i == index else j for i, j in enumerate(problem.joins)))


@cache
def toy_frame(days: int) -> pd.DataFrame:
    """The labelled rows of the first days, as the joins would make them. Shared between tests: nobody may change it."""
    rows = toy_rows(range(days))
    return rows.assign(
        returned=rows["returned"].astype("int64"),
        region=rows["customer_id"].map(data._customers().set_index("customer_id")["region"]),
        **{PREDICTION_TIME: rows["ordered_at"] - pd.Timedelta(hours=1), "stock.observed_at": rows["ordered_at"].dt.floor("D")},
    )


def open_space(root: Path, *, problem: Problem = PROBLEM) -> Workspace:
    """A workspace under `root` with the least of suites: each wants a row."""
    settings = Settings(_env_file=None, home=root, expectations=root / "expectations", lock=LOCK, settle_seconds=0)
    settings.expectations.mkdir(parents=True, exist_ok=True)
    for name in (*(source.suite for source in problem.sources), "training_data"):
        (settings.expectations / f"{name}.json").write_text(json.dumps({"name": name, "expectations": [ANY_ROWS]}))
    lay_store(root)
    return Workspace(settings, problem, Journal(settings.journal))


def ingest(space: Workspace) -> list[batches.Judged]:
    """Judge whatever lies in the landing folders."""
    settings = space.settings
    found = landing.find(settings.landing, space.problem, settle_seconds=0, now=NOW)
    waiting = landing.unjudged(found, landing.known(space.journal), rules_of(space.problem, settings.expectations), root=settings.root)
    intake = batches.Intake(settings.root, settings.expectations, space.journal, lambda refusal: refusal.reason)
    return [batches.ingest_one(delivery, space.problem.source(delivery.source), intake=intake, now=NOW) for delivery in waiting]


def deliver(space: Workspace, source: str, name: str, rows: pd.DataFrame) -> Path:
    """Put rows into the landing folder of a source."""
    path = space.settings.landing / source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
    return path


def deliver_days(space: Workspace, days: int, *, start: int = 0, without: Sequence[str] = ()) -> None:
    """Put what arrives in `days` days into the landing folders, one file a source."""
    for path in data.write_deliveries(space.settings.landing, days=days, start_day=start, period=days):
        if path.parent.name in without:
            path.unlink()


def correct(space: Workspace, rows: pd.DataFrame, **values: Any) -> None:
    """Deliver orders again, with other values, and ingest them: the later delivery counts."""
    again = rows[["order_id", "ordered_at", "customer_id", "product", "amount"]].assign(**values)
    deliver(space, "orders", "correction.csv", again.sort_values("ordered_at"))
    ingest(space)


def train(space: Workspace) -> dict[str, Any]:
    """What the training flow does, without Prefect: the verdict on what is there, carried out."""
    snapshot = take_snapshot(space.journal, space.problem)
    record = retraining.earlier_verdict(space, snapshot)
    if record is None:
        record = judge(space, retraining.prepare(space, snapshot))
    retraining.apply(space, record)
    return record


def judge(space: Workspace, material: retraining.Material) -> dict[str, Any]:
    """Train a candidate and judge it; nothing is carried out."""
    candidate = retraining.make_candidate(space, material, tuning=False)
    return retraining.decide(space, material, candidate, retraining.ask_models(space, material, candidate))


def keep(space: Workspace) -> Path:
    """Close a workspace and keep a copy of what it is now beside it; its home, for `kept`."""
    space.journal.close()
    root = space.settings.root
    shutil.copytree(root, root.with_name("copy"))
    return root


@contextmanager
def kept(root: Path, *, problem: Problem = PROBLEM) -> Iterator[Workspace]:
    """A workspace that is again what it was when it was kept, at its own place: what it registered is recorded by absolute path."""
    copy = root.with_name("copy")
    for left in root.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif not left.name.startswith("mlflow.db"):
            left.unlink()
    shutil.copytree(copy, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow.db*"))
    # MLflow holds its database open: the file stays, and SQLite writes it anew.
    with closing(sqlite3.connect(copy / "mlflow.db")) as before, closing(sqlite3.connect(root / "mlflow.db")) as store:
        before.backup(store)
    space = open_space(root, problem=problem)
    yield space
    space.journal.close()


AT_WORK = """
import sys
from pathlib import Path
from evergreen.journal import Journal
from evergreen.leases import single_flight

root = Path(sys.argv[1])
with single_flight(Journal(f"sqlite:///{root / 'journal.db'}"), root, seconds=10, name=sys.argv[2]):
    print("at work", flush=True)
    sys.stdin.read()
"""


@contextmanager
def somebody_at_work(root: Path, lease: str = "pipeline") -> Iterator[None]:
    """Another process works in a home, or moves the champion."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", AT_WORK, str(root), lease], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        try:
            yield
        finally:
            process.stdin.close()
