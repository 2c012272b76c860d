"""The Prefect server that a command's flows report to: the one of `PREFECT_API_URL`, else a private one for as long as it runs."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path

from evergreen.errors import EvergreenError
from evergreen.files import atomic_path
from evergreen.leases import single_flight
from evergreen.workspace import Workspace
from flows import account, interrupts

START_SECONDS = 90.0
ANSWER_SECONDS = 10.0
ROOM = 1 << 18
"""With fewer bytes left on the disk the private server's database cannot grow."""
STOP_SECONDS = 10.0
QUIET = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "2",
}
"""What we start says nothing home, leaves the screen to the command's own account of what it does, and waits for a server that has gone
for seconds instead of minutes."""


class ServerLostError(EvergreenError):
    """The Prefect server stopped answering; threads of Prefect's go on trying, so whoever catches this must not wait for them."""


@contextmanager
def prefect_server(root: Path) -> Iterator[Callable[[], str]]:
    """Make flows report to a server; enter it before Prefect is imported.

    A private server takes a while to start, so it starts in the background: the value is a function that waits until it answers and
    gives its address; call it before the first flow. Flows that report to it send no heartbeats: it lives no longer than they do, and
    at the end of each flow Prefect would wait up to a second for the thread that sends them.

    Raises
    ------
    EvergreenError
        By that function: the server does not answer. Later: it stopped answering. Nothing is lost then: what is done stands in the journal.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # it would count on the screen what it has still to send at the end
    if given := os.environ.get("PREFECT_API_URL"):
        with _explained(given, _start_it):
            yield lambda: _wait_until_ready(given, _start_it, seconds=ANSWER_SECONDS)
        return
    home, port = root / "prefect", _free_port()
    home.mkdir(parents=True, exist_ok=True)
    prepare_database(home / "prefect.db")
    address, log = f"http://127.0.0.1:{port}/api", home / "server.log"
    os.environ |= {"PREFECT_HOME": str(home), "PREFECT_API_URL": address}
    process, cure = _start(port, log), partial(_make_room_or_read, log)
    with _explained(address, cure), ExitStack() as settings:

        def ready() -> str:
            _wait_until_ready(address, cure, seconds=START_SECONDS, lives=lambda: process.poll() is None and not _is_full(home))
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

            settings.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            return address

        try:
            yield cache(ready)
        finally:
            interrupts.heard()
            del os.environ["PREFECT_API_URL"]
            _stop(process)


@contextmanager
def one_command(space: Workspace, what: str) -> Iterator[None]:
    """Do what needs Prefect: no other such command works in the same home, a server answers, and what is being done is shown.

    Raises
    ------
    BusyError
        Another command works in this home.
    """
    with alone(space), prefect_server(space.settings.root) as ready, account.working(what):
        ready()
        yield


def alone(space: Workspace) -> AbstractContextManager[None]:
    """Work in a home where nobody else does; see `evergreen.leases.single_flight`."""
    return single_flight(space.journal, space.settings.root, seconds=space.settings.lease_seconds)


def prepare_database(database: Path) -> None:
    """Copy the empty database that `make` prepared; without one Prefect makes its tables, which takes ten seconds more."""
    prepared = Path(sys.prefix) / "prefect" / "prefect.db"
    if prepared.is_file() and not database.exists():
        with atomic_path(database) as temporary:
            shutil.copyfile(prepared, temporary)


def _start(port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start a guard that starts the server; in a session of their own, so that Ctrl-C ends the flows first and the server after them."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui", "--no-services"]
    with log.open("wb") as file:
        guarded = [sys.executable, "-m", "flows.guard", *command]
        return subprocess.Popen(guarded, stdin=subprocess.PIPE, stdout=file, stderr=file, start_new_session=True)


def _wait_until_ready(address: str, cure: Callable[[], str], *, seconds: float, lives: Callable[[], bool] = lambda: True) -> str:
    import httpx

    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=2) as client:
        while lives():
            try:
                if not client.get(f"{address.rstrip('/')}/health").is_server_error:
                    return address
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
    raise EvergreenError(f"The Prefect server at {address} does not answer. {cure()}")


@contextmanager
def _explained(address: str, cure: Callable[[], str]) -> Iterator[None]:
    """Tell a server that stopped answering in one sentence."""
    import httpx

    try:
        yield
    except (httpx.TransportError, httpx.HTTPStatusError, RuntimeError) as error:
        refused = isinstance(error, httpx.HTTPStatusError) and not error.response.is_server_error
        if refused or (isinstance(error, RuntimeError) and "reach API" not in str(error)):
            raise
        raise ServerLostError(f"The Prefect server at {address} stopped answering ({error}). Nothing is lost. {cure()}") from error


def _start_it() -> str:
    return "Start it, or unset PREFECT_API_URL for a private one, then run again."


def _make_room_or_read(log: Path) -> str:
    if _is_full(log.parent):
        return f"The disk is full that {log.parent} lies on. Free some space, then run again."
    return f"Read {log}, then run again."


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < ROOM


def _stop(guard: subprocess.Popen[bytes]) -> None:
    """Let go of the guard, which ends the server and then itself."""
    assert guard.stdin is not None  # noqa: S101 - it was asked for
    guard.stdin.close()
    try:
        guard.wait(timeout=2 * STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
