"""Measure how often the gate is wrong, on candidates whose truth is known.

    make bench-gate                      everything
    make bench-gate ARGS="--quick"       a ninth of the seeds, a few minutes; nothing is written to docs/

What was measured is written to var/bench/gate.json, the table to docs/gate-measured.md, the plot to docs/images/gate-measured.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SIZES = ("small", "medium", "large")
FRESH, ALONG = 56, 12
"""Fresh holdouts of each scene for "worse by 2 margins", and of these how many for the whole curve."""
MORE_GOOD = 8
"""More scenes of the largest size, for good candidates only."""


def main() -> None:
    """Run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, help="scenes of each world and size (6)")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "gate.json")
    parser.add_argument("--report", type=Path, help="only print and write what this file holds")
    arguments = parser.parse_args()
    if arguments.report:
        results = json.loads(arguments.report.read_text())
    else:
        results = measure_all(arguments)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results))
    from benchmarks.gate.report import write_report

    write_report(results, None if arguments.quick else ROOT / "docs")


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """All studies, over processes."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before scikit-learn is imported: a process for each core, and no threads beside them
    from joblib import Parallel, delayed

    began = time.time()
    log = arguments.out.with_suffix(".jsonl")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    seeds = 1 if arguments.quick else arguments.seeds or 6
    more = 0 if arguments.quick else MORE_GOOD
    scenes = [(world, size, arguments.seed + seeds * at + i) for at, size in enumerate(SIZES) for i in range(seeds) for world in worlds()]
    extra = [(world, "large", arguments.seed + 100 + i) for i in range(more) for world in worlds()]
    work: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (of_scene, (*scene, FRESH if not arguments.quick else 10, log)) for scene in scenes
    ]
    work += [(good_only, scene) for scene in extra]
    few = 10 if arguments.quick else 1
    work += [(hostile, ()), (speed, ()), (errors, (10_000 // few,)), (year, (2_000 // few,))]
    results: dict[str, Any] = {"candidates": [], "many": [], "hostile": [], "speed": [], "errors": [], "year": []}
    done = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(delayed(function)(*given) for function, given in work)
    for number, part in enumerate(done, start=1):
        for name, rows in part.items():
            results[name] += rows
        print(f"\r{number} of {len(work)} scenes, {time.time() - began:,.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    command = "make bench-gate" + (f' ARGS="{" ".join(sys.argv[1:])}"' if len(sys.argv) > 1 else "")
    return {**results, "command": command, "seed": arguments.seed, "seconds": time.time() - began}


def worlds() -> list[str]:
    """Their names."""
    from benchmarks.gate.problems import WORLDS

    return list(WORLDS)


def of_scene(world: str, size: str, seed: int, fresh: int, log: Path) -> dict[str, list[Any]]:
    """Every kind of candidate in one scene, and the comparison alone on fresh holdouts."""
    from benchmarks.gate.kinds_bad import BAD
    from benchmarks.gate.kinds_good import GOOD
    from benchmarks.gate.many import answers_along
    from benchmarks.gate.scene import make_scene
    from benchmarks.gate.trial import try_candidate

    scene = make_scene(world, size, seed)
    tried = []
    for make, group in [*((make, "good") for make in GOOD.values()), *((make, "bad") for make in BAD.values())]:
        tried.append(try_candidate(make, scene) | {"group": group})
        with log.open("a") as file:  # a run that is cut short has told what it knew
            file.write(json.dumps(tried[-1]) + "\n")
    return {"candidates": tried, "many": answers_along(scene, worse=fresh, along=min(fresh, ALONG))}


def good_only(world: str, size: str, seed: int) -> dict[str, list[Any]]:
    """Good candidates of one more scene."""
    from benchmarks.gate.kinds_good import GOOD
    from benchmarks.gate.scene import make_scene
    from benchmarks.gate.trial import try_candidate

    scene = make_scene(world, size, seed)
    return {"candidates": [try_candidate(make, scene) | {"group": "good"} for make in GOOD.values()]}


def hostile() -> dict[str, list[Any]]:
    """Broken evidence."""
    from benchmarks.gate.hostile import answers

    return {"hostile": answers()}


def speed() -> dict[str, list[Any]]:
    """Seconds that the statistics of 30,000 rows take: all checks on evidence that is there."""
    import numpy as np

    from benchmarks.gate.evidence import collect
    from benchmarks.gate.hostile import taken
    from benchmarks.gate.kinds_good import GOOD
    from benchmarks.gate.scene import make_scene
    from benchmarks.gate.trial import budget
    from evergreen.gate.decision import judge

    found = []
    for world in worlds():
        scene = make_scene(world, "large", 0)
        evidence = collect(GOOD["new data"](scene), scene)
        evidence = taken(evidence, np.arange(30_000) % len(evidence.y))
        times = []
        for _ in range(5):
            began = time.perf_counter()
            judge(evidence, scene.problem.gate, budget=budget(scene.problem.gate))
            times.append(time.perf_counter() - began)
        found.append({"world": world, "rows": 30_000, "seconds": min(times), "slowest": max(times)})
    return {"speed": found}


def errors(reps: int) -> dict[str, list[Any]]:
    """How often the interval errs, in units of alpha."""
    from benchmarks.gate import errors as module
    from evergreen.policies import GatePolicy

    return {"errors": module.measure(reps, alphas=(GatePolicy().alpha,))}


def year(years: int) -> dict[str, list[Any]]:
    """Simulated years of gates."""
    from benchmarks.gate import year as module

    return {"year": [row for one in module.plan() for row in module.simulate(one, years)]}


if __name__ == "__main__":
    main()
