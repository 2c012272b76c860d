"""A server of the API in a process of its own, for the tests that ask it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from candidates import LOCK
from waiting import PATIENCE, until

TESTS = Path(__file__).parent
JSON = {"content-type": "application/json"}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class Served:
    """A server that was started on a home."""

    def __init__(
        self, home: Path, *, problem: str = "toy.online:PROBLEM", program: Sequence[str] = ("-m", "flows.serve"), **environment: str
    ) -> None:
        self.home, self.port = home, free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")},
            **{"EVERGREEN_HOME": str(home), "EVERGREEN_PROBLEM": problem, "EVERGREEN_LOCK": str(LOCK)},
            **{"EVERGREEN_API_PORT": str(self.port), "PYTHONPATH": str(TESTS), **environment},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "error", *program],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, path: str, body: Any = None, *, method: str = "", headers: dict[str, str] | None = None) -> Answer:
        """Send one request; a body that is no bytes is sent as JSON."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            line.request(method or ("GET" if body is None else "POST"), path, content, JSON if headers is None else headers)
            reply = line.getresponse()
            return Answer(reply.status, dict(reply.getheaders()), reply.read())
        finally:
            line.close()

    def ready(self, *, version: int | None = None, seconds: float = 60) -> Any:
        """Wait until requests are answered, by that version where one is named; what the server says of its health."""

        def look() -> Any:
            try:
                answer = self.ask("/health/ready")
            except OSError:
                return None
            return answer.told if answer.status == 200 and version in {None, answer.told["model_version"]} else None

        return until(look, seconds=seconds)

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that were forked, oldest first: the version's and the log's."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        found = [one for one in family if one.ppid() != self.process.pid]
        return sorted(found, key=lambda one: one.create_time())

    def end(self, *, sign: int = signal.SIGTERM, whole_group: bool = False) -> tuple[int, str, str]:
        """Tell it to end, or as a terminal and some supervisors do its whole process group; its exit code and what it printed."""
        if self.process.poll() is None and whole_group:
            os.killpg(self.process.pid, sign)
        elif self.process.poll() is None:
            self.process.send_signal(sign)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextmanager
def served(home: Path, **how: Any) -> Iterator[Served]:
    """A server, ended when the block is left; that nothing of it stays is seen to."""
    server = Served(home, **how)
    try:
        yield server
    finally:
        family = psutil.Process(server.process.pid).children(recursive=True) if server.process.poll() is None else []
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate(timeout=PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        for one in alive:
            one.kill()
    assert not alive, f"left behind: {alive}"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
