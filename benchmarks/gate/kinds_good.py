"""Candidates that ought to be promoted, and the ones made to differ from the champion by a known amount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from benchmarks.gate.scene import After, Recipe, Scene, chance
from benchmarks.gate.worlds import TRUTH
from evergreen.gate.evidence import Footprint

EPS = 1e-6
STEPS = 14
"""Halvings until a difference is as wanted."""


@dataclass(frozen=True)
class Made:
    """A candidate: its recipe, the rows it learns from, and what else is special about it."""

    kind: str
    recipe: Recipe
    train: pd.DataFrame
    seed: int = 0
    extra: tuple[str, ...] = ()
    """Features beside the contract's."""
    holdout: pd.DataFrame | None = None
    """As recorded; the scene's unless there are more columns."""
    oracle: pd.DataFrame | None = None
    """As served."""
    learnt: pd.DataFrame | None = None
    """Rows that it has seen beside `train`."""
    footprint: Callable[[Footprint], Footprint] | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the problem that are others for this candidate."""
    dimension: str = "cost"
    """In which way it is bad: see `truth`."""


def new_data(scene: Scene) -> Made:
    """The honest monthly retraining."""
    return Made("new data", scene.honest, scene.train)


def new_seed(scene: Scene) -> Made:
    """The champion's own rows, another seed."""
    return Made("new seed", scene.honest, scene.earlier, seed=1)


def subsample(scene: Scene) -> Made:
    """Four fifths of today's rows."""
    part = scene.train.sample(frac=0.8, random_state=scene.seed).sort_index()
    return Made("subsample", scene.honest, part)


def differing(kind: str, margins: float, salt: int = 0) -> Callable[[Scene], Made]:
    """The champion's recipe with another seed, blurred or sharpened until the true difference is so many margins."""

    def make(scene: Scene) -> Made:
        return Made(kind, replace(scene.honest, after=tuned(scene, margins, salt)), scene.earlier, seed=1)

    return make


def tuned(scene: Scene, margins: float, salt: int = 0) -> After:
    """What to do to a twin of the champion to make it truly better than the champion by so many margins, or worse."""

    def make() -> After:
        base = scene.kept("twin", lambda: scene.fitted(scene.honest, scene.earlier, 1).answer(scene.oracle))
        start = float(scene.champion_loss().mean())

        def gain(strength: float) -> float:
            return (start - float(scene.loss(_moved(scene, scene.oracle, base, strength, salt)).mean())) / scene.margin

        sign = 1.0 if margins >= gain(0.0) else -1.0
        low, high = 0.0, 1.0 if sign > 0 else 4.0 if scene.world.binary else 60.0
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if sign * gain(sign * middle) < sign * margins else (low, middle)
        strength = sign * high
        return lambda rows, answer: _moved(scene, rows, answer, strength, salt)

    after: After = scene.kept(("tuned", margins, salt), make)
    return after


def _moved(scene: Scene, rows: pd.DataFrame, answer: np.ndarray, strength: float, salt: int) -> np.ndarray:
    """Towards the truth by a share (positive), or away from it by chance (negative)."""
    to, back = (scaled_logit, expit) if scene.world.binary else (np.asarray, np.asarray)
    value = to(answer)
    value = value + strength * (to(rows[TRUTH].to_numpy()) - value) if strength >= 0 else value - strength * chance(rows, salt)
    return np.asarray(back(value))


def scaled_logit(probability: np.ndarray) -> np.ndarray:
    """Log odds, finite."""
    return np.asarray(logit(np.clip(probability, EPS, 1 - EPS)))


GOOD: dict[str, Callable[[Scene], Made]] = {
    "new data": new_data,
    "new seed": new_seed,
    "subsample": subsample,
    "slightly worse": differing("slightly worse", -0.25, salt=1),
    "slightly better": differing("slightly better", 0.25),
    "clearly better": differing("clearly better", 3.0),
}
EQUAL = ("new data", "new seed", "subsample", "slightly worse", "slightly better")
"""Kinds of equal quality: their true difference lies within half a margin, or is in their favour."""
CURVE = (-3.0, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""True differences, in margins, along which the gate's answers are drawn."""
