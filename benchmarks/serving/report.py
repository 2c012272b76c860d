"""What was measured, as a page: tables, ratios, and whether what is claimed holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.serving.contenders import BATCH, BENTO, ECHO, MLFLOW, MLSERVER, OURS
from benchmarks.serving.load import GROUPS, LINES
from benchmarks.serving.plot import draw_plot
from benchmarks.serving.verdicts import median, verdicts

PAGE, PLOT = "serving-measured.md", "serving.svg"
CONNECTIONS = (1, 8, 64)
HEAD = """# Answers over HTTP, measured

Written by `make bench-serving ARGS="--write"` (`benchmarks/serving/`): the registered model of the flights, its 1,000 golden rows
posted one at a time and in turn, every server up on this machine and asked in turn, {rounds} rounds of {seconds:g} s, the median of
the rounds. Absolute figures move with the machine; read the ratios.
"""
ALT = "Requests per second and 99th percentile of the time of an answer, by server, with 1, 8 and 64 connections"


def write(results: dict[str, Any], docs: Path) -> None:
    """Write the page and its plot."""
    draw_plot(results, docs / "images" / PLOT)
    (docs / PAGE).write_text(page(results))


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        HEAD.format(**results),
        f"![{ALT}](images/{PLOT})\n",
        *(_closed(results, connections) for connections in CONNECTIONS),
        _memory(results),
        _overload(results),
        _claims(results),
        _set_up(results),
    ]
    return "\n".join(parts)


def _closed(results: dict[str, Any], connections: int) -> str:
    cells = results["cells"]
    names = [name for name in results["versions"] if name != ECHO]
    rates = {name: median(cells, name, connections, "rate") for name in [*names, ECHO]}
    best = max(rates[name] for name in names)
    rows = [
        f"## {connections} connection{'s' if connections > 1 else ''}\n",
        "| server | answers per second | against mlflow | against the best | p50, ms | against mlflow | p99, ms | not 2xx, no answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in [*names, ECHO]:
        p50, p99 = (median(cells, name, connections, what) for what in ("p50", "p99"))
        wrong = [
            sum(cell[what] for cell in cells if (cell["server"], cell["connections"]) == (name, connections))
            for what in ("refused", "broken")
        ]
        ratios = (
            f"{rates[name] / rates[MLFLOW]:.1f}",
            f"{rates[name] / best:.2f}",
            f"{p50 / median(cells, MLFLOW, connections, 'p50'):.2f}",
        )
        against = ratios if name != ECHO else ("", "", "")
        rows.append(
            f"| {name} | {rates[name]:,.0f} | {against[0]} | {against[1]} | {p50:.2f} | {against[2]} | {p99:.1f} | {wrong[0]}, {wrong[1]} |"
        )
    rows += [f"| {name} | not compared: it {why} | | | | | | |" for name, why in results["missing"].items()]
    return "\n".join(rows) + "\n"


def _memory(results: dict[str, Any]) -> str:
    rows = [
        "## Start and memory\n",
        "Memory of all processes of a server after the load: resident, and with what processes share counted once (PSS).\n",
        "| server | s until the first answer | RSS, MB | PSS, MB |",
        "|---|---|---|---|",
    ]
    for name, (rss, pss) in results["memory"].items():
        rows.append(f"| {name} | {results['start'][name]:.1f} | {rss:,.0f} | {pss:,.0f} |")
    calls = ", ".join(f"{micros:,.0f} µs with {rows} row{'s' if int(rows) > 1 else ''}" for rows, micros in results["in_process"].items())
    return "\n".join(rows) + f"\n\nThe model alone, called in a process without a server, from plain values to plain values: {calls}.\n"


def _overload(results: dict[str, Any]) -> str:
    rows = [
        "## More than it bears\n",
        f"Asked by h2load at a rate, whatever is answered, five times the best rate of the server above: over {LINES:,} connections",
        f"of {GROUPS} processes that begin one after another.",
        "A connection has one request under way, so a server that leaves them waiting is offered less.\n",
        "| server | offered per s | answered per s | share of its best | statuses per s | p99 of answers, ms | p99 of refusals (503), ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, told in results["overload"].items():
        statuses = ", ".join(f"{_status(status)}: {rate:,.0f}" for status, rate in told["statuses"].items()) or "none"
        answered = told["statuses"].get("200", 0.0)
        waits = [f"{told['p99'][status]:,.0f}" if status in told["p99"] else "" for status in ("200", "503")]
        share = f"{answered / told['best']:.0%}"
        rows.append(f"| {name} | {told['times'] * told['best']:,.0f} | {answered:,.0f} | {share} | {statuses} | {waits[0]} | {waits[1]} |")
    return "\n".join(rows) + "\n"


def _status(status: str) -> str:
    return status if int(status) > 0 else "no answer"


def _claims(results: dict[str, Any]) -> str:
    rows = ["## What was to be reached\n", "| target | limit | measured | |", "|---|---|---|---|"]
    for one in verdicts(results):
        measured = "not measured" if one.measured is None else f"{one.measured:{one.form}}"
        rows.append(f"| {one.what} | {one.sign} {one.limit:{one.form}} | {measured} | {'met' if one.is_met else 'NOT MET'} |")
    return "\n".join(rows) + "\n"


def _set_up(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    said = {
        OURS: "the whole product: schema, a process for the version, every prediction logged into the journal (SQLite)",
        MLFLOW: "`--env-manager local` on the very folder of the registry, one worker; it answers no probability, the others do",
        BENTO: "one worker, adaptive batching with `max_batch_size` 64",
        MLSERVER: f"one inference process, adaptive batching with {', '.join(f'`{key}` {value:g}' for key, value in BATCH.items())}",
        ECHO: "uvloop and httptools, sends back what it was sent: what HTTP costs at the least",
    }
    lines = [f"- {name}: {what}." for name, what in said.items() if name in results["versions"]]
    shared = "All load the same skops file with the same libraries, compute with one thread, and gave the decisions of training."
    return "\n".join([f"## How\n\n{versions}; Python {results['python']}. {shared}\n", *lines]) + "\n"
