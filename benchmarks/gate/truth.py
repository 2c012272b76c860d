"""What a candidate truly is, on a large sample of rows as it will serve them, where the true probabilities are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gate.evidence import candidate_of
from benchmarks.gate.kinds_good import Made
from benchmarks.gate.scene import Scene, chance
from benchmarks.gate.worlds import TRUTH
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence, Footprint

BINS = 20
FAR_OFF = 2.0
"""Probabilities are bad when they are farther off than the champion's by so many times what the policy allows: no near thing."""


def truth_of(made: Made, scene: Scene, evidence: Evidence) -> dict[str, Any]:
    """The true saving over the champion in margins, the same in the worst slice, errors of probabilities, and in which ways it is bad.

    Bad is what is worse than the champion by more than the margin, and whatever shows in the one other dimension that the kind is about.
    """
    oracle = scene.oracle if made.oracle is None else made.oracle
    model = candidate_of(made, scene)
    said = model.serve(oracle)
    saved = (scene.champion_loss() - scene.loss(said, oracle)) / scene.margin
    zones = oracle.groupby("zone").indices
    worst = min(float(saved[rows].mean()) for rows in zones.values())
    ours, theirs = _miscalibration(scene, said, oracle), scene.kept("calibration", lambda: _champions(scene))
    policy = scene.problem.gate
    ways = {
        "cost": float(saved.mean()) < -1.0,
        "slices": worst < -policy.slice_margins,
        "parity": float(np.max(np.abs(said - model.answer(oracle)))) > 1e-6,
        "calibration": scene.world.binary and ours > theirs + FAR_OFF * policy.max_calibration_loss,
        "contamination": made.learnt is not None,
        "from the future": bool(made.changes),
        "cost of serving": made.footprint is not None and _unaffordable(evidence, float(saved.mean())),
    }
    found = [way for way in ("cost", made.dimension) if ways[way]]
    return {"D": float(saved.mean()), "worst_slice": worst, "calibration": ours, "calibration_champion": theirs, "bad": found}


def _champions(scene: Scene) -> float:
    return _miscalibration(scene, scene.champion.serve(scene.oracle), scene.oracle)


def _miscalibration(scene: Scene, said: np.ndarray, oracle: Any) -> float:
    """Mean distance between what is said and the mean truth of rows that are told the same, in groups of equal size."""
    order = np.argsort(said + 1e-9 * chance(oracle, 99))
    truth = oracle[TRUTH].to_numpy()
    groups = np.array_split(order, BINS)
    return float(sum(abs(said[g].mean() - truth[g].mean()) * len(g) for g in groups) / len(said))


def _unaffordable(evidence: Evidence, saved: float) -> bool:
    """Beyond what production can afford, or much costlier than the champion without being better."""
    ours, theirs, limits = evidence.contenders[CANDIDATE].footprint, evidence.contenders[CHAMPION].footprint, evidence.limits
    if ours is None or theirs is None:
        return True
    slow, slow_champion = (float(np.median(one.one_row_seconds)) for one in (ours, theirs))
    above = 1000 * slow > limits.max_one_row_milliseconds or _heavy(ours) > 1 or ours.rows_per_second < limits.min_rows_per_second
    ratios = (slow / slow_champion, ours.megabytes / theirs.megabytes, ours.memory_megabytes / theirs.memory_megabytes)
    return above or (max(ratios) > 2 and saved <= 0)  # well above the policy's 1.5, so that noise does not decide


def _heavy(footprint: Footprint) -> float:
    return max(footprint.megabytes / 200.0, footprint.memory_megabytes / 2_000.0)
