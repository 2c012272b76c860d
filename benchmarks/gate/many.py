"""The comparison with the champion alone, over thousands of fresh holdouts: what it answers along the true difference.

The other checks can only refuse more, so what is never promoted here is never promoted by the whole gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gate.kinds_good import CURVE, tuned
from benchmarks.gate.scene import After, Scene, predicted, target
from evergreen.data.snapshots import clusters, row_fingerprints
from evergreen.evaluation import measure
from evergreen.gate.checks_model import champion
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, Contender, Evidence, Footprint

ALIKE = Footprint(np.array([0.001]), 0.001, 1e6, 100.0, 0.1, 1.0, "trees")
"""Nobody is costlier."""
WORSE = -2.0
"""Never to be promoted: so many margins."""


def answers_along(scene: Scene, *, worse: int, along: int) -> list[dict[str, Any]]:
    """Outcomes of the check `champion` on fresh holdouts.

    `worse` of them for a candidate that is truly worse by two margins, and the first `along` of them for all of the curve.
    """
    twin = scene.fitted(scene.honest, scene.earlier, 1)
    found = []
    for number in range(worse):
        days, per_day = scene.world.sizes[scene.size]
        rows = scene.world.draw(1_000_000 + 1000 * scene.seed + number, scene.world.first, days, per_day)
        base, theirs = twin.answer(rows), scene.champion.answer(rows)
        afters: list[tuple[float, After]] = [(WORSE, tuned(scene, WORSE, 100 + number % 5))]
        afters += [(margins, tuned(scene, margins, 200)) for margins in CURVE] if number < along else []
        for kind, (margins, after) in enumerate(afters):
            evidence = _evidence(scene, rows, after(rows, base), theirs)
            outcome = champion(evidence, scene.problem.gate, scene.problem.gate.alpha).outcome
            told = {"world": scene.name, "size": scene.size, "seed": scene.seed, "margins": margins, "outcome": str(outcome)}
            found.append({**told, "study": "curve" if kind else "worse"})
    return found


def _evidence(scene: Scene, rows: pd.DataFrame, ours: np.ndarray, theirs: np.ndarray) -> Evidence:
    """No more than the check looks at."""
    y = target(scene.world.binary, rows)

    def contender(name: str, answer: np.ndarray, version: int) -> Contender:
        said = predicted(scene.problem, answer)
        cost = measure(scene.problem, rows, y, said)
        return Contender(name, measure=cost, cost=cost, decision=said.decision, version=version, footprint=ALIKE)

    now = contender(CHAMPION, theirs, 2)
    return Evidence(
        task=scene.problem.task,
        rows=row_fingerprints(rows, "row_id"),
        y=y,
        cluster=clusters(rows, scene.problem.gate.cluster),
        features=rows,
        slices=rows,
        contenders={CANDIDATE: contender(CANDIDATE, ours, 3), CHAMPION: now, ANCHOR: now},
        trivial={},
        holdout_start=None,
        holdout_end=None,
        embargo_seconds=0.0,
        good_enough=0.0,
        margin=scene.margin,
        data=(),
        provenance={},
        provenance_now={},
    )
