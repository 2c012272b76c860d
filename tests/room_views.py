"""What the control room is given, planted: states of data, windows of predictions, money; and what its page then says."""

import re
from typing import Any

from toy.contract import PROBLEM

from evergreen.monitoring.pillars import PILLARS, Cell
from evergreen.report.site import Overview, render_overview

AT = "2026-06-01T03:00:00+00:00"


def cell(state: Any, *, refused: bool = False, said: str = "as it is") -> Cell:
    return Cell(state, (said,), AT, "2026-05.csv", "ab" * 32, is_refused=refused)


def health(**states: Any) -> dict[str, dict[str, list[Cell]]]:
    """Sources by name, each with the states of its volume."""
    return {source: {pillar: [] for pillar in PILLARS} | {"volume": list(cells)} for source, cells in states.items()}


def interval(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "low": low, "high": high}


def window(name: str, cost: float | None, rule: float = 7_000.0, expected: float | None = None) -> dict[str, Any]:
    realized = None
    if cost is not None:
        realized = {
            "rows": 900,
            "is_judged": True,
            "cost": interval(cost, cost - 200, cost + 200),
            "version": 3,
            "by_version": {},
            "rule_of_thumb": interval(rule, rule, rule),
            "saved": interval(rule - cost, rule - cost - 200, rule - cost + 200),
        }
        realized |= {"auc": interval(0.7, 0.65, 0.75), "bias": None, "slices": []}
    estimate = {"cost": interval(expected, expected - 300, expected + 300), "auc": None} if expected is not None else None
    return {"origin": "published", "window": name, "version": 3, "versions": [], "realized": realized, "estimate": estimate}


def service(*windows: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"windows": list(windows), "accuracy": None, "staleness": None, "features": None, "age": None, "level": 0.9}
    return told | more


def page(**values: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render_overview(Overview(**values), PROBLEM)))


def worth(saved: float) -> dict[str, float]:
    costs = {"cost_per_1000": 1.0, "rule_of_thumb_per_1000": 2.0, "no_model_per_1000": 3.0}
    return {"rows": 9, "saved": saved, "saved_against_no_model": 1.5 * saved, **costs}
