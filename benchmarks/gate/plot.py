"""The one plot: what the gate answers along the true difference, and beside it how often rules are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.gate.kinds_good import CURVE
from benchmarks.gate.peers import RULES
from benchmarks.gate.summary import clearly_better, equals, truly_bad

COLOURS = {"pass": "#2a7f62", "hold": "#c9a227", "reject": "#b23a48"}
WORDS = {"pass": "PASS", "hold": "HOLD", "reject": "REJECT"}
DASHES = {"small": ":", "medium": "--", "large": "-"}


def draw_plot(results: dict[str, Any], out: Path) -> None:
    """Write the plot as SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "evergreen"
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=(1.15, 1))
    _draw_curve(left, [row for row in results["many"] if row["study"] == "curve"])
    _draw_rules(right, results["candidates"])
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def _draw_curve(axes: Any, rows: list[dict[str, Any]]) -> None:
    for size, dash in DASHES.items():
        for outcome, colour in COLOURS.items():
            shares = []
            for margins in CURVE:
                group = [row["outcome"] for row in rows if row["size"] == size and row["margins"] == margins]
                shares.append(group.count(outcome) / len(group) if group else float("nan"))
            axes.plot(CURVE, shares, dash, color=colour, label=f"{WORDS[outcome]}, {size} holdout")
    axes.axvline(-1, color="#888888", linewidth=0.8)
    axes.text(-1, 1.03, "margin", ha="center", fontsize=8, color="#555555")
    axes.set(xlabel="true difference from the champion, in margins", ylabel="share of answers", ylim=(-0.02, 1.08))
    axes.legend(fontsize=7, loc="center right")
    axes.set_title("The comparison with the champion", fontsize=10)


def _draw_rules(axes: Any, rows: list[dict[str, Any]]) -> None:
    asked = [row for row in rows if row["peers"]]
    groups = {"bad ones promoted": truly_bad(asked), "equals refused": equals(asked), "clearly better ones refused": clearly_better(asked)}
    rules = ("Evergreen's gate", *RULES)
    for at, (word, group) in enumerate(groups.items()):
        shares = []
        for rule in rules:
            said = [row["verdict"] == "promote" if rule == rules[0] else row["peers"][rule] for row in group]
            promoted = sum(said) / max(len(said), 1)
            shares.append(promoted if at == 0 else 1 - promoted)
        places = [number + (at - 1) * 0.27 for number in range(len(rules))]
        bars = axes.barh(places, shares, height=0.25, color=("#b23a48", "#7d8597", "#c0c5ce")[at], label=word)
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=7, padding=2)
    axes.set_yticks(range(len(rules)), rules, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.1), xlabel="share that is judged wrongly")
    axes.legend(fontsize=7)
    axes.set_title("Wrong answers on the same candidates", fontsize=10)
