"""Predicting processes forked from one that has imported the libraries already: what `evergreen.nursery` starts, without the wait.

A command would otherwise import for longer than it works. Whoever forks and what the fork does is the product's own code
(`evergreen.predictor.raise_children`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from evergreen import nursery

SEED, NUMBER = "ARMED_SEED", "ARMED_SEED_NUMBER"
ALIKE, MEASURED = b"a", b"m"
CODE = """
import gc, itertools, os, signal, socket, sys, types
from evergreen import metering
from evergreen.predictor import raise_children

def take_alike():
    ticks = itertools.count(0, 0.001).__next__
    metering.time = types.SimpleNamespace(perf_counter=ticks, process_time=ticks)
    metering._peak_bytes = itertools.count(0, 1_000_000).__next__

raise_children()  # standard input is empty: this imports, and no more
listener, parent = socket.socket(socket.AF_UNIX), os.getppid()
listener.bind(sys.argv[1])
listener.listen(64)
listener.settimeout(1)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
while os.getppid() == parent:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        continue
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        connection.setblocking(True)
        if connection.recv(1) == b"a":
            take_alike()
        connection.sendall(b"%d\\n" % os.getpid())
        os.dup2(connection.fileno(), 0)
        os.dup2(connection.fileno(), 1)
        connection.close()
        listener.close()
        raise_children()
        os._exit(0)
    connection.close()
"""


class Seedling:
    """A forked process, with as much of `subprocess.Popen` as the nursery asks for."""

    def __init__(self, address: str, how: bytes) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._connection.sendall(how)
        self.stdin, self.stdout = self._connection.makefile("wb"), self._connection.makefile("rb")
        self.pid = int(self.stdout.readline())

    def poll(self) -> int | None:
        """None while it lives."""
        return None if psutil.pid_exists(self.pid) else -1

    def communicate(self) -> None:
        """Let go of it."""
        for file in (self.stdin, self.stdout, self._connection):
            file.close()


def plant(how: bytes) -> None:
    """Have the nursery of this process fork from the seed instead of starting a process that imports.

    What predicting takes differs from one moment to the next, and on a busy machine a verdict may hang on it: `ALIKE` makes every call
    take alike.
    """

    def running() -> Seedling:
        if not nursery._parent or nursery._parent[0].poll() is not None:
            nursery._parent[:] = [Seedling(os.environ[SEED], how)]
            atexit.register(nursery.stop)
        return nursery._parent[0]

    nursery._running = running


def none_works() -> bool:
    """Whether everything that was forked has ended; what a killed command had begun to ask is answered first."""
    return not psutil.Process(int(os.environ[NUMBER])).children(recursive=True)


@contextlib.contextmanager
def seed() -> Iterator[None]:
    """The process that all are forked from, one for all tests of a worker; commands find it in their environment."""
    if SEED in os.environ:
        yield
        return
    quiet, nothing = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}, subprocess.DEVNULL
    with contextlib.ExitStack() as stack:
        # A socket's address may have 103 bytes on macOS, and the folders of tests have more.
        address = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seed-", dir="/tmp")), "s")
        command = [sys.executable, "-P", "-W", "ignore", "-c", CODE, str(address)]
        process = stack.enter_context(subprocess.Popen(command, stdin=nothing, stdout=nothing, env=os.environ | quiet))
        try:
            while not address.exists():
                assert process.poll() is None
                time.sleep(0.05)
            os.environ |= {SEED: str(address), NUMBER: str(process.pid)}
            yield
        finally:
            process.kill()
            for name in (SEED, NUMBER):
                os.environ.pop(name, None)
