"""What the platform takes while nothing happens: `make bench-platform`. It starts one in a folder of its own and stops it in the end.

Processor time is that of all its processes, looks at what asks for a round included, as a share of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil

EVERGREEN = Path(sys.executable).with_name("evergreen")
MEGABYTE = 1e6


def main() -> None:
    """Start, settle, measure, stop, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to look at it")
    parser.add_argument("--settle", type=float, default=30, help="seconds that it is given first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evergreen-platform-") as folder:
        environment = {"EVERGREEN_HOME": folder, "EVERGREEN_PREFECT_PORT": _free_port(), "EVERGREEN_MLFLOW_PORT": _free_port()}
        began = time.monotonic()
        _evergreen("up", environment)
        print(f"up and healthy after {time.monotonic() - began:.0f} s")
        try:
            time.sleep(options.settle)
            _measure(folder, seconds=60 * options.minutes)
        finally:
            _evergreen("down", environment)


def _measure(home: str, *, seconds: float) -> None:
    first, began = _spent(home), time.monotonic()
    seen, peak = dict(first), 0.0
    while time.monotonic() - began < seconds:
        time.sleep(1)
        now = _spent(home)
        seen |= {process: max(spent, seen.get(process, 0.0)) for process, spent in now.items()}
        peak = max(peak, sum(_memory(process) for process in now))
    took = time.monotonic() - began
    rows = [(_name(process), seen[process] - first[process], _memory(process), _memory(process, shared=False)) for process in first]
    lasting = sum(spent for _, spent, *_ in rows)
    passing = sum(spent for process, spent in seen.items() if process not in first)
    print(f"\n{'process':<12}{'% of a core':>12}{'RSS, MB':>10}{'PSS, MB':>10}")
    for name, spent, rss, pss in sorted(rows):
        print(f"{name:<12}{100 * spent / took:>12.2f}{rss:>10.0f}{pss:>10.0f}")
    print(f"{'looks':<12}{100 * passing / took:>12.2f}")
    print(f"{'all':<12}{100 * (lasting + passing) / took:>12.2f}{sum(row[2] for row in rows):>10.0f}{sum(row[3] for row in rows):>10.0f}")
    print(f"\nover {took / 60:.1f} minutes; most memory at any moment, looks included: {peak:.0f} MB RSS")


def _spent(home: str) -> dict[psutil.Process, float]:
    """Processor seconds of each of the platform's processes, which have the home in their environment."""
    return {process: sum(process.cpu_times()[:2]) for process in _processes(home)}


def _processes(home: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("EVERGREEN_HOME") == home:
                yield process


def _memory(process: psutil.Process, *, shared: bool = True) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss if shared else process.memory_full_info().pss) / MEGABYTE
    return 0.0


def _name(process: psutil.Process) -> str:
    words: list[str] = process.cmdline()
    return next((word.rpartition(".")[2] for flag, word in pairwise(words) if flag == "-m"), words[0])


def _evergreen(command: str, environment: dict[str, str]) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "PREFECT_"))}
    subprocess.run([EVERGREEN, command], env=bare | environment, check=True, stdout=subprocess.DEVNULL)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


if __name__ == "__main__":
    main()
