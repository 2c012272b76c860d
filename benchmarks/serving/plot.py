"""The one plot: throughput and the slowest answers of each server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.serving.contenders import ECHO, OURS
from benchmarks.serving.verdicts import median

CONNECTIONS = (1, 8, 64)
COLOURS = ("#2a7f62", "#b23a48", "#c9a227", "#7d8597")


def draw_plot(results: dict[str, Any], out: Path) -> None:
    """Write the plot as SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "evergreen"
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _draw_bars(left, results, "rate")
    left.set(ylabel="answers per second", title="Throughput (more is better)")
    _draw_bars(right, results, "p99")
    right.set(ylabel="ms", title="99th percentile of the time of an answer (less is better)")
    left.legend(fontsize=8, loc="upper left")
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def _draw_bars(axes: Any, results: dict[str, Any], what: str) -> None:
    names = [name for name in results["versions"] if name != ECHO]
    for at, name in enumerate(names):
        heights = [median(results["cells"], name, connections, what) for connections in CONNECTIONS]
        places = [number + (at - (len(names) - 1) / 2) * 0.2 for number in range(len(CONNECTIONS))]
        bars = axes.bar(places, heights, width=0.18, color=COLOURS[at % len(COLOURS)], label=name)
        labels = [f"{height:,.0f}" if height >= 10 else f"{height:.1f}" for height in heights]
        axes.bar_label(bars, labels, fontsize=7, padding=2, fontweight="bold" if name == OURS else "normal")
    axes.set_yscale("log")
    axes.margins(y=0.12)
    axes.set_xticks(range(len(CONNECTIONS)), [f"{count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS])
    axes.spines[["top", "right"]].set_visible(False)
