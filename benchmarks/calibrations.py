"""Ways to calibrate what a version says, tried beside the one that is used; `benchmarks.estimates` compares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from evergreen.data.snapshots import clusters
from evergreen.evaluation import Predicted
from evergreen.gate.calibration import NEAREST
from evergreen.monitoring.calibrators import WAYS, held_out, log_loss
from evergreen.monitoring.estimating import Answered

SHIPPED = "better of Platt and isotonic (what is used)"
SEED = 2013
Calibrated = Callable[["Case"], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One version and one month: what was known when the month's predictions were published, and what came of it."""

    month: str
    version: int
    serves: bool
    known: Answered
    """The version's answers to the newest outcomes of then that it has not learnt from."""
    all_known: Answered
    """To all of them."""
    coming: Answered
    happened: np.ndarray


def part_of(said: Predicted, part: Any) -> Predicted:
    """The answers to some rows."""
    return Predicted(said.decision[part], None if said.probability is None else said.probability[part])


def probability(answered: Answered) -> np.ndarray:
    """What was said of each row."""
    return np.asarray(answered.said.probability, dtype=float)


def outcomes(answered: Answered) -> np.ndarray:
    """What happened to each row."""
    return answered.rows["late"].to_numpy().astype(float)


def as_told(case: Case) -> np.ndarray:
    """Not calibrated."""
    return probability(case.coming)


def shifted(told: np.ndarray, happened: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """All log odds moved by one amount, so that as many are predicted as happened."""
    odds = special.logit(np.clip(told, NEAREST, 1 - NEAREST))
    move = optimize.brentq(lambda by: special.expit(odds + by).mean() - happened.mean(), -20, 20)
    return lambda other: np.asarray(special.expit(special.logit(np.clip(other, NEAREST, 1 - NEAREST)) + move))


def by(fit: Callable[..., Any], *, everything: bool = False) -> Calibrated:
    """Calibrated in one way on the newest outcomes, or on all."""

    def calibrated(case: Case) -> np.ndarray:
        known = case.all_known if everything else case.known
        return np.asarray(fit(probability(known), outcomes(known))(probability(case.coming)))

    return calibrated


def best_of(ways: dict[str, Callable[..., Any]]) -> Calibrated:
    """The way whose log loss is least on stretches of days that it was not fitted on."""

    def calibrated(case: Case) -> np.ndarray:
        told, happened, day = probability(case.known), outcomes(case.known), clusters(case.known.rows, "date")
        way = min(ways, key=lambda name: log_loss(held_out(ways[name], told, happened, day), happened))
        return np.asarray(ways[way](told, happened)(probability(case.coming)))

    return calibrated


def weighted(case: Case) -> np.ndarray:
    """Isotonic, each known row counting as much as it looks like the rows to come, by a domain classifier (weights 0.1 to 10)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.isotonic import IsotonicRegression
    from sklearn.model_selection import cross_val_predict

    features = ["distance", "sched_dep_time", "weekday", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
    X = pd.concat([case.known.rows[features], case.coming.rows[features]])
    side = np.r_[np.zeros(len(case.known.rows)), np.ones(len(case.coming.rows))]
    chance = cross_val_predict(HistGradientBoostingClassifier(random_state=SEED), X, side, cv=3, method="predict_proba")[:, 1]
    odds = chance / np.maximum(1 - chance, 1e-6)
    weight = np.clip(odds[: len(case.known.rows)], 0.1, 10)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fitted.fit(probability(case.known), outcomes(case.known), sample_weight=weight)
    return np.asarray(fitted.predict(probability(case.coming)))


FOUR = {"as told": lambda told, happened: lambda other: other, "shifted": shifted, **WAYS}
VARIANTS: dict[str, Calibrated] = {
    SHIPPED: best_of(WAYS),
    "Platt": by(WAYS["Platt"]),
    "isotonic": by(WAYS["isotonic"]),
    "Platt, all unseen outcomes": by(WAYS["Platt"], everything=True),
    "isotonic, all unseen outcomes": by(WAYS["isotonic"], everything=True),
    "isotonic, rows weighted by likeness": weighted,
    "log odds shifted only": by(shifted),
    "not calibrated": as_told,
    "best of the four ways by log loss": best_of(FOUR),
}
