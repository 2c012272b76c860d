"""How the models in service do, for whoever shows it: read from the journal, nothing is computed anew but differences."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.journal import Journal
from evergreen.monitoring.freshness import of_champion
from evergreen.monitoring.kinds import ESTIMATE, FEATURES, PUBLISHED, REALIZED, SERVED, STALENESS

Told = dict[str, Any]


def history(journal: Journal, problem: Problem, now: datetime) -> Told:
    """Everything that is known of models in service, as JSON values; reads the journal only, and no file.

    Returns
    -------
    dict
        `unit`, `things`, `task` and `level` (of every interval: each bound errs with half of what is left of 1).

        `windows`: one for each published partition and each window of served rows, by time, published first. Each has

        - `origin` ("published" or "served"), `window` (its first day, or "all"), `version` (the newest in it), `versions` (those with
          outcomes, where they are several), `predicted` (rows that were published; None for served ones);
        - `realized`: None while no outcome is known, else what `figures.figures` tells with `slices` (`figures.by_slice`), `at`, when it
          was measured, and `measured`, how many times (the newest counts); in `by_version` are the figures of each of several versions;
        - `estimate`: None where none was made, else the facts of `measuring.estimate_published` with `at`;
        - `missed`: estimate less realized, `cost` per 1,000 rows and `auc`; None where one of both is not there.

        `accuracy`: over the published windows with both, mean absolute error of the estimates, and of taking the window before for the next
        one, on the same windows: `windows`, `cost`, `cost_as_before`, `auc`, `auc_as_before`; None where there is none.

        `staleness`: `window_end` and `points`, one for each version that was asked about the newest window, see `staleness.measure`; and
        `earlier`, the same for windows before, oldest first.

        `features`: the newest facts of `served_features.measure` with `at`; None where nothing was served.

        `age`: `version`, `training_end` (newest row that the champion has learnt from), `days` since, `clock`; None without one or time.
    """
    windows = [*_published(journal), *_served(journal)]
    compared = journal.last(tables.signals, kind=FEATURES)
    return {
        "unit": problem.business.unit,
        "things": problem.things,
        "task": problem.task,
        "level": 1 - 2 * problem.performance.alpha,
        "windows": windows,
        "accuracy": _accuracy([one for one in windows if one["origin"] == PUBLISHED]),
        "staleness": _staleness(journal),
        "features": {**compared["facts"], "at": compared["at"]} if compared else None,
        "age": of_champion(journal, problem, now),
    }


def _published(journal: Journal) -> list[Told]:
    newest = {row["partition"]: row for row in journal.rows(tables.publications)}
    realized, estimates = _realized(journal, PUBLISHED), journal.rows(tables.signals, kind=ESTIMATE)
    told = []
    for partition in sorted(newest):
        row = newest[partition]
        made = [one for one in estimates if one["facts"]["publication"] == row["publication"] and one["window"] == partition]
        estimate = {**made[-1]["facts"], "at": made[-1]["at"]} if made else None
        told.append(
            _window(PUBLISHED, partition, realized.get(partition), estimate) | {"predicted": row["row_count"], "version": row["version"]}
        )
    return told


def _served(journal: Journal) -> list[Told]:
    found = _realized(journal, SERVED)
    return [_window(SERVED, name, found[name], None) for name in sorted(found)]


def _realized(journal: Journal, origin: str) -> dict[str, Told]:
    """The newest measurement of each window."""
    kind = REALIZED[origin]
    times = journal.count(tables.signals, "window", kind=kind)
    newest = journal.latest(tables.signals, "window", kind=kind)
    return {window: {**row["facts"], "at": row["at"], "measured": times[window,]} for window, row in newest.items() if row["facts"]["rows"]}


def _window(origin: str, name: str, realized: Told | None, estimate: Told | None) -> Told:
    version = realized["version"] if realized else None
    missed = {what: _apart(estimate, realized, what) for what in ("cost", "auc")}
    versions = sorted(map(int, (realized or {}).get("by_version") or {}))
    return {
        **{"origin": origin, "window": name, "version": version, "versions": versions, "predicted": None},
        **{"realized": realized, "estimate": estimate, "missed": missed},
    }


def _apart(one: Told | None, other: Told | None, what: str) -> float | None:
    a, b = _value(one, what), _value(other, what)
    return None if a is None or b is None else a - b


def _value(told: Told | None, what: str) -> float | None:
    found = (told or {}).get(what)
    return None if found is None else float(found["estimate"])


def _accuracy(windows: list[Told]) -> Told | None:
    told: Told = {"windows": 0}
    for what in ("cost", "auc"):
        pairs = [(one["missed"][what], _apart(before["realized"], one["realized"], what)) for before, one in pairwise(windows)]
        both = [(missed, naive) for missed, naive in pairs if missed is not None and naive is not None]
        missed, naive = np.abs(np.array(both)).mean(axis=0).tolist() if both else (None, None)
        told |= {what: missed, f"{what}_as_before": naive, "windows": max(told["windows"], len(both))}
    return told if told["windows"] else None


def _staleness(journal: Journal) -> Told | None:
    by_window: dict[str, dict[int, Told]] = {}
    for row in journal.rows(tables.signals, kind=STALENESS):
        points = by_window.pop(row["window"], {})
        by_window[row["window"]] = points | {row["facts"]["version"]: row["facts"]}
    told = [{"window_end": window, "points": [points[number] for number in sorted(points)]} for window, points in by_window.items()]
    return {**told[-1], "earlier": told[:-1]} if told else None
