"""What lies around a run fails it: disks, databases, servers, files, the clock. It is told in a sentence, and running again finishes."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import arming
import commands
import crashing
import invariants
import pytest
from commands import Home, told, wait_until
from crashing import Stage
from servers import JOBLESS, PROGRAMS, serving

FULL = r"No space left on device|(disk|database or disk) is full"


def system(*order: str | Path) -> bool:
    return subprocess.run([shutil.which(order[0]) or order[0], *order[1:]], capture_output=True, check=False).returncode == 0


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts something over a folder, with what the caller says to `mount`; taken away when the test ends."""
    over: list[Path] = []

    def put(folder: Path, *how: str | Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() or not system("mount", *how, folder):
            pytest.skip("to mount something takes root's rights")
        over.append(folder)

    yield put
    for folder in reversed(over):
        system("umount", "-l", folder)


def small_disk(kilobytes: int) -> tuple[str, ...]:
    return "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs"


SIZES = {"while deliveries are judged": 1_450, "while MLflow makes its tables": 1_700, "while the model is stored": 2_500}


@pytest.mark.parametrize("kilobytes", SIZES.values(), ids=SIZES)
def test_a_full_disk_is_a_sentence_and_nothing_half_written_is_visible(home: Home, mount, after_first, injected, kilobytes: int):
    injected.fault, injected.times = "disk full", 1
    mount(home.var, *small_disk(kilobytes))
    home.deliver()
    full, _ = crashing.traced(home, "run")
    told(full)
    assert re.search(FULL, full.err), full.err
    assert not any(home.var.rglob("*.tmp"))
    assert system("mount", "-o", "remount,size=200m", home.var)
    invariants.check_consistent(home)
    again, _ = crashing.traced(home, "run")
    assert (again.code, again.err) == (0, "")
    invariants.check_same(home.state(), after_first)


@pytest.mark.parametrize("kilobytes", [3_500, 5_500], ids=["while the server starts", "while it works"])
def test_a_full_disk_is_a_sentence_with_a_private_server_too(home: Home, mount, injected, kilobytes: int):
    injected.fault, injected.times = "disk full", 1
    mount(home.var, *small_disk(kilobytes))
    home.deliver()
    full = home.evergreen_cold("run")
    told(full)
    assert re.search(FULL, full.err), full.err


@pytest.mark.parametrize("room", [40, 200, 500])
def test_a_disk_that_fills_up_in_a_later_month_costs_nothing(stage: Callable[[str], Stage], mount, injected, room: int):
    injected.fault, injected.times = "disk full", 1
    way = stage("run")
    used = sum(4 * (file.stat().st_size // 4096 + 1) for file in way.begin.rglob("*"))
    mount(way.home.var, *small_disk(used + room))
    full, trace = crashing.traced(way.restore(), "run")
    told(full)
    assert re.search(FULL, full.err), full.err
    assert system("mount", "-o", "remount,size=200m", way.home.var)
    invariants.check_consistent(way.home)
    injected.repeated = crashing.finish(way, trace)


def test_a_store_that_cannot_be_written_any_more_is_told(stage: Callable[[str], Stage], mount, injected):
    injected.fault, injected.times = "read-only store", 2
    way = stage("run")
    mount(way.home.var, *small_disk(200_000))
    batches = way.restore().var / "batches"
    mount(batches, "--bind", batches)
    assert system("mount", "-o", "remount,bind,ro", batches)
    refused, _ = crashing.traced(way.home, "run")
    told(refused, "cannot be written", "Read-only file system")
    assert system("mount", "-o", "remount,bind,rw", batches)
    system("umount", "-l", batches)
    assert system("mount", "-o", "remount,ro", way.home.var)
    told(crashing.traced(way.home, "run")[0])
    assert system("mount", "-o", "remount,rw", way.home.var)
    invariants.check_consistent(way.home)
    injected.repeated = crashing.finish(way)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program writes to a database and does not end; nobody else can write meanwhile."""
    with contextlib.closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def patience(request: pytest.FixtureRequest) -> float:
    """How many seconds a database stays locked."""
    return 30 if request.config.getoption("long", default=False) else 5


def test_a_journal_that_is_locked_is_waited_for(stage: Callable[[str], Stage], injected, patience: float):
    injected.fault, injected.times = "journal locked by another program", 1
    way = stage("ingest")
    process = way.restore().start(*way.words, **crashing.watched(way.home))
    assert wait_until(lambda: crashing.trace_of(way.home), while_runs=process.is_alive)
    with locked(way.home.var / "journal.db"):
        time.sleep(patience)
        assert process.is_alive()
    ended = way.home.ended(process)
    assert (ended.code, ended.err) == (0, ""), ended
    invariants.check_consistent(way.home)
    invariants.check_same(way.home.state(), way.state)


def test_an_mlflow_that_is_locked_for_a_moment_is_waited_for(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "MLflow's database locked by another program", 1
    way = stage("promote")
    with locked(way.restore().var / "mlflow.db"):
        process = way.home.start(*way.words, **crashing.watched(way.home))
        assert wait_until(lambda: crashing.trace_of(way.home), while_runs=process.is_alive)
        time.sleep(3)
        assert process.is_alive()
    ended = way.home.ended(process)
    assert (ended.code, ended.err) == (0, ""), ended
    invariants.check_same(way.home.state(), way.state)


def test_an_mlflow_that_stays_locked_is_told_and_running_again_finishes(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "MLflow's database locked by another program", 1
    way = stage("promote")
    with locked(way.restore().var / "mlflow.db"):
        refused, trace = crashing.traced(way.home, *way.words)
        told(refused, "MLflow's database", "database is locked")
    invariants.check_consistent(way.home)
    injected.repeated = crashing.finish(way, trace)


def test_a_prefect_server_that_goes_away_is_told_at_once_and_running_again_finishes(
    stage: Callable[[str], Stage], injected, tmp_path: Path
):
    injected.fault, injected.times = "Prefect's server killed", 1
    way = stage("train")
    known = len(way.restore().rows("snapshots"))
    with commands.other_server(tmp_path / "prefect") as (address, server):
        process = way.home.start_cold(*way.words, PREFECT_API_URL=address)
        assert wait_until(lambda: len(way.home.rows("snapshots")) > known, while_runs=lambda: process.poll() is None)
        server.kill()
        out, err = process.communicate(timeout=100)
        told(commands.Ended(process.returncode, out, err), f"The Prefect server at {address} stopped answering", "Nothing is lost.")
    invariants.check_consistent(way.home)
    crashing.finish(way, way.trace)  # it may have come to its last step, or not have begun


def test_an_mlflow_server_that_is_killed_in_mid_training_is_told_and_running_again_finishes(
    stage: Callable[[str], Stage], injected, tmp_path
):
    injected.fault, injected.times = "MLflow's server killed", 1
    way = stage("train")
    tables = ("--backend-store-uri", f"sqlite:///{way.restore().var / 'mlflow.db'}")
    files = ("--artifacts-destination", str(way.home.var / "mlartifacts"))
    log = tmp_path / "mlflow.log"
    with serving(log, PROGRAMS / "mlflow", "server", *tables, *files, "--workers", "1", **JOBLESS) as ready:
        address = ready("/health")
        halted = crashing.armed(way.home, "after MLflow's run", what=signal.SIGSTOP)
        process = way.home.start(*way.words, **halted, EVERGREEN_MLFLOW_URI=address)
        crashing.wait_for_the_stop(process)
    crashing.wake(process)
    ended = way.home.ended(process)
    told(ended, f"MLflow at {address} cannot be used")
    invariants.check_consistent(way.home)
    crashing.finish(way, crashing.trace_of(way.home))


def test_a_batch_that_was_cut_off_is_told_not_used_and_comes_back_from_its_delivery(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "stored batch cut off", 1
    home, before = stage("train").restore(), stage("train").home.state()
    batch = max(home.var.glob("batches/orders/*.parquet"))
    os.truncate(batch, batch.stat().st_size // 2)
    refused, _ = crashing.traced(home, "train")
    told(refused, "is torn", "remove it and run again")
    assert home.state()["versions"] == before["versions"]
    batch.unlink()
    again, _ = crashing.traced(home, "run")
    assert (again.code, again.err) == (0, "")
    invariants.check_consistent(home)
    reached, wanted = home.state(), stage("run").state
    assert set(reached.pop("deliveries")) == set(wanted["deliveries"])
    invariants.check_same({**reached, "deliveries": wanted["deliveries"]}, wanted)


def test_a_delivery_of_parquet_that_was_cut_off_is_quarantined_and_the_rest_goes_on(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "delivery cut off", 1
    way = stage("ingest")
    whole = next(way.restore().var.glob("batches/orders/*.parquet")).read_bytes()
    (way.home.var / "landing" / "orders" / "orders-late.parquet").write_bytes(whole[: len(whole) // 2])
    ended, _ = crashing.traced(way.home, *way.words)
    assert (ended.code, ended.err) == (0, "")
    invariants.check_consistent(way.home)
    state = way.home.state()
    assert ("orders", "orders-late.parquet", "quarantined", None) in state["deliveries"]
    assert set(way.state["deliveries"]) < set(state["deliveries"])


@pytest.mark.parametrize(
    ("name", "point"), [("train", "before MLflow's version"), ("promote", "after promotions"), ("close", "begin predicting")]
)
def test_a_clock_that_was_set_back_an_hour_before_the_rerun_changes_nothing(stage: Callable[[str], Stage], injected, name: str, point: str):
    injected.fault, injected.times = "clock set back an hour before the rerun", 1
    way = stage(name)
    way.restore()
    killed = crashing.killed_at(way.home, way.words, point)
    injected.repeated = crashing.finish(way, killed, **{arming.CLOCK: "-3600"})
    assert injected.repeated <= 1


def test_of_two_runs_at_once_one_works_and_the_other_says_that_it_is_busy(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "two runs at once", 1
    way = stage("run")
    beside = Home(way.restore().root / "beside", way.home.problem)
    beside.root.mkdir(exist_ok=True)
    environment = way.home.environment
    first = way.home.start("run", **crashing.watched(way.home))
    second = beside.start("run", **environment)
    ended = sorted((way.home.ended(first), beside.ended(second)), key=lambda one: one.code)
    assert ended[0].code == 0
    told(ended[1], "Another evergreen command works here")
    invariants.check_consistent(way.home)
    invariants.check_same(way.home.state(), way.state)
