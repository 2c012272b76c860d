"""What else the journal knows of models in service: how versions grow old, how near each month came to an alert, what measuring takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.calibrations import SEED
from evergreen import journal as tables
from evergreen.data.snapshots import Frame, Snapshot, build_frame, published_now
from evergreen.monitoring import measuring, served_features, staleness
from evergreen.monitoring.concerns import bias_floor, cost_margin
from evergreen.monitoring.figures import by_slice, figures
from evergreen.monitoring.service import history
from evergreen.serving.frames import plain_columns
from evergreen.workspace import Workspace


def ageing(space: Workspace) -> Iterator[str]:
    """What each version would have cost in each window."""
    told = history(space.journal, space.problem, datetime.now(UTC))["staleness"]
    windows = [*told["earlier"], told]
    numbers = sorted({one["version"] for window in windows for one in window["points"]})
    yield f"| outcomes until | {' | '.join(f'version {number}' for number in numbers)} |"
    yield "|---|" + "---|" * len(numbers)
    for window in windows:
        points = {one["version"]: one for one in window["points"] if one["is_judged"]}
        cells = [f"{points[n]['cost']['estimate']:,.0f} ({points[n]['age_days']:.0f} days)" if n in points else "" for n in numbers]
        yield f"| {window['window_end']:.10} | {' | '.join(cells)} |"


def alerts(space: Workspace) -> Iterator[str]:
    """How near each month came to an alert; what was published stands for what was served, as it was known then."""
    yield "| month | bias (interval), allowed | surely costs more than on the holdout, margin | rows whose features differ | alerts |"
    yield "|---|---|---|---|---|"
    problem, newest = space.problem, build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem)
    for one in history(space.journal, problem, datetime.now(UTC))["windows"]:
        bias, floor = one["realized"]["bias"], bias_floor(problem, one["realized"])
        margin = cost_margin(space.journal, problem, one["estimate"])
        if margin is None:
            continue  # the contract has changed since the champion was decided on
        other = features_then(space, newest, one["window"])
        found = {
            "bias": bias["low"] > floor or bias["high"] < -floor,
            "estimate": margin[1] > margin[2],
            "features": (other["low"] or 0) > problem.performance.max_features_share,
        }
        yield (
            f"| {one['window']:.7} | {bias['estimate']:+.3f} ({bias['low']:+.3f} to {bias['high']:+.3f}), {floor:.3f} "
            f"| {1000 * margin[1]:+,.0f}, {1000 * margin[2]:,.0f} | {other['differing']:,} of {other['rows']:,} "
            f"| {', '.join(name for name, is_found in found.items() if is_found) or 'none'} |"
        )


def features_then(space: Workspace, newest: Frame, partition: str) -> dict[str, Any]:
    """Features of what was published as its snapshot had them, against the data of now."""
    problem = space.problem
    row = space.journal.last(tables.publications, partition=partition) or {}
    batches = (space.journal.last(tables.snapshots, snapshot=row["snapshot"]) or {})["batches"]
    then = build_frame(space.settings.root, Snapshot(row["snapshot"], {k: tuple(v) for k, v in batches.items()}), problem).still_open
    some = then.sample(min(problem.performance.served_rows, len(then)), random_state=SEED)
    keys = tuple(some[problem.key])
    now = newest.rows.set_index(problem.key).loc[list(keys)]
    served, computed = (plain_columns(rows[list(problem.features)]) for rows in (some, now))
    return served_features.compare(served_features.Pairs(keys, keys, served, computed))


def seconds(space: Workspace) -> Iterator[str]:
    """What measuring takes that has not been measured, in a process in which the models' parent runs."""
    problem, frame = space.problem, build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem)
    window, versions = staleness._window(space, frame), space.registry.versions()[-space.problem.performance.versions :]
    if window is None:
        return
    published = next(measuring._windows(space.settings.root, space.journal, problem, frame, None))[1][-1].rows
    said = measuring.predicted_of(published, problem.task)
    yield "| what | seconds |"
    yield "|---|---|"
    for name, work in (
        ("one window: figures and slices", lambda: (figures(problem, published, said), by_slice(problem, published, said))),
        (
            f"{len(versions)} versions asked about the newest {len(window.rows):,} outcomes",
            lambda: staleness._asked(space, window, versions),
        ),
        ("one estimate", lambda: measuring._estimated(space, frame, published, version=versions[-1].number)),
        ("all of it once more, when it is in the journal", lambda: measuring.measure(space)),
    ):
        begun = time.perf_counter()
        work()
        yield f"| {name} | {time.perf_counter() - begun:.1f} |"
