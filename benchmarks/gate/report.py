"""The results as a page of tables and one plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gate.kinds_good import CURVE
from benchmarks.gate.peers import RULES
from benchmarks.gate.plot import draw_plot
from benchmarks.gate.summary import by, clearly_better, equals, fired, mutation, share_of, targets, through_without, truly_bad, upper

Row = dict[str, Any]
SIZES = ("small", "medium", "large")
VERDICTS = ("promote", "hold", "reject")
METHODS = ("CR1, t (before)", "the gate's, days", "wild bootstrap")
YEARLY = ("the gate", "within tolerance", "better than champion", "nightly 95%, better")
"""Rules whose years with a false promotion are told."""


def write_report(results: dict[str, Any], docs: Path | None) -> None:
    """Print the page; with a folder write it there, with its plot."""
    page = "\n".join(_page(results)) + "\n"
    print(page)
    if docs is not None:
        (docs / "images").mkdir(parents=True, exist_ok=True)
        draw_plot(results, docs / "images" / "gate-measured.svg")
        (docs / "gate-measured.md").write_text(page)


def _page(results: dict[str, Any]) -> Iterator[str]:
    rows = results["candidates"]
    bad, good = truly_bad(rows), [row for row in rows if row["group"] == "good"]
    yield "# How often the gate is wrong"
    yield ""
    yield f"Measured by `{results['command']}` (seed {results['seed']}, {results['seconds'] / 60:,.0f} minutes), which writes this page."
    yield "Candidates are made in three worlds (drifting binary with day clusters, seasonal regression, 1% positives with customers who"
    yield "come back), in which the true probability, or mean, of every row is known. So it is known what a candidate truly costs when it"
    yield "serves. A bad kind counts where its truth is bad: worse than the champion by more than the margin, or bad in the one other way"
    yield "that it is made for (a slice, probabilities, serving, the cost of serving, rows it has seen). Bounds are one-sided, at 95%"
    yield "(Clopper and Pearson)."
    yield ""
    yield "![What the gate answers along the true difference](images/gate-measured.svg)"
    yield ""
    yield "## Targets"
    yield ""
    yield from _table(("target", "measured", ""), [(t.asked, t.measured, "met" if t.met else "**missed**") for t in targets(results)])
    yield from _bad_kinds(rows)
    yield from _good_kinds(good)
    yield from _peers(rows)
    yield "## What each check is worth"
    yield ""
    yield "Promoted once this check alone is taken away:"
    yield ""
    yield from _table(("check", "what gets through without it"), mutation(results).items())
    yield from _matrix(bad)
    yield from _rest(results)


def _bad_kinds(rows: list[Row]) -> Iterator[str]:
    yield "## Bad candidates"
    yield ""
    lines = []
    for kind, group in by([row for row in rows if row["group"] == "bad"], lambda row: row["kind"]).items():
        bad = truly_bad(group)
        counts = [share_of(bad, verdict)[0] for verdict in VERDICTS]
        lines.append((kind, len(group), len(bad), *counts, f"{upper(counts[0], len(bad)):.1%}" if bad else "", _some(fired(bad))))
    bad = truly_bad(rows)
    counts = [share_of(bad, verdict)[0] for verdict in VERDICTS]
    tried = sum(row["group"] == "bad" for row in rows)
    lines.append(("**all**", tried, len(bad), *counts, f"{upper(counts[0], len(bad)):.2%}", ""))
    yield from _table(("kind", "tried", "truly bad", "PROMOTE", "HOLD", "REJECT", "promoted at most", "checks that objected"), lines)
    yield from _promoted_bad([row for row in bad if row["verdict"] == "promote"])


def _promoted_bad(rows: list[Row]) -> Iterator[str]:
    if not rows:
        return
    yield "Promoted although they are bad, with their true difference to the champion, over all rows and in the worst slice (why a slice"
    yield "can hide: [decisions/0009](decisions/0009-what-holds-in-doubt.md)):"
    yield ""
    lines = [(r["kind"], r["world"], r["size"], r["seed"], f"{r['D']:+.1f}", f"{r['worst_slice']:+.1f}") for r in rows]
    yield from _table(("kind", "world", "holdout", "seed", "margins", "margins in the worst slice"), lines)


def _good_kinds(good: list[Row]) -> Iterator[str]:
    yield "## Good candidates"
    yield ""
    lines = []
    for (kind, size), group in sorted(by(good, lambda row: (row["kind"], row["size"])).items(), key=lambda item: SIZES.index(item[0][1])):
        counts = [share_of(group, verdict)[0] for verdict in VERDICTS]
        mean = sum(row["D"] for row in group) / len(group)
        lines.append((kind, size, len(group), f"{mean:+.2f}", *counts, _some(fired(group))))
    for size in SIZES:
        for word, group in (
            ("equals (true difference above -0.5)", equals(good, size)),
            ("clearly better (above 2)", clearly_better(good, size)),
        ):
            counts = [share_of(group, verdict)[0] for verdict in VERDICTS]
            lines.append((f"**{word}**", size, len(group), "", *counts, ""))
    yield from _table(("kind", "holdout", "tried", "true difference, margins", "PROMOTE", "HOLD", "REJECT", "checks that objected"), lines)


def _peers(rows: list[Row]) -> Iterator[str]:
    yield "## The rules of others, on the same candidates"
    yield ""
    yield "Each is given more than it usually gets: the champion in the first has not learnt from the rows that judge; the second looks at"
    yield "the forward holdout, with MLflow's own `validate_evaluation_results` (an absolute threshold that the champion meets, and"
    yield "no worse than the baseline). A HOLD of the gate counts as refused."
    yield ""
    asked = [row for row in rows if row["peers"]]
    bad, same, better = truly_bad(asked), equals(asked), clearly_better(asked)
    lines = [("**Evergreen's gate**", *(_promoted([row["verdict"] == "promote" for row in group]) for group in (bad, same, better)))]
    lines += [(rule, *(_promoted([row["peers"][rule] for row in group]) for group in (bad, same, better))) for rule in RULES]
    yield from _table(("rule", "bad ones promoted", "equals promoted", "clearly better ones promoted"), lines)


def _promoted(answers: list[bool]) -> str:
    return f"{sum(answers)} of {len(answers)} ({sum(answers) / max(len(answers), 1):.0%})"


def _matrix(bad: list[Row]) -> Iterator[str]:
    yield "## Which check objected to which kind"
    yield ""
    yield "Of the truly bad ones; in brackets those that nothing else would have stopped."
    yield ""
    kinds = by(bad, lambda row: row["kind"])
    checks = [check for check in dict.fromkeys(check for row in bad for check in row["findings"]) if fired(bad)[check]]
    lines = []
    for kind, group in kinds.items():
        counts, alone = fired(group), {check: through_without(check, group)[kind] for check in checks}
        lines.append((kind, *(f"{counts[check]} ({alone[check]})" if alone[check] else counts[check] or "" for check in checks)))
    yield from _table(("kind", *checks), lines)


def _rest(results: dict[str, Any]) -> Iterator[str]:
    yield "## The comparison along the true difference"
    yield ""
    yield "The check `champion` alone, on fresh holdouts; with superiority nowhere asked for:"
    yield ""
    curve = [row for row in results["many"] if row["study"] == "curve"]
    lines = []
    for margins in CURVE:
        for size in SIZES:
            group = [row["outcome"] for row in curve if row["margins"] == margins and row["size"] == size]
            if group:
                lines.append(
                    (f"{margins:+g}", size, len(group), *(f"{group.count(one) / len(group):.1%}" for one in ("pass", "hold", "reject")))
                )
    yield from _table(("true difference, margins", "holdout", "tried", "PASS", "HOLD", "REJECT"), lines)
    yield "## Run time"
    yield ""
    yield from _table(
        ("world", "rows", "seconds for all checks"), [(r["world"], f"{r['rows']:,}", f"{r['seconds']:.2f}") for r in results["speed"]]
    )
    yield from _errors(results["errors"])
    yield from _years(results["year"])


def _errors(rows: list[Row]) -> Iterator[str]:
    yield "## How often the interval errs"
    yield ""
    yield "In units of the chance of error that one gate is allowed (0.10 over 12): 1 is as often as promised. `pass`: the lower bound is"
    yield "above the true difference; `reject`: the upper bound is below it. Simulated sums of clusters (`errors.py`)."
    yield ""
    kept = [row for row in rows if row["method"] in METHODS]
    lines = [(r["clusters"], r["world"], r["method"], f"{r['pass']:.2f}", f"{r['reject']:.2f}", f"{r['power 3']:.0%}") for r in kept]
    yield from _table(("clusters", "clusters are", "method", "pass", "reject", "power at 3 standard errors"), lines)


def _years(rows: list[Row]) -> Iterator[str]:
    yield "## A year of gates"
    yield ""
    yield "Simulated: each gate judges 30 new days; one candidate in ten is worse by 1 to 3 margins. The noise is the true standard error"
    yield "of the difference over 30 days, in margins (`year.py`)."
    yield ""
    lines = []
    for key, group in by(rows, lambda r: (r["kind"], r["gates"], r["drift"], r["noise"], tuple(r["others"]))).items():
        shares = {row["rule"]: row["years with a false promotion"] for row in group}
        ours = next(row for row in group if row["rule"] == "the gate")
        told = (f"{key[3]:g}", f"{key[4][0]:+g} to {key[4][1]:+g}" + (", drifting" if key[2] else ""))
        lines.append(
            (key[0], key[1], *told, *(f"{shares[rule]:.1%}" for rule in YEARLY), f"{ours['promotions']:.1f}", f"{ours['end']:+.2f}")
        )
    heads = ("clusters are", "gates", "noise", "other candidates, margins", *YEARLY, "promotions by the gate", "quality at the year's end")
    yield from _table(heads, lines)


def _some(counts: Any) -> str:
    return ", ".join(f"{check} {count}" for check, count in counts.most_common(5))


def _table(heads: Iterable[str], lines: Iterable[Iterable[Any]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for line in lines:
        yield f"| {' | '.join(str(cell) for cell in line)} |"
    yield ""
