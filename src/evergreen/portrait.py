"""What a candidate shows on the holdout beside what its verdict needs: how it does on each slice, and which features it goes by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.snapshots import clusters, content_digest
from evergreen.errors import ModelError
from evergreen.evaluation import Predicted, central_cost
from evergreen.files import digest_text
from evergreen.gate.record import json_safe
from evergreen.gate.statistics import paired_interval
from evergreen.journal import Journal
from evergreen.monitoring.asking import ask
from evergreen.monitoring.figures import bounds, by_slice, figures, part_of
from evergreen.registry import Version
from evergreen.training import training_target
from evergreen.workspace import Workspace

KIND = "importance"
REPEATS = 3
"""So often each feature is dealt out anew."""
MOST_ROWS, LEAST_ROWS, MOST_ASKED = 2_000, 200, 120_000
"""Of the holdout so many rows are taken; fewer where there are many features, so that no more than the last are predicted in all."""


def draw(space: Workspace, holdout: pd.DataFrame, candidate: Version, said: Predicted) -> dict[str, Any]:
    """Measure it once for a version and a holdout, and keep it in the journal.

    Returns
    -------
    dict
        What `newest` returns.
    """
    problem, key = space.problem, space.problem.key
    name = digest_text(KIND, str(candidate.number), content_digest(holdout[[key, problem.target.name]]), problem.digest())
    if space.journal.last(tables.signals, signal=name) is None:
        facts = {"version": candidate.number, **figures(problem, holdout, said), **_importances(space, holdout, candidate)}
        facts["slices"] = by_slice(problem, holdout, said) if facts["is_judged"] else []
        space.journal.add(tables.signals, signal=name, kind=KIND, window=str(candidate.number), facts=json_safe(facts))
    return newest(space.journal, candidate.number) or {}


def newest(journal: Journal, version: int) -> dict[str, Any] | None:
    """What was measured of a version on the newest holdout it was judged on; None where nothing was.

    Returns
    -------
    dict or None
        `version`, what `figures` tells, `slices` as `by_slice` tells them; `importances`, the weightiest feature first: `feature`, `cost`
        (what 1,000 rows cost more when its values are dealt out among the rows by lot: `estimate`, `low`, `high`) and `auc` (by how much
        the ROC AUC falls; None where there is none), the means over `repeats`; `asked`, on so many rows; `unable`: why there are none.
    """
    row = journal.last(tables.signals, kind=KIND, window=str(version))
    return dict(row["facts"]) if row else None


def _importances(space: Workspace, holdout: pd.DataFrame, candidate: Version) -> dict[str, Any]:
    problem, features = space.problem, list(space.problem.features)
    most = max(LEAST_ROWS, min(MOST_ROWS, MOST_ASKED // (1 + REPEATS * len(features))))
    rows = holdout.sample(min(most, len(holdout)), random_state=problem.retraining.seed).reset_index(drop=True)
    told = {"asked": len(rows), "repeats": REPEATS, "importances": [], "unable": ""}
    try:
        dealt = pd.concat([rows[features], *_dealt(rows[features], problem.retraining.seed)], ignore_index=True)
        dealt.insert(0, problem.key, np.arange(len(dealt)))
        said, cannot = ask(space, [candidate], dealt)
        if candidate.number in cannot:
            return told | {"unable": cannot[candidate.number]}
        return told | {"importances": _measured(problem, rows, said[candidate.number])}
    except (ModelError, ValueError) as error:  # a cost that is no number: the verdict says so, the card needs no more
        return told | {"unable": str(error)}


def _dealt(X: pd.DataFrame, seed: int) -> Iterator[pd.DataFrame]:
    """The rows once for each feature and repeat, with that feature's values in another order."""
    random = np.random.default_rng(seed)
    for name in X.columns:
        for _ in range(REPEATS):
            yield X.assign(**{str(name): X[name].take(random.permutation(len(X))).set_axis(X.index)})


def _measured(problem: Problem, rows: pd.DataFrame, said: Predicted) -> list[dict[str, Any]]:
    """What each feature is worth, the weightiest first; `said` of the rows as they are, then of the others in their order."""
    y, groups, n = training_target(rows, problem), clusters(rows, problem.gate.cluster), len(rows)
    parts = [part_of(said, np.arange(start, start + n)) for start in range(0, len(said.decision), n)]
    costs = [central_cost(problem, rows, y, part) for part in parts]
    aucs = [_auc(problem, y, part) for part in parts]
    told: list[dict[str, Any]] = []
    for place, name in enumerate(problem.features):
        these = slice(1 + place * REPEATS, 1 + (place + 1) * REPEATS)
        more = np.mean(costs[these], axis=0) - costs[0]
        lost = [aucs[0] - auc for auc in aucs[these] if aucs[0] is not None and auc is not None]
        interval = paired_interval(more, groups, alpha=problem.performance.alpha)
        told.append({"feature": name, "cost": bounds(interval, times=1000), "auc": float(np.mean(lost)) if lost else None})
    return sorted(told, key=lambda one: (-one["cost"]["estimate"], one["feature"]))


def _auc(problem: Problem, y: np.ndarray, said: Predicted) -> float | None:
    if problem.task != "binary" or said.probability is None or len(np.unique(y)) == 1:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, said.probability))
