"""Homes that are put back to what they were, commands that are killed at a point, and what must hold whatever was cut short."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import arming
import commands
import pandas as pd
import psutil
from commands import Ended, Home
from seedlings import SEED

from evergreen.data.publishing import read_published
from evergreen.files import read_json
from evergreen.registry import stored_digest

BEGIN = "begin "
"""How the points are called at which an expensive step begins."""
POINTS: dict[str, tuple[tuple[str, int], ...]] = {
    "ingest": (
        ("begin judging a delivery", 1),
        ("before a batch is stored", 1),
        ("after a batch is stored", 1),
        ("before deliveries", 1),
        ("after deliveries", 1),
        ("after a refused delivery is kept", 1),
        ("before the page of a refused delivery", 1),
        ("after the page of a refused delivery", 1),
        ("before deliveries", 2),
    ),
    "train": (
        ("before snapshots", 1),
        ("after snapshots", 1),
        ("begin fitting", 1),
        ("before MLflow's run", 1),
        ("after MLflow's run", 1),
        ("after the evidence is stored", 1),
        ("after the model is stored", 1),
        ("before MLflow's version", 1),
        ("after MLflow's version", 1),
        ("before versions", 1),
        ("after versions", 1),
    ),
    "judge": (
        ("begin asking the models", 1),
        ("before looks and ledger and decisions", 1),
        ("after looks and ledger and decisions", 1),
    ),
    "promote": (
        ("after the decision's page", 1),
        ("after the decision's record", 1),
        ("after a file of the decision in MLflow", 1),
        ("after MLflow's tag verdict", 1),
        ("after MLflow's tag decision", 1),
        ("before promotions", 1),
        ("after promotions", 1),
        ("after alias challenger", 1),
        ("begin verifying", 1),
        ("before the aliases move", 1),
        ("after alias previous, moving", 1),
        ("after alias champion, moving", 1),
        ("after alias anchor, moving", 1),
        ("after alias challenger, moving", 1),
        ("before promotions", 2),
        ("after promotions", 2),
    ),
    "close": (
        ("before triggers", 1),
        ("after triggers", 1),
        ("begin predicting", 1),
        ("after predictions are written", 1),
        ("after the pointer has moved", 1),
        ("before publications", 1),
        ("after publications", 1),
        ("after the overview", 1),
        ("before cycles", 1),
        ("after cycles", 1),
    ),
}
"""For each stage of the second month the points that it passes, and which passing of each is disturbed."""
WAY: dict[str, tuple[str, str, str]] = {
    "run": ("", "", "run"),
    "ingest": ("", "", "ingest"),
    "train": ("ingest", "", "train"),
    "judge": ("train", "after versions", "train"),
    "promote": ("judge", "after looks and ledger and decisions", "train"),
    "close": ("promote", "", "run"),
}
"""For each stage the one before it, the point at which that one is killed (empty: it ends), and the command that goes on."""
BROKEN = "order_id,ordered_at,customer_id,product,amount\no0070-000,2026-03-16 08:00"
Trace = list[str]


@dataclass(frozen=True)
class Stage:
    """A part of the way: what the home was, the command that goes on from there, and where it comes to when nobody disturbs it."""

    home: Home
    begin: Path
    end: Path
    words: tuple[str, ...]
    trace: Trace
    state: dict[str, Any]

    def restore(self) -> Home:
        """Put the home back to what it was. A home cannot be moved: what it registered is recorded by absolute path."""
        put_back(self.begin, self.home)
        return self.home


def put_back(copy: Path, home: Home) -> None:
    """Make a home what it was when it was copied."""
    for left in home.var.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    shutil.copytree(copy, home.var, dirs_exist_ok=True)


def keep(home: Home, name: str) -> Path:
    """A copy of what a home is now."""
    copy = home.root / "copies" / name
    shutil.copytree(home.var, copy)
    return copy


def second_month(root: Path) -> Home:
    """A home after a first month, in which a second one lies in the landing folders, with one delivery that is cut off."""
    home = commands.make_home(root)
    home.deliver()
    first, _ = traced(home, "run")
    assert (first.code, first.err) == (0, ""), first
    home.deliver(commands.LABELLED + commands.AHEAD, start=commands.LABELLED)
    (home.var / "landing" / "orders" / "orders-broken.csv").write_text(BROKEN)
    keep(home, "landed")
    return home


def make_stage(home: Home, name: str, *, stage: Callable[[str], Stage]) -> Stage:
    """Bring the home to where a stage begins, then measure it."""
    before, point, command = WAY[name]
    put_back(stage(before).end if before else home.root / "copies" / "landed", home)
    if point:
        stage(before).restore()
        killed_at(home, stage(before).words, point)
    return measured(home, name, command)


def kill_and_finish(stage: Stage, point: str, number: int = 1, *, times: int = 1) -> int:
    """Kill a stage at a passing of a point, once or again in the rerun, then see that running again finishes it; what was repeated."""
    stage.restore()
    traces = []
    for _ in range(times):
        traces.append(killed_at(stage.home, stage.words, point, number))
        check_consistent(stage.home)
    return finish(stage, *traces)


def measured(home: Home, name: str, *words: str) -> Stage:
    """Keep the home as it is, then go on undisturbed: the reference for those that are disturbed."""
    begin = keep(home, name)
    ended, trace = traced(home, *words)
    assert (ended.code, ended.err) == (0, ""), ended
    check_consistent(home)
    return Stage(home, begin, keep(home, f"{name}, done"), words, trace, home.state())


def traced(home: Home, *words: str, **environment: str) -> tuple[Ended, Trace]:
    """Run a command to its end, and say which points it passed."""
    ended = home.evergreen(*words, **{**watched(home), **environment})
    return ended, trace_of(home)


def killed_at(home: Home, words: Iterable[str], point: str, number: int = 1) -> Trace:
    """Run a command until it is killed at a passing of a point; it must have come there."""
    process = home.start(*words, **armed(home, point, number))
    process.join(commands.SECONDS)
    trace = trace_of(home)
    assert process.exitcode == -signal.SIGKILL, (point, process.exitcode, trace, (home.root / "err").read_text())
    assert (trace[-1], trace.count(point)) == (point, number)
    return trace


@contextlib.contextmanager
def stopped_at(stage: Stage, point: str, number: int = 1) -> Iterator[Callable[[], Ended]]:
    """A command that has stopped itself at a passing of a point; the value wakes it and says how it ended. It is killed if it sleeps on."""
    home = stage.restore()
    process = home.start(*stage.words, **armed(home, point, number, signal.SIGSTOP), EVERGREEN_LEASE_SECONDS="2")
    wait_for_the_stop(process)
    trace = trace_of(home)
    assert (trace[-1], trace.count(point)) == (point, number)
    for name in ("out", "err"):
        (home.root / name).rename(home.root / f"{name} of the stopped one")  # the next command writes files of its own

    def wake_up() -> Ended:
        wake(process)
        process.join(commands.SECONDS)
        assert process.exitcode is not None, "the command did not end"
        return Ended(process.exitcode, *((home.root / f"{name} of the stopped one").read_text() for name in ("out", "err")))

    try:
        yield wake_up
    finally:
        process.kill()
        process.join()


def wait_for_the_stop(process: ForkServerProcess) -> None:
    """Wait until a process has stopped itself."""

    def has_stopped() -> bool:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)

    assert commands.wait_until(has_stopped, while_runs=process.is_alive)


def wake(process: ForkServerProcess) -> None:
    """Let a stopped process go on."""
    psutil.Process(process.pid).resume()


def armed(home: Home, point: str, number: int = 1, what: signal.Signals = signal.SIGKILL) -> dict[str, str]:
    """The environment in which a command signals itself at a passing of a point."""
    return {**watched(home), arming.POINT: point, arming.NUMBER: str(number), arming.SIGNAL: str(int(what))}


def watched(home: Home) -> dict[str, str]:
    """The environment in which a command writes down the points that it passes."""
    file = home.root / "trace"
    file.unlink(missing_ok=True)
    return {arming.TRACE: str(file), **{name: os.environ[name] for name in [SEED] if name in os.environ}}


def trace_of(home: Home) -> Trace:
    """The points that the last command has passed so far."""
    file = home.root / "trace"
    return file.read_text().splitlines() if file.exists() else []


def finish(stage: Stage, *cut_short: Trace, **environment: str) -> int:
    """Run the same command to its end and see that it comes where the undisturbed one came; returns how many steps were repeated."""
    ended, last = traced(stage.home, *stage.words, **environment)
    assert (ended.code, ended.err) == (0, ""), ended
    assert "Traceback" not in ended.out
    check_consistent(stage.home)
    check_same(stage.home.state(), stage.state)
    return repeated([*cut_short, last], stage.trace)


def repeated(traces: Iterable[Trace], reference: Trace) -> int:
    """How many expensive steps were begun more often than without a disturbance; none may have been left out."""
    begun = Counter(point for trace in traces for point in trace if point.startswith(BEGIN))
    wanted = Counter(point for point in reference if point.startswith(BEGIN))
    assert not wanted - begun, wanted - begun
    return (begun - wanted).total()


def check_same(state: dict[str, Any], reference: dict[str, Any]) -> None:
    """See that two homes have come to the same, part by part."""
    for part, value in reference.items():
        assert state[part] == value, part


def check_consistent(home: Home) -> None:
    """What holds at any moment, whatever was cut short."""
    for database in ("journal.db", "mlflow.db"):
        assert query(home, database, "PRAGMA integrity_check") in ([("ok",)], [])
    _check_versions(home)
    _check_champion(home)
    decided = query(home, "journal.db", "SELECT candidate FROM decisions")
    assert len(query(home, "journal.db", "SELECT seq FROM ledger")) == len(decided)
    for batch in home.var.glob("batches/*/*.parquet"):
        assert hashlib.sha256(batch.read_bytes()).hexdigest() == batch.stem
    for pointer in home.var.glob("predictions/*/current.json"):
        assert len(read_published(home.var, pointer.parent.name.removeprefix("dt="))) == read_json(pointer)["rows"]
    for file in visible(home):
        _check_whole(file)


def visible(home: Home) -> Iterator[Path]:
    """Every file of ours under its final name: not what others deliver, nor what MLflow and Prefect write as they like."""
    for file in home.var.rglob("*"):
        parts = file.relative_to(home.var).parts
        theirs = parts[0] in {"landing", "mlartifacts", "prefect"} or "delivered" in parts
        if file.is_file() and not theirs and not any(part.startswith(".") for part in parts):
            yield file


def query(home: Home, database: str, sql: str) -> list[tuple[Any, ...]]:
    """What a database says, opened as the next command opens it: what a killed one had not committed is gone."""
    file = home.var / database
    if not file.exists():
        return []
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
        return connection.execute(sql).fetchall()


def _check_versions(home: Home) -> None:
    """One version for each training, in MLflow and in the journal; what the journal has is stored as it says."""
    shown = query(home, "mlflow.db", "SELECT value, version FROM model_version_tags WHERE key = 'training_key'")
    known = query(home, "journal.db", "SELECT training_key, version, artefact, facts FROM versions")
    assert len({key for key, _ in shown}) == len(shown)
    assert len({key for key, *_ in known}) == len(known)
    for _, version, artefact, facts in known:
        folder = Path(json.loads(facts)["model_uri"].removeprefix("file://"))
        assert stored_digest(folder) == artefact, version


def _check_champion(home: Home) -> None:
    """MLflow's champion is the journal's; while a move is under way it may be the new one already."""
    moves = query(home, "journal.db", "SELECT promotion, state, version FROM promotions ORDER BY seq")
    closed = {move for move, state, _ in moves if state != "intent"}
    serves = [version for _, state, version in moves if state == "done"][-1:]
    under_way = [version for move, _, version in moves if move not in closed]
    assert len(under_way) <= 1
    shown = [version for (version,) in query(home, "mlflow.db", "SELECT version FROM registered_model_aliases WHERE alias = 'champion'")]
    assert shown in ((serves, under_way) if under_way else (serves,)), (shown, serves, under_way)


def _check_whole(file: Path) -> None:
    if file.suffix == ".json":
        json.loads(file.read_text())
    elif file.suffix == ".parquet":
        pd.read_parquet(file)
    elif file.suffix == ".html":
        assert file.read_text().rstrip().endswith("</html>"), file
