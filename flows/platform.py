"""The platform on one machine: Prefect, MLflow and the runner of the deployments, started, watched and stopped together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from evergreen.errors import EvergreenError, RefusedError
from evergreen.files import digest_text
from evergreen.settings import Settings, load_settings
from evergreen.tracking import QUIET as QUIET_MLFLOW
from evergreen.tracking import without_password
from evergreen.workspace import open_workspace
from flows import account
from flows.server import QUIET as QUIET_PREFECT
from flows.server import prepare_database

CONFIG = Path(__file__).with_name("supervisord.conf")
START_SECONDS = 110.0
CRASHED_SECONDS = 5.0
"""A part that has been seen between two starts for so long, which is after the third crash, will not get healthy."""
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.5
LAST_LINES = 8


@dataclass(frozen=True)
class Part:
    """One process of the platform."""

    name: str
    what: str
    address: str
    """Where people look at it; empty for the runner."""
    health: str
    """What answers when it is healthy; for the runner Prefect's word on its deployments."""
    port: int | None
    """None for the runner, and for a server of a team's, which is not started here."""


@dataclass(frozen=True)
class Health:
    """How a part is."""

    part: Part
    state: str
    """supervisord's word: RUNNING, STARTING, BACKOFF, FATAL, STOPPED; "elsewhere" for a team's server."""
    is_healthy: bool


def parts(settings: Settings) -> list[Part]:
    """What the platform consists of, under these settings."""
    elsewhere = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    api = elsewhere or f"http://127.0.0.1:{settings.prefect_port}/api"
    prefect, mlflow = api.removesuffix("/api"), settings.mlflow_uri or f"http://127.0.0.1:{settings.mlflow_port}"
    of_mlflow = f"{mlflow}/health" if mlflow.startswith("http") else ""
    return [
        Part("prefect", "runs, schedules, events", prefect, f"{api}/health", None if elsewhere else settings.prefect_port),
        Part("mlflow", "experiments, models", mlflow, of_mlflow, None if settings.mlflow_uri else settings.mlflow_port),
        Part("runner", "works on what Prefect schedules", "", api, None),
    ]


def up() -> None:
    """Start everything, wait until it is healthy, and say where it is; what is up already is left alone.

    Raises
    ------
    RefusedError
        A port is taken.
    EvergreenError
        A part does not get healthy; everything is stopped again.
    """
    space = open_workspace()
    settings = space.settings
    is_ours = _supervisor(settings) is None
    if is_ours:
        for part in parts(settings):
            _refuse_taken(part)
        space.registry.aliases()  # MLflow's tables are made by one process, before several look at them
        settings.landing.mkdir(parents=True, exist_ok=True)
        _start(settings)
    with account.working("start the platform"):
        health = _wait_until_healthy(settings, is_ours=is_ours)
    tell(health)
    account.say(f"Put deliveries into {settings.landing}. Logs: {_logs(settings)}. To stop: make down")


def down() -> None:
    """Stop everything; what is being worked on is cut short and goes on with the next `up`."""
    settings = load_settings()
    supervisor = _supervisor(settings)
    if supervisor is None:
        account.say("The platform is not up.")
        return
    with account.working("stop the platform"):
        supervisor.supervisor.shutdown()
        _until(lambda: _supervisor(settings) is None, seconds=STOP_SECONDS)
    account.say("The platform is down. What was being worked on goes on with: make up")


def look(settings: Settings) -> list[Health]:
    """How each part is, asked now; empty when the platform is not up."""
    supervisor = _supervisor(settings)
    if supervisor is None:
        return []
    try:
        states = {one["name"]: one["statename"] for one in supervisor.supervisor.getAllProcessInfo()}
    except (OSError, xmlrpc.client.Error, HTTPException, ExpatError):
        return []
    return [_health(part, states.get(part.name, "STOPPED"), by_pool=bool(settings.work_pool)) for part in parts(settings)]


def tell(health: list[Health]) -> None:
    """Say how each part is and where."""
    for one in health:
        state = "healthy" if one.is_healthy else f"not healthy ({one.state.lower()})"
        tone = "good" if one.is_healthy else "bad"
        account.done(one.part.name, f"{state:<10} {without_password(one.part.address):<24} {one.part.what}", tone=tone)


def _health(part: Part, state: str, *, by_pool: bool) -> Health:
    if part.name == "runner":
        return Health(part, state, state in {"RUNNING", "STARTING"} and _serves(part.health, by_pool=by_pool))
    if part.port is None:
        return Health(part, "elsewhere", not part.health or _answers(part.health))
    return Health(part, state, state in {"RUNNING", "STARTING"} and _answers(part.health))


def _answers(address: str) -> bool:
    import httpx

    try:
        return httpx.get(address, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _serves(api: str, *, by_pool: bool) -> bool:
    """Whether Prefect knows the deployments, and has heard of the runner within the last minute (a pool's workers come and go)."""
    import httpx

    try:
        found = [httpx.get(f"{api}/deployments/name/{flow}/evergreen", timeout=2) for flow in ("retraining", "monitoring")]
        return all(one.is_success and (by_pool or one.json()["status"] == "READY") for one in found)
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def _wait_until_healthy(settings: Settings, *, is_ours: bool) -> list[Health]:
    found: list[Health] = []
    crashes: list[str] = []

    def settled() -> bool:
        found[:] = look(settings)
        waits = [one.part.name for one in found if not one.is_healthy]
        account.progress(f"start {', '.join(waits) or 'the platform'}")
        crashes.extend(one.part.name for one in found if one.state in {"BACKOFF", "FATAL"})
        return (bool(found) and not waits) or len(crashes) * LOOK_SECONDS > CRASHED_SECONDS

    _until(settled, seconds=START_SECONDS)
    if ill := [one.part.name for one in found if not one.is_healthy] or ([] if found else ["supervisord"]):
        told = "\n".join(line for name in ill for line in _last_lines(settings, name))
        if is_ours and (supervisor := _supervisor(settings)):  # what was up before is left alone
            supervisor.supervisor.shutdown()
        raise EvergreenError(f"{', '.join(ill)} did not get healthy. The last lines of the logs in {_logs(settings)}:\n{told}")
    return found


def _start(settings: Settings) -> None:
    logs = _logs(settings)
    logs.mkdir(parents=True, exist_ok=True)
    home = settings.root / "prefect"
    home.mkdir(exist_ok=True)
    prepare_database(home / "prefect.db")
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIG)]
    started = subprocess.run(command, env=_environment(settings), capture_output=True, text=True, check=False)
    if started.returncode:
        raise EvergreenError(f"supervisord did not start: {(started.stdout + started.stderr).strip()}")


def _environment(settings: Settings) -> dict[str, str]:
    """What the platform's processes find in their environment: one home, wherever they are, and no word to anybody outside."""
    prefect, mlflow, _ = parts(settings)
    own = {
        **{
            "EVERGREEN_HOME": settings.root,
            "EVERGREEN_EXPECTATIONS": settings.expectations.resolve(),
            "EVERGREEN_LOCK": settings.lock.resolve(),
        },
        **{"EVERGREEN_PROBLEM": settings.problem, "EVERGREEN_PYTHON": sys.executable, "EVERGREEN_LOGS": _logs(settings)},
        "EVERGREEN_SOCKET": _socket(settings),
        **{"EVERGREEN_PREFECT_PORT": settings.prefect_port, "EVERGREEN_PREFECT_HERE": str(prefect.port is not None).lower()},
        **{"EVERGREEN_MLFLOW_PORT": settings.mlflow_port, "EVERGREEN_MLFLOW_HERE": str(mlflow.port is not None).lower()},
        "EVERGREEN_MLFLOW_STORE": settings.mlflow,
        "EVERGREEN_MLFLOW_ARTIFACTS": (settings.root / "mlartifacts").as_uri(),
        **{"PREFECT_API_URL": prefect.health.removesuffix("/health"), "PREFECT_HOME": settings.root / "prefect"},
        **{"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PREFECT_LOGGING_LEVEL": "INFO", "PREFECT_RUNNER_POLL_FREQUENCY": "5"},
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        **{
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "2592000",
        },
        **{"OMP_NUM_THREADS": "1", "COLUMNS": "160", "PYTHONUNBUFFERED": "1"},
    }
    quiet = {name: value for name, value in {**QUIET_PREFECT, **QUIET_MLFLOW}.items() if name not in own}
    return {**quiet, **os.environ, **{name: str(value) for name, value in own.items()}}


def _refuse_taken(part: Part) -> None:
    if part.port is None:
        return
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left a moment ago is free
        try:
            listener.bind(("127.0.0.1", part.port))
        except OSError:
            setting = f"EVERGREEN_{part.name.upper()}_PORT"
            raise RefusedError(
                f"Port {part.port}, which {part.name} is to listen on, is taken by another program. End that one, or set {setting} "
                f"to a free port, then run again."
            ) from None


def _supervisor(settings: Settings) -> Any:
    """The line to the platform's supervisor; None when it is not up."""
    from supervisor.xmlrpc import SupervisorTransport

    path = _socket(settings)
    if not path.exists() or path.lstat().st_uid != os.getuid():  # in a folder that everybody may write to
        return None
    line = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{path}"))
    try:
        line.supervisor.getState()
    except (OSError, xmlrpc.client.Error, HTTPException, ExpatError):
        return None
    return line


def _socket(settings: Settings) -> Path:
    """Where the supervisor listens: not in the home, for the path of such a socket has at most 100 characters, nor where TMPDIR says."""
    return Path("/tmp") / f"evergreen-{digest_text(str(settings.root))[:12]}.sock"  # noqa: S108 - its owner is looked at first


def _logs(settings: Settings) -> Path:
    return settings.root / "logs"


def _last_lines(settings: Settings, name: str) -> list[str]:
    file = _logs(settings) / f"{name}.log"
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return [f"  {name}: {line:.200}" for line in lines[-LAST_LINES:]]


def _until(happened: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True
