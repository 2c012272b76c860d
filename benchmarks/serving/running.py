"""A server that runs: started, asked until it answers, weighed, ended with all its processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.champion import Asked, bare_environment
from benchmarks.serving.contenders import OURS, Contender

START_SECONDS, STOP_SECONDS = 180.0, 15.0
SETTLE_SECONDS, LOOK_SECONDS, QUIET_SHARE = 30.0, 0.2, 0.15
COMPARED = 50
"""So many rows are asked of each server first; its decisions must be those of training."""


class Running:
    """A server on a free port."""

    def __init__(self, contender: Contender, scratch: Path) -> None:
        self.contender, self.port = contender, free_port()
        self.seconds = 0.0
        """From its start to its first answer."""
        self.log = scratch / f"{contender.name.split()[0]}.log"
        command = contender.command(self.port)
        # Some start another program of their environment by its bare name.
        path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])
        environment = {**bare_environment(), **contender.environment, "PATH": path}
        if contender.name == OURS:
            environment["EVERGREEN_API_PORT"] = str(self.port)
        self._began = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=scratch)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self, path: str = "", row: dict[str, Any] | None = None) -> None:
        """Ask until it answers with 200: a row, or ours whether it is ready, before there are rows."""
        while time.monotonic() - self._began < START_SECONDS:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, _ = self.ask(path) if row is None else self.post(row)
                if status == 200:
                    self.seconds = time.monotonic() - self._began
                    return
            time.sleep(0.05)
        sys.exit(f"{self.contender.name} did not answer within {START_SECONDS:g} s:\n{self.log.read_text()[-3000:]}")

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one answer."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            line.request("GET" if body is None else "POST", path, body, {"content-type": "application/json"})
            reply = line.getresponse()
            return reply.status, reply.read()
        finally:
            line.close()

    def post(self, row: dict[str, Any]) -> tuple[int, bytes]:
        """Ask for one row."""
        return self.ask(self.contender.route, json.dumps(self.contender.body(row)).encode())

    def check(self, asked: Asked) -> None:
        """Insist that it answers as the model did in training: a server that is quick and wrong is not compared."""
        for row, expected in zip(asked.rows[:COMPARED], asked.decisions, strict=False):
            status, said = self.post(row)
            got = self.contender.decision(json.loads(said)) if status == 200 else status
            if got not in {expected, None}:
                sys.exit(f"{self.contender.name} answered {said[:300]!r} ({status}); expected the decision {expected}.")

    def write_bodies(self, asked: Asked, scratch: Path) -> Path:
        """The file of what is posted, a line for each row."""
        file = scratch / f"{self.contender.name.split()[0]}.jsonl"
        file.write_text("".join(f"{json.dumps(self.contender.body(row), separators=(',', ':'))}\n" for row in asked.rows))
        return file

    def memory(self) -> tuple[float, float]:
        """Megabytes of all its processes: resident, and with what they share counted once."""
        rss = pss = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info()
                rss, pss = rss + full.rss / 1e6, pss + full.pss / 1e6
        return rss, pss

    def settle(self) -> None:
        """Wait until it has finished what nobody waits for any more, or the next server would pay for it."""
        end = time.monotonic() + SETTLE_SECONDS
        busy, before = True, self._spent()
        while busy and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            now = self._spent()
            busy, before = now - before > QUIET_SHARE * LOOK_SECONDS, now

    def end(self) -> None:
        """End it; what does not end is killed."""
        family = self._family()
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        for one in family:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(family, timeout=STOP_SECONDS)
        self.process.wait(STOP_SECONDS)

    def _spent(self) -> float:
        """Processor seconds of all its processes."""
        spent = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                spent += sum(process.cpu_times()[:2])
        return spent

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []


@contextlib.contextmanager
def ended(servers: list[Running]) -> Iterator[None]:
    """End all of them when the block is left, however it is left."""
    try:
        yield
    finally:
        for one in servers:
            one.end()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
