"""The page of a backtest: the answer, what each policy cost, window by window, and what is taken for granted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evergreen.files import write_bytes, write_json
from evergreen.report.drawing import CANDIDATE, CHAMPION, INK, LINE, MUTED, RULE, SURFACE, blank, label_some, legend, small, svg
from evergreen.report.pages import money, render

PAGE = "backtest.html"
THUMB = "rule of thumb"
LOOKS: dict[str, dict[str, Any]] = {
    "never": {"color": CHAMPION, "linestyle": (0, (4, 1.5)), "marker": "s", "linewidth": 1.4},
    "contract": {"color": CANDIDATE, "linestyle": "-", "marker": "o", "linewidth": 2.2, "zorder": 5},
    "always": {"color": INK, "linestyle": (0, (6, 1, 1, 1)), "marker": "D", "linewidth": 1.2},
    THUMB: {"color": RULE, "linestyle": (0, (1, 1.5)), "marker": "", "linewidth": 1.4},
}
OTHERS = ("v", "^", "P", "X", "p", "h", "<", ">")
"""Marks of the policies that have no look of their own."""


def write_backtest(folder: Path, told: dict[str, Any]) -> Path:
    """Write the page and, beside it, the document as JSON; return the page's path."""
    write_json((folder / PAGE).with_suffix(".json"), told)
    return write_bytes(folder / PAGE, render_backtest(told).encode())


def render_backtest(told: dict[str, Any]) -> str:
    """The page, as HTML in one file.

    Parameters
    ----------
    told
        What `evergreen.backtest.running.run_backtest` returns.
    """
    amount = f"{told['unit']} per 1,000 {told['things']}"
    alike = grouped(told)
    return render(
        "backtest.html.j2",
        t=told,
        problem_name=told["problem"],
        amount=amount,
        alike=alike,
        plot=costs_over_windows(told, alike, amount=amount),
    )


def grouped(told: dict[str, Any]) -> list[list[str]]:
    """Names of the policies, those together that cost the same in every window and were put in place as often in each."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for one in told["policies"]:
        name = one["name"]
        groups.setdefault(tuple((row["costs"][name], row["promoted"][name]) for row in told["windows"]), []).append(name)
    return list(groups.values())


def costs_over_windows(told: dict[str, Any], alike: Sequence[Sequence[str]], *, amount: str) -> str:
    """Cost of 1,000 rows in each window; a full mark where a model was put in place at its beginning or in it."""
    rows = told["windows"]
    figure, axes = blank(250 + 14 * ((len(alike) + 2) // 2))
    marks = iter(OTHERS * len(alike))
    for names in alike:
        look = dict(next((LOOKS[name] for name in ("contract", "never", "always") if name in names), {}))
        look = look or {"color": MUTED, "linestyle": "-", "marker": next(marks), "linewidth": 1.0}
        mark, costs = look.pop("marker"), [row["costs"][names[0]] for row in rows]
        axes.plot(range(len(rows)), costs, label=", ".join(names), marker=mark, markersize=5, markerfacecolor=SURFACE, **look)
        full = [at for at, row in enumerate(rows) if row["promoted"][names[0]]]
        above = {"linestyle": "", "zorder": 8 if "contract" in names else 6}
        axes.plot(full, [costs[at] for at in full], marker=mark, markersize=6, **look | above)
    thumb = dict(LOOKS[THUMB])
    axes.plot(range(len(rows)), [row["costs"][THUMB] for row in rows], label=THUMB, **thumb)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_title(amount, **small())
    legend(axes, columns=2)
    label_some(axes, [row["start"][:10] for row in rows])
    said = "; ".join(
        f"{row['start'][:10]}: "
        + ", ".join(f"{', '.join(names)} {money(row['costs'][names[0]])}" for names in alike)
        + f", {THUMB} {money(row['costs'][THUMB])}"
        for row in rows
    )
    return svg(figure, "windows", "Cost in each window, by policy", f"{said}.")
