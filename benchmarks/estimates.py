"""Estimates of what predictions are worth, made when they were published, against what they turned out to be: the flights of 2013.

    make bench-estimates                                     the whole loop through December first, about eight minutes on two cores
    make bench-estimates ARGS="--home <home of such a run>"  on what is there
    make bench-estimates ARGS="--write"                      writes docs/performance-measured.md

Every estimate knows what the snapshot of its publication held, and nothing that came later.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from evergreen import journal as tables
from evergreen.data.snapshots import Frame, Snapshot, build_frame, clusters, published_now
from evergreen.evaluation import Predicted, central_cost
from evergreen.gate.calibration import NEAREST
from evergreen.journal import Journal
from evergreen.monitoring import measuring, served_features, staleness
from evergreen.monitoring.asking import ask, unseen
from evergreen.monitoring.calibrators import WAYS, held_out, log_loss
from evergreen.monitoring.concerns import bias_floor, cost_margin
from evergreen.monitoring.estimating import Answered, estimate
from evergreen.monitoring.figures import by_slice, figures
from evergreen.monitoring.ranking import expected_auc
from evergreen.monitoring.service import history
from evergreen.serving.frames import plain_columns
from evergreen.settings import load_settings
from evergreen.workspace import Workspace, load_problem

PAGE = Path(__file__).parents[1] / "docs" / "performance-measured.md"
SHIPPED = "better of Platt and isotonic (what is used)"
SEED = 2013
Calibrated = Callable[["Case"], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One version and one month: what was known when the month's predictions were published, and what came of it."""

    month: str
    version: int
    serves: bool
    known: Answered
    """The version's answers to the newest outcomes of then that it has not learnt from."""
    all_known: Answered
    """To all of them."""
    coming: Answered
    happened: np.ndarray


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


def part_of(said: Predicted, part: Any) -> Predicted:
    """The answers to some rows."""
    return Predicted(said.decision[part], None if said.probability is None else said.probability[part])


def probability(answered: Answered) -> np.ndarray:
    """What was said of each row."""
    return np.asarray(answered.said.probability, dtype=float)


def outcomes(answered: Answered) -> np.ndarray:
    """What happened to each row."""
    return answered.rows["late"].to_numpy().astype(float)


def as_told(case: Case) -> np.ndarray:
    """Not calibrated."""
    return probability(case.coming)


def shifted(told: np.ndarray, happened: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """All log odds moved by one amount, so that as many are predicted as happened."""
    odds = special.logit(np.clip(told, NEAREST, 1 - NEAREST))
    move = optimize.brentq(lambda by: special.expit(odds + by).mean() - happened.mean(), -20, 20)
    return lambda other: np.asarray(special.expit(special.logit(np.clip(other, NEAREST, 1 - NEAREST)) + move))


def by(fit: Callable[..., Any], *, everything: bool = False) -> Calibrated:
    """Calibrated in one way on the newest outcomes, or on all."""

    def calibrated(case: Case) -> np.ndarray:
        known = case.all_known if everything else case.known
        return np.asarray(fit(probability(known), outcomes(known))(probability(case.coming)))

    return calibrated


def best_of(ways: dict[str, Callable[..., Any]]) -> Calibrated:
    """The way whose log loss is least on stretches of days that it was not fitted on."""

    def calibrated(case: Case) -> np.ndarray:
        told, happened, day = probability(case.known), outcomes(case.known), clusters(case.known.rows, "date")
        way = min(ways, key=lambda name: log_loss(held_out(ways[name], told, happened, day), happened))
        return np.asarray(ways[way](told, happened)(probability(case.coming)))

    return calibrated


def weighted(case: Case) -> np.ndarray:
    """Isotonic, each known row counting as much as it looks like the rows to come, by a domain classifier (weights 0.1 to 10)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.isotonic import IsotonicRegression
    from sklearn.model_selection import cross_val_predict

    features = ["distance", "sched_dep_time", "weekday", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
    X = pd.concat([case.known.rows[features], case.coming.rows[features]])
    side = np.r_[np.zeros(len(case.known.rows)), np.ones(len(case.coming.rows))]
    chance = cross_val_predict(HistGradientBoostingClassifier(random_state=SEED), X, side, cv=3, method="predict_proba")[:, 1]
    odds = chance / np.maximum(1 - chance, 1e-6)
    weight = np.clip(odds[: len(case.known.rows)], 0.1, 10)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fitted.fit(probability(case.known), outcomes(case.known), sample_weight=weight)
    return np.asarray(fitted.predict(probability(case.coming)))


FOUR = {"as told": lambda told, happened: lambda other: other, "shifted": shifted, **WAYS}
VARIANTS: dict[str, Calibrated] = {
    SHIPPED: best_of(WAYS),
    "Platt": by(WAYS["Platt"]),
    "isotonic": by(WAYS["isotonic"]),
    "Platt, all unseen outcomes": by(WAYS["Platt"], everything=True),
    "isotonic, all unseen outcomes": by(WAYS["isotonic"], everything=True),
    "isotonic, rows weighted by likeness": weighted,
    "log odds shifted only": by(shifted),
    "not calibrated": as_told,
    "best of the four ways by log loss": best_of(FOUR),
}


def cost_of(space: Workspace, answered: Answered, chance: np.ndarray) -> float:
    """What 1,000 rows cost, by what happened or by the chance of it."""
    yes, no = (central_cost(space.problem, answered.rows, np.full(len(chance), one), answered.said) for one in (1, 0))
    return float(1000 * (chance * yes + (1 - chance) * no).mean())


def misses(space: Workspace, found: list[Case]) -> dict[str, np.ndarray]:
    """Of each variant, and of the month before, how far off cost and AUC were: shape (cases, 2)."""
    told: dict[str, list[tuple[float, float]]] = {}
    for case in found:
        score, happened = probability(case.coming), case.happened.astype(float)
        real = cost_of(space, case.coming, happened), float(expected_auc(score, happened) or np.nan)
        before = outcomes(case.known)
        last = cost_of(space, case.known, before), float(expected_auc(probability(case.known), before) or np.nan)
        told.setdefault("as the month before", []).append((last[0] - real[0], last[1] - real[1]))
        for name, calibrate in VARIANTS.items():
            chance = calibrate(case)
            made = cost_of(space, case.coming, chance), float(expected_auc(score, chance) or np.nan)
            told.setdefault(name, []).append((made[0] - real[0], made[1] - real[1]))
    return {name: np.array(each) for name, each in told.items()}


def by_month(space: Workspace, found: list[Case]) -> Iterator[str]:
    """What the journal's way makes of each month, with intervals, beside what came of it and the month before."""
    yield "| month | version | estimated cost | realized | off by | month before is | estimated AUC | realized | off by | month before is |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for case in found:
        made = estimate(space.problem, case.known, case.coming)
        if isinstance(made, str) or made.auc is None:
            continue  # a month without both outcomes; there is none among the flights
        real, auc = cost_of(space, case.coming, case.happened.astype(float)), expected_auc(probability(case.coming), case.happened)
        last = cost_of(space, case.known, outcomes(case.known)) - real
        last_auc = (expected_auc(probability(case.known), outcomes(case.known)) or np.nan) - (auc or np.nan)
        cost, low, high = (1000 * value for value in (made.cost.estimate, made.cost.low, made.cost.high))
        yield (
            f"| {case.month:.7} | {case.version} | {cost:,.0f} ({low:,.0f} to {high:,.0f}), {made.way} | {real:,.0f} | {cost - real:+,.0f} "
            f"| {last:+,.0f} | {made.auc.estimate:.3f} ({made.auc.low:.3f} to {made.auc.high:.3f}) | {auc:.3f} "
            f"| {made.auc.estimate - (auc or np.nan):+.3f} | {last_auc:+.3f} |"
        )


def variants(space: Workspace, found: list[Case]) -> Iterator[str]:
    """Mean absolute errors of all variants, of the champions and of older versions."""
    parts = [misses(space, [case for case in found if case.serves is serves]) for serves in (True, False)]
    counts = [len(next(iter(part.values()))) for part in parts]
    yield f"| variant | champions, {counts[0]} months: cost | AUC | older versions, {counts[1]} cases: cost | AUC |"
    yield "|---|---|---|---|---|"
    for name in parts[0]:
        cells = [f"{np.abs(part[name][:, at]).mean():{form}}" for part in parts for at, form in ((0, ",.0f"), (1, ".4f"))]
        yield f"| {name} | {' | '.join(cells)} |"


def ageing(space: Workspace) -> Iterator[str]:
    """What each version would have cost in each window."""
    told = history(space.journal, space.problem, datetime.now(UTC))["staleness"]
    windows = [*told["earlier"], told]
    numbers = sorted({one["version"] for window in windows for one in window["points"]})
    yield f"| outcomes until | {' | '.join(f'version {number}' for number in numbers)} |"
    yield "|---|" + "---|" * len(numbers)
    for window in windows:
        points = {one["version"]: one for one in window["points"] if one["is_judged"]}
        cells = [f"{points[n]['cost']['estimate']:,.0f} ({points[n]['age_days']:.0f} days)" if n in points else "" for n in numbers]
        yield f"| {window['window_end']:.10} | {' | '.join(cells)} |"


def alerts(space: Workspace) -> Iterator[str]:
    """How near each month came to an alert; what was published stands for what was served, as it was known then."""
    yield "| month | bias (interval), allowed | surely costs more than on the holdout, margin | rows whose features differ | alerts |"
    yield "|---|---|---|---|---|"
    problem, newest = space.problem, build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem)
    for one in history(space.journal, problem, datetime.now(UTC))["windows"]:
        bias, floor = one["realized"]["bias"], bias_floor(problem, one["realized"])
        margin = cost_margin(space.journal, problem, one["estimate"])
        if margin is None:
            continue  # the contract has changed since the champion was decided on
        other = features_then(space, newest, one["window"])
        found = {
            "bias": bias["low"] > floor or bias["high"] < -floor,
            "estimate": margin[1] > margin[2],
            "features": (other["low"] or 0) > problem.performance.max_features_share,
        }
        yield (
            f"| {one['window']:.7} | {bias['estimate']:+.3f} ({bias['low']:+.3f} to {bias['high']:+.3f}), {floor:.3f} "
            f"| {1000 * margin[1]:+,.0f}, {1000 * margin[2]:,.0f} | {other['differing']:,} of {other['rows']:,} "
            f"| {', '.join(name for name, is_found in found.items() if is_found) or 'none'} |"
        )


def features_then(space: Workspace, newest: Frame, partition: str) -> dict[str, Any]:
    """Features of what was published as its snapshot had them, against the data of now."""
    problem = space.problem
    row = space.journal.last(tables.publications, partition=partition) or {}
    batches = (space.journal.last(tables.snapshots, snapshot=row["snapshot"]) or {})["batches"]
    then = build_frame(space.settings.root, Snapshot(row["snapshot"], {k: tuple(v) for k, v in batches.items()}), problem).still_open
    some = then.sample(min(problem.performance.served_rows, len(then)), random_state=SEED)
    keys = tuple(some[problem.key])
    now = newest.rows.set_index(problem.key).loc[list(keys)]
    served, computed = (plain_columns(rows[list(problem.features)]) for rows in (some, now))
    return served_features.compare(served_features.Pairs(keys, keys, served, computed))


def seconds(space: Workspace) -> Iterator[str]:
    """What measuring takes that has not been measured, in a process in which the models' parent runs."""
    problem, frame = space.problem, build_frame(space.settings.root, published_now(space.journal, space.problem), space.problem)
    window, versions = staleness._window(space, frame), space.registry.versions()[-space.problem.performance.versions :]
    if window is None:
        return
    published = next(measuring._windows(space.settings.root, space.journal, problem, frame, None))[1][-1].rows
    said = measuring.predicted_of(published, problem.task)
    yield "| what | seconds |"
    yield "|---|---|"
    for name, work in (
        ("one window: figures and slices", lambda: (figures(problem, published, said), by_slice(problem, published, said))),
        (
            f"{len(versions)} versions asked about the newest {len(window.rows):,} outcomes",
            lambda: staleness._asked(space, window, versions),
        ),
        ("one estimate", lambda: measuring._estimated(space, frame, published, version=versions[-1].number)),
        ("all of it once more, when it is in the journal", lambda: measuring.measure(space)),
    ):
        begun = time.perf_counter()
        work()
        yield f"| {name} | {time.perf_counter() - begun:.1f} |"


def page(space: Workspace) -> str:
    """The page of the documents."""
    found = list(cases(space))
    measuring.measure(space)
    return "\n".join(
        [
            "# Performance in service, measured",
            "",
            "Written by `make bench-estimates` from the loop on the flights of 2013 (`evergreen run --through 2013-12`): costs in USD per",
            "1,000 flights, 90% intervals by day. Every month that a champion predicted, as it was estimated when it was published.",
            "",
            "## Estimated before, realized afterwards",
            "",
            "The month before is the same version's cost and AUC on the newest outcomes that it has not learnt from.",
            "",
            *by_month(space, [case for case in found if case.serves]),
            "",
            "## What else was tried",
            "",
            "Mean absolute errors. The champions' months are few; older versions, asked for the same months, are more cases but not",
            "independent ones. The first design let the log loss choose among four ways: with thirty days it chose ways that leave a model",
            "as sure of itself as it is, and these models were too sure in months that they had not seen. So only ways that correct this",
            "are left to choose from. That was decided after looking at this table, and on few months.",
            "",
            *variants(space, found),
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


def main() -> None:
    """Go round the loop unless a home is given, and print the page."""
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
        told = page(Workspace(settings, load_problem(settings.problem), Journal(settings.journal)))
    print(told)
    if arguments.write:
        PAGE.write_text(told)


if __name__ == "__main__":
    main()
