"""The platform of a home, for tests: really up, on ports of its own, and gone when the test is over."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import psutil
from commands import Ended, Home
from serving import free_port
from waiting import PATIENCE

SECONDS = 180
"""How long a file that is dropped may take to be predicted with, on a machine that is busy with other tests."""
CONTRACT = """
from datetime import timedelta
from evergreen.policies import RetrainingPolicy
from toy.contract import PROBLEM as TOY
from toy.online import ONLINE

PROBLEM = type(TOY)(**{{**dict(TOY), "online": ONLINE, "retraining": RetrainingPolicy({policy})}})
"""


@dataclass(frozen=True)
class Platform:
    """A home and the ports that its platform listens on."""

    home: Home
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.environment['EVERGREEN_PREFECT_PORT']}/api"

    def evergreen(self, *words: str) -> Ended:
        return self.home.evergreen_cold(*words, **self.environment)

    def ask(self, path: str, **wanted: Any) -> Any:
        """What Prefect's server answers, within the patience of Prefect's own clients: it writes to one SQLite file and has two cores."""
        answer = httpx.request("POST" if wanted else "GET", f"{self.api}/{path}", timeout=PATIENCE, **wanted)
        return answer.raise_for_status().json() if answer.content else None

    def runs(self, deployment: str = "retraining") -> list[dict[str, Any]]:
        """Prefect's own record of a deployment's runs that have begun, oldest first."""
        found = self.ask(f"deployments/name/{deployment}/evergreen")
        wanted = {"deployments": {"id": {"any_": [found["id"]]}}, "sort": "START_TIME_ASC", "limit": 200}
        return [run for run in self.ask("flow_runs/filter", json=wanted) if run["start_time"]]

    def logs(self) -> list[str]:
        """The lines that Prefect's pages show with rounds."""
        rounds = self.ask("flow_runs/filter", json={"flows": {"name": {"any_": ["cycle"]}}})
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"] for run in rounds]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        return [row["message"] for row in self.ask("logs/filter", json=wanted)]

    def works_on_a_round(self) -> psutil.Process | None:
        """The process that works on a round now: it has the home's lease."""
        owners = [row["owner"] for row in self.home.rows("leases") if row["lease"] == "pipeline" and row["owner"]]
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(int(owners[0].split()[-1])) if owners else None
        return None

    def emit(self, event: str) -> None:
        """Send Prefect an event, as anybody may, through its public interface."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        told = {"event": event, "resource": {"prefect.resource.id": "somebody"}, "occurred": now, "id": str(uuid4())}
        self.ask("events", json=[told])

    def processes(self) -> list[psutil.Process]:
        """Everything that works for this home: it has the home in its environment."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and self._is_ours(process)]

    def parts(self, name: str) -> list[psutil.Process]:
        """The processes that are a part of it: `prefect`, `flows.deployments` or `supervisor.supervisord`, behind `python -m`."""
        return [process for process in self.processes() if _words(process)[1:3] == ["-m", name]]

    def kill(self) -> int:
        """kill -9 of all of it; returns how many there were. Whoever was begun while the others were listed or died goes after them."""
        killed, deadline = 0, time.monotonic() + 30
        while found := self.processes():
            assert time.monotonic() < deadline, f"{found} do not end"
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(found, timeout=30)
            killed += len(found)
        return killed

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("EVERGREEN_HOME") == str(self.home.var) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def published(home: Home) -> int:
    """How often predictions were published."""
    return len(home.rows("publications"))


def acted(home: Home) -> list[tuple[str, str]]:
    """The reasons that were acted upon, by kind and rule."""
    return [(row["kind"], row["rule"]) for row in home.rows("triggers") if row["action"] == "retrain"]


def platform_of(home: Home, *, poll: int = 15, **environment: str) -> Platform:
    """A platform on free ports; it is not up yet."""
    ports = {f"EVERGREEN_{name}_PORT": str(free_port()) for name in ("PREFECT", "MLFLOW", "API")}
    return Platform(home, {**ports, "EVERGREEN_POLL_SECONDS": str(poll), **environment})


@contextlib.contextmanager
def up(platform: Platform) -> Iterator[Platform]:
    """Have it up, and in the end leave nobody behind."""
    try:
        started = platform.evergreen("up")
        assert (started.code, started.err) == (0, ""), started
        yield platform
    finally:
        platform.evergreen("down")
        platform.kill()
