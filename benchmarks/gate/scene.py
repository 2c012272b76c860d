"""One scene: rows to learn from, to be judged on and to know the truth from, and the champion that serves."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.gate.problems import WORLDS, World
from benchmarks.gate.worlds import DAY, NOISE, TRUTH
from evergreen.contract import Problem
from evergreen.data.snapshots import row_fingerprints
from evergreen.evaluation import Predicted, cost_threshold, measure, trivial_policies

After = Callable[[pd.DataFrame, np.ndarray], np.ndarray]
LAST_MONTH = 30
"""Days that the champion, trained a month ago, has not seen."""


@dataclass(frozen=True)
class Model:
    """A fitted estimator, and what is done to its rows when it serves, and to its answers always."""

    estimator: Any
    columns: tuple[str, ...]
    binary: bool
    after: After | None = None
    serving: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    def answer(self, rows: pd.DataFrame) -> np.ndarray:
        """Probability of 1, or value, as in training. Shape (n,)."""
        X = rows[list(self.columns)]
        answer = self.estimator.predict_proba(X)[:, 1] if self.binary else self.estimator.predict(X)
        return np.asarray(answer if self.after is None else self.after(rows, answer), dtype=float)

    def serve(self, rows: pd.DataFrame) -> np.ndarray:
        """The same as it serves."""
        return self.answer(rows if self.serving is None else self.serving(rows))


@dataclass(frozen=True)
class Recipe:
    """From rows and a seed to a model. With a `name` what it gives is kept and used again for other candidates of the scene."""

    fit: Callable[[pd.DataFrame, int], Model]
    name: str | None = None
    after: After | None = None
    serving: Callable[[pd.DataFrame], pd.DataFrame] | None = None


@dataclass(frozen=True)
class Scene:
    """Everything that the candidates of one world, size and seed have in common."""

    name: str
    size: str
    seed: int
    world: World
    train: pd.DataFrame
    earlier: pd.DataFrame
    """What the champion was trained on."""
    holdout: pd.DataFrame
    oracle: pd.DataFrame
    cache: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        """The world's contract."""
        return self.world.problem

    @property
    def honest(self) -> Recipe:
        """The contract's recipe."""
        return Recipe(partial(fit_pipeline, self.world), "honest")

    @property
    def champion(self) -> Model:
        """The contract's recipe on the earlier rows."""
        return self.fitted(self.honest, self.earlier, 0)

    @property
    def margin(self) -> float:
        """Two percent of what the best trivial policy costs in truth."""
        return float(self.kept("margin", self._margin))

    def kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def fitted(self, recipe: Recipe, rows: pd.DataFrame, seed: int) -> Model:
        """A model of this recipe; those of a named one are fitted once for each set of rows and seed."""
        if recipe.name is None:
            model = recipe.fit(rows, seed)
        else:
            key = (recipe.name, *identity(rows), seed)
            model = self.kept(key, lambda: recipe.fit(rows, seed))
        return replace(model, after=recipe.after, serving=recipe.serving)

    def loss(self, answer: np.ndarray, rows: pd.DataFrame | None = None) -> np.ndarray:
        """True expected measure of each oracle row (or of other rows), given its truth. Shape (n,)."""
        rows = self.oracle if rows is None else rows
        truth, said = rows[TRUTH].to_numpy(), predicted(self.problem, answer)
        if self.world.binary:
            ones, zeros = (measure(self.problem, rows, np.full(len(rows), value), said) for value in (1, 0))
            return np.asarray(truth * ones + (1 - truth) * zeros)
        off = (truth - answer) / NOISE  # the mean of a folded normal distribution
        return np.asarray(NOISE * (np.sqrt(2 / np.pi) * np.exp(-(off**2) / 2) + off * (1 - 2 * stats.norm.cdf(-off))))

    def champion_loss(self) -> np.ndarray:
        """The champion's true loss on each oracle row."""
        return np.asarray(self.kept("champion loss", lambda: self.loss(self.champion.serve(self.oracle))))

    def _margin(self) -> float:
        y = self.train["y"].to_numpy()
        policies = trivial_policies(self.problem.task, y.astype(int) if self.world.binary else y, len(self.oracle))
        return self.problem.gate.margin_share * min(float(self.loss(np.asarray(one.decision, float)).mean()) for one in policies.values())


def make_scene(name: str, size: str, seed: int) -> Scene:
    """Draw all rows of a scene."""
    world = WORLDS[name]
    days, per_day = world.sizes[size]
    train = world.draw(1000 * seed + 1, 0, *world.train)
    truth = [world.draw(1000 * seed + 500 + i, world.first, days, per_day) for i in range(-(-world.oracle_rows // (days * per_day)))]
    return Scene(
        name,
        size,
        seed,
        world,
        train,
        train[train[DAY] < world.train[0] - LAST_MONTH],
        world.draw(1000 * seed + 2, world.first, days, per_day),
        pd.concat(truth, ignore_index=True).head(world.oracle_rows),
    )


def identity(rows: pd.DataFrame) -> tuple[Hashable, ...]:
    """What tells one part of the training rows from another."""
    return int(rows.index[0]), int(rows.index[-1]), len(rows), float(rows["y"].sum()), float(rows["x1"].sum())


def fit_pipeline(world: World, rows: pd.DataFrame, seed: int, extra: tuple[str, ...] = (), **parameters: Any) -> Model:
    """The world's recipe with other parameters, or more columns."""
    columns = (*world.problem.features, *extra)
    pipeline = world.pipeline(extra, random_state=seed, **parameters)
    return Model(pipeline.fit(rows[list(columns)], target(world.binary, rows)), columns, world.binary)


def target(binary: bool, rows: pd.DataFrame) -> np.ndarray:
    """The outcome as scikit-learn wants it."""
    return np.asarray(rows["y"].to_numpy(dtype=np.int64 if binary else float))


def predicted(problem: Problem, answer: np.ndarray) -> Predicted:
    """An answer with the decision that goes with it."""
    threshold = cost_threshold(problem)
    return Predicted(np.asarray(answer)) if threshold is None else Predicted((answer >= threshold).astype(np.int64), np.asarray(answer))


def chance(rows: pd.DataFrame, salt: int) -> np.ndarray:
    """A normal number for each row that is always the same for it. Shape (n,)."""
    mixed = row_fingerprints(rows, "row_id") ^ np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(stats.norm.ppf(((mixed >> np.uint64(11)).astype(float) + 0.5) / 2**53))
