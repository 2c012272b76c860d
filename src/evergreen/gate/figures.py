"""The numbers of a decision record. All expect sound evidence: finite numbers, at least one row."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from evergreen.gate.calibration import quantile_bins
from evergreen.gate.comparison import best_trivial, rivals, saving
from evergreen.gate.evidence import CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, Contender, Evidence
from evergreen.gate.statistics import paired_interval

BEST_TRIVIAL = "best trivial"
PLOTS = ("costs_over_time", "slices", "calibration", "residuals", "learning_curve")
LEVEL_ALPHA = 0.05
"""Of the bounds that the record shows; decay takes those of its own policy."""
MAX_CLUSTERS, MAX_VALUES, MIN_SLICE = 400, 12, 100
"""A curve of more clusters, and a slice with more values or fewer rows, are not readable."""


def compared(evidence: Evidence) -> dict[str, Contender]:
    """All contenders, then the best trivial policy."""
    return {**evidence.contenders, BEST_TRIVIAL: best_trivial(evidence)}


def money(evidence: Evidence, labels: dict[str, str]) -> list[dict[str, Any]]:
    """What 1,000 rows cost with each contender: at the contract's central costs, and averaged over its cost ratios."""
    return [
        {
            "name": name,
            "label": labels[name],
            "cost_per_1000": 1000 * float(contender.cost.mean()),
            "measure_per_1000": 1000 * float(contender.measure.mean()),
        }
        for name, contender in compared(evidence).items()
    ]


def cost_level(evidence: Evidence) -> dict[str, float]:
    """What a row costs with the candidate at the contract's central costs, as an interval of `gate.statistics`; decay is judged by it."""
    level = paired_interval(evidence.contenders[CANDIDATE].cost, evidence.cluster, alpha=LEVEL_ALPHA)
    return dataclasses.asdict(level)


def comparisons(evidence: Evidence, alpha: float, alpha_first: float) -> list[dict[str, Any]]:
    """What the candidate saves against each other, on the measure, with the interval the gate used."""
    versions = rivals(evidence)
    others = {**versions, **{name: compared(evidence)[name] for name in (RULE_OF_THUMB, DUMMY, BEST_TRIVIAL)}}
    found = []
    for name, other in others.items():
        saved = saving(evidence, other, alpha=alpha if name in versions else alpha_first)
        margin = evidence.margin if name in versions and evidence.margin is not None else None
        found.append(
            {
                "against": name,
                "saved_per_1000": 1000 * saved.estimate,
                "low": 1000 * saved.low,
                "high": 1000 * saved.high,
                "margin_per_1000": None if margin is None else 1000 * margin,
                "level": saved.level,
            }
        )
    return found


def shadow(evidence: Evidence) -> dict[str, Any] | None:
    """What became of the candidate in shadow and what both cost then; None where it was not. How sure that is stands in the finding."""
    if (seen := evidence.shadow) is None:
        return None
    n = len(seen.things.cluster)
    costs = {name: 1000 * float(one.cost.mean()) for name, one in ((CANDIDATE, seen.things.shadow), (CHAMPION, seen.things.served)) if n}
    counts = {"scored": seen.scored, "failed": seen.failed, "fault": seen.fault, "served": seen.served}
    lacked = {"lacking": seen.lacking, "lacks": seen.lacks}
    return {**counts, **lacked, "things": n, "cost_per_1000": costs}


def frequencies(evidence: Evidence) -> dict[str, dict[str, float]]:
    """Out of 1,000 rows: events, and how each contender fares with them; binary tasks only."""
    if evidence.task != "binary":
        return {}
    y = np.asarray(evidence.y, dtype=float)
    found = {}
    for name, contender in compared(evidence).items():
        acted = np.asarray(contender.decision, dtype=float)
        counts = {"events": y, "acted": acted, "caught": y * acted, "missed": y * (1 - acted), "false_alarms": (1 - y) * acted}
        found[name] = {what: 1000 * float(rows.mean()) for what, rows in counts.items()}
    return found


def exactness(evidence: Evidence) -> dict[str, dict[str, float]]:
    """How near each contender comes: how many classes out of 1,000 are right, or how far half and most (9 of 10) of the numbers are off.

    Nothing for binary tasks, which `frequencies` tells.
    """
    if evidence.task == "binary":
        return {}
    found = {}
    for name, contender in evidence.contenders.items():
        if evidence.task == "multiclass":
            found[name] = {"right": 1000 * float(np.mean(np.asarray(contender.decision) == evidence.y))}
        else:
            off = np.abs(np.asarray(evidence.y, dtype=float) - np.asarray(contender.decision, dtype=float))
            found[name] = {"half": float(np.quantile(off, 0.5)), "most": float(np.quantile(off, 0.9))}
    return found


def plots(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """What the pages draw."""
    costs = pd.DataFrame({name: contender.cost for name, contender in compared(evidence).items()})
    cluster = _texts(pd.Series(evidence.cluster))
    return {
        "costs_over_time": _by_value(costs, cluster, "cluster") if cluster.nunique() <= MAX_CLUSTERS else [],
        "slices": [row for column in evidence.slices for row in _slice(1000 * costs, str(column), evidence.slices[column])],
        "calibration": _calibration(evidence) if evidence.task == "binary" else [],
        "residuals": _residuals(evidence) if evidence.task == "regression" else [],
        "learning_curve": [{**one, **{cost: 1000 * one[cost] for cost in ("train", "holdout")}} for one in learning_curve(evidence)],
    }


def learning_curve(evidence: Evidence) -> list[dict[str, Any]]:
    """The points of `facts["learning_curve"]`, fewest rows first: `rows`, and costs a row on `train` and `holdout`.

    Those that are no numbers are left out.
    """
    found = []
    for point in evidence.facts.get("learning_curve") or []:
        known = {key: point.get(key) for key in ("rows", "train", "holdout")}
        if all(isinstance(value, int | float) and math.isfinite(value) for value in known.values()) and known["rows"] > 0:
            found.append(known)
    return sorted(found, key=lambda point: point["rows"])


def small_slices(evidence: Evidence) -> list[str]:
    """The values with too few rows to be shown, in words; more than a dozen are counted."""
    found = []
    for column in evidence.slices:
        counts = _texts(evidence.slices[column]).value_counts()
        small = sorted(str(value) for value in counts.index[counts < MIN_SLICE])
        if small:
            named = ", ".join(small[:MAX_VALUES]) + (f" and {len(small) - MAX_VALUES} more" if len(small) > MAX_VALUES else "")
            found.append(f"{column}: {named} (fewer than {MIN_SLICE} rows each)")
    return found


def _slice(costs: pd.DataFrame, column: str, values: pd.Series) -> list[dict[str, Any]]:
    """The values with the most rows, of those with enough, in alphabetical order."""
    rows = [{"column": column, **row} for row in _by_value(costs, _texts(values), "value") if row["n"] >= MIN_SLICE]
    largest = sorted(rows, key=lambda row: (-row["n"], row["value"]))[:MAX_VALUES]
    return sorted(largest, key=lambda row: row["value"])


def _by_value(costs: pd.DataFrame, values: pd.Series, key: str) -> list[dict[str, Any]]:
    """Mean of each column of `costs` by value."""
    groups = costs.groupby(values.to_numpy(), sort=True)
    table = groups.mean().assign(n=groups.size()).rename_axis(key).reset_index()
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]


def _texts(values: pd.Series) -> pd.Series:
    return values.astype(str).fillna("missing")


def _calibration(evidence: Evidence) -> list[dict[str, Any]]:
    """Predicted and observed share of events in bins of the candidate's probability, with Wilson's 95% interval."""
    probability, y = evidence.contenders[CANDIDATE].probability, np.asarray(evidence.y, dtype=int)
    if probability is None:
        return []
    bins, found = quantile_bins(probability), []
    for one in np.unique(bins):
        inside = bins == one
        events, n = int(y[inside].sum()), int(inside.sum())
        bound = stats.binomtest(events, n).proportion_ci(0.95, method="wilson")
        shares = {"predicted": float(probability[inside].mean()), "observed": events / n}
        found.append({**shares, "low": float(bound.low), "high": float(bound.high), "n": n})
    return found


def _residuals(evidence: Evidence) -> list[dict[str, Any]]:
    """Mean error, truth less prediction, in bins of the candidate's prediction, with the span of the middle 80% of rows."""
    predicted = np.asarray(evidence.contenders[CANDIDATE].decision, dtype=float)
    residual, bins, found = np.asarray(evidence.y, dtype=float) - predicted, quantile_bins(predicted), []
    for one in np.unique(bins):
        inside = bins == one
        low, high = (float(bound) for bound in np.quantile(residual[inside], [0.1, 0.9]))
        means = {"predicted": float(predicted[inside].mean()), "residual": float(residual[inside].mean())}
        found.append({**means, "low": low, "high": high, "n": int(inside.sum())})
    return found
