"""What the loop's tools cost: `evergreen run` beside a bare script that computes the same, in turn, from cold processes.

    make bench-loop                      three pairs through August 2013, about ten minutes on two cores
    make bench-loop ARGS="--pairs 1"

The bare script reads the same files, joins, cross-validates on the same folds, fits, predicts the same holdouts with the same models and
writes predictions for the next month: no validation, no registry, no gate, no server. Absolute times move with the machine; read the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BARE = Path(__file__).with_name("bare_loop.py")


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--through", default="2013-08")
    arguments = parser.parse_args()
    pairs = []
    for number in range(1, arguments.pairs + 1):
        pairs.append((timed_evergreen(arguments.through), timed_bare(arguments.through)))
        print(f"pair {number}: evergreen {pairs[-1][0]:.1f} s, bare {pairs[-1][1]:.1f} s", flush=True)
    ours, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
    print()
    print("| what | s (median) | against bare |")
    print("|---|---|---|")
    print(f"| bare script: the same computations, no tools | {bare:.1f} | 1 |")
    print(f"| evergreen run --through {arguments.through}, cold, private Prefect server | {ours:.1f} | {ours / bare:.2f} |")
    print()
    print(
        f"Tools' share of the run: {(ours - bare) / ours:.0%} (target: under 50%). Median ratio of the pairs: "
        f"{statistics.median(a / b for a, b in pairs):.2f}."
    )


def timed_evergreen(through: str) -> float:
    """Seconds of a whole run from nothing."""
    with tempfile.TemporaryDirectory() as home:
        command = [str(Path(sys.executable).with_name("evergreen")), "run", "--through", through]
        return timed(command, {"EVERGREEN_HOME": home})


def timed_bare(through: str) -> float:
    """Seconds of the bare script from nothing."""
    with tempfile.TemporaryDirectory() as home:
        return timed([sys.executable, str(BARE), home, through], {})


def timed(command: list[str], variables: dict[str, Any]) -> float:
    """Run a command to its end; what it prints is shown only when it fails."""
    start = time.monotonic()
    ended = subprocess.run(command, env={**os.environ, **variables, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ended.stdout}\n{ended.stderr}")
    return time.monotonic() - start


if __name__ == "__main__":
    main()
