"""Estimates of what predictions are worth, made when they were published, against what they turned out to be: the flights of 2013.

    make bench-estimates                                     the whole loop through December first, about eight minutes on two cores
    make bench-estimates ARGS="--home <home of such a run>"  on what is there
    make bench-estimates ARGS="--write"                      writes docs/performance-measured.md

Every estimate knows what the snapshot of its publication held, and nothing that came later. It ends with 1 where estimates of the cost miss
by no less than "the same as last month": what was realized in the window before, whatever version served then, as `evergreen performance`
has it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.calibrations import VARIANTS, Case, part_of, probability
from benchmarks.in_service import ageing, alerts, seconds
from evergreen import journal as tables
from evergreen.data.snapshots import Snapshot, build_frame, published_now
from evergreen.evaluation import central_cost
from evergreen.journal import Journal
from evergreen.monitoring import measuring
from evergreen.monitoring.asking import ask, unseen
from evergreen.monitoring.estimating import Answered, estimate
from evergreen.monitoring.ranking import expected_auc
from evergreen.monitoring.service import history
from evergreen.settings import load_settings
from evergreen.workspace import Workspace, load_problem

BEFORE = "as the month before"
NAMES = ("windows", "cost", "auc", "cost_as_before", "auc_as_before")
"""Of the product's account: windows, mean absolute errors of the estimates, and of the window before."""
PAGE = Path(__file__).parents[1] / "docs" / "performance-measured.md"


def run_loop(home: str) -> None:
    """The loop through December, from nothing."""
    command = [str(Path(sys.executable).with_name("evergreen")), "run", "--through", "2013-12"]
    subprocess.run(command, env={**os.environ, "EVERGREEN_HOME": home}, check=True, stdout=subprocess.DEVNULL)


def cases(space: Workspace) -> Iterator[Case]:
    """Every month that was published, by the champion of then and by the versions before it."""
    problem, registry = space.problem, space.registry
    truth = build_frame(space.settings.root, published_now(space.journal, problem), problem).labelled.set_index(problem.key)
    for row in space.journal.rows(tables.publications):
        batches = (space.journal.last(tables.snapshots, snapshot=row["snapshot"]) or {})["batches"]
        then = build_frame(space.settings.root, Snapshot(row["snapshot"], {k: tuple(v) for k, v in batches.items()}), problem)
        rows = then.still_open[then.still_open[problem.key].isin(truth.index)]
        for version in registry.versions()[: row["version"]]:
            fresh = unseen(space, version, then.labelled)
            fresh = fresh[fresh[str(problem.time)] > pd.Timestamp(version.facts["training_end"])]
            said, _ = ask(space, [version], pd.concat([fresh, rows]))
            known, coming = (part_of(said[version.number], part) for part in (slice(0, len(fresh)), slice(len(fresh), None)))
            recent = (fresh[str(problem.time)] > fresh[str(problem.time)].max() - pd.Timedelta(days=problem.performance.days)).to_numpy()
            newest = Answered(fresh[recent], part_of(known, recent))
            happened = truth.loc[rows[problem.key], problem.target.name].to_numpy().astype(int)
            serves = version.number == row["version"]
            yield Case(row["partition"], version.number, serves, newest, Answered(fresh, known), Answered(rows, coming), happened)


def cost_of(space: Workspace, answered: Answered, chance: np.ndarray) -> float:
    """What 1,000 rows cost, by what happened or by the chance of it."""
    yes, no = (central_cost(space.problem, answered.rows, np.full(len(chance), one), answered.said) for one in (1, 0))
    return float(1000 * (chance * yes + (1 - chance) * no).mean())


@dataclass(frozen=True)
class Month:
    """What a month's predictions were said to be worth, and what they were: cost of 1,000 rows and AUC each."""

    month: str
    estimated: tuple[float, float]
    realized: tuple[float, float]


@dataclass(frozen=True)
class Accuracy:
    """Mean absolute errors over the months that have one before them: (cost, AUC) each."""

    months: int
    estimate: tuple[float, float]
    as_before: tuple[float, float]
    """Of saying that it will be as in the window before."""
    error: tuple[float, float]
    """Standard error of the difference of both, over months."""
    nearer: tuple[int, int]
    """In how many months the estimate was nearer."""

    @property
    def is_better(self) -> bool:
        """Whether estimates of the cost miss by less on average; nothing to compare is not better."""
        return self.months > 0 and self.estimate[0] < self.as_before[0]


def accuracy(months: Sequence[Month]) -> Accuracy:
    """How far off estimates were, and the same as last month, on the same months; `months` in order, whatever version served in each."""
    apart = [[np.subtract(m.estimated, m.realized), np.subtract(before.realized, m.realized)] for before, m in pairwise(months)]
    if not apart:
        nothing = (np.nan, np.nan)
        return Accuracy(0, nothing, nothing, nothing, (0, 0))
    missed = np.abs(np.array(apart))
    less = missed[:, 1] - missed[:, 0]
    error = less.std(axis=0, ddof=1) / np.sqrt(len(less)) if len(less) > 1 else np.array([np.nan, np.nan])
    ours, other = missed.mean(axis=0)
    return Accuracy(len(missed), _pair(ours), _pair(other), _pair(error), _pair((less > 0).sum(axis=0)))


def _pair(values: np.ndarray) -> tuple[Any, Any]:
    cost, auc = values.tolist()
    return cost, auc


def champions(space: Workspace, found: list[Case]) -> list[Month]:
    """The months as their champions were estimated and came out."""
    told = []
    for case in found:
        made = estimate(space.problem, case.known, case.coming) if case.serves else ""
        if not isinstance(made, str) and made.auc is not None:  # a month without both outcomes; there is none among the flights
            told.append(Month(case.month, (1000 * made.cost.estimate, made.auc.estimate), came_to(space, case)))
    return told


def came_to(space: Workspace, case: Case) -> tuple[float, float]:
    """What was realized: cost of 1,000 rows, and AUC."""
    happened = case.happened.astype(float)
    return cost_of(space, case.coming, happened), float(expected_auc(probability(case.coming), happened) or np.nan)


def before_of(months: Sequence[Month]) -> dict[str, Month]:
    """Of each month the one before it."""
    return {after.month: before for before, after in pairwise(months)}


def misses(space: Workspace, found: list[Case], before: dict[str, Month]) -> dict[str, np.ndarray]:
    """Of each variant, and of the month before, how far off cost and AUC were: shape (cases, 2), of months that have one before them."""
    told: dict[str, list[np.ndarray]] = {}
    for case in [case for case in found if case.month in before]:
        score, real = probability(case.coming), came_to(space, case)
        told.setdefault(BEFORE, []).append(np.subtract(before[case.month].realized, real))
        for name, calibrate in VARIANTS.items():
            chance = calibrate(case)
            made = cost_of(space, case.coming, chance), float(expected_auc(score, chance) or np.nan)
            told.setdefault(name, []).append(np.subtract(made, real))
    return {name: np.array(each) for name, each in told.items()}


def by_month(space: Workspace, found: list[Case], before: dict[str, Month]) -> Iterator[str]:
    """What the journal's way makes of each month, with intervals, beside what came of it and the month before."""
    yield "| month | version | estimated cost | realized | off by | month before is | estimated AUC | realized | off by | month before is |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for case in found:
        made, (real, auc) = estimate(space.problem, case.known, case.coming), came_to(space, case)
        if isinstance(made, str) or made.auc is None:
            continue
        last = before[case.month].realized if case.month in before else None
        off = (f"{last[0] - real:+,.0f}", f"{last[1] - auc:+.3f}") if last else ("", "")
        cost, low, high = (1000 * value for value in (made.cost.estimate, made.cost.low, made.cost.high))
        yield (
            f"| {case.month:.7} | {case.version} | {cost:,.0f} ({low:,.0f} to {high:,.0f}), {made.way} | {real:,.0f} | {cost - real:+,.0f} "
            f"| {off[0]} | {made.auc.estimate:.3f} ({made.auc.low:.3f} to {made.auc.high:.3f}) | {auc:.3f} "
            f"| {made.auc.estimate - auc:+.3f} | {off[1]} |"
        )


def in_short(found: Accuracy) -> list[str]:
    """What the estimates are worth, in sentences."""
    lines = ["| | estimate | same as last month | less by (standard error) | estimate nearer in |", "|---|---|---|---|---|"]
    words = []
    for at, (what, form) in enumerate((("cost", ",.0f"), ("AUC", ".4f"))):
        ours, other, error = found.estimate[at], found.as_before[at], found.error[at]
        cells = (f"{ours:{form}}", f"{other:{form}}", f"{other - ours:{form}} ({error:{form}})", f"{found.nearer[at]} of {found.months}")
        lines.append(f"| {what} | {' | '.join(cells)} |")
        share = f" by {abs(1 - ours / other):.0%}" if other else ""
        words.append(f"of the {what} {'better' if ours < other else 'NOT better'}{share}")
        words[-1] += "" if abs(other - ours) > 2 * error else ", which by its standard error may be chance"
    return [
        f"Mean absolute error over the {found.months} months that have one before them:",
        *("", *lines, ""),
        f"Estimates are {'; '.join(words)}.",
        "The way to calibrate was chosen after looking at these very months (below), so nothing here shows how it does on others.",
    ]


def variants(space: Workspace, found: list[Case], before: dict[str, Month]) -> Iterator[str]:
    """Mean absolute errors of all variants, of the champions and of older versions."""
    parts = [misses(space, [case for case in found if case.serves is serves], before) for serves in (True, False)]
    counts = [len(next(iter(part.values()))) for part in parts]
    yield f"| variant | champions, {counts[0]} months: cost | AUC | older versions, {counts[1]} cases: cost | AUC |"
    yield "|---|---|---|---|---|"
    for name in parts[0]:
        cells = [f"{np.abs(part[name][:, at]).mean():{form}}" for part in parts for at, form in ((0, ",.0f"), (1, ".4f"))]
        yield f"| {name} | {' | '.join(cells)} |"


def page(space: Workspace, found: list[Case], months: list[Month]) -> str:
    """The page of the documents."""
    measuring.measure(space)
    before = before_of(months)
    return "\n".join(
        [
            "# Performance in service, measured",
            "",
            "Written by `make bench-estimates` from the loop on the flights of 2013 (`evergreen run --through 2013-12`): costs in USD per",
            "1,000 flights, 90% intervals by day. Every month that a champion predicted, as it was estimated when it was published.",
            "",
            "## Estimated before, realized afterwards",
            "",
            "The month before is what was realized then, whatever version served, as in `evergreen performance`. The first month has none.",
            "",
            *by_month(space, [case for case in found if case.serves], before),
            "",
            *in_short(accuracy(months)),
            "",
            "## What else was tried",
            "",
            "Mean absolute errors on the same months. The champions' months are few; older versions, asked for the same months, are more",
            "cases but not independent ones. The first design let the log loss choose among four ways: with thirty days it chose ways that",
            "leave a model as sure of itself as it is, and these models were too sure in months that they had not seen. So only ways that",
            "correct this are left to choose from. That was decided after looking at this table, and on few months.",
            "",
            *variants(space, found, before),
            "",
            "What no estimate sees: in December like rows came to other ends, and the base rate doubled from one month to the next.",
            "",
            "## How versions grow old",
            "",
            *ageing(space),
            "",
            "## Alerts of a clean year",
            "",
            *alerts(space),
            "",
            "## What it takes",
            "",
            *seconds(space),
            "",
        ]
    )


def disagreement(space: Workspace, found: Accuracy) -> str:
    """How the product's own account of its estimates differs from the one here; empty where it does not."""
    said = history(space.journal, space.problem, datetime.now(UTC))["accuracy"] or {}
    ours = dict(zip(NAMES, (found.months, *found.estimate, *found.as_before), strict=True))
    apart = [name for name in NAMES if not np.isclose(said.get(name) or np.nan, ours[name], rtol=1e-6)]
    differ = ", ".join(f"{name} {said.get(name)}, not {ours[name]}" for name in apart)
    return f"evergreen performance says otherwise: {differ}" if apart else ""


def main() -> int:
    """Go round the loop unless a home is given, and print the page; 1 where estimates of the cost are not better than the month before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = str(arguments.home or scratch)
        if arguments.home is None:
            run_loop(home)
        os.environ["EVERGREEN_HOME"] = home
        settings = load_settings()
        space = Workspace(settings, load_problem(settings.problem), Journal(settings.journal))
        found = list(cases(space))
        months = champions(space, found)
        told, came = page(space, found, months), accuracy(months)
        fault = disagreement(space, came)
    print(told)
    if arguments.write:
        PAGE.write_text(told)
    if fault:
        print(fault)
    return 1 if fault or not came.is_better else 0


if __name__ == "__main__":
    raise SystemExit(main())
