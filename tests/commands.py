"""The `evergreen` command in processes of its own, for the tests of the application."""

from __future__ import annotations

import atexit
import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import arming
import pandas as pd
import psutil
import pytest
import seedlings
from candidates import LOCK
from stores import lay_store
from toy import data
from workspaces import ANY_ROWS

from evergreen.data.publishing import read_published
from evergreen.tracking import QUIET
from flows.server import prefect_server

EVERGREEN = Path(sys.executable).with_name("evergreen")
TESTS = Path(__file__).parent
HEAVY = [
    "flows.cli",
    "flows.loop",
    "flows.telling",
    "flows.cycle",
    "great_expectations",
    "mlflow.sklearn",
    "skops.io",
    "toy.contract",
    "commands",
    "warmth",
]
SECONDS = 240.0
LABELLED, AHEAD = 60, 10


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Home:
    """A place where the command runs: its files under `root`, a contract, and folders that Python looks into for it."""

    root: Path
    problem: str = "toy.contract:PROBLEM"
    path: tuple[Path, ...] = ()

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "EVERGREEN_HOME": str(self.var),
            "EVERGREEN_PROBLEM": self.problem,
            "EVERGREEN_EXPECTATIONS": str(self.root / "expectations"),
            "EVERGREEN_LOCK": str(LOCK),
            "EVERGREEN_SETTLE_SECONDS": "0",
            "PYTHONPATH": os.pathsep.join(map(str, (TESTS, *self.path))),
        }

    def start(self, *words: str, **environment: str) -> ForkServerProcess:
        """Begin a command in a process that has everything heavy imported already, and reports to the tests' own Prefect server."""
        seed = {name: os.environ[name] for name in [seedlings.SEED] if name in os.environ}
        process = _forks().Process(target=_be_the_command, args=(self, words, seed | environment))
        process.start()
        return process

    def evergreen(self, *words: str, **environment: str) -> Ended:
        """Run a command to its end."""
        return self.ended(self.start(*words, **environment))

    def ended(self, process: ForkServerProcess) -> Ended:
        process.join(SECONDS)
        assert process.exitcode is not None, "the command did not end"
        return Ended(process.exitcode, (self.root / "out").read_text(), (self.root / "err").read_text())

    def start_cold(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Begin the installed command as a person would, in a process group of its own, with a private Prefect server."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "EVERGREEN_"))}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [EVERGREEN, *words],
            env=bare | self.environment | environment,
            cwd=self.root,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )

    def evergreen_cold(self, *words: str, **environment: str) -> Ended:
        """Run the installed command to its end."""
        process = self.start_cold(*words, **environment)
        out, err = process.communicate(timeout=SECONDS)
        return Ended(process.returncode, out, err)

    def python(self, code: str, *words: str, **environment: str) -> Ended:
        """Run some Python as a process of its own, in this home's folder and environment."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**os.environ, **self.environment, **environment},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def state(self) -> dict[str, Any]:
        """What has been reached, without what differs between two homes: times of day, and the names of MLflow's runs."""
        champion = next((row["version"] for row in reversed(self.rows("promotions")) if row["state"] == "done"), None)
        decided = [(row["candidate"], row["champion"], row["verdict"], row["snapshot"], row["record"]) for row in self.rows("decisions")]
        failed = {row["cause"] for row in self.rows("alerts") if row["kind"] == "failure"}
        return {
            "champion": champion,
            "in MLflow": {row["alias"]: row["version"] for row in self.rows("registered_model_aliases", "mlflow.db")},
            "versions": [(row["version"], row["training_key"], row["snapshot"]) for row in self.rows("versions")],
            "versions in MLflow": sorted(row["version"] for row in self.rows("model_versions", "mlflow.db")),
            "shown in MLflow": self.shown(),
            "decisions": [(*head, json.loads(record)["money"]) for *head, record in decided],
            "spent": [(row["data_time"], row["purpose"], row["alpha"]) for row in self.rows("ledger")],
            "moves": [(row["version"], row["champion"], row["anchor"], row["state"]) for row in self.rows("promotions")],
            "snapshots": [row["snapshot"] for row in self.rows("snapshots")],
            "deliveries": [(row["source"], row["name"], row["outcome"], row["batch"]) for row in self.rows("deliveries")],
            "published": [(row["partition"], row["version"], row["content"]) for row in self.rows("publications")],
            "rounds": [row["cycle"] for row in self.rows("cycles")],
            "alerts": [row["kind"] for row in self.rows("alerts") if row["cause"] not in failed],
        }

    def shown(self) -> list[Any]:
        """What MLflow has of the decisions: tags, numbers and files by their kind (digests and times of day differ between homes)."""
        tags = [row for row in self.rows("model_version_tags", "mlflow.db") if row["key"] == "verdict"]
        numbers = {(row["key"], row["value"]) for row in self.rows("metrics", "mlflow.db") if row["key"].startswith("holdout_")}
        files = [path.suffix for path in self.var.glob("mlartifacts/**/artifacts/decision/*")]
        return [(row["version"], row["value"]) for row in tags] + sorted(numbers) + sorted(files)

    def published(self, number: int = -1) -> pd.DataFrame:
        """What a reader of a publication finds: he follows the partition's pointer."""
        return read_published(self.var, self.rows("publications")[number]["partition"])

    def rows(self, table: str, database: str = "journal.db") -> list[dict[str, Any]]:
        """The rows of a table, whoever else is using the database; none while there is no such table."""
        file = self.var / database
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608 - the tests' own words
            except sqlite3.OperationalError:
                return []

    def deliver(self, until: int = LABELLED, *, start: int = 0, ahead: int = AHEAD) -> None:
        """Have arrive what the toy shop knows after day `until`, and the orders and stock of the days `ahead` of it."""
        landing = self.var / "landing"
        data.write_deliveries(landing, start_day=start, days=until - start)
        for path in data.write_deliveries(landing, start_day=until, days=ahead, period=ahead) if ahead else ():
            if path.parent.name == "outcomes":
                path.unlink()


def make_home(root: Path, *, problem: str = "toy.contract:PROBLEM", contract: str = "", bare: bool = False) -> Home:
    """An empty home with the least of suites, with MLflow's tables made already unless it is to be bare.

    `contract` is the source of the module in which `problem` is then found.
    """
    if not bare:
        lay_store(root / "var")
    suites = root / "expectations"
    suites.mkdir(parents=True, exist_ok=True)
    for name in ("orders", "stock", "customers", "outcomes", "training_data"):
        (suites / f"{name}.json").write_text(json.dumps({"name": name, "expectations": [ANY_ROWS]}))
    if not contract:
        return Home(root, problem)
    *packages, module = problem.partition(":")[0].split(".")
    folder = root.joinpath("contracts", *packages)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(contract)
    return Home(root, problem, (root / "contracts",))


def told(ended: Ended, *parts: str, code: int = 1) -> None:
    """See that a command failed with that code and one sentence (of a contract: a list of faults) that has these parts."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.err + ended.out
    assert all(part in ended.err for part in parts), ended.err
    assert len(ended.err.splitlines()) == 1 or ended.err.startswith("The contract is wrong"), ended.err


def wait_until(happened: Callable[[], object], *, while_runs: Callable[[], bool]) -> bool:
    """Wait for something to happen; False when the process ended before."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if happened():
            return True
        if not while_runs():
            return False
        time.sleep(0.005)
    raise TimeoutError("it did not happen")


@contextlib.contextmanager
def shared_server(root: Path) -> Iterator[None]:
    """The Prefect server that all commands but the cold ones report to, and the process that their predicting processes are forked from.

    They find both in their environment.
    """
    # What must be there when MLflow and the terminal's width are looked at, by the process that all others are forked from.
    os.environ |= {**QUIET, "COLUMNS": "200"}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would hand on that it is ignored
    with prefect_server(root) as ready, seedlings.seed():
        ready()
        yield


@contextlib.contextmanager
def other_server(root: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A Prefect server beside the tests' own, with its address and its process, for those who want to end it."""
    code = "import sys; from pathlib import Path; from flows.server import prefect_server\n"
    code += "with prefect_server(Path(sys.argv[1])) as ready:\n    print(ready(), flush=True)\n    sys.stdin.read()"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, str(root)], env=bare, stdin=pipe, stdout=pipe, text=True) as process:
        address = process.stdout.readline().strip()
        servers = [child for child in psutil.Process(process.pid).children(recursive=True) if child.cmdline()[1:3] == ["-m", "prefect"]]
        yield address, servers[0]
        process.stdin.close()


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    with pytest.MonkeyPatch.context() as patched:  # what it is to import it looks for where Python does, and leaves out in silence
        patched.setenv("PYTHONPATH", str(TESTS))
        forkserver.ensure_running()
    return context


def _be_the_command(home: Home, words: tuple[str, ...], environment: dict[str, str]) -> None:
    """What the child does: it takes a session, streams, environment and arguments of its own, then it is the command."""
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        with (home.root / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ |= home.environment | environment
    sys.path[:0] = map(str, home.path)
    sys.argv = ["evergreen", *words]
    arming.arm()
    if seedlings.SEED in os.environ:
        seedlings.plant(seedlings.ALIKE if arming.TRACE in os.environ else seedlings.MEASURED)
    from flows.cli import main

    try:
        main()
    finally:
        # Python ends a forked process without them.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
