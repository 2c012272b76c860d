"""The check of probabilities against what happens."""

from __future__ import annotations

from functools import partial

import numpy as np

from evergreen.gate.calibration import Gaps, blocks_of, calibration_error, chance_error, gaps, loss_bound, recalibration_slope
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence
from evergreen.gate.finding import Finding, Outcome
from evergreen.gate.statistics import Interval
from evergreen.policies import GatePolicy

RECALIBRATE = "Calibrate it in the recipe (scikit-learn's CalibratedClassifierCV) and train again; more outcomes alone will not settle it."

_calibration = partial(Finding, "calibration", "A probability of 30% means that it happens 3 times out of 10.")


def calibration(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Probabilities are near what happens (first model), or not surely farther off than the champion's (later ones).

    Outside a limit counts only where chance does not explain it, for a month of days is about 30 observations.
    """
    if evidence.task == "regression":
        return _calibration(Outcome.PASS, "A regression has no probabilities.")
    probability = _by_class(evidence, CANDIDATE)
    if probability is None:
        reason = "It gives no probability for each of the classes that occur, so none can be judged."
        return _calibration(Outcome.HOLD, reason, settle="A model with probabilities, or a person who does without.")
    labels = _labels(evidence)
    classes = np.array(["1"]) if evidence.task == "binary" else np.unique(labels)
    happened = (labels[:, None] == classes).astype(float)
    block, champion = blocks_of(evidence.cluster), _by_class(evidence, CHAMPION)
    own = [gaps(probability, happened, block, binned=binned) for binned in (True, False)]
    if champion is None:
        slope = None
        if evidence.task == "binary":
            slope = recalibration_slope(probability[:, 0], happened[:, 0], evidence.cluster, alpha=policy.evidence_alpha)
        return _near_enough(evidence, policy, own, slope)
    return _near_as_champion(policy, own, [gaps(champion, happened, block, binned=binned) for binned in (True, False)])


def _by_class(evidence: Evidence, name: str) -> np.ndarray | None:
    """Probabilities of shape (n, classes), one column for a binary task; None where there is not one for each class that occurs."""
    contender = evidence.contenders.get(name)
    if contender is None or contender.probability is None:
        return None
    probability = np.asarray(contender.probability, dtype=float)
    if evidence.task == "binary":
        return probability.reshape(-1, 1)
    names, wanted = list(contender.classes), np.unique(_labels(evidence)).tolist()
    if probability.shape != (len(evidence.y), len(names)) or not {*wanted} <= {*names}:
        return None
    return probability[:, [names.index(name) for name in wanted]]


def _labels(evidence: Evidence) -> np.ndarray:
    """The outcomes by the names that classes have beside their probabilities."""
    y = np.asarray(evidence.y)
    return np.array([str(int(one)) for one in y]) if evidence.task == "binary" else np.array([str(one) for one in y])


def _near_enough(evidence: Evidence, policy: GatePolicy, own: list[Gaps], slope: Interval | None) -> Finding:
    """Absolute limits, for a model without a champion to compare with."""
    error, (low, high) = calibration_error(own[0]), policy.calibration_slope
    faults = []
    if not (error <= policy.max_calibration_error or error <= chance_error(own[0], alpha=policy.evidence_alpha)):
        faults.append("they are off by more than chance explains")
    if evidence.task == "binary" and (slope is None or not (low <= slope.estimate <= high or slope.low <= 1 <= slope.high)):
        faults.append(_sureness(slope, low, high))
    said = f"they are {_points(error)} off, {_points(policy.max_calibration_error)} allowed{_leaning(own[1])}"
    finding = partial(_calibration, estimate=error, threshold=policy.max_calibration_error, n=len(evidence.y))
    if faults:
        return finding(Outcome.HOLD, f"Its probabilities cannot be taken at their word: {said}; {'; '.join(faults)}.", settle=RECALIBRATE)
    return finding(Outcome.PASS, f"Its probabilities can be taken at their word: {said}, as far as chance lets one tell.")


def _near_as_champion(policy: GatePolicy, own: list[Gaps], champion: list[Gaps]) -> Finding:
    """Against the champion on the same rows, in error and in bias."""
    limit = policy.max_calibration_loss
    bounds = [loss_bound(one, other, alpha=policy.evidence_alpha) for one, other in zip(own, champion, strict=True)]
    losses = [calibration_error(one) - calibration_error(other) for one, other in zip(own, champion, strict=True)]
    error, before = calibration_error(own[0]), calibration_error(champion[0])
    bound, loss = max(zip(bounds, losses, strict=True))
    said = f"they are {_points(error)} off, the champion's {_points(before)}{_leaning(own[1])}"
    finding = partial(_calibration, estimate=loss, low=bound, threshold=limit, n=int(own[0].rows[:, 0].sum()))
    if all(bound <= limit for bound in bounds):
        return finding(
            Outcome.PASS, f"Its probabilities are not surely farther off than the champion's by more than {_points(limit)}: {said}."
        )
    which = " on average" if bounds[0] <= limit else ""
    reason = f"Its probabilities are surely farther off{which} than the champion's, by more than {_points(limit)}: {said}."
    return finding(Outcome.HOLD, reason, settle=RECALIBRATE)


def _leaning(bias: Gaps) -> str:
    """Which way the probabilities of a binary task lean."""
    if bias.mean.size > 1:
        return ""
    return f" (on average {_points(abs(float(bias.mean[0])))} too {'high' if bias.mean[0] >= 0 else 'low'})"


def _sureness(slope: Interval | None, low: float, high: float) -> str:
    if slope is None:
        return "they do not rise and fall with the outcomes' log odds, so how sure they are cannot be judged"
    word = "too sure" if slope.estimate < 1 else "not sure enough"
    return f"they are {word}: their slope is {slope.estimate:.2f}, and {low:g} to {high:g} is allowed"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
