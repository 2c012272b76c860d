"""Small scikit-learn fits with one known ailment each, as the gate's evidence."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from gate_evidence import COSTS, make_evidence
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from evergreen.gate.evidence import CANDIDATE, CHAMPION, DUMMY, Contender, Evidence, Promise
from evergreen.gate.statistics import paired_interval

FEATURES, HOLDOUT_DAYS, PER_DAY = 10, 40, 60
FOLDS, POINTS = 3, (0.125, 0.25, 0.5, 1.0)
OLDER = 0.8
"""Share of the rows, the oldest, that the champion had."""

KINDS = {
    "an overfit tree": "overfitting",
    "overfit boosting": "overfitting",
    "an underfit stump": "underfitting",
    "a penalty too strong": "underfitting",
    "a sample too small": "too little data",
    "boosting on a sample too small": "too little data",
    "a drifted holdout": "drift",
    "a healthy regression": "nothing",
    "a healthy forest": "nothing",
    "a healthy forest of deep trees": "nothing",
    "healthy boosting": "nothing",
}


def recipe(case: str, seed: int) -> tuple[Any, int, int]:
    """The estimator, how many days it learns from, and with how many rows each."""
    return {
        "an overfit tree": (DecisionTreeClassifier(random_state=seed), 60, PER_DAY),
        "overfit boosting": (
            HistGradientBoostingClassifier(
                max_iter=200, learning_rate=0.5, max_leaf_nodes=None, min_samples_leaf=2, early_stopping=False, random_state=seed
            ),
            60,
            PER_DAY,
        ),
        "an underfit stump": (DecisionTreeClassifier(max_depth=1), 60, PER_DAY),
        "a penalty too strong": (make_pipeline(StandardScaler(), LogisticRegression(C=1e-4)), 60, PER_DAY),
        "a sample too small": (make_pipeline(StandardScaler(), LogisticRegression(C=100)), 20, 6),
        "boosting on a sample too small": (HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=seed), 60, 8),
        "a drifted holdout": (make_pipeline(StandardScaler(), LogisticRegression()), 60, PER_DAY),
        "a healthy regression": (make_pipeline(StandardScaler(), LogisticRegression()), 60, PER_DAY),
        "a healthy forest": (RandomForestClassifier(60, min_samples_leaf=5, random_state=seed), 60, PER_DAY),
        "a healthy forest of deep trees": (RandomForestClassifier(60, random_state=seed), 60, PER_DAY),
        "healthy boosting": (HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=seed), 60, PER_DAY),
    }[case]


def planted(case: str, seed: int, *, first: bool = False) -> Evidence:
    """The evidence of a fit with that ailment."""
    rng = np.random.default_rng(seed)
    estimator, days, per_day = recipe(case, seed)
    weights = rng.permutation(np.linspace(-1, 1, FEATURES))
    X, y, day = _rows(rng, days, per_day, weights)
    X_new, y_new, day_new = _rows(rng, HOLDOUT_DAYS, PER_DAY, np.roll(weights, 3) if case == "a drifted holdout" else weights)
    curve = []
    for share in POINTS:
        own = rng.permutation(len(y))[: max(20, int(share * len(y)))]
        model = estimator.fit(X[own], y[own])
        curve.append(
            {"rows": len(own), "train": float(_cost(model, X[own], y[own]).mean()), "holdout": float(_cost(model, X_new, y_new).mean())}
        )
    candidate = _cost(model, X_new, y_new)
    older = int(OLDER * len(y))
    champion = _cost(estimator.fit(X[:older], y[:older]), X_new, y_new)
    evidence = make_evidence(days=HOLDOUT_DAYS, per_day=PER_DAY, first=first)
    costs = {CANDIDATE: candidate, CHAMPION: champion, "anchor": champion, DUMMY: _constant(y_new, 0), "rule of thumb": _constant(y_new, 1)}
    return dataclasses.replace(
        evidence,
        y=y_new,
        cluster=day_new.astype(str).astype(object),
        contenders={name: dataclasses.replace(one, measure=costs[name], cost=costs[name]) for name, one in evidence.contenders.items()},
        trivial={f"always {one}": Contender(f"always {one}", *[_constant(y_new, one)] * 2, np.full(len(y_new), one)) for one in (0, 1)},
        promise=_promise(estimator, X, y, day),
        facts={"learning_curve": curve},
    )


def _rows(rng: np.random.Generator, days: int, per_day: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, answers and days; each day is a little unlike the others."""
    day = np.repeat(np.arange(days), per_day)
    X = rng.normal(size=(len(day), FEATURES))
    chance = 1 / (1 + np.exp(-(1.2 * X @ weights - 1.5 + rng.normal(size=days)[day] * 0.3)))
    return X, (rng.random(len(day)) < chance).astype(int), day


def _cost(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return COSTS(pd.DataFrame(), y, (model.predict_proba(X)[:, -1] >= COSTS.threshold).astype(int))


def _constant(y: np.ndarray, one: int) -> np.ndarray:
    return COSTS(pd.DataFrame(), y, np.full(len(y), one))


def _promise(estimator: Any, X: np.ndarray, y: np.ndarray, day: np.ndarray) -> Promise:
    """What the recipe saves on later days of its own training rows, fold by fold."""
    edges = np.linspace(0, day.max() + 1, FOLDS + 2).round().astype(int)
    saved, days = [], []
    for start, end in pairwise(edges[1:]):
        fit, judge = day < start, (day >= start) & (day < end)
        policies = [_constant(y[judge], one) for one in (0, 1)]
        cheapest = min(policies, key=lambda policy: float(policy.mean()))
        saved.append(cheapest - _cost(estimator.fit(X[fit], y[fit]), X[judge], y[judge]))
        days.append(day[judge])
    interval = paired_interval(np.concatenate(saved), np.concatenate(days), alpha=0.05)
    return Promise(interval.estimate, interval.se, interval.clusters, interval.n)
