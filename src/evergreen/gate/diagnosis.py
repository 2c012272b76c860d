"""What ails a candidate, if anything: one sentence for people, which no verdict depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from evergreen.gate.comparison import best_trivial, saving
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence
from evergreen.gate.figures import learning_curve
from evergreen.gate.finding import amount

SURE = 0.05
"""Chance of error of "less than was promised": nothing is decided by it, but a sentence that is wrong one time in five is not read."""
KEPT = 0.5
"""A model that keeps less of its promise than this has met another world; as in the check `generalization`."""
LARGE_GAP = 0.25
"""A train cost that lies nearer to the holdout cost than this share of what doing without costs shows no memory of its rows."""
KEPT_OF_TRAIN = 1 / 3
"""A good forest may keep no more than half of what it saves on the rows it has seen; one that keeps less has learnt them by heart."""
STEEP = 0.06
"""Share of what doing without costs that a doubling of the rows must save: in simulations, curves that end flat looked up to 0.05 steep."""
CLOSING = 0.07
"""Share of the gap that a doubling must close: where it takes a dozen doublings, the recipe is at fault and not the number of rows."""
LITTLE = 0.10
"""A model that saves less than this share of what doing without costs, even on its own rows, has found little in them."""
END = 3
"""So many points of the learning curve are its end: two would be mostly noise, more would be its beginning."""

ADVICE = {
    "drift": "Look at what changed in the data, at their source too; train on a newer window, retrain more often, or predict a change "
    "instead of a level.",
    "too little data": "Collect more outcomes, or train on a longer window; until then a simpler model loses less.",
    "overfitting": "Make the model simpler: shallower trees, larger leaves, a stronger penalty, fewer features.",
    "underfitting": "Give it features that tell more, or a model that can follow them.",
    "nothing": "Nothing needs to be done.",
    "unknown": "Nothing can be advised.",
}


@dataclass(frozen=True)
class Signs:
    """What the diagnosis looks at; amounts are costs a row, NaN where the evidence does not tell."""

    trivial: float
    """What the best trivial policy costs."""
    holdout: float
    train: float
    promised: float
    """What cross-validation said the candidate saves against the best trivial policy."""
    surely_short: bool
    """Whether the candidate saves less than was promised, beyond chance."""
    champion: float
    """What the champion saves on the same rows."""
    champion_promised: float
    gain: float
    """What a doubling of the rows saves, at the end of the learning curve."""

    @property
    def saved(self) -> float:
        """What the candidate saves on the holdout against the best trivial policy."""
        return self.trivial - self.holdout

    @property
    def saved_in_training(self) -> float:
        """What it saves on the rows it learnt from."""
        return self.trivial - self.train


def diagnose(evidence: Evidence) -> dict[str, Any]:
    """Which of overfitting, underfitting, too little data and drift the evidence points to, or "nothing", or "unknown" (it cannot be told).

    Expects sound evidence. The learning curve is in `facts["learning_curve"]`, what the champion promised a row in
    `facts["champion_promise"]`; without the last the candidate's own promise stands for it, for the recipe is mostly the same.

    Returns
    -------
    dict
        `kind`, `sentence`, `advice`, and `numbers`: what was looked at, a row, as in `Signs`.
    """
    signs = read_signs(evidence)
    kind = name(signs)
    numbers = {key: value for key, value in vars(signs).items() if isinstance(value, bool) or math.isfinite(value)}
    return {"kind": kind, "sentence": _sentence(kind, signs), "advice": ADVICE[kind], "numbers": numbers}


def name(signs: Signs) -> str:
    """The kind that fits; of several, the one that has to be mended first.

    On another world than the one that was learnt, the other signs say nothing; a model that finds little in its own rows will not find
    it in more of them; and more rows mend a gap that still closes, so too little data comes before overfitting.
    """
    gap = signs.holdout - signs.train
    if _both_fell(signs):
        return "drift"
    if not math.isfinite(signs.train):
        return "unknown"
    if signs.saved_in_training < LITTLE * signs.trivial:
        return "underfitting"
    if signs.gain >= STEEP * signs.trivial and signs.gain >= CLOSING * gap:
        return "too little data"
    if gap >= LARGE_GAP * signs.trivial and signs.saved < KEPT_OF_TRAIN * signs.saved_in_training:
        return "overfitting"
    return "nothing"


def _both_fell(signs: Signs) -> bool:
    """Whether the candidate keeps too little of its promise, beyond chance, and the champion, where there is one, does so too.

    The promise must have been worth something: what cross-validation saw fail already, the world need not have changed for.
    """
    worth = signs.promised > 0 and not signs.promised < KEPT_OF_TRAIN * signs.saved_in_training
    if not (worth and signs.surely_short and signs.saved < KEPT * signs.promised):
        return False
    return math.isnan(signs.champion) or signs.champion < KEPT * signs.champion_promised


def read_signs(evidence: Evidence) -> Signs:
    """What of the evidence the diagnosis looks at."""
    trivial = best_trivial(evidence)
    saved, promise, champion = saving(evidence, trivial, alpha=SURE), evidence.promise, evidence.contenders.get(CHAMPION)
    # two estimates from different rows: the variance of their difference is the sum of theirs
    chance = float(stats.norm.ppf(1 - SURE)) * math.hypot(saved.se, promise.se) if promise else math.nan
    promised = promise.saving if promise else math.nan
    told = evidence.facts.get("champion_promise")
    curve = learning_curve(evidence)
    return Signs(
        trivial=float(trivial.measure.mean()),
        holdout=float(evidence.contenders[CANDIDATE].measure.mean()),
        train=curve[-1]["train"] if curve else math.nan,
        promised=promised,
        surely_short=promise is not None and saved.estimate - promise.saving + chance < 0,
        champion=float((trivial.measure - champion.measure).mean()) if champion else math.nan,
        champion_promised=told if isinstance(told, int | float) else promised,
        gain=_gain(curve),
    )


def _gain(curve: list[dict[str, Any]]) -> float:
    """What a doubling of the rows saves at the curve's end: minus the slope of a line through its last points over log2 of the rows."""
    end = curve[-END:]
    rows = np.log2([point["rows"] for point in end])
    if len(set(rows)) < 2:  # noqa: PLR2004 - a line needs two points
        return math.nan
    return -float(np.polyfit(rows, [point["holdout"] for point in end], 1)[0])


def _sentence(kind: str, signs: Signs) -> str:
    saved, learnt, promised = (amount(1000 * value) for value in (signs.saved, signs.saved_in_training, signs.promised))
    against = "per 1,000 rows against the best trivial policy"
    told = {
        "drift": f"Drift: the world is no longer what it learnt; it saves {saved} {against}, where cross-validation promised {promised}.",
        "too little data": f"Too little data: at the end of the learning curve twice the rows still save {amount(1000 * signs.gain)} more.",
        "overfitting": f"Overfitting: it saves {learnt} {against} on the rows it learnt from, and {saved} on rows it has not seen.",
        "underfitting": f"Underfitting: even on the rows it learnt from it saves only {learnt} {against}.",
        "nothing": "The evidence points to neither overfitting, underfitting, too little data nor drift.",
        "unknown": "What ails it, if anything, cannot be told: there is no learning curve.",
    }
    return told[kind]
