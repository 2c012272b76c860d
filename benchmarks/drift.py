"""What drift comes to in the flights' year, month by month and planted; `python -m benchmarks.drift` writes docs/drift-measured.md."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.data.joins import join_sources
from evergreen.monitoring.drift import Drift, compare
from evergreen.monitoring.windows import newest, successive
from evergreen.watches import DriftPolicy
from problem.contract import PROBLEM

feed = importlib.import_module("problem.feed")  # by name, for a problem of your own has none

PAGE = Path(__file__).parents[1] / "docs" / "drift-measured.md"
POLICY, FEATURES, TIME = DriftPolicy(), list(PROBLEM.features), str(PROBLEM.time)
MONTHS = range(1, 13)
UNDISTURBED = 10
"""The month into which changes are planted: nothing is found in it as it is."""
PAIR = DriftPolicy(times_usual=0)
PLANTED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nothing": lambda X: X,
    "pressure in inches of mercury": lambda X: X.assign(pressure=X["pressure"] / 33.8639),
    "temperature in Celsius": lambda X: X.assign(temp=(X["temp"] - 32) / 1.8),
    "five degrees warmer": lambda X: X.assign(temp=X["temp"] + 5),
    "distance in kilometres": lambda X: X.assign(distance=X["distance"] * 1.609),
    "the clock three hours ahead": lambda X: X.assign(sched_dep_time=X["sched_dep_time"] + 300),
    "United renamed": lambda X: X.assign(carrier=X["carrier"].replace("UA", "United")),
    "a tenth of the wind speeds missing": lambda X: X.assign(wind_speed=X["wind_speed"].where(every(X, 10, 9))),
    "a fifth of the wind speeds missing": lambda X: X.assign(wind_speed=X["wind_speed"].where(every(X, 10, 8))),
    "all visibilities missing": lambda X: X.assign(visib=np.nan),
    "a twentieth of the flights by a new airline": lambda X: X.assign(carrier=X["carrier"].where(every(X, 20, 19), "new")),
    "a fifth of the flights by a new airline": lambda X: X.assign(carrier=X["carrier"].where(every(X, 10, 8), "new")),
}


def every(X: pd.DataFrame, of: int, kept: int) -> np.ndarray:
    """Which rows are kept: so many of so many."""
    return np.asarray(np.arange(len(X)) % of < kept)


def year() -> pd.DataFrame:
    """All flights of the year after the joins."""
    with tempfile.TemporaryDirectory() as folder:
        feed.deliver(Path(folder), feed.MONTHS[-1])
        tables = {
            source.name: pd.concat(map(source.read, sorted((Path(folder) / source.name).glob("*.csv"))), ignore_index=True)
            for source in PROBLEM.sources
        }
    return join_sources(PROBLEM, tables)[0]


def until(rows: pd.DataFrame, month: int) -> pd.DataFrame:
    """The rows of the months up to this one."""
    return rows[rows["date"] < f"2013-{month + 1:02d}"]


def recent(rows: pd.DataFrame, month: int) -> pd.DataFrame:
    """The features of the newest window once the month has been delivered."""
    return newest(until(rows, month), TIME, days=POLICY.days)[FEATURES]


def drift_of(rows: pd.DataFrame, trained: int, newest_rows: pd.DataFrame) -> Drift:
    """What a champion that was trained through a month makes of rows."""
    windows = successive(until(rows, trained), TIME, days=POLICY.days, most=POLICY.windows)
    return compare([window[FEATURES] for window in windows], newest_rows, POLICY)


def replayed(rows: pd.DataFrame) -> Iterator[str]:
    """One line for each champion and month: the loop's champion has learnt until two months before the rows it predicts, or three."""
    yield "| newest month | trained through | large, and not unusual: PSI, distance (usual) | moved | verdict |"
    yield "|---|---|---|---|---|"
    for gap in (2, 3):
        for month in range(4 + gap - 2, 13):
            found = drift_of(rows, month - gap, recent(rows, month))
            large = [one for one in found.features if (one.psi or 0) >= POLICY.min_psi and (one.distance or 0) >= POLICY.min_distance]
            usual = ", ".join(f"{one.feature} {one.psi:.1f}, {one.distance:.2f} ({one.usual:.2f})" for one in large if not one.is_drifted)
            moved = ", ".join(f"{one.feature} {one.psi:.1f}, {one.distance:.2f} ({one.usual:.2f})" for one in large if one.is_drifted)
            yield f"| {month} | {month - gap} | {usual or 'none'} | {moved or 'none'} | {'drift' if found.found else 'silent'} |"


def pairs(rows: pd.DataFrame) -> Iterator[str]:
    """PSI of each feature in each month against the month before, and how many reach both floors."""
    found = [compare([recent(rows, month - 1)], recent(rows, month), PAIR) for month in MONTHS[1:]]
    yield f"| feature | {' | '.join(f'{month - 1} to {month}' for month in MONTHS[1:])} |"
    yield "|---|" + "---|" * len(found)
    for name in FEATURES:
        told = [next(one for one in drift.features if one.feature == name and one.kind != "missing") for drift in found]
        yield f"| {name} | {' | '.join(f'{one.psi:.2f}' for one in told)} |"
    yield f"| at both floors | {' | '.join(str(sum(one.is_drifted for one in drift.features)) for drift in found)} |"


def planted(rows: pd.DataFrame) -> Iterator[str]:
    """One line for each change of the undisturbed month."""
    yield "| planted | moved: PSI, distance (usual) | verdict |"
    yield "|---|---|---|"
    for name, change in PLANTED.items():
        found = drift_of(rows, UNDISTURBED - 2, change(recent(rows, UNDISTURBED)))
        moved = [
            f"{one.feature}{' (missing)' if one.kind == 'missing' else ''} {one.psi:.1f}, {one.distance:.2f} ({one.usual:.2f})"
            for one in found.features
            if one.is_drifted
        ]
        yield f"| {name} | {', '.join(moved) or 'none'} | {'drift' if found.found else 'silent'} |"


def page(rows: pd.DataFrame) -> str:
    """The page of the documents."""
    return "\n".join(
        [
            "# Drift, measured",
            "",
            "Written by `python -m benchmarks.drift` from the flights of 2013 by the default `DriftPolicy`. A month is its last 30 days.",
            "",
            "## Why no floor alone will do",
            "",
            "PSI of each month against the month before. The weather of two neighbouring months is never alike: by the floors alone there",
            "is drift in every month, and it would say nothing.",
            "",
            *pairs(rows),
            "",
            "## The year as it was",
            "",
            "So each feature is held against the window of the training that is most like it, and must lie farther from it than",
            "neighbouring windows of the training lie from each other (`usual`). The first summer is found, by champions that have seen",
            "none; the autumn, which is like the spring that they have seen, is not. With few windows, as in spring, little is usual.",
            "",
            *replayed(rows),
            "",
            f"## Planted into month {UNDISTURBED}, with a champion trained through month {UNDISTURBED - 2}",
            "",
            "What is not found: a change of few rows, and one that is smaller than what the training has seen from window to window.",
            "",
            *planted(rows),
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page(year()))
    print(PAGE.read_text())
