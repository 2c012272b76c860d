"""How good predictions were on some rows whose outcomes are known: cost, AUC, bias, error and calibration, each with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evergreen.contract import Problem
from evergreen.data.snapshots import clusters
from evergreen.evaluation import Predicted, central_cost, rule_of_thumb
from evergreen.gate import calibration
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.monitoring.ranking import auc_interval
from evergreen.training import training_target

MOST_VALUES = 50
"""So many values of a slice are told, those with the most rows."""
Told = dict[str, Any]


def bounds(interval: Interval | None, *, times: float = 1.0) -> dict[str, float] | None:
    """The estimate of an interval and its bounds, as JSON; None for none."""
    return None if interval is None else {name: times * getattr(interval, name) for name in ("estimate", "low", "high")}


def figures(problem: Problem, rows: pd.DataFrame, said: Predicted) -> Told:
    """What predictions for labelled rows came to, as JSON values.

    Returns
    -------
    dict
        `rows`, `clusters`, `is_judged` and, where it is not, `why`: then there are no other keys. Else `cost`, `rule_of_thumb` and `saved`
        (what the decisions cost less than the rule of thumb on the same rows) per 1,000 rows, `auc` (binary), `bias` (mean predicted less
        observed; binary and regression), `error` (share of wrong decisions, or for regression the mean absolute error), each with
        `estimate`, `low` and `high`; `predicted` and `observed`, the means, and `spread`, what a bias is held against; `calibration`
        (binary): `error`, the debiased calibration error, and `slope`. None for what does not apply or is not defined.
    """
    policy, groups = problem.performance, clusters(rows, problem.gate.cluster) if len(rows) else np.empty(0)
    known = pd.Series(groups)
    told: Told = {"rows": len(rows), "clusters": int(known.nunique()), "is_judged": False}
    if len(rows) < policy.min_rows or told["clusters"] < policy.min_clusters:
        least = f"{policy.min_rows:,} in {policy.min_clusters:,}"
        return told | {"why": f"{len(rows):,} rows in {told['clusters']:,} clusters have an outcome; expected at least {least}"}
    y, alpha = training_target(rows, problem), policy.alpha
    cost, rule = (central_cost(problem, rows, y, answer) for answer in (said, rule_of_thumb(problem, rows)))
    if not np.isfinite([cost, rule]).all() or known.isna().any():
        return told | {"why": "the cost or the cluster of some row is missing or infinite"}
    of_rows = {"cost": cost, "rule_of_thumb": rule, "saved": rule - cost}
    amounts = {name: bounds(paired_interval(each, groups, alpha=alpha), times=1000) for name, each in of_rows.items()}
    return told | {"is_judged": True, **amounts, **_by_task(problem, y, said, groups)}


def by_slice(problem: Problem, rows: pd.DataFrame, said: Predicted) -> list[Told]:
    """The same for each value of each slice of the contract, without its calibration; `slice` and `value` name it."""
    told = []
    for column in problem.slices:
        values = rows[column].astype(object).where(rows[column].notna(), "missing").astype(str)
        for value in values.value_counts().index[:MOST_VALUES]:
            part = (values == value).to_numpy()
            found = figures(problem, rows[part], part_of(said, part))
            told.append({"slice": column, "value": str(value), **{name: each for name, each in found.items() if name != "calibration"}})
    return told


def part_of(said: Predicted, part: np.ndarray) -> Predicted:
    """The predictions of some of the rows."""
    return Predicted(said.decision[part], None if said.probability is None else said.probability[part], said.classes)


def _by_task(problem: Problem, y: np.ndarray, said: Predicted, groups: np.ndarray) -> Told:
    alpha = problem.performance.alpha
    told: Told = dict.fromkeys(("auc", "bias", "predicted", "observed", "spread", "calibration"))
    value: np.ndarray | None
    if problem.task == "regression":
        value, truth = np.asarray(said.decision, dtype=float), np.asarray(y, dtype=float)
        error, told["spread"] = np.abs(value - truth), float(truth.std())
    else:
        truth = y
        error = (np.asarray(said.decision).astype(str) != np.asarray(y).astype(str)).astype(float)
        value = said.probability if problem.task == "binary" else None
    told["error"] = bounds(paired_interval(error, groups, alpha=alpha))
    if value is None or not np.isfinite(value).all():
        return told
    told |= {"predicted": float(value.mean()), "observed": float(truth.mean())}
    told["bias"] = bounds(paired_interval(value - truth, groups, alpha=alpha))
    if problem.task == "binary":
        told |= {"spread": float(min(truth.mean(), 1 - truth.mean())), "auc": bounds(auc_interval(truth, value, groups, alpha=alpha))}
        told["calibration"] = _calibration(value, truth, groups, alpha)
    return told


def _calibration(probability: np.ndarray, happened: np.ndarray, groups: np.ndarray, alpha: float) -> Told:
    found = calibration.gaps(probability[:, None], happened[:, None], calibration.blocks_of(groups))
    slope = calibration.recalibration_slope(probability, happened, groups, alpha=alpha)
    return {"error": calibration.calibration_error(found), "slope": bounds(slope)}
