"""The decision record: everything a verdict rests on, as one JSON document; the pages only render it."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from evergreen.gate import figures, sentences
from evergreen.gate.checks_data import unsound
from evergreen.gate.comparison import best_trivial
from evergreen.gate.decision import Decision
from evergreen.gate.diagnosis import diagnose
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, Evidence
from evergreen.gate.ledger import Budget
from evergreen.gate.metrics import metrics_of
from evergreen.gate.sentences import Context

__all__ = ["Context", "build_record", "json_safe"]


def build_record(evidence: Evidence, decision: Decision, budget: Budget, *, context: Context) -> dict[str, Any]:
    """The record of one decision: safe for JSON, and the same for the same evidence.

    Of unsound evidence (see the finding `finite`) it holds the findings and no computed number: lists are empty, amounts None.
    """
    told = sentences.tell(evidence, decision, context)
    record = {
        "decision": context.decision,
        "problem": context.problem,
        "question": context.question,
        "made_at": context.made_at,
        "unit": context.unit,
        "entity": context.entity,
        "verdict": decision.verdict,
        **told,
        "changes": context.changes,
        **{name: _version(evidence, name) for name in (CANDIDATE, CHAMPION, ANCHOR)},
        "window": _window(evidence, context),
        "findings": [dataclasses.asdict(finding) for finding in decision.findings],
        "budget": _spent(budget),
        "margin_next": decision.margin_next,
        "provenance": evidence.provenance,
        "facts": evidence.facts,
        "shadow": figures.shadow(evidence),
        **_numbers(evidence, decision, context),
    }
    safe: dict[str, Any] = json_safe(record)
    return safe


def json_safe(value: Any) -> Any:
    """The same in what JSON knows: numbers that are none become None, arrays and sets lists, everything else text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((json_safe(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or value is pd.NaT or isinstance(value, bool | int):
        return None if value is pd.NaT else value
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _numbers(evidence: Evidence, decision: Decision, context: Context) -> dict[str, Any]:
    if unsound(evidence):
        empty: dict[str, list[Any]] = {name: [] for name in figures.PLOTS}
        nothing = {"frequencies": {}, "metrics": {}, "plots": empty, "best_trivial_measure": None, "diagnosis": None, "cost_level": None}
        return {"money": [], "comparisons": [], **nothing}
    labels = {name: context.label(name, evidence) for name in figures.compared(evidence)}
    return {
        "money": figures.money(evidence, labels),
        "comparisons": figures.comparisons(evidence, decision.alpha, decision.alpha_first),
        "frequencies": figures.frequencies(evidence),
        "metrics": evidence.facts.get("metrics") or metrics_of(evidence),
        "plots": figures.plots(evidence),
        "diagnosis": diagnose(evidence),
        "best_trivial_measure": float(best_trivial(evidence).measure.mean()),
        "cost_level": figures.cost_level(evidence),
    }


def _version(evidence: Evidence, name: str) -> dict[str, Any] | None:
    """A model's version and what it was trained on; `facts["training_start"]` says since when, by contender."""
    contender = evidence.contenders.get(name)
    if contender is None:
        return None
    rows = None if contender.training_rows is None else len(contender.training_rows)
    start = evidence.facts.get("training_start", {}).get(name)
    return {"version": contender.version, "rows": rows, "training_start": start, "training_end": contender.training_end}


def _window(evidence: Evidence, context: Context) -> dict[str, Any]:
    clusters = int(pd.Series(evidence.cluster).nunique())
    ends = {"start": evidence.holdout_start, "end": evidence.holdout_end}
    return {**ends, "rows": len(evidence.y), "clusters": clusters, "cluster": context.cluster}


def _spent(budget: Budget) -> dict[str, float]:
    this = 0.0 if budget.is_exhausted or budget.is_waived else budget.price
    return {"allowed": budget.allowed, "spent": budget.spent, "this": this, "left": max(0.0, budget.left - this)}
