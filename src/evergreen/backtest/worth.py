"""What each policy cost, and by how much more or less than another: from decisions row by row to one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from evergreen.backtest import sentences
from evergreen.backtest.periods import Period
from evergreen.backtest.plans import ALWAYS, NEVER
from evergreen.backtest.replay import FIRST, Course, Event, Stage, decisions_of
from evergreen.backtest.sentences import BETTER, NOTHING, RULE, SAME, SURE, UNCERTAIN, WORSE
from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.snapshots import clusters
from evergreen.errors import DataError
from evergreen.evaluation import Predicted, central_cost, rule_of_thumb, trivial_policies
from evergreen.gate.comparison import groups_of
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.training import training_target


@dataclass(frozen=True)
class Costs:
    """Cost of each judged row of the period, by policy and by doing without; arrays of shape (n,)."""

    rows: pd.DataFrame
    cluster: np.ndarray
    by: dict[str, np.ndarray]
    constant: str
    """The constant decision that turned out cheapest."""

    def mean(self, name: str, rows: np.ndarray | slice = slice(None)) -> float:
        """Of 1,000 rows."""
        return 1000 * float(self.by[name][rows].mean())


def count_costs(courses: Sequence[Course], stage: Stage) -> Costs:
    """Price every decision at the contract's central costs.

    Raises
    ------
    DataError
        Some cost is not a number.
    """
    problem, period = stage.world.problem, stage.period
    due = stage.world.judged[PREDICTION_TIME]
    rows = stage.world.judged[(due >= period.first) & (due < period.end)]
    y = training_target(rows, problem)

    def priced(decision: np.ndarray) -> np.ndarray:
        return central_cost(problem, rows, y, Predicted(decision))

    by = {course.plan.name: priced(decisions_of(course, stage, rows)) for course in courses}
    by[RULE] = priced(rule_of_thumb(problem, rows).decision)
    constants = {name: priced(one.decision) for name, one in trivial_policies(problem.task, y, len(y)).items()}
    constant = min(constants, key=lambda name: float(constants[name].mean()))
    by[NOTHING] = constants[constant]
    for name, costs in by.items():
        if not np.isfinite(costs).all():
            raise DataError(
                f"The cost of {name} is missing or infinite on {int((~np.isfinite(costs)).sum()):,} rows. Mend business.row_cost."
            )
    return Costs(rows, clusters(rows, problem.gate.cluster), by, constant)


def compare(costs: Costs, problem: Problem, name: str, other: str, *, of: int) -> dict[str, Any]:
    """What one saves against another, for 1,000 rows, with bounds so wide that so many comparisons hold together."""
    saved = paired_interval(costs.by[other] - costs.by[name], costs.cluster, alpha=(1 - SURE) / 2 / of)
    return {"saved": 1000 * saved.estimate, **_bounds(saved), "word": _word(saved, problem, costs.by[other] - costs.by[name])}


def among(costs: Costs, names: Sequence[str], other: str) -> int:
    """How many different comparisons with another there are: policies that decided alike make one, and who decided as the other none."""
    told = {costs.by[name].tobytes() for name in names} - {costs.by[other].tobytes()}
    return max(1, len(told))


def document(courses: Sequence[Course], costs: Costs, stage: Stage) -> dict[str, Any]:
    """The whole backtest as JSON values; the same data, code and seed give the same bytes."""
    problem, period = stage.world.problem, stage.period
    names = [course.plan.name for course in courses]
    told = {
        "problem": problem.name,
        "question": problem.business.question,
        "unit": problem.business.unit,
        "things": problem.things,
        "contract": problem.digest(),
        "made_by": stage.world.made_by,
        "seed": problem.retraining.seed,
        "sure": SURE,
        "period": _period(period, costs, problem),
        "policies": [_policy(course, costs, problem, names) for course in courses],
        "without": [_without(costs, problem, name) for name in (RULE, NOTHING)],
        "constant": costs.constant,
        "windows": list(_windows(courses, costs, period)),
    }
    told |= {"finding": _finding(told, costs, problem)}
    return told | {"answer": sentences.answer(told), "assumptions": sentences.assumptions(problem, period)}


def _finding(told: dict[str, Any], costs: Costs, problem: Problem) -> dict[str, Any]:
    """Whether a policy is surely cheaper than training once, which is cheapest, and which trains least of those that are as good."""
    gated = [one for one in told["policies"] if one["is_gated"] or one["name"] == NEVER]
    surely = [one for one in gated if one["against"].get(NEVER, {}).get("word") == BETTER]
    cheapest = min(surely or gated, key=lambda one: (one["cost_per_1000"], one["trainings"]))["name"]
    others = [one["name"] for one in surely if one["name"] != cheapest]
    of = among(costs, others, cheapest)
    worse = {name for name in others if compare(costs, problem, cheapest, name, of=of)["word"] == BETTER}
    alike = [one for one in surely or gated if one["name"] not in worse and (surely or one["name"] == cheapest)]
    least = min(alike, key=lambda one: (one["trainings"], one["cost_per_1000"]))["name"]
    return {"is_worth_it": bool(surely), "cheapest": cheapest, "least": least}


def _period(period: Period, costs: Costs, problem: Problem) -> dict[str, Any]:
    return {
        "first": period.first.isoformat(),
        "end": period.end.isoformat(),
        "windows": period.windows,
        "rows": len(costs.rows),
        "clusters": int(pd.Series(costs.cluster).nunique()),
        "cluster": groups_of(problem.gate),
    }


def _policy(course: Course, costs: Costs, problem: Problem, names: list[str]) -> dict[str, Any]:
    name, plan = course.plan.name, course.plan
    level = paired_interval(costs.by[name], costs.cluster, alpha=(1 - SURE) / 2)
    others = [other for other in (NEVER, ALWAYS, RULE, NOTHING) if other != name and other in costs.by]
    return {
        "name": name,
        "says": plan.says,
        "is_gated": plan.is_gated,
        "trainings": sum(event.action in {FIRST, "retrain"} for event in course.events),
        "promotions": sum(event.promoted for event in course.events),
        "cost_per_1000": 1000 * level.estimate,
        **_bounds(level),
        "against": {other: compare(costs, problem, name, other, of=among(costs, names, other)) for other in others},
        "events": [_event(event) for event in course.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return asdict(event) | {"at": event.at.isoformat(), "stopped_by": list(event.stopped_by)}


def _without(costs: Costs, problem: Problem, name: str) -> dict[str, Any]:
    """What doing without policies cost; its comparison is none of those that hold together: it does not ask how often to train."""
    level = paired_interval(costs.by[name], costs.cluster, alpha=(1 - SURE) / 2)
    against = {NEVER: compare(costs, problem, name, NEVER, of=1)}
    return {"name": name, "cost_per_1000": 1000 * level.estimate, **_bounds(level), "against": against}


def _windows(courses: Sequence[Course], costs: Costs, period: Period) -> list[dict[str, Any]]:
    due, told = costs.rows[PREDICTION_TIME], []
    for start, end in zip(period.starts, period.ends, strict=True):
        here = ((due >= start) & (due < end)).to_numpy()
        promoted = {course.plan.name: sum(event.promoted for event in course.events if start <= event.at < end) for course in courses}
        costs_here = {name: costs.mean(name, here) for name in costs.by}
        told.append(
            {"start": start.isoformat(), "end": end.isoformat(), "rows": int(here.sum()), "costs": costs_here, "promoted": promoted}
        )
    return told


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {side: 1000 * value if np.isfinite(value) else None for side, value in (("low", interval.low), ("high", interval.high))}


def _word(saved: Interval, problem: Problem, differences: np.ndarray) -> str:
    if not differences.any():
        return SAME
    few = problem.gate.cluster != "row" and saved.clusters < problem.gate.min_clusters
    if few or not (saved.low > 0 or saved.high < 0):
        return UNCERTAIN
    return BETTER if saved.low > 0 else WORSE
