"""Plots as inline SVG that follows the page.

Every function returns one `<svg>` with a title and a description for those who cannot see it, or "" when there is nothing to draw.
The same rows give the same bytes. Drawn 360 units wide, so that text is readable on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evergreen.report.drawing import (
    BAD,
    CANDIDATE,
    GOOD,
    INK,
    LINE,
    LOOKS,
    MUTED,
    RULE,
    TEXT,
    blank,
    label_some,
    legend,
    short,
    small,
    svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[dict[str, Any]]

MOST_SLICES = 30


def intervals(rows: Rows, *, amount: str) -> str:
    """What the candidate saves against each other contender, where the truth very likely lies, and the limit that it must clear.

    Parameters
    ----------
    rows
        `against`, `saved_per_1000`, `low`, `high`, `margin_per_1000` (None: must be above zero).
    amount
        What is counted, such as "USD per 1,000 flights".
    """
    drawn = [row for row in rows if None not in (row["saved_per_1000"], row["low"], row["high"])]
    # Versions differ by little and from doing without by much: each group has its own scale.
    groups = [group for group in ([r for r in drawn if r["margin_per_1000"]], [r for r in drawn if not r["margin_per_1000"]]) if group]
    if not groups:
        return ""
    figure, _ = blank(40 * len(drawn) + 26 * len(groups) + 16, parts=tuple(len(group) + 0.65 for group in groups), shared=False)
    for axes, group in zip(figure.axes, groups, strict=True):
        for y, row in enumerate(group):
            _interval(axes, y, row)
        axes.set(ylim=(len(group) - 0.55, -0.75), yticks=[])
        axes.margins(x=0.06)
        axes.spines["left"].set_visible(False)
    figure.axes[-1].set_xlabel(f"← costs more · {amount} · saves →")
    said = [f"{_in_words(row)}; the bar must lie wholly right of {-(row['margin_per_1000'] or 0):,.0f}." for row in drawn]
    return svg(figure, "intervals", "What the candidate saves", " ".join(said))


def costs_over_time(rows: Rows, *, amount: str) -> str:
    """Cost per 1,000 rows in each cluster of the holdout, and below it what the candidate saved.

    Parameters
    ----------
    rows
        `cluster`, `n` and the mean cost of one row under each contender's name; drawn in the order given.
    """
    names = [name for name in LOOKS if rows and rows[0].get(name) is not None]
    if "candidate" not in names or len(names) == 1:
        return ""
    figure, (top, bottom) = blank(250, parts=(2.2, 1))
    x = range(len(rows))
    for name in names:
        top.plot(x, [1000 * row[name] for row in rows], label=name, **(LOOKS[name] | {"marker": ""}))
    saved = [1000 * (row[names[1]] - row["candidate"]) for row in rows]
    bottom.bar(x, saved, color=[GOOD if value >= 0 else BAD for value in saved], width=0.7)
    bottom.locator_params(axis="y", nbins=3)
    bottom.axhline(0, color=MUTED, linewidth=1)
    bottom.set_title(f"saved against the {names[1]}", **small())
    top.set_title(amount, **small())
    top.set_ylim(bottom=0)
    legend(top, columns=len(names))
    label_some(bottom, [str(row["cluster"]) for row in rows])
    better = sum(value > 0 for value in saved)
    said = f"The candidate cost less than the {names[1]} in {better} of {len(rows)}, from {rows[0]['cluster']} to {rows[-1]['cluster']}."
    return svg(figure, "time", "Cost over time", said)


def slices(rows: Rows, *, amount: str) -> str:
    """Cost per 1,000 rows in each slice, the largest slices first.

    Parameters
    ----------
    rows
        `column`, `value`, `n` and the mean cost of 1,000 rows under each contender's name.
    """
    names = [name for name in LOOKS if rows and rows[0].get(name) is not None][:2]
    if not names:
        return ""
    kept = sorted(rows, key=lambda row: -row["n"])[:MOST_SLICES]
    lines: list[tuple[str, dict[str, Any] | None]] = []
    for column in dict.fromkeys(row["column"] for row in rows):
        lines += [(column, None), *((f"{short(row['value'])} ({row['n']:,})", row) for row in kept if row["column"] == column)]
    figure, axes = blank(70 + 18 * len(lines))
    places = [(y, row) for y, (_, row) in enumerate(lines) if row]
    for y, row in places:
        axes.plot([row[name] for name in names], [y] * len(names), color=LINE, linewidth=3, zorder=1)
    for name in names:
        look = LOOKS[name] | {"linestyle": "", "markersize": 6}
        axes.plot([row[name] for _, row in places], [y for y, _ in places], label=name, **look)
    axes.set_yticks(range(len(lines)), [label for label, _ in lines])
    for tick, (_, line) in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set(color=INK, fontweight="normal" if line else "bold")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel(amount)
    legend(axes, columns=len(names))
    said = "; ".join(f"{row['column']} {row['value']}: " + ", ".join(f"{name} {row[name]:,.0f}" for name in names) for row in kept)
    return svg(figure, "slices", "Cost in each part of the rows", f"{said}.")


def calibration(rows: Rows) -> str:
    """How often the outcome came true among rows with about the same predicted chance.

    Parameters
    ----------
    rows
        `predicted`, `observed`, `low`, `high` (shares, 0..1) and `n`, a row for each group of predictions.
    """
    if not rows:
        return ""
    figure, axes = blank(250)
    predicted, observed = ([100 * row[name] for row in rows] for name in ("predicted", "observed"))
    ends = [[abs(100 * (row["observed"] - row[end])) for row in rows] for end in ("low", "high")]
    most = max(5.0, 1.05 * max(*predicted, *(100 * row["high"] for row in rows)))
    axes.plot([0, most], [0, most], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.errorbar(predicted, observed, yerr=ends, fmt="o", color=CANDIDATE, markersize=6, elinewidth=1.4)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="predicted chance, %")
    axes.set_title("came true, %", **small())
    said = "; ".join(f"predicted {p:.0f}%, came true {o:.0f}%" for p, o in zip(predicted, observed, strict=True))
    return svg(figure, "calibration", "Predicted and observed frequencies", f"{said}.")


def residuals(rows: Rows) -> str:
    """By how much the truth differs from the prediction, for small and for large predictions.

    Parameters
    ----------
    rows
        `predicted`, `residual` (mean of truth minus prediction), `low`, `high` and `n`, a row for each group of predictions.
    """
    if not rows:
        return ""
    figure, axes = blank(230)
    x, y = ([row[name] for row in rows] for name in ("predicted", "residual"))
    ends = [[abs(row["residual"] - row[end]) for row in rows] for end in ("low", "high")]
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.errorbar(x, y, yerr=ends, fmt="o", color=CANDIDATE, markersize=6, elinewidth=1.4)
    axes.set_xlabel("predicted")
    axes.set_title("truth minus prediction", **small())
    said = "; ".join(f"predicted {p:,.4g}, truth differs by {r:,.3g}" for p, r in zip(x, y, strict=True))
    return svg(figure, "residuals", "Errors over predictions", f"{said}.")


def learning_curve(rows: Rows, *, amount: str, doing_without: float | None) -> str:
    """Cost per 1,000 rows of the same recipe, taught with more and more rows: on those it learnt from, and on those it has not seen.

    Parameters
    ----------
    rows
        `rows`, `train` and `holdout`, fewest rows first.
    doing_without
        What 1,000 rows cost with the best constant answer.
    """
    if len(rows) <= 1:
        return ""
    figure, axes = blank(230)
    x = [row["rows"] for row in rows]
    axes.set_xscale("log")
    axes.plot(x, [row["holdout"] for row in rows], label="not seen", **(LOOKS["candidate"] | {"markersize": 5}))
    axes.plot(x, [row["train"] for row in rows], label="learnt from", **(LOOKS["rule of thumb"] | {"markersize": 5}))
    if doing_without is not None:
        axes.axhline(doing_without, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="doing without")
    axes.set_title(amount, **small())
    axes.set(xlabel="rows it learnt from")
    axes.set_ylim(bottom=0)
    axes.minorticks_off()
    axes.set_xticks(x, [f"{value:,}" for value in x])
    legend(axes, columns=3)
    said = "; ".join(f"{row['rows']:,} rows: {row['train']:,.0f} on those, {row['holdout']:,.0f} on rows not seen" for row in rows)
    return svg(figure, "learning", "Learning curve", f"{said}.")


def costs_over_decisions(rows: Rows, *, amount: str) -> str:
    """Cost per 1,000 rows at each decision.

    Parameters
    ----------
    rows
        `through` and `verdict`, and the cost of 1,000 rows under each contender's name (None where there was none), oldest first.
    """
    if len(rows) <= 1:
        return ""
    figure, axes = blank(220)
    for name, look in LOOKS.items():
        values = [float("nan") if row.get(name) is None else row[name] for row in rows]
        axes.plot(range(len(rows)), values, label=name, markersize=5, **look)
    axes.set_title(amount, **small())
    axes.set_ylim(bottom=0)
    legend(axes, columns=len(LOOKS))
    label_some(axes, [str(row["through"]) for row in rows])
    said = "; ".join(
        f"{row['through']} ({row['verdict']}): " + ", ".join(f"{name} {row[name]:,.0f}" for name in LOOKS if row.get(name) is not None)
        for row in rows
    )
    return svg(figure, "decisions", "Cost over the decisions", f"{said}.")


def agreement(cells: Sequence[tuple[float, float, int]], *, chances: bool, said: str) -> str:
    """What was served against what a version said of the same rows in shadow.

    Parameters
    ----------
    cells
        What was served, what was said in shadow, and how often; numbers are the middles of squares.
    chances
        Whether they are probabilities (0..1) and not values.
    said
        The same in words.
    """
    if not cells:
        return ""
    figure, axes = blank(300)
    scale, unit = (100, ", %") if chances else (1, "")
    served, shadow = ([scale * cell[at] for cell in cells] for at in (0, 1))
    most = max(cell[2] for cell in cells)
    low, high = (0.0, 100.0) if chances else (min(*served, *shadow), max(*served, *shadow))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    # areas tell how many; what is there once must still be seen
    axes.scatter(served, shadow, s=[6 + 110 * cell[2] / most for cell in cells], color=CANDIDATE, marker="s", linewidths=0, zorder=2)
    axes.set_xlabel(f"served{unit}")
    axes.set_title(f"in shadow{unit}", **small())
    return svg(figure, "agreement", "What both said of the same rows", said)


def importances(rows: Rows, *, amount: str) -> str:
    """What each feature is worth to a model, the weightiest first.

    Parameters
    ----------
    rows
        `feature` and `cost` (`estimate`, `low`, `high`).
    """
    kept = rows[:MOST_SLICES]
    figure, axes = blank(46 + 18 * len(kept))
    for y, cost in enumerate(row["cost"] for row in kept):
        axes.plot([cost["low"], cost["high"]], [y, y], color=CANDIDATE, linewidth=6, alpha=0.4, solid_capstyle="butt")
        axes.plot(cost["estimate"], y, "o", color=CANDIDATE, markersize=6)
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    axes.set_yticks(range(len(kept)), [short(row["feature"]) for row in kept])
    for tick in axes.get_yticklabels():
        tick.set_color(INK)
    axes.set_ylim(len(kept) - 0.4, -0.6)
    axes.set_xlabel(amount)
    said = "; ".join(f"{row['feature']}: {row['cost']['estimate']:,.0f}" for row in kept)
    return svg(figure, "importances", "What each feature is worth", f"{said}.")


def _interval(axes: Axes, y: int, row: dict[str, Any]) -> None:
    """One comparison: words above, the bar with its dot, nothing saved as a thin line and the limit as a thick one."""
    limit = -(row["margin_per_1000"] or 0)
    colour = GOOD if row["low"] > limit else BAD if row["high"] < limit else RULE
    axes.plot([0, 0], [y - 0.2, y + 0.2], color=MUTED, linewidth=1)
    axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=6, alpha=0.4, solid_capstyle="butt")
    axes.plot([limit, limit], [y - 0.2, y + 0.2], color=INK, linewidth=2.4)
    axes.plot(row["saved_per_1000"], y, "o", color=colour, markersize=8)
    axes.annotate(_in_words(row), (0, y - 0.3), xycoords=("axes fraction", "data"), color=INK, fontsize=TEXT)


def _in_words(row: dict[str, Any]) -> str:
    return f"against the {row['against']}: {_plain(row['saved_per_1000'])} ({_plain(row['low'])} to {_plain(row['high'])})"


def _plain(value: float) -> str:
    return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
