"""Plots of models in service: what predictions came to beside what was expected of them, and what they have saved; see `report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evergreen.report.drawing import BAD, CHAMPION, GOOD, LINE, LOOKS, SURFACE, blank, label_some, legend, small, svg
from evergreen.report.pages import money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Windows = Sequence[dict[str, Any]]
APART = 0.11
"""How far the two marks of one window stand from its middle."""
NAMES = {"cost": "Cost", "auc": "ROC AUC"}
DECIMALS = {"cost": 0, "auc": 3}


def realized_and_estimated(windows: Windows, *, what: str, note: str) -> str:
    """What published predictions came to, by window, beside what was estimated when they were published, each with its interval.

    Parameters
    ----------
    windows
        As `evergreen.monitoring.service.history` tells them, oldest first.
    what
        "cost" (then with the rule of thumb) or "auc".
    """
    pairs = [[(one[kind] or {}).get(what) for one in windows] for kind in ("realized", "estimate")]
    if not any(value for values in pairs for value in values):
        return ""
    figure, axes = blank(230)
    _marks(axes, pairs[0], -APART, {**LOOKS["candidate"], "label": "realized"})
    _marks(axes, pairs[1], APART, {**LOOKS["champion"], "label": "estimated before"})
    if what == "cost":
        thumb = [_value((one["realized"] or {}).get("rule_of_thumb")) for one in windows]
        axes.plot(range(len(windows)), thumb, label="rule of thumb", markersize=5, **LOOKS["rule of thumb"])
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_title(note, **small())
    axes.set_xlim(-0.5, len(windows) - 0.5)
    legend(axes, columns=3)
    label_some(axes, [one["window"] for one in windows])
    said = "; ".join(_said(one, what) for one in windows)
    return svg(figure, what, f"{NAMES[what]}, realized and estimated before", f"{said}.")


def saved_so_far(rows: Sequence[dict[str, Any]], unit: str) -> str:
    """What each published period saved against the rule of thumb, and the sum of it.

    Parameters
    ----------
    rows
        `partition` and `saved`, oldest first.
    """
    if not rows:
        return ""
    figure, axes = blank(210)
    sums, total = [], 0.0
    for row in rows:
        total += row["saved"]
        sums.append(total)
    tones = [GOOD if row["saved"] >= 0 else BAD for row in rows]
    axes.bar(range(len(rows)), [row["saved"] for row in rows], color=tones, width=0.5, label="in the period")
    axes.plot(range(len(rows)), sums, color=CHAMPION, marker="s", markersize=5, markerfacecolor=SURFACE, linewidth=1.6, label="in all")
    axes.axhline(0, color=LINE, linewidth=1)
    axes.set_title(f"{unit}, against the rule of thumb", **small())
    legend(axes, columns=2)
    label_some(axes, [row["partition"] for row in rows])
    pairs = zip(rows, sums, strict=True)
    said = "; ".join(f"{row['partition']}: saved {money(row['saved'])}, in all {money(whole)}" for row, whole in pairs)
    return svg(figure, "saved", "What published predictions have saved", f"{said}.")


def _marks(axes: Axes, intervals: list[dict[str, float] | None], shift: float, look: dict[str, Any]) -> None:
    """Estimates with their bounds, a little beside the middle of their window."""
    known = [(place + shift, one) for place, one in enumerate(intervals) if one]
    x, values = [at for at, _ in known], [one["estimate"] for _, one in known]
    bounds = [[one["estimate"] - one["low"] for _, one in known], [one["high"] - one["estimate"] for _, one in known]]
    axes.errorbar(x, values, yerr=bounds, elinewidth=1.3, capsize=2.5, markersize=5, **(look | {"linestyle": ""}))


def _value(interval: dict[str, float] | None) -> float:
    return interval["estimate"] if interval else float("nan")


def _said(window: dict[str, Any], what: str) -> str:
    told = []
    for kind, word in (("realized", "realized"), ("estimate", "estimated")):
        if interval := (window[kind] or {}).get(what):
            told.append(f"{word} {' to '.join(f'{interval[end]:,.{DECIMALS[what]}f}' for end in ('low', 'high'))}")
    return f"{window['window']}: {', '.join(told) or 'nothing known'}"
