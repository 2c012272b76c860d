"""What predictions cost: each row in the business's unit, and the policies that any model must beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.candidate import DECISION, PROBABILITY
from evergreen.contract import Problem, called
from evergreen.errors import ContractError, EvergreenError, ModelError
from evergreen.policies import BinaryCosts


@dataclass(frozen=True)
class Predicted:
    """Predictions for some rows, in their order.

    `decision` has shape (n,). `probability` is that of class 1, shape (n,), for a binary task; (n, classes) for a multiclass one;
    None for a policy without probabilities and for regression.
    """

    decision: np.ndarray
    probability: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    """What the columns of `probability` stand for (multiclass): the classes that were known in training, as text."""


def predict(estimator: Any, X: pd.DataFrame, task: str, *, threshold: float | None = None) -> Predicted:
    """Predict with a fitted estimator; with a threshold the decision is 1 from that probability on.

    Raises
    ------
    ModelError
        A classifier without `predict_proba`, or answers of the wrong shape.
    """
    probability, known = None, tuple[str, ...]()
    if task != "regression":
        need_probabilities(estimator)
        probability = np.asarray(called("predict_proba", estimator.predict_proba, X, error=ModelError))
        classes = 2 if task == "binary" else probability.shape[-1]
        probability = _checked(probability, (len(X), classes), "predict_proba")
        probability = probability[:, 1] if task == "binary" else probability
        known = tuple(str(label) for label in getattr(estimator, "classes_", ())) if task == "multiclass" else ()
    if threshold is not None and probability is not None:
        return Predicted((probability >= threshold).astype(np.int64), probability)
    return Predicted(_checked(called("predict", estimator.predict, X, error=ModelError), (len(X),), "predict"), probability, known)


def cost_threshold(problem: Problem) -> float | None:
    """The probability from which acting is cheapest at the contract's costs; None where there are no such costs."""
    costs = problem.business.row_cost
    return costs.threshold if problem.task == "binary" and isinstance(costs, BinaryCosts) else None


def need_probabilities(estimator: Any) -> None:
    """See that a classifier has `predict_proba`.

    Raises
    ------
    ModelError
        It has not.
    """
    if not hasattr(estimator, "predict_proba"):
        raise ModelError(
            f"build_estimator() gave {type(estimator).__name__} without predict_proba; a classification problem needs probabilities. "
            "Use a classifier that has them, or wrap it in CalibratedClassifierCV."
        )


def read_predicted(path: Path, task: str) -> Predicted:
    """Read what a prediction process wrote."""
    return predicted_of(pd.read_parquet(path), task)


def predicted_of(answers: pd.DataFrame, task: str) -> Predicted:
    """Predictions from the columns that `candidate.answers` names."""
    names = [name for name in answers.columns if name == PROBABILITY or name.startswith(f"{PROBABILITY}_")]
    decision, probability = answers[DECISION].to_numpy(), answers[names].to_numpy(dtype=float)
    if not names:
        return Predicted(decision)
    if task == "binary":
        return Predicted(decision, probability[:, 0])
    if names == [PROBABILITY]:  # of several classes the model has seen those numbered 0 and 1 only
        return Predicted(decision, np.hstack([1 - probability, probability]), ("0", "1"))
    return Predicted(decision, probability, tuple(name.removeprefix(f"{PROBABILITY}_") for name in names))


def central_cost(problem: Problem, rows: pd.DataFrame, y: np.ndarray, predicted: Predicted) -> np.ndarray:
    """Cost of each row at the contract's central costs: what is reported as money. Shape (n,)."""
    cost = np.asarray(called("business.row_cost", problem.business.row_cost, rows, y, predicted.decision), dtype=float)
    if cost.shape != (len(rows),):
        raise ContractError(f"business.row_cost: got shape {cost.shape}; expected one cost for each of the {len(rows)} rows.")
    return cost


def measure(problem: Problem, rows: pd.DataFrame, y: np.ndarray, predicted: Predicted) -> np.ndarray:
    """Cost of each row averaged over the contract's cost ratios: what the gate compares. Shape (n,).

    At each ratio a probability is turned into the decision that is cheapest there; a policy without probabilities keeps its decision.
    Ratios are spaced evenly on a logarithmic scale. A row whose probability is not finite has no cost (NaN): the gate refuses it.
    """
    costs = problem.business.row_cost
    told = predicted.decision if predicted.probability is None else predicted.probability
    known = pd.DataFrame(told).replace([np.inf, -np.inf], np.nan).notna().all(axis=1).to_numpy()
    if not isinstance(costs, BinaryCosts) or costs.ratio_range is None:
        return np.where(known, central_cost(problem, rows, y, predicted), np.nan)
    total = np.zeros(len(rows))
    ratios = np.geomspace(*costs.ratio_range, problem.gate.ratios)
    for ratio in ratios:
        at_ratio = costs.at_ratio(float(ratio))
        decision = predicted.decision if predicted.probability is None else predicted.probability >= at_ratio.threshold
        total += at_ratio(rows, y, decision)
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

    nothing, rows = np.zeros((len(y_train), 1)), pd.DataFrame(np.zeros((n, 1)))
    if problem.task == "regression":
        return predict(DummyRegressor(strategy="mean").fit(nothing, y_train), rows, problem.task)
    if len(classes := np.unique(y_train)) == 1:
        return Predicted(np.full(n, classes[0]), np.full(n, float(classes[0])) if problem.task == "binary" else None)
    prior = DummyClassifier(strategy="prior").fit(nothing, y_train)
    return predict(prior, rows, problem.task, threshold=cost_threshold(problem))


def rule_of_thumb(problem: Problem, rows: pd.DataFrame) -> Predicted:
    """What people would decide without a model."""
    decide = problem.business.rule_of_thumb.decide
    return Predicted(_checked(called("business.rule_of_thumb", decide, rows), (len(rows),), "business.rule_of_thumb.decide", ContractError))


def _checked(answer: Any, shape: tuple[int, ...], name: str, error: type[EvergreenError] = ModelError) -> np.ndarray:
    got = np.asarray(answer)
    if got.shape != shape:
        raise error(f"{name} gave shape {got.shape}; expected {shape}: one answer for each of the {shape[0]:,} rows.")
    return got
