"""A trained candidate: what training hands to the registry, and what a model's predictions look like as columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.errors import ModelError

DECISION = "decision"
PROBABILITY = "probability"


@dataclass(frozen=True)
class Trained:
    """A fitted estimator with everything that must be known of it later.

    `training_key` names the training: whoever trains again with the same inputs gets the same key, and one version.
    """

    estimator: Any
    """A fitted scikit-learn estimator; for a binary task a FixedThresholdClassifier around a pipeline."""
    features: tuple[str, ...]
    example: pd.DataFrame
    """A few rows of the features, as people see them in MLflow."""
    golden: pd.DataFrame
    """At least 1,000 rows of the features (or all there are) beside what `predicted` gave for them in the training process."""
    training_rows: np.ndarray
    """Fingerprints (uint64) of the rows it was trained on."""
    parameters: dict[str, Any]
    metrics: dict[str, float]
    training_key: str
    snapshot: str
    provenance: dict[str, str]
    """Digests: snapshot, contract, code, lock. The registry adds the artefact's."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values: training_start, training_end, rows and whatever else a record may report."""

    def __post_init__(self) -> None:
        """Check that the golden rows can be reproduced.

        Raises
        ------
        ModelError
            A feature or the expected decision is missing in them, or a feature has the name of an output.
        """
        taken = [name for name in self.features if is_answer(name)]
        if taken:
            raise ModelError(f"The feature {taken[0]!r} has the name of a prediction's column. Rename it in your reader or features.")
        missing = [name for name in (*self.features, DECISION) if name not in self.golden]
        if missing:
            raise ModelError(f"The golden rows lack {', '.join(missing)}; expected every feature and the predictions made in training.")


def is_answer(column: str) -> bool:
    """Whether a column of predictions is what the model said: its decision or a probability."""
    return column in {DECISION, PROBABILITY} or column.startswith(f"{PROBABILITY}_")


def answers(estimator: Any, X: pd.DataFrame) -> dict[str, np.ndarray]:
    """What a model says of each row: `decision`, and for a classifier with probabilities `probability` or `probability_<class>`.

    Non-finite values are passed on: the gate refuses them, with a reason.

    Returns
    -------
    dict[str, numpy.ndarray]
        Arrays of shape (n,).
    """
    from sklearn.model_selection import FixedThresholdClassifier

    if not hasattr(estimator, "predict_proba"):
        return {DECISION: estimator.predict(X)}
    if isinstance(estimator, FixedThresholdClassifier):  # its own `predict` would work out the probabilities a second time
        probability = estimator.estimator_.predict_proba(X)
        decision = estimator.classes_[(probability[:, 1] >= estimator.threshold).astype(int)]
    else:
        probability = estimator.predict_proba(X)
        decision = estimator.predict(X)
    names = [f"{PROBABILITY}_{label}" for label in estimator.classes_]
    # Two classes by other names are what is known so far of several: each keeps its name.
    told = {PROBABILITY: probability[:, 1]} if list(estimator.classes_) == [0, 1] else dict(zip(names, probability.T, strict=True))
    return {DECISION: decision, **told}


def predicted(estimator: Any, X: pd.DataFrame) -> pd.DataFrame:
    """The same as a frame with the index of the rows, see `answers`."""
    return pd.DataFrame(answers(estimator, X), index=X.index)
