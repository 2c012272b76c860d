"""Processes for models: one parent imports the libraries once and forks a fresh child for each prediction.

Importing scikit-learn and skops takes longer than most predictions. The parent (see `evergreen.predictor`) has imported no problem's
code and loads no model; each child loads one and ends with it, so no two models ever share a process.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

_lock = Lock()
_parent: list[subprocess.Popen[bytes]] = []


def start() -> None:
    """Begin the imports in the background; optional, for a command that knows it will predict later."""
    with _lock:
        _running()


def run(orders: Sequence[Sequence[str]], *, seconds: float) -> list[tuple[int, str]]:
    """Run `evergreen.predictor.main` with each list of arguments, all at once, each in a child of its own.

    Returns
    -------
    list of (int, str)
        Exit code (negative: killed by that signal) and last words of each.

    Raises
    ------
    TimeoutError
        They took longer than `seconds`; all have been ended.
    """
    deadline = time.monotonic() + seconds
    with _lock, tempfile.TemporaryDirectory() as scratch:
        words = [Path(scratch) / str(number) for number in range(len(orders))]
        parent = _running()
        message = [[*map(str, order), str(file)] for order, file in zip(orders, words, strict=True)]
        try:
            codes = _ask(parent, json.dumps(message).encode(), deadline)
        except BaseException:
            stop()
            raise
        return [(code, file.read_text(errors="replace") if file.exists() else "") for code, file in zip(codes, words, strict=True)]


def _ask(parent: subprocess.Popen[bytes], message: bytes, deadline: float) -> list[int]:
    assert parent.stdin is not None and parent.stdout is not None  # noqa: S101, PT018 - both were asked for
    try:
        parent.stdin.write(message + b"\n")
        parent.stdin.flush()
    except BrokenPipeError:
        return [-signal.SIGKILL] * len(json.loads(message))
    ready, _, _ = select.select([parent.stdout], [], [], max(deadline - time.monotonic(), 0))
    if not ready:
        raise TimeoutError
    answer = parent.stdout.readline()
    codes: list[int] = json.loads(answer) if answer else [-signal.SIGKILL] * len(json.loads(message))
    return codes


def _running() -> subprocess.Popen[bytes]:
    if _parent and _parent[0].poll() is None:
        return _parent[0]
    _parent.clear()
    # -P keeps the working directory, where the problem's package may lie, off the import path. One thread each: several models predict
    # at once. A session of its own: Ctrl-C is for the command, which ends this process itself.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-W", "ignore", "-m", "evergreen.predictor"]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    _parent.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, env=environment, start_new_session=True))
    atexit.register(stop)
    return _parent[0]


def stop() -> None:
    """End the parent and its children."""
    atexit.unregister(stop)
    while _parent:
        process = _parent.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
