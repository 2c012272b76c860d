"""What those who are answered notice of a version in shadow that takes ten times as long: `make bench-serving ARGS="--shadow"`.

The same server, asked at rates that it can bear, in turn with the version in shadow and without: A B B A. What counts is the ratio.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.serving import contenders, load
from benchmarks.serving.champion import asked_of, bare_environment
from benchmarks.serving.running import Running, ended
from evergreen import shadows
from evergreen.journal import Journal, mirror

TIMES = 10
RATES = (200.0, 1_000.0)
"""Requests a second, one row each: of what two cores can bear the lower and the upper part."""
LINES = 3 * load.GROUPS
LOGGED_SECONDS = 1.0
READY_SECONDS = 120.0
Cells = list[dict[str, Any]]


def measure(home: Path, scratch: Path, *, rounds: int, seconds: float) -> dict[str, Any]:
    """All figures, in a copy of a home that has a champion."""
    copied = scratch / "home"
    shutil.copytree(home, copied)
    journal = Journal(f"sqlite:///{copied / 'journal.db'}")
    version, stored = _challenger(copied)
    servers: list[Running] = []
    try:
        with ended(servers):
            server = Running(contenders.ours(copied), scratch)
            servers.append(server)
            server.wait("/health/ready")
            body = scratch / "row.json"
            body.write_text(json.dumps(asked_of(copied).rows[0]))
            cells, accounts = _in_turn(server, journal, body, version, rounds=rounds, seconds=seconds)
    finally:
        for folder in stored:
            shutil.rmtree(folder, ignore_errors=True)
    return {"times": TIMES, "cells": cells, "accounts": accounts}


def _challenger(home: Path) -> tuple[int, list[Path]]:
    """Register it; its number, and where MLflow has put its files, which is not in the copy: a store's places are absolute."""
    command = [sys.executable, "-m", "benchmarks.serving.challenger", str(TIMES)]
    environment = bare_environment() | {"EVERGREEN_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"The challenger could not be registered:\n{ended.stdout}\n{ended.stderr}")
    from evergreen.journal import versions
    from evergreen.registry import local_folder

    number = int(ended.stdout.splitlines()[-1])
    facts = Journal(f"sqlite:///{home / 'journal.db'}").rows(versions, version=number)[0]["facts"]
    return number, [folder for uri in ("model_uri", "evidence_uri") if (folder := local_folder(facts[uri]))]


def _in_turn(
    server: Running, journal: Journal, body: Path, version: int, *, rounds: int, seconds: float
) -> tuple[Cells, list[dict[str, int]]]:
    cells: Cells = []
    accounts = []
    url = f"{server.url}/predict"
    load.open_loop(url, body, rate=RATES[0], seconds=3, lines=LINES)  # what only the first requests meet
    for at in range(rounds):
        for rate in RATES:
            for has_shadow in (False, True) if at % 2 == 0 else (True, False):
                if has_shadow:
                    _begin(server, journal, version)
                told = load.open_loop(url, body, rate=rate, seconds=seconds, lines=LINES)
                time.sleep(LOGGED_SECONDS)
                if has_shadow:
                    accounts.append({"served": _served_since(journal), **_end(server, journal)})
                server.settle()
                cells.append({"rate": rate, "shadow": has_shadow, "round": at, **told})
        print(f"round {at + 1} of {rounds} is done", flush=True)
    return cells, accounts


def _begin(server: Running, journal: Journal, version: int) -> None:
    shadows.begin(journal, version, reason="Asked for by a measurement.")
    until = time.monotonic() + READY_SECONDS
    while json.loads(server.ask("/version")[1])["shadow_version"] != version:
        if time.monotonic() > until:
            sys.exit(f"The version in shadow is not ready. {shadows.ended(journal)}")
        time.sleep(0.2)


def _served_since(journal: Journal) -> int:
    shadow = shadows.wanted(journal)
    return 0 if shadow is None else mirror.newest_served(journal) - shadow.since


def _end(server: Running, journal: Journal) -> dict[str, int]:
    """End it, and account for each row that was served meanwhile."""
    shadows.end(journal, reason="A measurement has ended.")
    server.ask("/follow", b"")
    while json.loads(server.ask("/version")[1])["shadow_version"] is not None:
        time.sleep(0.1)
    shadow = shadows.newest(journal)
    assert shadow is not None  # noqa: S101 - it has just ended
    return vars(mirror.account(journal, shadow.number, since=shadow.since))


def table(results: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["| requests/s | p50 without, ms | with | ratio | p99 without, ms | with | ratio |", "|---|---|---|---|---|---|---|"]
    for rate in RATES:
        found = {}
        for name in ("p50", "p99"):
            for has_shadow in (False, True):
                times = [one[name]["200"] for one in results["cells"] if one["rate"] == rate and one["shadow"] == has_shadow]
                found[name, has_shadow] = statistics.median(times)
        said = [
            f"{found[name, False]:.1f} | {found[name, True]:.1f} | {found[name, True] / found[name, False]:.2f}" for name in ("p50", "p99")
        ]
        lines.append(f"| {rate:,.0f} | {' | '.join(said)} |")
    total = {name: sum(one[name] for one in results["accounts"]) for name in ("served", "scored", "failed", "dropped", "waiting")}
    others = {status for one in results["cells"] for status in one["statuses"]} - {"200"}
    lines.append("")
    lines.append(
        f"Of {total['served']:,} predictions that were served beside it the version in shadow scored {total['scored']:,}, failed at "
        f"{total['failed']:,}, left out {total['dropped']:,}, and {total['waiting']:,} waited when it was ended. "
        f"Answers that were not 200: {', '.join(sorted(others)) or 'none'}."
    )
    return "\n".join(lines)


def run(bench: Path, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="shadow-", dir=bench) as scratch:
        return measure(bench / "home", Path(scratch), rounds=rounds, seconds=seconds)
