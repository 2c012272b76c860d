"""What of models in service people should be told: probabilities that are off, costs to come, features that were served otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.gate.statistics import Interval
from evergreen.journal import Journal
from evergreen.monitoring.alerts import Alert, alert
from evergreen.monitoring.decay import level, surely_more
from evergreen.monitoring.kinds import ESTIMATE, FEATURES, PUBLISHED, REALIZED, SERVED, SERVED_LATELY, of_version
from evergreen.moves import standing

MIN_EVENTS = 10
COMMAND = "evergreen performance"


def find_concerns(journal: Journal, problem: Problem, now: datetime) -> list[Alert]:
    """All that holds now of the version that serves; answered from the journal alone."""
    champion = standing(journal).champion
    if champion is None:
        return []
    return [*_biased(journal, problem, champion), *_costly(journal, problem, champion), *_served_otherwise(journal, problem, now)]


def bias_floor(problem: Problem, realized: dict[str, Any]) -> float:
    """How far the mean prediction may lie from what was observed, given the facts of a window.

    Of a rare outcome `MIN_EVENTS` count at least: a window that happens to have none would else allow no distance at all.
    """
    spread = float(realized["spread"])
    if problem.task == "binary":
        spread = max(spread, MIN_EVENTS / realized["rows"])
    return problem.performance.max_bias * spread


def cost_margin(journal: Journal, problem: Problem, estimate: dict[str, Any]) -> tuple[float, float, float] | None:
    """What a row cost on the holdout, how much more is surely expected, and the margin; None where an estimate judges nothing."""
    decided = journal.last(tables.decisions, candidate=estimate["version"])
    before = level(problem, decided["record"] if decided else None)
    if isinstance(before, str) or not estimate["is_judged"]:
        return None
    now = Interval(**estimate["interval"])
    margin = problem.retraining.decay.margin_share * abs(before.estimate)
    return before.estimate, surely_more(now, before, alpha=problem.performance.alpha), margin


def _biased(journal: Journal, problem: Problem, champion: int) -> Iterator[Alert]:
    """The newest window of the champion whose mean prediction is surely off, once for as long as it serves."""
    for origin in (PUBLISHED, SERVED):
        window, whole = newest(journal, REALIZED[origin])
        facts = of_version(whole, champion)
        if facts is None or not facts["is_judged"] or facts["bias"] is None:
            continue
        bias, floor = facts["bias"], bias_floor(problem, facts)
        if bias["low"] > floor or bias["high"] < -floor:
            what = (
                f"Version {champion} predicts {facts['predicted']:.3g} on average, and {facts['observed']:.3g} was observed ({origin}, "
                f"window {window}): surely off by more than the {floor:.3g} that the contract allows."
            )
            yield alert(problem, "bias", str(champion), origin, what=what, command=COMMAND)


def newest(journal: Journal, kind: str) -> tuple[str, dict[str, Any] | None]:
    """The newest window of which outcomes are known, and its facts."""
    for window in sorted((name for (name,) in journal.count(tables.signals, "window", kind=kind)), reverse=True):
        row = journal.last(tables.signals, kind=kind, window=window)
        if row and row["facts"]["rows"]:
            return window, row["facts"]
    return "", None


def _costly(journal: Journal, problem: Problem, champion: int) -> Iterator[Alert]:
    """The newest published predictions of the champion, until their outcomes can be judged: afterwards decay speaks."""
    row = journal.last(tables.signals, kind=ESTIMATE)
    if row is None or row["facts"]["version"] != champion:
        return
    known = journal.last(tables.signals, kind=REALIZED[PUBLISHED], window=row["window"])
    found = None if known and known["facts"]["is_judged"] else cost_margin(journal, problem, row["facts"])
    if found and found[1] > found[2]:
        before, more, margin = (f"{1000 * amount:,.0f}" for amount in found)
        unit, cost = problem.business.unit, row["facts"]["cost"]["estimate"]
        what = (
            f"1,000 {problem.things} from {row['window']} on are expected to cost {cost:,.0f} {unit}, on the holdout {before}: surely more "
            f"than {more} more, which is above the margin of {margin}. That is an estimate, made before any outcome."
        )
        yield alert(problem, "estimate", str(champion), row["window"], what=what, command=COMMAND)


def _served_otherwise(journal: Journal, problem: Problem, now: datetime) -> Iterator[Alert]:
    """The newest comparison of served features with the data; the features that differ are the cause. Where nobody asks it is over."""
    row = journal.last(tables.signals, kind=FEATURES)
    if row is None or datetime.fromisoformat(row["window"]) < now - SERVED_LATELY:
        return
    facts = row["facts"]
    if facts["low"] is None or facts["low"] <= problem.performance.max_features_share:
        return
    names = [one["feature"] for one in facts["features"] if one["differing"]]
    what = (
        f"{facts['differing']:,} of {facts['rows']:,} predictions over HTTP were made from features that the data do not have: "
        f"{', '.join(names)}. Whoever asks computes them otherwise, or asked before they were known."
    )
    yield alert(problem, "features", *sorted(names), what=what, command=COMMAND)
