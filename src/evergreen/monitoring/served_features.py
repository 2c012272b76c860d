"""Whether rows were served with the features that the data have for them: the log is held against the same things computed anew."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.snapshots import Frame
from evergreen.errors import ModelError
from evergreen.files import digest_text
from evergreen.gate.statistics import share_lower_bound
from evergreen.journal import Journal, log
from evergreen.monitoring.keeping import keep
from evergreen.monitoring.kinds import FEATURES, SERVED_LATELY
from evergreen.monitoring.outcomes import Outcomes
from evergreen.serving.frames import plain_columns

EXAMPLES = 3
TOLERANCE = 1e-9
"""Numbers that differ by less, relatively, are the same."""
_ABSENT = object()
"""In the place of a value of a feature that this row's version was not given."""


@dataclass(frozen=True)
class Pairs:
    """The features of served rows, as they were logged and as the data have them, in the same order."""

    predictions: tuple[str, ...]
    entities: tuple[str, ...]
    served: dict[str, list[Any]]
    """Plain values by feature; features that the data no longer have are left out."""
    computed: dict[str, list[Any]]


def measure(journal: Journal, problem: Problem, frame: Frame, outcomes: Outcomes, *, snapshot: str) -> dict[str, Any] | None:
    """Compare the newest served rows, of a week at most, with the data; the same rows and data once. None where nothing was served.

    Returns
    -------
    dict or None
        The journal's row. Its `facts` hold `rows` (compared), `looked_at`, `unknown` (no delivery has brought them), `late` (asked when the
        event was over), `differing` (rows that differ in some feature), `share` and `low`, its lower bound, and `features`: of each
        `feature`, `rows`, `differing`, `share`, `largest` (difference of numbers) and up to three `examples`.
    """
    rows = log.newest(journal, most=problem.performance.served_rows)
    if not rows:
        return None
    since = datetime.fromisoformat(rows[0]["asked_at"]) - SERVED_LATELY
    rows = [row for row in rows if datetime.fromisoformat(row["asked_at"]) >= since]

    def found() -> tuple[str, dict[str, Any]]:
        pairs, counts = _pairs(problem, frame, outcomes, rows)
        return rows[0]["asked_at"], {"looked_at": len(rows), **counts, **compare(pairs)}

    state = digest_text(rows[0]["prediction"], snapshot, problem.digest())
    return keep(journal, FEATURES, state, last=journal.last(tables.signals, kind=FEATURES), find=found)


def compare(pairs: Pairs) -> dict[str, Any]:
    """How many rows differ, in which features, by how much; see `measure`."""
    told: list[dict[str, Any]] = []
    anywhere = [False] * len(pairs.entities)
    for feature, before in pairs.served.items():
        after = pairs.computed[feature]
        there = [is_logged is not _ABSENT for is_logged in before]
        differs = [known and not _same(one, other) for known, one, other in zip(there, before, after, strict=True)]
        anywhere = [either or this for either, this in zip(anywhere, differs, strict=True)]
        at = [number for number, is_other in enumerate(differs) if is_other]
        apart = [abs(before[number] - after[number]) for number in at if _is_number(before[number]) and _is_number(after[number])]
        examples = [
            {"prediction": pairs.predictions[n], "entity": pairs.entities[n], "served": before[n], "computed": after[n]}
            for n in at[:EXAMPLES]
        ]
        share = len(at) / sum(there) if any(there) else 0.0
        largest = max(apart, default=None)
        told.append(
            {"feature": feature, "rows": sum(there), "differing": len(at), "share": share, "largest": largest, "examples": examples}
        )
    told.sort(key=lambda one: (-one["differing"], one["feature"]))
    differing, rows = sum(anywhere), len(anywhere)
    shares = {"share": differing / rows, "low": share_lower_bound(differing, rows)} if rows else {"share": None, "low": None}
    return {"rows": rows, "differing": differing, **shares, "features": told}


def _pairs(problem: Problem, frame: Frame, outcomes: Outcomes, rows: Sequence[dict[str, Any]]) -> tuple[Pairs, dict[str, int]]:
    recorded, counts, kept = outcomes.recorded, {"unknown": 0, "late": 0}, []
    keys = pd.Index(frame.rows[problem.key].astype(str))
    positions = keys.get_indexer(pd.Index([row["entity"] for row in rows]))
    for row, at in zip(rows, positions.tolist(), strict=True):
        if at < 0:
            counts["unknown"] += 1
        elif row["asked_at"] >= _over(problem, frame, at, recorded.get(row["entity"])):
            counts["late"] += 1
        else:
            kept.append((row, at, json.loads(row["inputs"])))
    names = [name for name in dict.fromkeys(name for _, _, given in kept for name in given) if name in frame.rows]
    computed = _plain(frame.rows[names].iloc[[at for _, at, _ in kept]])
    served = {name: [given.get(name, _ABSENT) for _, _, given in kept] for name in computed}
    told = zip(*((row["prediction"], row["entity"]) for row, _, _ in kept), strict=True)
    predictions, entities = tuple(told) or ((), ())
    return Pairs(predictions, entities, served, computed), counts


def _plain(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """The columns that requests can have."""
    told: dict[str, list[Any]] = {}
    for name in rows.columns:
        try:
            told |= plain_columns(rows[[name]])
        except ModelError:
            continue  # no request has such a value
    return told


def _over(problem: Problem, frame: Frame, at: int, recorded: str | None) -> str:
    """From when on whoever asked could know more than the model may (ISO, UTC); the times of replayed data say nothing of the log."""
    ends = [recorded] if recorded else []
    if frame.time and problem.clock == "wall":
        ends.append(frame.rows[frame.time].iloc[at].tz_convert("UTC").isoformat())
    return min(ends, default="9")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)
