"""What the platform takes while nothing happens: `make bench-platform`. It starts one whose API serves a champion, and stops it in the end.

Processor time is that of all its processes, looks at what asks for a round included, as a share of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.serving.champion import make_home

BENCH = Path("var/bench").absolute()
EVERGREEN = Path(sys.executable).with_name("evergreen")
MEGABYTE = 1e6


def main() -> None:
    """Start, settle, measure, stop, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to look at it")
    parser.add_argument("--settle", type=float, default=30, help="seconds that it is given first")
    options = parser.parse_args()
    home = BENCH / "home"
    make_home(home)
    ports = {f"EVERGREEN_{name}_PORT": _free_port() for name in ("PREFECT", "MLFLOW", "API")}
    environment = {"EVERGREEN_HOME": str(home), **ports}
    began = time.monotonic()
    _evergreen("up", environment)
    print(f"up and healthy after {time.monotonic() - began:.0f} s")
    try:
        time.sleep(options.settle)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports['EVERGREEN_API_PORT']}/health/ready", timeout=10) as answer:
            print(f"the API says {answer.read().decode()}")
        _measure(str(home), seconds=60 * options.minutes)
    finally:
        _evergreen("down", environment)


def _measure(home: str, *, seconds: float) -> None:
    first, began = _spent(home), time.monotonic()
    seen, most = dict(first), {"RSS": 0.0, "PSS": 0.0}
    while time.monotonic() - began < seconds:
        time.sleep(1)
        now = _spent(home)
        seen |= {process: max(spent, seen.get(process, 0.0)) for process, spent in now.items()}
        memory = [_memory(process) for process in now]
        most = {kind: max(before, sum(one[at] for one in memory)) for at, (kind, before) in enumerate(most.items())}
    took = time.monotonic() - began
    lasting = first.keys() & now.keys()
    rows: list[tuple[str, float, float, float]] = []
    for process in lasting:
        rss, pss = _memory(process)
        rows.append((_name(process), seen[process] - first[process], rss, pss))
    passing = sum(spent - first.get(process, 0.0) for process, spent in seen.items() if process not in lasting)
    print(f"\n{'process':<24}{'% of a core':>12}{'RSS, MB':>10}{'PSS, MB':>10}")
    for name, spent, rss, pss in sorted(rows):
        print(f"{name:<24}{100 * spent / took:>12.2f}{rss:>10.0f}{pss:>10.0f}")
    print(f"{'looks':<24}{100 * passing / took:>12.2f}")
    spent, rss, pss = (sum(column) for column in list(zip(*rows, strict=True))[1:])
    print(f"{'all':<24}{100 * (spent + passing) / took:>12.2f}{rss:>10.0f}{pss:>10.0f}")
    told = ", ".join(f"{memory:.0f} MB {kind}" for kind, memory in most.items())
    print(f"\nover {took / 60:.1f} minutes; most memory at any moment, looks included: {told}")


def _spent(home: str) -> dict[psutil.Process, float]:
    """Processor seconds of each of the platform's processes, which have the home in their environment."""
    return {process: sum(process.cpu_times()[:2]) for process in _processes(home)}


def _processes(home: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("EVERGREEN_HOME") == home:
                yield process


def _memory(process: psutil.Process) -> tuple[float, float]:
    """Resident memory, and that with each shared page divided among those that share it: the second adds up to what the machine misses."""
    with contextlib.suppress(psutil.Error):
        full = process.memory_full_info()
        return full.rss / MEGABYTE, full.pss / MEGABYTE
    return 0.0, 0.0


def _name(process: psutil.Process) -> str:
    """The module that it runs: what stands behind `-m`, or, where Python started it itself, what the line behind `-c` imports from."""
    with contextlib.suppress(psutil.Error):
        words: list[str] = process.cmdline()
        return next((word if flag == "-m" else word.split()[1] for flag, word in pairwise(words) if flag in {"-m", "-c"}), process.name())
    return "?"


def _evergreen(command: str, environment: dict[str, str]) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "PREFECT_"))}
    subprocess.run([EVERGREEN, command], env=bare | environment, check=True, stdout=subprocess.DEVNULL)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


if __name__ == "__main__":
    main()
