"""The platform on one machine: Prefect, MLflow and the runner of the deployments, started, watched and stopped together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path

from evergreen.errors import EvergreenError, RefusedError
from evergreen.monitoring.channels import refuse_bad
from evergreen.monitoring.heartbeat import refuse_no_address
from evergreen.settings import Settings, load_settings
from evergreen.tracking import QUIET as QUIET_MLFLOW
from evergreen.workspace import open_workspace
from flows import account
from flows.health import (
    UNANSWERED,
    Health,
    Part,
    connection,
    is_closed,
    look,
    parts,
    refuse_another_home,
    served,
    socket_of,
    supervisor,
    tell,
)
from flows.server import QUIET as QUIET_PREFECT
from flows.server import prepare_database

CONFIG = Path(__file__).with_name("supervisord.conf")
START_SECONDS = 110.0
CRASHED_SECONDS = 5.0
"""A part that has been seen between two starts for so long, which is after the third crash, will not get healthy."""
STOP_SECONDS = 90.0
"""More than the parts may take to stop, one after the other: the sum of `stopwaitsecs` in the configuration."""
LAST_SECONDS = 2.0
"""For what Python does when a process has let go of everything; where nobody collects those that have ended, it looks like running."""
LOOK_SECONDS = 0.5
NO_FETCH = " The platform does not call fetch.py: have cron say `evergreen fetch`."
LAST_LINES = 8
SELDOM = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "15",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "60",
}
"""What Prefect's server looks for every few seconds, and nothing here waits for: a third of what it takes while nothing happens."""


def up() -> None:
    """Start everything, wait until it is healthy, and say where it is; what is up already is left alone, what stops is waited for.

    Raises
    ------
    RefusedError
        A port is taken, or is to be that of two parts; or alerts, or signs of life, are to go to what is no address.
    EvergreenError
        A part does not get healthy, and everything is stopped again; or what is to be stopped already does not end.
    """
    space = open_workspace()
    settings = space.settings
    refuse_bad(settings.alert_urls.get_secret_value())
    refuse_no_address(settings.heartbeat_url.get_secret_value())
    wanted = [*parts(settings), *served(settings)]
    _refuse_same(wanted)
    is_ours = not _is_up(settings)
    if is_ours:
        for part in wanted:
            _refuse_taken(part)
        if parts(settings)[0].port is None:  # a server that others use too
            refuse_another_home(settings)
        space.registry.aliases()  # MLflow's tables are made by one process, before several look at them
        settings.landing.mkdir(parents=True, exist_ok=True)
        _start(settings)
    with account.working("start the platform"):
        health = _wait_until_healthy(settings, is_ours=is_ours)
    tell(health)
    account.say(farewell(settings))


def farewell(settings: Settings) -> str:
    """What to do now that it is up; where the problem has a `fetch.py`, that the platform does not call it."""
    package = settings.problem.partition(":")[0].rpartition(".")[0]
    fetches = NO_FETCH if package and find_spec(f"{package}.fetch") else ""
    return f"Put deliveries into {settings.landing}.{fetches} Logs: {_logs(settings)}. To stop: make down"


def down() -> None:
    """Stop everything and wait until it has ended; what is being worked on is cut short and goes on with the next `up`.

    Raises
    ------
    EvergreenError
        It does not end.
    """
    settings = load_settings()
    with account.working("stop the platform"):
        was_up = _stop(settings)
    if not was_up:
        account.say("The platform is not up.")
        return
    account.say("The platform is down. What was being worked on goes on with: make up")


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
        if is_ours:  # what was up before is left alone
            _stop(settings)
        raise EvergreenError(f"{', '.join(ill)} did not get healthy. The last lines of the logs in {_logs(settings)}:\n{told}")
    return found


def _stop(settings: Settings) -> bool:
    """Have supervisord stop all its processes and end, and wait until it has; False when there was none."""
    held, process = connection(settings), None
    if held is None:
        return False
    with held:
        with supervisor(settings) as line, suppress(*UNANSWERED):
            if line:  # else somebody has told it already
                process = line.supervisor.getPID()
                line.supervisor.shutdown()
        _wait_until_closed(held, settings)
    _until(lambda: process is None or not _runs(process), seconds=LAST_SECONDS)
    return True


def _is_up(settings: Settings) -> bool:
    """Whether it is up; one that is about to stop is waited for."""
    held = connection(settings)  # first: whoever listens now and refuses to answer then is about to stop, not to start
    with held or nullcontext():
        with supervisor(settings) as line:
            if line is not None:
                return True
        if held:
            with account.working("wait until the platform has stopped"):
                _wait_until_closed(held, settings)
    return False


def _wait_until_closed(held: socket.socket, settings: Settings) -> None:
    if not is_closed(held, seconds=STOP_SECONDS):
        pid = _logs(settings) / "supervisord.pid"
        raise EvergreenError(
            f"The platform was told to stop {STOP_SECONDS:.0f} s ago, and has not. Its log is {pid.with_suffix('.log')}. Wait and say "
            f"`make down` again, or end it at once: kill -9 $(cat {pid})"
        )


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


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
        "EVERGREEN_SOCKET": socket_of(settings),
        **{"EVERGREEN_PREFECT_PORT": settings.prefect_port, "EVERGREEN_PREFECT_HERE": str(prefect.port is not None).lower()},
        **{"EVERGREEN_MLFLOW_PORT": settings.mlflow_port, "EVERGREEN_MLFLOW_HERE": str(mlflow.port is not None).lower()},
        **{"EVERGREEN_API_PORT": settings.api_port, "EVERGREEN_API_HERE": str(bool(served(settings))).lower()},
        "EVERGREEN_MLFLOW_STORE": settings.mlflow,
        "EVERGREEN_MLFLOW_ARTIFACTS": (settings.root / "mlartifacts").as_uri(),
        **{"PREFECT_API_URL": prefect.health.removesuffix("/health"), "PREFECT_HOME": settings.root / "prefect"},
        **{"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PREFECT_RUNNER_POLL_FREQUENCY": "5"},
        **{"PREFECT_LOGGING_LEVEL": "INFO", "PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_EXTRA_LOGGERS": account.LOG},
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        # Kept in memory, who works is forgotten when the server is started again, and Prefect ends the round that cannot renew its place.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_CLIENT_MAX_RETRIES": "5",
        **{
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "2592000",
        },
        **{"OMP_NUM_THREADS": "1", "COLUMNS": "160", "PYTHONUNBUFFERED": "1"},
    }
    quiet = {name: value for name, value in {**QUIET_PREFECT, **QUIET_MLFLOW}.items() if name not in own}
    return {**quiet, **SELDOM, **os.environ, **{name: str(value) for name, value in own.items()}}


def _refuse_same(found: list[Part]) -> None:
    names: dict[int, list[str]] = {}
    for part in found:
        if part.port is not None:
            names.setdefault(part.port, []).append(part.name)
    for port, same in names.items():
        if len(same) > 1:
            settings = " or ".join(f"EVERGREEN_{name.upper()}_PORT" for name in same)
            raise RefusedError(f"Port {port} is to be that of {' and '.join(same)}. Set {settings} to another one, then run again.")


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
