"""Answers over HTTP beside MLflow's own server, BentoML and MLServer: `make bench-serving`, ten minutes on two cores.

    make bench-serving ARGS="--quick"    two minutes, to see that it works
    make bench-serving ARGS="--write"    writes docs/serving-measured.md and its plot
    make bench-serving ARGS="--shadow"   what a slow version in shadow costs those who are answered; needs no other server

The same registered model, the same rows, on one machine, in turn: A B C A B C. Absolute times move with the machine; read the ratios.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.serving import contenders, environments, load, report, shadow, verdicts
from benchmarks.serving.champion import Asked, asked_of, make_home, time_in_process
from benchmarks.serving.contenders import BENTO, ECHO, MLSERVER, Contender
from benchmarks.serving.running import Running, ended, free_port

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "var" / "bench"
CONNECTIONS = (1, 8, 64)
TIMES_BEST = 5
OPEN_SECONDS = {False: 12.0, True: 6.0}
WARM_UP_SECONDS = 1.0
Cells = list[dict[str, Any]]


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of one cell")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--write", action="store_true", help="write docs/serving-measured.md and docs/images/serving.svg")
    parser.add_argument("--shadow", action="store_true", help="measure a version in shadow instead")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    load.insist_on_programs()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # or the servers would stay
    BENCH.mkdir(parents=True, exist_ok=True)
    make_home(BENCH / "home")
    if options.shadow:
        found = shadow.run(BENCH, rounds=options.rounds, seconds=2 * options.seconds + 2)
        (BENCH / "shadow.json").write_text(json.dumps(found, indent=1))
        print(shadow.table(found))
        return
    missing = {name: why for name in (BENTO, MLSERVER) if (why := environments.make(name, BENCH))}
    with tempfile.TemporaryDirectory(prefix="run-", dir=BENCH) as scratch:
        results = measure(Path(scratch), missing, rounds=options.rounds, seconds=options.seconds, is_quick=options.quick)
    (BENCH / "serving.json").write_text(json.dumps(results, indent=1))
    print(report.page(results))
    if options.write:
        report.write(results, ROOT / "docs")


def measure(scratch: Path, missing: dict[str, str], *, rounds: int, seconds: float, is_quick: bool) -> dict[str, Any]:
    """All figures."""
    home = scratch / "home"
    shutil.copytree(BENCH / "home", home)  # the log of predictions grows in a copy
    servers: list[Running] = []
    with ended(servers):
        servers.append(Running(contenders.ours(home), scratch))
        servers[0].wait("/health/ready")
        asked = asked_of(home)
        servers[0].check(asked)
        for one in others(asked, scratch, missing):
            servers.append(Running(one, scratch))
            servers[-1].wait(row=asked.rows[0])
            servers[-1].check(asked)
            print(f"{one.name} {one.version} answers after {servers[-1].seconds:.1f} s", flush=True)
        in_process = time_in_process(asked.model, asked.sample)
        cells = closed_cells(servers, asked, scratch, rounds=rounds, seconds=seconds)
        memory = {one.contender.name: one.memory() for one in servers}
        overload = overloaded(servers, asked, cells, OPEN_SECONDS[is_quick])
    return {
        "versions": {one.contender.name: one.contender.version for one in servers},
        "python": sys.version.split()[0],
        "missing": missing,
        "rounds": rounds,
        "seconds": seconds,
        "start": {one.contender.name: one.seconds for one in servers},
        "memory": memory,
        "in_process": in_process,
        "cells": cells,
        "overload": overload,
    }


def others(asked: Asked, scratch: Path, missing: dict[str, str]) -> list[Contender]:
    """Whoever can be compared."""
    found = [contenders.mlflow(asked)]
    if BENTO not in missing:
        found.append(contenders.bento(asked, BENCH))
    if MLSERVER not in missing:
        found.append(contenders.mlserver(asked, BENCH, scratch, [free_port(), free_port()]))
    return [*found, contenders.echo()]


def closed_cells(servers: list[Running], asked: Asked, scratch: Path, *, rounds: int, seconds: float) -> Cells:
    """Every server at every number of connections, in rounds: first all of them with one connection, and so on."""
    bodies = {one.contender.name: one.write_bodies(asked, scratch) for one in servers}
    for one in servers:
        load.closed(one.url, one.contender.route, bodies[one.contender.name], connections=8, seconds=WARM_UP_SECONDS)
        one.settle()
    cells: Cells = []
    for at in range(rounds):
        for connections in CONNECTIONS:
            for one in servers if at % 2 == 0 else servers[::-1]:
                name = one.contender.name
                told = load.closed(one.url, one.contender.route, bodies[name], connections=connections, seconds=seconds)
                one.settle()
                cells.append({"server": name, "connections": connections, "round": at, **told})
        print(f"round {at + 1} of {rounds} is done", flush=True)
    return cells


def overloaded(servers: list[Running], asked: Asked, cells: Cells, seconds: float) -> dict[str, Any]:
    """Each server that has a model, asked at a multiple of the best rate that it has shown."""
    told = {}
    for one in servers:
        name = one.contender.name
        if name == ECHO:
            continue
        best = max(verdicts.median(cells, name, connections, "rate") for connections in CONNECTIONS)
        body = one.log.with_suffix(".body.json")
        body.write_text(json.dumps(one.contender.body(asked.rows[0])))
        found = load.open_loop(f"{one.url}{one.contender.route}", body, rate=TIMES_BEST * best, seconds=seconds)
        one.settle()
        told[name] = {"best": best, "times": TIMES_BEST, **found}
        print(f"{name} at {TIMES_BEST} times its best rate is done", flush=True)
    return told
