"""What the rules of others say of the same candidates.

All three are given more than their users usually give them: the champion in "better on a random split" has not learnt from the rows
that judge, and `MetricThreshold` looks at the forward holdout.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, roc_auc_score

from benchmarks.gate.evidence import answer_of, candidate_of
from benchmarks.gate.kinds_good import Made
from benchmarks.gate.scene import Scene, chance

TEST_SHARE = 0.2
LARGEST_GAP = 0.10
FLOOR = {"rides": 0.70, "fraud": 0.70, "demand": 15.0}
"""An absolute threshold that a person would set: ROC AUC at least, mean absolute error at most."""
RANDOM_SPLIT, METRIC_THRESHOLD, GAP = "better on a random split", "MLflow MetricThreshold", "train-test gap of 10%"
RULES = (RANDOM_SPLIT, METRIC_THRESHOLD, GAP)


def promoted_by(made: Made, scene: Scene) -> dict[str, bool]:
    """For each rule, whether it would promote the candidate."""
    holdout = scene.holdout if made.holdout is None else made.holdout
    model = candidate_of(made, scene)
    ours = metric(scene, holdout, answer_of(made, scene))
    theirs = scene.kept("champion's metric", lambda: metric(scene, scene.holdout, scene.champion.answer(scene.holdout)))
    gap = abs(metric(scene, made.train, model.answer(made.train)) - ours) / ours
    return {
        RANDOM_SPLIT: _random_split(made, scene, holdout),
        METRIC_THRESHOLD: _mlflow(scene, ours, theirs),
        GAP: bool(gap <= LARGEST_GAP),
    }


def metric(scene: Scene, rows: pd.DataFrame, answer: np.ndarray) -> float:
    """ROC AUC, or the mean absolute error."""
    return float(roc_auc_score(rows["y"], answer)) if scene.world.binary else float(mean_absolute_error(rows["y"], answer))


def _random_split(made: Made, scene: Scene, holdout: pd.DataFrame) -> bool:
    """Trained on a random 80% of all labelled rows, the candidate is better on the rest than the champion's recipe on its own 80%."""
    rows = pd.concat([made.train, holdout.head(len(made.train))], ignore_index=True)
    test = chance(rows, 55) > np.quantile(chance(rows.head(2000), 55), 1 - TEST_SHARE)
    candidate = scene.fitted(made.recipe, rows[~test], made.seed)

    def champion_model() -> object:
        old = scene.earlier
        return scene.fitted(scene.honest, old[~(chance(old, 55) > np.quantile(chance(old.head(2000), 55), 1 - TEST_SHARE))], 0)

    champion = scene.kept("champion on a random split", champion_model)
    ours, theirs = metric(scene, rows[test], candidate.answer(rows[test])), metric(scene, rows[test], champion.answer(rows[test]))
    return ours > theirs if scene.world.binary else ours < theirs


def _mlflow(scene: Scene, ours: float, theirs: float) -> bool:
    """MLflow's own rule: not beyond the floor, and no worse than the baseline (`mlflow.validate_evaluation_results`)."""
    import logging

    import mlflow
    from mlflow.models import EvaluationResult, MetricThreshold
    from mlflow.models.evaluation.validation import ModelValidationFailedException

    logging.getLogger("mlflow.models.evaluation.validation").setLevel(logging.ERROR)
    # MLflow declares no types for these two.
    threshold = MetricThreshold(threshold=FLOOR[scene.name], min_relative_change=0.0, greater_is_better=scene.world.binary)  # type: ignore[no-untyped-call]
    results = (EvaluationResult(metrics={"metric": value}, artifacts={}) for value in (ours, theirs))  # type: ignore[no-untyped-call]
    try:
        mlflow.validate_evaluation_results({"metric": threshold}, *results)
    except ModelValidationFailedException:
        return False
    return True
