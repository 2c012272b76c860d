"""What predictions will have been worth, said before their outcomes are known: confidence-based performance estimation.

From calibrated probabilities follows what each decision is expected to cost and how well rows are expected to be ordered. It sees that
rows are harder or easier than those before. It knows nothing of a world in which the same rows come to other ends (concept drift): what
it is calibrated on is the past. The method is NannyML's CBPE (its documentation, "Estimation of Performance of the Monitored Model").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evergreen.contract import Problem
from evergreen.data.snapshots import clusters
from evergreen.evaluation import Predicted, central_cost
from evergreen.gate.statistics import Interval, interval_of, paired_interval
from evergreen.monitoring.calibrators import WAYS, held_out, log_loss
from evergreen.monitoring.ranking import auc_slope, expected_auc
from evergreen.training import training_target


@dataclass(frozen=True)
class Answered:
    """Rows and what a version says of them."""

    rows: pd.DataFrame
    said: Predicted


@dataclass(frozen=True)
class Estimate:
    """What the decisions are expected to cost, a row, and the expected AUC (binary). The intervals hold chance, not concept drift."""

    cost: Interval
    auc: Interval | None
    predicted: float | None
    """Mean calibrated probability (binary)."""
    way: str
    """How the probabilities were calibrated, a key of `calibrators.WAYS`."""
    losses: dict[str, float]
    """Mean log loss of each way on rows that it was not fitted on."""
    calibrated_on: int
    """Rows."""


def estimate(problem: Problem, known: Answered, coming: Answered) -> Estimate | str:
    """Estimate what predictions are worth; where it cannot be, why, in words.

    Parameters
    ----------
    known
        Labelled rows that the version has not learnt from, and none of those to come.
    coming
        The rows whose outcomes nobody knows.

    Notes
    -----
    An interval is made of how outcomes differed from what was expected of the known rows, by cluster: as much again is to be expected of
    as many clusters as are to come, and once more for the calibration's own error. Each row is judged by a calibration without its part.
    """
    if fault := _fault(problem, known, coming):
        return fault
    groups, y, alpha = clusters(known.rows, problem.gate.cluster), training_target(known.rows, problem), problem.performance.alpha
    labels = _labels(problem.task, known.said, y)
    happened = np.array([[one == label for label in labels] for one in y.tolist()], dtype=float)
    way, losses, apart = _best(_columns(known.said), happened, groups)
    fitted = [WAYS[way](told, truth) for told, truth in zip(_columns(known.said).T, happened.T, strict=True)]
    chance = _whole(np.column_stack([calibrate(told) for calibrate, told in zip(fitted, _columns(coming.said).T, strict=True)]))
    surprise = central_cost(problem, known.rows, y, known.said) - _expected(problem, known, labels, apart)
    expected = _expected(problem, coming, labels, chance)
    if not (np.isfinite(surprise).all() and np.isfinite(expected).all()):
        return "the cost of some row is missing or infinite"
    ratio = pd.Series(groups).nunique() / pd.Series(clusters(coming.rows, problem.gate.cluster)).nunique()
    cost = _around(float(expected.mean()), paired_interval(surprise, groups, alpha=alpha), ratio, alpha)
    auc = predicted = None
    if problem.task == "binary":
        predicted, found = float(chance[:, 1].mean()), expected_auc(_columns(coming.said)[:, 1], chance[:, 1])
        moved = len(y) * auc_slope(_columns(known.said)[:, 1], apart[:, 1]) * (happened[:, 1] - apart[:, 1])
        if found is not None and np.isfinite(moved).all():
            auc = _around(found, paired_interval(moved, groups, alpha=alpha), ratio, alpha)
    return Estimate(cost, auc, predicted, way, losses, len(y))


def _fault(problem: Problem, known: Answered, coming: Answered) -> str:
    """Why nothing can be estimated; empty where it can."""
    if problem.task == "regression":
        return "a number has no probability that an estimate could rest on"
    if any(answered.said.probability is None or not np.isfinite(answered.said.probability).all() for answered in (known, coming)):
        return "the version gives no finite probabilities"
    if few := _too_few(problem, known.rows, coming.rows):
        return few
    y = training_target(known.rows, problem)
    if problem.task == "multiclass" and {str(one) for one in y.tolist()} - set(known.said.classes):
        return "some outcomes are of classes that the version does not know"
    return ""


def _too_few(problem: Problem, known: pd.DataFrame, coming: pd.DataFrame) -> str:
    policy = problem.performance
    if known.empty or coming.empty:
        return "there is no row to calibrate on, or none to come"
    groups, others = (pd.Series(clusters(rows, problem.gate.cluster)) for rows in (known, coming))
    if groups.isna().any() or others.isna().any():
        return "the cluster of some row is missing"
    if len(groups) < policy.min_rows or groups.nunique() < policy.min_clusters:
        got, least = f"{len(groups):,} rows in {groups.nunique():,} clusters", f"{policy.min_rows:,} in {policy.min_clusters:,}"
        return f"{got} with outcomes that the version has not learnt from can calibrate its probabilities; expected at least {least}"
    return ""


def _labels(task: str, said: Predicted, y: np.ndarray) -> list[object]:
    """The label of each column of `_columns`, as the outcomes have it; None for a class that none of them is of, whose chance is 0."""
    if task == "binary":
        return [0, 1]
    seen = {str(one): one for one in y.tolist()}
    return [seen.get(name) for name in said.classes]


def _columns(said: Predicted) -> np.ndarray:
    """Probabilities by class, shape (n, classes)."""
    told = np.asarray(said.probability, dtype=float)
    return np.column_stack([1 - told, told]) if told.ndim == 1 else told


def _best(told: np.ndarray, happened: np.ndarray, groups: np.ndarray) -> tuple[str, dict[str, float], np.ndarray]:
    """The way whose log loss is least on rows that it was not fitted on, all losses, and what it makes of these rows."""
    made = {
        way: _whole(np.column_stack([held_out(fit, one, truth, groups) for one, truth in zip(told.T, happened.T, strict=True)]))
        for way, fit in WAYS.items()
    }
    losses = {way: float(np.mean([log_loss(one, truth) for one, truth in zip(made[way].T, happened.T, strict=True)])) for way in made}
    way = min(losses, key=lambda name: losses[name])
    return way, losses, made[way]


def _whole(chance: np.ndarray) -> np.ndarray:
    """Chances by class that add up to 1; classes alike where all are 0."""
    total = chance.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(chance, total, out=np.full_like(chance, 1 / chance.shape[1]), where=total > 0))


def _expected(problem: Problem, answered: Answered, labels: list[object], chance: np.ndarray) -> np.ndarray:
    """What each decision is expected to cost, shape (n,)."""
    total = np.zeros(len(answered.rows))
    for number, label in enumerate(labels):
        if label is None:
            continue
        total += chance[:, number] * central_cost(problem, answered.rows, np.full(len(total), label), answered.said)
    return total


def _around(found: float, surprise: Interval, ratio: float, alpha: float) -> Interval:
    """The interval of an estimate; `ratio`: how many times as many clusters were known as are to come."""
    se = max(surprise.se, surprise.serial_se) * math.sqrt(1 + ratio)
    return interval_of(found, se, clusters=surprise.clusters, n=surprise.n, alpha=alpha)
