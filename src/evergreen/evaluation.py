"""What predictions cost: each row in the business's unit, and the policies that any model must beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.candidate import DECISION, PROBABILITY
from evergreen.contract import Problem
from evergreen.errors import ContractError, ModelError
from evergreen.policies import BinaryCosts


@dataclass(frozen=True)
class Predicted:
    """Predictions for some rows, in their order.

    `decision` has shape (n,). `probability` is that of class 1, shape (n,), for a binary task; (n, classes) for a multiclass one;
    None for a policy without probabilities and for regression.
    """

    decision: np.ndarray
    probability: np.ndarray | None = None


def predict(estimator: Any, X: pd.DataFrame, task: str) -> Predicted:
    """Predict with a fitted estimator.

    Raises
    ------
    ModelError
        A classifier without `predict_proba`, or answers of the wrong shape.
    """
    if task == "regression":
        return Predicted(_checked(estimator.predict(X), X))
    if not hasattr(estimator, "predict_proba"):
        raise ModelError(
            f"build_estimator() gave {type(estimator).__name__} without predict_proba; a {task} problem needs probabilities. "
            "Use a classifier that has them, or wrap it in CalibratedClassifierCV."
        )
    probability = np.asarray(estimator.predict_proba(X))
    decision = _checked(estimator.predict(X), X)
    return Predicted(decision, probability[:, 1] if task == "binary" else probability)


def read_predicted(path: Path, task: str) -> Predicted:
    """Read what a prediction process wrote."""
    answers = pd.read_parquet(path)
    names = [name for name in answers.columns if name == PROBABILITY or name.startswith(f"{PROBABILITY}_")]
    probability = answers[names].to_numpy(dtype=float) if names else None
    return Predicted(answers[DECISION].to_numpy(), probability[:, 0] if probability is not None and task == "binary" else probability)


def central_cost(problem: Problem, rows: pd.DataFrame, y: np.ndarray, predicted: Predicted) -> np.ndarray:
    """Cost of each row at the contract's central costs: what is reported as money. Shape (n,)."""
    cost = np.asarray(problem.business.row_cost(rows, y, predicted.decision), dtype=float)
    if cost.shape != (len(rows),):
        raise ContractError(f"business.row_cost: got shape {cost.shape}; expected one cost for each of the {len(rows)} rows.")
    return cost


def measure(problem: Problem, rows: pd.DataFrame, y: np.ndarray, predicted: Predicted) -> np.ndarray:
    """Cost of each row averaged over the contract's cost ratios: what the gate compares. Shape (n,).

    At each ratio a probability is turned into the decision that is cheapest there; a policy without probabilities keeps its decision.
    Ratios are spaced evenly on a logarithmic scale. A row whose probability is not finite has no cost (NaN): the gate refuses it.
    """
    costs = problem.business.row_cost
    if not isinstance(costs, BinaryCosts) or costs.ratio_range is None:
        return central_cost(problem, rows, y, predicted)
    total = np.zeros(len(rows))
    ratios = np.geomspace(*costs.ratio_range, problem.gate.ratios)
    for ratio in ratios:
        at_ratio = costs.at_ratio(float(ratio))
        decision = predicted.decision if predicted.probability is None else predicted.probability >= at_ratio.threshold
        total += at_ratio(rows, y, decision)
    known = np.isfinite(predicted.decision.astype(float) if predicted.probability is None else predicted.probability)
    return np.where(known, total / len(ratios), np.nan)


def trivial_policies(task: str, y_train: np.ndarray, n: int) -> dict[str, Predicted]:
    """Constant decisions that need no model, by name: every class, or for regression the training mean and median."""
    if task == "regression":
        constants = {"always the mean": np.mean(y_train), "always the median": np.median(y_train)}
        return {name: Predicted(np.full(n, value)) for name, value in constants.items()}
    return {f"always {label}": Predicted(np.full(n, label)) for label in np.unique(y_train)}


def dummy(problem: Problem, y_train: np.ndarray, n: int) -> Predicted:
    """Predict with scikit-learn's dummy: knows the training labels' distribution and looks at no feature."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    nothing = np.zeros((len(y_train), 1))
    if problem.task == "regression":
        return predict(DummyRegressor(strategy="mean").fit(nothing, y_train), pd.DataFrame(np.zeros((n, 1))), problem.task)
    predicted = predict(DummyClassifier(strategy="prior").fit(nothing, y_train), pd.DataFrame(np.zeros((n, 1))), problem.task)
    costs = problem.business.row_cost
    if isinstance(costs, BinaryCosts) and predicted.probability is not None:
        return Predicted((predicted.probability >= costs.threshold).astype(np.int64), predicted.probability)
    return predicted


def _checked(decision: Any, X: pd.DataFrame) -> np.ndarray:
    answer = np.asarray(decision)
    if answer.shape != (len(X),):
        raise ModelError(f"predict() gave shape {answer.shape}; expected one decision for each of the {len(X)} rows, shape ({len(X)},).")
    return answer
