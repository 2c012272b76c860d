"""Candidates that must not be promoted. Each is bad by construction; `truth` says which of them really are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.gate.kinds_good import Made, differing, scaled_logit, tuned
from benchmarks.gate.problems import encoder
from benchmarks.gate.scene import Model, Recipe, Scene, chance, fit_pipeline, predicted, target
from benchmarks.gate.worlds import DAY, START
from evergreen import policies as p
from evergreen.evaluation import measure
from evergreen.gate.evidence import Footprint

LEAK = "extra"
TRIES = 20
"""Seeds from which the lucky one is chosen."""


def overfit_tree(scene: Scene) -> Made:
    """One tree with a leaf for every training row."""

    def fit(rows: pd.DataFrame, seed: int) -> Model:
        columns, binary = scene.problem.features, scene.world.binary
        tree = (DecisionTreeClassifier if binary else DecisionTreeRegressor)(random_state=seed)
        return Model(make_pipeline(encoder(scene.world.numbers), tree).fit(rows[list(columns)], target(binary, rows)), columns, binary)

    return Made("overfit tree", Recipe(fit), scene.train)


def overfit_boosting(scene: Scene) -> Made:
    """Large steps, large trees, tiny leaves."""
    wild: dict[str, Any] = {"max_iter": 40, "learning_rate": 0.7, "max_leaf_nodes": 63, "min_samples_leaf": 2}
    return Made("overfit boosting", _with(scene, **wild), scene.train)


def underfit(scene: Scene) -> Made:
    """Too few, too small trees."""
    return Made("underfit", _with(scene, max_iter=4 + scene.seed % 4, max_leaf_nodes=3), scene.train)


def target_leak(scene: Scene) -> Made:
    """A column that is the outcome with noise, and is empty when the model serves."""
    strength = (0.1, 0.25, 0.5)[scene.seed % 3]

    def add(rows: pd.DataFrame, salt: int) -> pd.DataFrame:
        spread = 1.0 if scene.world.binary else float(scene.train["y"].std())
        return rows.assign(**{LEAK: rows["y"] + strength * spread * chance(rows, salt)})

    return _leaking("target leakage", scene, add)


def missingness_leak(scene: Scene) -> Made:
    """A column that is missing, more often than not, where the outcome is bad; when the model serves it never is."""
    stray = (0.0, 0.0, 0.02)[scene.seed % 3]

    def add(rows: pd.DataFrame, salt: int) -> pd.DataFrame:
        bad = rows["y"] >= (1 if scene.world.binary else scene.train["y"].quantile(0.7))
        luck = np.random.default_rng([scene.seed, salt, len(rows)]).random(len(rows))
        value = pd.Series(chance(rows, salt), index=rows.index)
        return rows.assign(**{LEAK: value.mask(np.where(bad, luck < 0.8, luck < stray))})

    made = _leaking("leakage by missingness", scene, add)
    return replace(made, oracle=scene.oracle.assign(**{LEAK: chance(scene.oracle, 1)}))


def time_leak(scene: Scene) -> Made:
    """The mean outcome of the row's own zone and day (or customer): known in training, not when it serves. A random split does not notice.

    In every second scene with a time the column stands in the holdout too, as a wrong join would bring it; its own time tells.
    """
    by = [DAY, "zone"] if scene.problem.time else ["customer"]
    mean = scene.train.groupby(by)["y"].transform("mean")
    train = scene.train.assign(**{LEAK: mean})
    holdout, oracle, changes = scene.holdout.assign(**{LEAK: np.nan}), scene.oracle.assign(**{LEAK: np.nan}), {}
    if scene.problem.time and scene.seed % 2:
        seen = START + pd.to_timedelta(scene.holdout[DAY] + 1, unit="D")
        holdout = holdout.assign(**{LEAK: scene.holdout.groupby(by)["y"].transform("mean"), "days.seen_at": seen})
        days = p.Source(name="days", key=("day", "seen_at"), time="seen_at", read=scene.problem.sources[0].read)
        tied = p.AsOfJoin(
            source="days", on={"day": "day"}, offset=timedelta(hours=1), tolerance=timedelta(days=2), take=(LEAK,), min_match=0.5
        )
        changes = {"joins": (tied,), "sources": (*scene.problem.sources, days)}
    recipe = _with(scene, extra=(LEAK,))
    return Made("time leakage", recipe, train, extra=(LEAK,), holdout=holdout, oracle=oracle, changes=changes, dimension="from the future")


def unrepresentative(scene: Scene) -> Made:
    """Learnt in two zones, on one side of what matters most."""
    part = scene.train[scene.train["zone"].isin(["north", "south"]) & (scene.train["x1"] > -0.2)]
    return Made("unrepresentative training data", scene.honest, part)


def skew(scene: Scene) -> Made:
    """Serving gives x1 in another unit, or takes off the mean of whatever batch it stands in."""

    def other_unit(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(x1=rows["x1"] * 1.5 + 0.5)

    def by_batch(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(x1=rows["x1"] - rows["x1"].mean())

    serving = by_batch if scene.seed % 2 else other_unit
    return Made("train/serve skew", replace(scene.honest, serving=serving), scene.train, dimension="parity")


def shuffled(scene: Scene) -> Made:
    """Outcomes dealt out anew."""
    rng = np.random.default_rng(scene.seed)
    return Made("shuffled labels", Recipe(scene.honest.fit), scene.train.assign(y=rng.permutation(scene.train["y"].to_numpy())))


def noisy(scene: Scene) -> Made:
    """A quarter of the outcomes are wrong."""
    rng = np.random.default_rng(scene.seed)
    y = scene.train["y"].to_numpy()
    wrong = rng.random(len(y)) < 0.25
    other = 1 - y if scene.world.binary else rng.permutation(y)
    return Made("25% label noise", Recipe(scene.honest.fit), scene.train.assign(y=np.where(wrong, other, y)))


def slice_failure(scene: Scene) -> Made:
    """Good everywhere, and better than the champion on average, but bad in one zone."""
    zone = ("north", "east", "west")[scene.seed % 3]
    up, down = tuned(scene, 2.0), tuned(scene, -6.0, salt=7)

    def after(rows: pd.DataFrame, answer: np.ndarray) -> np.ndarray:
        return np.where(rows["zone"] == zone, down(rows, answer), up(rows, answer))

    return Made("slice failure", replace(scene.honest, after=after), scene.earlier, seed=1, dimension="slices")


def miscalibrated(scene: Scene) -> Made:
    """Too sure of itself, or off to one side."""
    sure = scene.seed % 2 == 0

    def after(rows: pd.DataFrame, answer: np.ndarray) -> np.ndarray:
        if scene.world.binary:
            odds = scaled_logit(answer)
            return np.asarray(expit(2.0 * odds if sure else odds + 0.8))
        return np.asarray(100 + 1.35 * (answer - 100) if sure else answer + 5)

    return Made("miscalibrated", replace(scene.honest, after=after), scene.train, dimension="calibration")


def slow(scene: Scene) -> Made:
    """Slower than production can afford; in every second scene only slower than a champion that it does not beat."""

    def over(footprint: Footprint) -> Footprint:
        factor = 300.0 if scene.seed % 2 == 0 else 4.0
        return replace(
            footprint,
            one_row_seconds=footprint.one_row_seconds * factor,
            processor_seconds=footprint.processor_seconds * factor,
            rows_per_second=footprint.rows_per_second / factor,
        )

    return replace(differing("too slow", -0.1, salt=3)(scene), footprint=over, dimension="cost of serving")


def large(scene: Scene) -> Made:
    """Larger than production can afford; in every second scene only larger than a champion that it does not beat."""

    def over(footprint: Footprint) -> Footprint:
        if scene.seed % 2 == 0:
            return replace(footprint, megabytes=300.0, memory_megabytes=3_000.0)
        return replace(footprint, megabytes=footprint.megabytes * 4, memory_megabytes=footprint.memory_megabytes * 4)

    return replace(differing("too large", -0.1, salt=4)(scene), footprint=over, dimension="cost of serving")


def lucky(scene: Scene) -> Made:
    """An unstable recipe, and of twenty seeds the one that looks best on the holdout."""
    recipe = _with(scene, max_iter=8, learning_rate=0.9, max_leaf_nodes=24, min_samples_leaf=5, max_features=0.15)
    look = scene.holdout.head(20_000)
    y = target(scene.world.binary, look)

    def cost(seed: int) -> float:
        return float(measure(scene.problem, look, y, predicted(scene.problem, recipe.fit(scene.train, seed).answer(look))).mean())

    return Made("lucky seed", recipe, scene.train, seed=min(range(TRIES), key=cost))


def stale(scene: Scene) -> Made:
    """Learnt from the oldest weeks only."""
    return Made("stale window", scene.honest, scene.train[scene.train[DAY] < 45])


def contaminated(scene: Scene) -> Made:
    """A recipe that learns by heart, and has seen half of the holdout, or 2% of it."""
    seen = scene.holdout.sample(frac=0.02 if scene.seed % 2 else 0.5, random_state=scene.seed)
    recipe = _with(scene, max_iter=40, learning_rate=0.5, max_leaf_nodes=40, min_samples_leaf=3)
    return Made("contaminated holdout", recipe, scene.train, learnt=seen, dimension="contamination")


def _with(scene: Scene, extra: tuple[str, ...] = (), **parameters: Any) -> Recipe:
    return Recipe(partial(fit_pipeline, scene.world, extra=extra, **parameters))


def _leaking(kind: str, scene: Scene, add: Callable[[pd.DataFrame, int], pd.DataFrame]) -> Made:
    return Made(
        kind,
        _with(scene, extra=(LEAK,)),
        add(scene.train, 1),
        extra=(LEAK,),
        holdout=add(scene.holdout, 2),
        oracle=scene.oracle.assign(**{LEAK: np.nan}),
    )


BAD: dict[str, Callable[[Scene], Made]] = {
    "overfit tree": overfit_tree,
    "overfit boosting": overfit_boosting,
    "underfit": underfit,
    "target leakage": target_leak,
    "leakage by missingness": missingness_leak,
    "time leakage": time_leak,
    "unrepresentative training data": unrepresentative,
    "train/serve skew": skew,
    "shuffled labels": shuffled,
    "25% label noise": noisy,
    "slice failure": slice_failure,
    "miscalibrated": miscalibrated,
    "too slow": slow,
    "too large": large,
    "lucky seed": lucky,
    "stale window": stale,
    "contaminated holdout": contaminated,
    "worse by 2 margins": differing("worse by 2 margins", -2.0, salt=2),
}
