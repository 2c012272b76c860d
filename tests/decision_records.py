"""Decision records for tests of the pages, made by the gate itself from synthetic evidence."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from gate_evidence import make_evidence

from evergreen.gate.decision import judge
from evergreen.gate.evidence import Contender, Evidence
from evergreen.gate.ledger import FIRST, GATE, Budget
from evergreen.gate.record import Context, build_record
from evergreen.gate.sentences import CONCERNS
from evergreen.policies import GatePolicy


def make_record(evidence: Evidence | None = None, *, decision: str = "d7", problem: str = "toy", **changes: Any) -> dict[str, Any]:
    """The record of a gate over this evidence (by default a good candidate against a champion); `changes` replace keys of it."""
    evidence = make_evidence() if evidence is None else evidence
    first = "champion" not in evidence.contenders
    policy = GatePolicy()
    alpha, allowed, spent = (policy.alpha_first, policy.alpha_first, 0.0) if first else (policy.alpha, policy.alpha_per_year, 0.025)
    budget = Budget(alpha, spent, allowed, allowed - spent, "key", False, FIRST if first else GATE, datetime(2013, 6, 9, tzinfo=UTC), alpha)
    context = Context(
        decision=decision,
        problem=problem,
        question="Which departures will leave late?",
        unit="USD",
        entity="flights",
        cluster="days",
        made_at="2013-06-10T03:31:00+00:00",
        changes={"sentences": [] if first else ["31 more days of data: to 28 April.", "The features are the same."]},
    )
    return {**build_record(evidence, judge(evidence, policy, budget=budget), budget, context=context), **changes}


DIFF = """--- before/problem/features.py
+++ now/problem/features.py
@@ -12,6 +12,7 @@
 def add_features(rows: pd.DataFrame) -> pd.DataFrame:
     \"\"\"Columns that the model is given, from what is known two hours before departure.\"\"\"
     local = rows["departure"].dt.tz_convert("America/New_York")
-    return rows.assign(hour=local.dt.hour)
+    # Fridays are unlike other days, and so are the evenings before holidays, which the calendar source does not know yet
+    return rows.assign(hour=local.dt.hour, weekday=local.dt.weekday)"""
CHANGES: dict[str, Any] = {
    "sentences": [
        "Training data: 223,481 flights up to 2013-10-29; before, 196,302 flights up to 2013-09-28.",
        "Batches of data: flights 1 added; outcomes 1 added; weather 2 added and 1 removed.",
        "Features added: weekday.",
        "Parameters: model__learning_rate 0.05 (before, 0.1), model__max_leaf_nodes 31 (before, not set).",
        "The contract changed.",
        "The problem's code changed: problem/contract.py, problem/features.py.",
        "Locked packages: numpy 2.4.1 (before, 2.4.0).",
    ],
    "window": {
        "now": {"start": "2013-01-01T05:15:00-05:00", "end": "2013-10-29T23:59:00-04:00", "rows": 223_481},
        "before": {"start": "2013-01-01T05:15:00-05:00", "end": "2013-09-28T22:30:00-04:00", "rows": 196_302},
    },
    "batches": {
        "flights": {"added": 1, "removed": 0},
        "outcomes": {"added": 1, "removed": 0},
        "weather": {"added": 2, "removed": 1},
    },
    "features": {"added": ["weekday"], "removed": []},
    "parameters": [
        {"name": "model__learning_rate", "before": 0.1, "now": 0.05},
        {"name": "model__max_leaf_nodes", "before": None, "now": 31},
    ],
    "packages": [{"name": "numpy", "before": "2.4.0", "now": "2.4.1"}],
    "code": [
        {
            "file": "problem/contract.py",
            "diff": '--- before/problem/contract.py\n+++ now/problem/contract.py\n@@ -40,2 +40,3 @@\n+    "weekday",',
        },
        {"file": "problem/features.py", "diff": DIFF},
    ],
}
CURVE_ROWS = (27_900, 55_900, 111_700, 223_481)
PASSED = {
    "parity": "1,000 flights, answered in a process of its own, one by one and in another order: all as in training.",
    "generalization": "It keeps 1.86 of the 2.02 USD a flight that cross-validation promised (very likely between 1.51 and 2.21).",
    "slices": "None of 14 parts with enough flights is harmed beyond 2 margins.",
    "calibration": "Its chances are off by 1.9 points, the champion's by 2.3.",
    "stability": "Three seeds lie 0.02 USD a flight apart; half a margin is 0.07.",
    "behaviour": "It reacted as the contract expects to 4 of 4 changes.",
    "cost": "The slowest of 100 answers took 9.1 ms, of 50 allowed; 41,200 rows a second, 1.2 MB.",
    "representativeness": "0.4% of the flights to be predicted lie outside what it was trained on.",
}
"""Findings of the checks that the synthetic evidence may not have, as they read."""


def rich_record(evidence: Evidence | None = None, **changes: Any) -> dict[str, Any]:
    """A record with everything in it: all checks, what changed, a learning curve and a diagnosis."""
    evidence = make_evidence() if evidence is None else evidence
    own = float(evidence.contenders["candidate"].measure.mean())
    curve = [
        {"rows": n, "train": t * own, "holdout": h * own}
        for n, t, h in zip(CURVE_ROWS, (0.6, 0.68, 0.74, 0.8), (1.24, 1.13, 1.05, 1.0), strict=True)
    ]
    record = make_record(dataclasses.replace(evidence, facts={"learning_curve": curve}))
    judged = {finding["check"] for finding in record["findings"]}
    more = [
        {"check": check, "protects": CONCERNS[check].capitalize() + ".", "outcome": "pass", "reason": reason, "n": 1_000, "details": []}
        for check, reason in PASSED.items()
        if check not in judged
    ]
    return record | {
        "findings": [*record["findings"][:-1], *more, record["findings"][-1]],
        "not_judged": [line for line in record["not_judged"] if not any(f"({check})" in line for check in PASSED)],
        "changes": CHANGES,
        "changed": CHANGES["sentences"],
        **changes,
    }


def regression_evidence() -> Evidence:
    """The same days with a number to predict: no probabilities, no events."""
    evidence = make_evidence()
    truth = np.random.default_rng(3).normal(30, 10, size=len(evidence.y))

    def guess(one: Contender, error: float) -> Contender:
        value = truth + np.random.default_rng(int(error * 10)).normal(0, error, size=len(truth))
        return dataclasses.replace(one, decision=value, cost=abs(truth - value), measure=abs(truth - value), probability=None)

    errors = {"candidate": 3.0, "champion": 3.1, "anchor": 3.1, "dummy": 9.0, "rule of thumb": 6.0}
    return dataclasses.replace(
        evidence,
        task="regression",
        y=truth,
        contenders={name: guess(one, errors[name]) for name, one in evidence.contenders.items()},
        trivial={"always the mean": guess(Contender("always the mean", truth, truth, truth), 10.0)},
        slices=pd.DataFrame({"origin": evidence.slices["origin"]}),
    )
