"""The metrics that people know, for the record. The gate decides on cost alone."""

from __future__ import annotations

import numpy as np
from sklearn import metrics

from evergreen.gate.evidence import Contender, Evidence


def metrics_of(evidence: Evidence) -> dict[str, dict[str, float | None]]:
    """For each contender what its output allows; None where a metric is not defined, such as an AUC with one class.

    Expects sound evidence: finite numbers, at least one row.
    """
    return {name: _metrics(contender, evidence) for name, contender in evidence.contenders.items()}


def _metrics(contender: Contender, evidence: Evidence) -> dict[str, float | None]:
    if evidence.task == "regression":
        return _regression(np.asarray(evidence.y, dtype=float), np.asarray(contender.decision, dtype=float))
    if evidence.task == "binary":
        return _binary(np.asarray(evidence.y, dtype=int), contender.probability)
    return _multiclass(evidence.y, contender)


def _regression(y: np.ndarray, value: np.ndarray) -> dict[str, float | None]:
    return {
        "mae": float(metrics.mean_absolute_error(y, value)),
        "rmse": float(metrics.root_mean_squared_error(y, value)),
        "r2": float(metrics.r2_score(y, value)) if len(y) > 1 else None,
    }


def _binary(y: np.ndarray, probability: np.ndarray | None) -> dict[str, float | None]:
    if probability is None:
        return {}
    both = 0 < y.mean() < 1
    return {
        "roc_auc": float(metrics.roc_auc_score(y, probability)) if both else None,
        "average_precision": float(metrics.average_precision_score(y, probability)) if both else None,
        "log_loss": float(metrics.log_loss(y, probability, labels=[0, 1])),
        "brier": float(metrics.brier_score_loss(y, probability)) if both else None,
    }


def _multiclass(y: np.ndarray, contender: Contender) -> dict[str, float | None]:
    found: dict[str, float | None] = {"accuracy": float(np.mean(np.asarray(contender.decision) == y))}
    if contender.probability is not None:
        # Of what a contender has never heard of it cannot give a probability; a class without holdout rows does no harm.
        classes, labels = np.array(contender.classes), np.array([str(label) for label in y])
        defined = contender.probability.shape[1] == len(classes) > 1 and np.isin(labels, classes).all()
        order = np.argsort(classes)
        found["log_loss"] = float(metrics.log_loss(labels, contender.probability[:, order], labels=classes[order])) if defined else None
    return found
