"""A home with a champion on real flights, its golden rows as what is asked, and what one call of it takes in a process without a server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.columns import describe
from evergreen.prediction import KEY
from evergreen.serving.frames import plain_columns

HOME_SECONDS = 1_200
POINTER_SECONDS = 20
CALLS = {1: 200, 64: 100}
"""So many calls are timed with so many rows."""


@dataclass(frozen=True)
class Asked:
    """What every server is asked, and what it must answer."""

    model: Path
    """The registered model's folder."""
    sample: Path
    """A JSON file with the columns' types and one row."""
    rows: list[dict[str, Any]]
    kinds: dict[str, str]
    """Of each column: integer, number or text."""
    decisions: list[int]


def make_home(folder: Path) -> None:
    """Run the whole loop once, where that has not been done: the champion has learnt from eight months of flights."""
    is_whole = folder / ".whole"  # the registry remembers absolute places, so it is made where it stays
    if is_whole.is_file():
        return
    print("One run of the loop, for a champion (once, two minutes)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("evergreen")), "run"]
    environment = {**bare_environment(), "EVERGREEN_HOME": str(folder)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=HOME_SECONDS)
    if ended.returncode:
        sys.exit(f"evergreen run failed:\n{ended.stdout}\n{ended.stderr}")
    is_whole.touch()


def bare_environment() -> dict[str, str]:
    """The environment without what steers our own or Prefect's programs, one thread for each computation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "PREFECT_", "MLFLOW_", "MLSERVER_"))}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "OMP_WAIT_POLICY": "PASSIVE"}


def asked_of(home: Path) -> Asked:
    """What can be asked of the version that a server on this home has verified and serves."""
    pointer, patience = home / "serving" / "last.json", time.monotonic() + POINTER_SECONDS
    while not pointer.is_file() and time.monotonic() < patience:  # it is written a moment after the version serves
        time.sleep(0.05)
    place = home / "serving" / json.loads(pointer.read_text())["place"]
    golden = pd.read_parquet(place / "evidence" / "golden.parquet").drop(columns=KEY)
    features = golden.drop(columns=["decision", "probability"])
    columns = plain_columns(features)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    sample = home / "sample.json"
    sample.write_text(json.dumps({"types": {name: str(dtype) for name, dtype in features.dtypes.items()}, "row": rows[0]}))
    kinds = {str(one["name"]): str(one["kind"]) for one in describe(features)}
    return Asked(place / "model", sample, rows, kinds, golden["decision"].tolist())


def time_in_process(model: Path, sample: Path) -> dict[int, float]:
    """Microseconds of one call with so many rows, from plain values to plain values, the median; in a process of its own."""
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).with_name("peers") / "in_process.py"),
        *(f"{rows}:{calls}" for rows, calls in CALLS.items()),
    ]
    environment = {**bare_environment(), "BENCH_MODEL": str(model), "BENCH_SAMPLE": str(sample)}
    environment["PYTHONPATH"] = str(Path(__file__).with_name("peers"))
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout
    return {int(rows): micros for rows, micros in json.loads(said).items()}
