"""Whether the champion's decisions have come to cost more than they did on the holdout that it was promoted with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evergreen.candidate import DECISION
from evergreen.contract import Problem
from evergreen.data.snapshots import clusters
from evergreen.evaluation import Predicted, central_cost, rule_of_thumb
from evergreen.gate.evidence import RULE_OF_THUMB
from evergreen.gate.statistics import Interval, paired_interval, upper_bound
from evergreen.training import training_target


@dataclass(frozen=True)
class Decay:
    """What the newest outcomes say; amounts are a row's, in the contract's unit, and None where nothing was judged."""

    found: bool
    is_judged: bool
    sentence: str
    window_end: str | None = None
    rows: int = 0
    """Rows that the champion predicted and whose outcome is known."""
    clusters: int = 0
    before: float | None = None
    """What a row cost on the holdout."""
    cost: float | None = None
    increase: float | None = None
    low: float | None = None
    """The increase is surely larger than this."""
    margin: float | None = None
    """The increase from which on it is decay."""
    rule_of_thumb: float | None = None
    """What the rule of thumb would have cost on the same rows."""
    rule_of_thumb_before: float | None = None


def judge(problem: Problem, rows: pd.DataFrame, record: dict[str, Any] | None, *, window_end: str | None = None) -> Decay:
    """Hold the realized cost of a champion's decisions against the cost that its decision record promises.

    Parameters
    ----------
    rows
        The newest labelled rows that the champion itself predicted, with its `decision`.
    record
        The decision record of the champion; None where there is none.

    Notes
    -----
    The lower bound of the increase is made of the cluster-robust bounds of both costs, which are independent: Zou & Donner, Construction
    of Confidence Limits about Effect Measures, Statistics in Medicine 27 (2008). It errs with chance `DecayPolicy.alpha`.
    """
    policy, counted = problem.retraining.decay, pd.Series(_clusters(problem, rows)).nunique()
    untold = Decay(found=False, is_judged=False, sentence="", window_end=window_end, rows=len(rows), clusters=int(counted))
    before = level(problem, record)
    if isinstance(before, str):
        return _not_judged(untold, before)
    if untold.rows < policy.min_rows or untold.clusters < policy.min_clusters:
        got = f"{untold.rows:,} rows in {untold.clusters:,} clusters that the champion predicted have an outcome"
        return _not_judged(untold, f"{got}; expected at least {policy.min_rows:,} in {policy.min_clusters:,}")
    told = _compared(problem, rows, before, replace(untold, rule_of_thumb_before=_rule_before(record)))
    return replace(told, sentence=_sentence(problem.business.unit, told)) if told.is_judged else told


def _compared(problem: Problem, rows: pd.DataFrame, before: Interval, untold: Decay) -> Decay:
    policy, y, groups = problem.retraining.decay, training_target(rows, problem), _clusters(problem, rows)
    cost = central_cost(problem, rows, y, Predicted(rows[DECISION].to_numpy()))
    rule = central_cost(problem, rows, y, rule_of_thumb(problem, rows))
    if not np.isfinite([cost, rule]).all() or pd.isna(groups).any():
        return _not_judged(untold, "the cost or the cluster of some row is missing or infinite")
    now, margin = paired_interval(cost, groups, alpha=policy.alpha), policy.margin_share * abs(before.estimate)
    low = surely_more(now, before, alpha=policy.alpha)
    return replace(
        untold,
        found=low > margin,
        is_judged=True,
        before=before.estimate,
        cost=now.estimate,
        increase=now.estimate - before.estimate,
        low=low,
        margin=margin,
        rule_of_thumb=float(rule.mean()),
    )


def _clusters(problem: Problem, rows: pd.DataFrame) -> np.ndarray:
    return clusters(rows, problem.gate.cluster) if len(rows) else np.empty(0)


def _not_judged(untold: Decay, why: str) -> Decay:
    return replace(untold, sentence=f"Decay was not judged: {why}.")


def level(problem: Problem, record: dict[str, Any] | None) -> Interval | str:
    """What the champion cost on its holdout, a row, or why that cannot be held against today's costs."""
    if record is None:
        return "no decision on the champion is recorded"
    level = record.get("cost_level")
    if not level or any(value is None for value in level.values()):
        return "the champion's decision record does not say how sure its cost was"
    if record["provenance"].get("contract") != problem.digest():
        return "the contract has changed since the champion was decided on, and with it perhaps what a wrong answer costs"
    return Interval(**level)


def surely_more(now: Interval, before: Interval, *, alpha: float) -> float:
    """Lower bound of `now` less `before`, a row; see `judge`."""
    apart = math.hypot(now.estimate - now.low, upper_bound(before, alpha) - before.estimate)
    return now.estimate - before.estimate - apart


def _rule_before(record: dict[str, Any] | None) -> float | None:
    rows = [row for row in (record or {}).get("money", []) if row["name"] == RULE_OF_THUMB]
    return rows[0]["cost_per_1000"] / 1000 if rows else None


def _sentence(unit: str, told: Decay) -> str:
    """The verdict in words; amounts of 1,000 rows."""

    def amount(value: float | None) -> str:
        return "an unknown amount" if value is None else f"{1000 * value:,.0f} {unit}"

    margin = f"the margin of {amount(told.margin)}"
    if told.low is not None and told.low > 0:
        sure = f"surely at least {amount(told.low)} more, {'beyond' if told.found else 'within'} {margin}"
    else:
        sure = f"that they cost more now is not sure, let alone more than {margin}"
    return (
        f"{'Decay' if told.found else 'No decay'}: 1,000 rows cost {amount(told.cost)}, on the holdout {amount(told.before)}; {sure}. "
        f"The rule of thumb costs {amount(told.rule_of_thumb)} on these rows, on the holdout {amount(told.rule_of_thumb_before)}."
    )
