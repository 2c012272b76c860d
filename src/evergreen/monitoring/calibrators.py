"""Ways to make probabilities agree with how often things happened, and which of them does so best on rows that it has not seen.

Both correct how sure a model is, not only how much it predicts in all: a model that is too sure of itself promises an AUC that it has not.
What was tried besides, and measured, is in docs/performance-measured.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from evergreen.gate.calibration import NEAREST, blocks_of

Calibrate = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Calibrate]
HARDLY = 1e6
"""Inverse strength of the penalty: it counts only where probabilities separate the outcomes, and else there would be no end."""
PARTS = 5
"""So many stretches of clusters, neighbours together, are left out in turn."""


def straightened(probability: np.ndarray, happened: np.ndarray) -> Calibrate:
    """Move and stretch the log odds; where only one thing happened, or all probabilities are alike, what happened on average.

    Platt, Probabilistic Outputs for Support Vector Machines (1999), on the log odds of probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    odds = _log_odds(probability)
    if np.ptp(happened) == 0 or not np.ptp(odds) > 0:
        share = float(np.mean(happened))
        return lambda told: np.full(len(told), share)
    fitted = LogisticRegression(C=HARDLY, max_iter=1_000).fit(odds[:, None], happened)
    return lambda told: np.asarray(fitted.predict_proba(_log_odds(told)[:, None])[:, 1])


def stepped(probability: np.ndarray, happened: np.ndarray) -> Calibrate:
    """Any rising curve.

    Isotonic regression: Zadrozny & Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates (KDD 2002).
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probability, happened)
    return lambda told: np.asarray(fitted.predict(told))


WAYS: dict[str, Fit] = {"Platt": straightened, "isotonic": stepped}
"""The simpler one first: of equals it is taken."""


def held_out(fit: Fit, probability: np.ndarray, happened: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """What a way makes of each row when it is fitted without the stretch of clusters that the row stands in, shape (n,).

    There must be at least two clusters.
    """
    blocks = blocks_of(cluster)
    part, told = blocks * PARTS // (blocks.max() + 1), np.empty(len(probability))
    for number in np.unique(part):
        out = part == number
        told[out] = fit(probability[~out], happened[~out])(probability[out])
    return told


def log_loss(told: np.ndarray, happened: np.ndarray) -> float:
    """Mean log loss of probabilities."""
    sure = np.clip(told, NEAREST, 1 - NEAREST)
    return float(-(happened * np.log(sure) + (1 - happened) * np.log1p(-sure)).mean())


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return np.asarray(special.logit(np.clip(probability, NEAREST, 1 - NEAREST)))
