"""What a recipe is put through beside its fit: the same rows with other seeds, and fewer rows. Judged on the holdout, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from evergreen.contract import Problem
from evergreen.errors import ModelError
from evergreen.evaluation import cost_threshold, measure, predict
from evergreen.splitting import Split
from evergreen.threads import side_by_side
from evergreen.training import Fitted, fit_estimator, shipped_estimator, takes_seed, training_target

SIZES = (0.125, 0.25, 0.5)
"""Shares of the training rows that the learning curve is drawn from, beside all of them."""
JUDGED_ROWS = 20_000
"""On at most so many of the rows that a model has learnt from it is seen what it costs there."""
ROUNDING = 1e-9
"""By so much threads that add up in another order may make a cost differ."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """How a recipe does with other seeds and with fewer rows; costs are mean measures a row."""

    seeds: dict[int, np.ndarray]
    """Measure of each holdout row by seed, the candidate's own first; one entry where nothing in the recipe depends on one."""
    learning_curve: list[dict[str, float]]
    """`rows` that were learnt from, `train` cost on them, `holdout` cost; ascending, the last one is the candidate."""
    random_without_seed: bool = False
    """Fitted again it costs otherwise, and nothing in it takes a seed."""


def try_recipe(
    problem: Problem, split: Split, fitted: Fitted, *, sizes: Sequence[float] = SIZES, progress: Progress = lambda _: None
) -> Recipe:
    """Fit the recipe again with other seeds (once where it takes none: is it random all the same?), and on random parts of the rows.

    `sizes` are the shares of the training rows for the learning curve, which no check judges; it may be left out.

    Raises
    ------
    ModelError
        A fit fails.
    """
    own = problem.retraining.seed
    seeds = [own + more for more in range(1, problem.gate.seeds)]
    order = np.random.default_rng(own).permutation(len(split.train))
    parts = [part for size in sizes if _is_whole(problem, split, part := split.train.iloc[np.sort(order[: int(size * len(order))])])]

    def with_seed(seed: int) -> np.ndarray:
        model = fit_estimator(shipped_estimator(problem, fitted.parameters, seed=seed), *_learnt(problem, split.train))
        return _costs(problem, model, split.holdout)

    def with_fewer(part: pd.DataFrame) -> dict[str, float] | None:
        try:
            model = fit_estimator(shipped_estimator(problem, fitted.parameters), *_learnt(problem, part))
        except ModelError:  # what needs more rows than these, such as a calibration's own folds, has no point here
            return None
        return _point(problem, model, part, _costs(problem, model, split.holdout))

    unseen = _costs(problem, fitted.estimator, split.holdout)
    candidate = _point(problem, fitted.estimator, split.train, unseen)
    first = [delayed(with_seed)(seed) for seed in seeds[:1]]
    done = _all_of([*first, *(delayed(with_fewer)(part) for part in reversed(parts))], progress)
    costs, smaller = done[: len(first)], done[len(first) :]
    tried, seeded = {own: unseen}, takes_seed(problem)
    if seeded and not all(np.array_equal(one, unseen) for one in costs):  # else to the last digit the same: nothing in it is random
        costs += _all_of([delayed(with_seed)(seed) for seed in seeds[1:]], progress)
        tried |= dict(zip(seeds, costs, strict=True))
    same = all(np.allclose(one, unseen, rtol=ROUNDING, atol=ROUNDING, equal_nan=True) for one in costs)
    return Recipe(tried, [*(point for point in reversed(smaller) if point), candidate], random_without_seed=not (seeded or same))


def _all_of(work: list[Any], progress: Progress) -> list[Any]:
    done = []
    for result in side_by_side(work):
        done.append(result)
        progress(f"other seeds and fewer rows, {len(done)} of {len(work)}")
    return done


def _learnt(problem: Problem, rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    return rows[list(problem.features)], training_target(rows, problem)


def _point(problem: Problem, model: Any, learnt: pd.DataFrame, unseen: np.ndarray) -> dict[str, float]:
    shown = learnt.sample(min(JUDGED_ROWS, len(learnt)), random_state=problem.retraining.seed)
    return {"rows": len(learnt), "train": float(_costs(problem, model, shown).mean()), "holdout": float(unseen.mean())}


def _costs(problem: Problem, model: Any, rows: pd.DataFrame) -> np.ndarray:
    X, y = _learnt(problem, rows)
    return measure(problem, rows, y, predict(model, X, problem.task, threshold=cost_threshold(problem)))


def _is_whole(problem: Problem, split: Split, part: pd.DataFrame) -> bool:
    """Whether a part of the training rows can be learnt from: it has every class."""
    target = problem.target.name
    return len(part) > 1 and (problem.task == "regression" or part[target].nunique() == split.train[target].nunique())
