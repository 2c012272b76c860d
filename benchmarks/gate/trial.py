"""One candidate before the gate: what it is, what the gate says, what others would say."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks.gate.evidence import collect
from benchmarks.gate.kinds_good import Made
from benchmarks.gate.peers import promoted_by
from benchmarks.gate.scene import Scene
from benchmarks.gate.truth import truth_of
from evergreen.gate.decision import judge
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence
from evergreen.gate.ledger import GATE, Budget
from evergreen.policies import GatePolicy


def budget(policy: GatePolicy) -> Budget:
    """What the ledger gives the first gate of a year."""
    allowed = policy.alpha_per_year
    return Budget(
        policy.alpha, 0.0, allowed, allowed, "benchmark", already_spent=False, purpose=GATE, data_time=datetime(2025, 1, 1, tzinfo=UTC)
    )


def try_candidate(make: Callable[[Scene], Made], scene: Scene, *, peers: bool = True) -> dict[str, Any]:
    """Everything about one candidate, as plain values."""
    began = time.perf_counter()
    made = make(scene)
    evidence = collect(made, scene)
    collected = time.perf_counter()
    decision = judge(evidence, scene.problem.gate, budget=budget(scene.problem.gate))
    judged = time.perf_counter()
    truth = truth_of(made, scene, evidence)
    return {
        "kind": made.kind,
        "world": scene.name,
        "size": scene.size,
        "seed": scene.seed,
        **truth,
        "looks": _saved_share(evidence),
        "verdict": str(decision.verdict),
        "findings": {one.check: str(one.outcome) for one in decision.findings},
        "reasons": {one.check: one.reason for one in decision.findings if one.outcome != "pass"},
        "peers": promoted_by(made, scene) if peers else {},
        "seconds": {"evidence": collected - began, "judge": judged - collected, "all": time.perf_counter() - began},
    }


def _saved_share(evidence: Evidence) -> float:
    """What share of the champion's cost it seems to save on the holdout."""
    ours, theirs = (float(evidence.contenders[name].measure.mean()) for name in (CANDIDATE, CHAMPION))
    return (theirs - ours) / theirs
