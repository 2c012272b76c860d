import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from waiting import PATIENCE

STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[1]).touch())
pathlib.Path(sys.argv[2]).touch()
while True:
    time.sleep(0.05)
"""
WILLING = "import pathlib, sys, time\npathlib.Path(sys.argv[2]).touch()\ntime.sleep(60)"


def guarded(code: str, folder: Path) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    words = [sys.executable, "-m", "flows.guard", sys.executable, "-c", code, str(folder / "heard"), str(folder / "ready")]
    guard = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    wait_for(folder / "ready")
    return guard, psutil.Process(guard.pid).children()[0]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_a_guard_lives_as_long_as_its_server_so_that_whoever_stops_both_sees_it(tmp_path: Path):
    guard, server = guarded(STUBBORN, tmp_path)
    with guard:
        os.killpg(guard.pid, signal.SIGTERM)
        wait_for(tmp_path / "heard")
        assert guard.poll() is None
        os.killpg(guard.pid, signal.SIGKILL)
    assert psutil.wait_procs([server], timeout=PATIENCE)[1] == []


@pytest.mark.parametrize("end", ["its input ends", "it is stopped with its server"])
def test_a_server_does_not_outlive_whoever_wanted_it(tmp_path: Path, end: str):
    guard, server = guarded(WILLING, tmp_path)
    with guard:
        if end != "its input ends":
            os.killpg(guard.pid, signal.SIGTERM)
            guard.wait(30)
    assert psutil.wait_procs([server], timeout=PATIENCE)[1] == []
