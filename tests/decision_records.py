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
