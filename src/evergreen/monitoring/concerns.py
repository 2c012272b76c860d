"""What of models in service people should be told: probabilities that are off, costs to come, features that were served otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.gate.statistics import Interval
from evergreen.journal import Journal
from evergreen.monitoring.alerts import Alert, alert
from evergreen.monitoring.decay import level, surely_more
from evergreen.monitoring.kinds import ESTIMATE, FEATURES, PUBLISHED, REALIZED, SERVED
from evergreen.moves import standing

MIN_EVENTS = 10
COMMAND = "evergreen performance"


def find_concerns(journal: Journal, problem: Problem) -> list[Alert]:
    """All that holds now of the version that serves; answered from the journal alone."""
    champion = standing(journal).champion
    if champion is None:
        return []
    return [*_biased(journal, problem, champion), *_costly(journal, problem, champion), *_served_otherwise(journal, problem)]


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
        window = max((name for (name,) in journal.count(tables.signals, "window", kind=REALIZED[origin])), default="")
        newest = journal.last(tables.signals, kind=REALIZED[origin], window=window)
        facts = newest["facts"] if newest else {}
        if newest is None or facts["version"] != champion or not facts["is_judged"] or facts["bias"] is None:
            continue
        bias, floor = facts["bias"], bias_floor(problem, facts)
        if bias["low"] > floor or bias["high"] < -floor:
            what = (
                f"Version {champion} predicts {facts['predicted']:.3g} on average, and {facts['observed']:.3g} was observed ({origin}, "
                f"window {newest['window']}): surely off by more than the {floor:.3g} that the contract allows."
            )
            yield alert(problem, "bias", str(champion), origin, what=what, command=COMMAND)


def _costly(journal: Journal, problem: Problem, champion: int) -> Iterator[Alert]:
    """The newest published predictions of the champion, while none of their outcomes is measured: afterwards decay speaks."""
    row = journal.last(tables.signals, kind=ESTIMATE)
    if row is None or row["facts"]["version"] != champion:
        return
    is_known = journal.last(tables.signals, kind=REALIZED[PUBLISHED], window=row["window"]) is not None
    found = None if is_known else cost_margin(journal, problem, row["facts"])
    if found and found[1] > found[2]:
        before, more, margin = (f"{1000 * amount:,.0f}" for amount in found)
        unit, cost = problem.business.unit, row["facts"]["cost"]["estimate"]
        what = (
            f"1,000 {problem.things} from {row['window']} on are expected to cost {cost:,.0f} {unit}, on the holdout {before}: surely more "
            f"than {more} more, which is above the margin of {margin}. That is an estimate, made before any outcome."
        )
        yield alert(problem, "estimate", str(champion), row["window"], what=what, command=COMMAND)


def _served_otherwise(journal: Journal, problem: Problem) -> Iterator[Alert]:
    """The newest comparison of served features with the data; the features that differ are the cause."""
    row = journal.last(tables.signals, kind=FEATURES)
    if row is None or row["facts"]["low"] is None or row["facts"]["low"] <= problem.performance.max_features_share:
        return
    facts = row["facts"]
    names = [one["feature"] for one in facts["features"] if one["differing"]]
    what = (
        f"{facts['differing']:,} of {facts['rows']:,} predictions over HTTP were made from features that the data do not have: "
        f"{', '.join(names)}. Whoever asks computes them otherwise, or asked before they were known."
    )
    yield alert(problem, "features", *sorted(names), what=what, command=COMMAND)
