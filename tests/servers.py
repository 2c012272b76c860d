"""Servers of somebody else's, for tests of what becomes of those who rely on them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from commands import wait_until

from evergreen.tracking import QUIET

PROGRAMS = Path(sys.executable).parent
JOBLESS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""We ask for none of the jobs for which MLflow's server would start more processes."""


def surroundings(**more: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "EVERGREEN_"))}
    return bare | QUIET | more


@contextmanager
def serving(log: Path, *words: str | Path, **environment: str) -> Iterator[Callable[[str], str]]:
    """A server of somebody else's, started as its manual says; with a page by which to wait until it answers, and to learn its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command, address = [*words, "--host", "127.0.0.1", "--port", str(port)], f"http://127.0.0.1:{port}"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=surroundings(**environment), stdout=file, stderr=file, start_new_session=True)

    def answers(page: str) -> bool:
        try:
            return httpx.get(address + page, timeout=2).is_success
        except httpx.TransportError:
            return False

    def ready(page: str) -> str:
        assert wait_until(lambda: answers(page), while_runs=lambda: process.poll() is None), log.read_text()
        return address

    try:
        yield ready
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
