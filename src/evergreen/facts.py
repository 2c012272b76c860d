"""What is recorded of a version beside the model itself: rows that it can be held to, and what its training showed."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from evergreen.columns import describe
from evergreen.contract import Problem
from evergreen.data.snapshots import clusters
from evergreen.gate.evidence import Promise
from evergreen.gate.statistics import paired_interval
from evergreen.provenance import code_version
from evergreen.splitting import Split
from evergreen.training import Fitted
from evergreen.trials import Recipe

GOLDEN_ROWS = 1_000


def golden_rows(problem: Problem, split: Split) -> pd.DataFrame:
    """Rows that serving must answer as training does: of the holdout, and where it has too few of the training rows too."""
    seed, features = problem.retraining.seed, list(problem.features)
    unseen = split.holdout.sample(min(GOLDEN_ROWS, len(split.holdout)), random_state=seed)
    more = split.train.sample(min(GOLDEN_ROWS - len(unseen), len(split.train)), random_state=seed)
    return pd.concat([unseen, more])[features]


def facts_of(problem: Problem, split: Split, fitted: Fitted, tried: Recipe) -> dict[str, Any]:
    """What a version learnt from, and what folds, other seeds and fewer rows said of its recipe."""
    time, train = problem.time, split.train
    start, end = (train[time].min().isoformat(), train[time].max().isoformat()) if time else (None, None)
    return {
        **{"training_start": start, "training_end": end, "rows": len(train), "holdout_rows": len(split.holdout)},
        **{"threshold": fitted.threshold, "folds": list(fitted.folds), "commit": code_version(problem.package)},
        "columns": describe(train[list(problem.features)]),
        "promise": promise_of(fitted),
        "seeds": {seed: float(measured.mean()) for seed, measured in tried.seeds.items()},
        "seeds_se": apart_by_chance(tried, clusters(split.holdout, problem.gate.cluster)),
        "random_without_seed": tried.random_without_seed,
        "learning_curve": tried.learning_curve,
    }


def promise_of(fitted: Fitted) -> dict[str, Any] | None:
    """What the folds say that the recipe saves against the constant decision that was cheapest over all of them; None of no numbers."""
    judged = fitted.out_of_fold
    if not np.isfinite(judged["measure"]).all():
        return None
    trivial = judged.drop(columns=["cluster", "measure"]).dropna(axis=1)  # a class that only later folds know has no constant answer before
    if trivial.empty:
        return None
    saved = paired_interval((trivial[trivial.mean().idxmin()] - judged["measure"]).to_numpy(), judged["cluster"].to_numpy(), alpha=0.05)
    return asdict(Promise(saved.estimate, saved.se, saved.clusters, saved.n))


def apart_by_chance(tried: Recipe, groups: np.ndarray) -> float:
    """The largest standard error of a difference between two seeds; NaN where a cost is none."""
    found = [0.0]
    for one, other in combinations(tried.seeds.values(), 2):
        known = np.isfinite(one - other).all()
        found.append(paired_interval(one - other, groups, alpha=0.05).se if known else np.nan)
    return float(np.max(found))
