"""The load: wrk asks again as soon as it is answered, h2load asks at a rate whatever is answered."""

from __future__ import annotations

import collections
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROGRAMS = {"wrk": "wrk", "h2load": "nghttp2-client"}
SCRIPT = Path(__file__).with_name("post.lua")
GRACE_SECONDS = 30.0
LINES = 3_000
"""Connections that ask at a rate: more than rows may wait (1,024), or no queue would ever be full."""
GROUPS = 20
"""Processes that share these connections. All connections of one h2load ask at the same moment, again and again: 3,000 of them at 4,000 a
second are a burst of 3,000 every 0.75 s. Twenty that begin one after another come near to what many people ask."""


def insist_on_programs() -> None:
    """Say how to install what is missing."""
    if missing := [package for program, package in PROGRAMS.items() if shutil.which(program) is None]:
        sys.exit(f"Missing: {', '.join(missing)}. On Debian and Ubuntu: apt install {' '.join(missing)}")


def closed(url: str, route: str, bodies: Path, *, connections: int, seconds: float) -> dict[str, Any]:
    """So many connections, each of which asks again when it is answered: rate, p50 and p99 in milliseconds, what went wrong."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "--latency", "-s", str(SCRIPT), url]
    said = _run([*command, "--", str(bodies), route], seconds)
    told: dict[str, Any] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return {**told, "rate": (told["requests"] - told["refused"]) / told["seconds"]}


def open_loop(url: str, body: Path, *, rate: float, seconds: float, lines: int = LINES) -> dict[str, Any]:
    """Ask at a rate over many connections: how often each status came back, and how fast."""
    _allow_files(lines)
    logs = [body.with_suffix(f".{at}.log") for at in range(GROUPS)]
    for log in logs:
        log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t1", f"-c{lines // GROUPS}", f"--rps={rate / lines:.4f}", f"-D{seconds:g}"]
    command += [f"-d{body}", "-Hcontent-type: application/json", url]
    with ThreadPoolExecutor(GROUPS) as threads:
        pauses = [at * min(lines / rate, 1.0) / GROUPS for at in range(GROUPS)]
        list(threads.map(lambda pause, log: _run_after(pause, [*command, f"--log-file={log}"], seconds), pauses, logs))
    rows = [tuple(map(int, line.split("\t")[:3])) for log in logs for line in log.read_text().splitlines()]
    if not rows:
        return {"statuses": {}, "p50": {}, "p99": {}}
    # The connections are opened in the first second; it does not count, nor does the last, which is cut off.
    first = min(began for began, _, _ in rows) + 1_000_000
    last = first + (seconds - 2) * 1e6
    came = collections.Counter(status for began, status, micros in rows if first <= began + micros < last)
    took: dict[int, list[float]] = collections.defaultdict(list)
    for began, status, micros in rows:
        if first <= began < last:
            took[status].append(micros / 1e3)
    return {
        "statuses": {str(status): number / (seconds - 2) for status, number in sorted(came.items())},
        "p50": {str(status): statistics.median(times) for status, times in sorted(took.items())},
        "p99": {str(status): _p99(times) for status, times in sorted(took.items())},
    }


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def _allow_files(count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count + 100 > hard:
        sys.exit(f"This shell may open {hard} files, and {count + 100} are needed. Raise the hard limit (ulimit -Hn).")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))


def _run_after(pause: float, command: list[str], seconds: float) -> str:
    time.sleep(pause)
    return _run(command, seconds)


def _run(command: list[str], seconds: float) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS)
    if ended.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout
