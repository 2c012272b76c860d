"""The backtest's `never`, `monthly` and `always`, worked out a second time with plain pandas and scikit-learn, beside what Evergreen says.

    make bench-backtest                           flights of 2013, about five minutes on two cores; writes docs/backtest-measured.md
    make bench-backtest ARGS="--home var"         with what has been ingested there already
    make bench-backtest ARGS="--seed 7"           with another seed of the recipe; writes no page

The second opinion knows the problem's readers, its features, its estimator and the numbers of its contract. It shares no code with the
backtest, the gate, the joins or the splits. Of `monthly` it takes the gate's verdicts as they are recorded: which months' candidates were
put in place. All must agree to the last digit, else it ends with 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the command has it: threads that share a fit add up in another order

PAGE = Path(__file__).parents[1] / "docs" / "backtest-measured.md"
STARTS = [pd.Timestamp(f"2013-{month:02d}-01", tz="UTC") for month in range(5, 13)]
END = pd.Timestamp("2014-01-01", tz="UTC")
TARGET = 120
"""Seconds by the clock that the year may take on two cores."""
CHECKED = ("never", "monthly", "always")


def costs_by_hand(
    rows: pd.DataFrame, problem: Any, windows: Sequence[tuple[pd.Timestamp, pd.Timestamp]], terms: dict[str, Sequence[pd.Timestamp]]
) -> dict[str, list[float]]:
    """Mean cost of 1,000 rows in each window under each policy.

    Parameters
    ----------
    rows
        In order of time and key, with the features, the time of the event, and the target (NaN where it is not known).
    windows
        Successive, by the moment at which a prediction is due; the end is not included.
    terms
        Of each policy when its candidates were put in place, in order: each was trained at that moment and predicts until the next.
    """
    models = {start: fitted(rows, problem, start) for start in sorted({start for starts in terms.values() for start in starts})}
    told = dict[str, list[float]]()
    for name, starts in terms.items():
        spans = list(zip(starts, [*starts[1:], windows[-1][1]], strict=True))
        costs = pd.concat([costs_of(rows, problem, models[span[0]], span) for span in spans])
        due = rows.loc[costs.index, problem.time] - problem.prediction_lead
        told[name] = [1000 * float(np.mean(costs[(due >= begin) & (due < end)])) for begin, end in windows]
    return told


def terms_of(told: dict[str, Any]) -> dict[str, Sequence[pd.Timestamp]]:
    """When candidates are put in place: once, where the gate is recorded to have let them, and in every window.

    Raises
    ------
    SystemExit
        `monthly` is not recorded to have trained on the first of each month.
    """
    starts = [pd.Timestamp(window["start"]) for window in told["windows"]]
    (events,) = (one["events"] for one in told["policies"] if one["name"] == "monthly")
    begun = [pd.Timestamp(event["at"]) for event in events]
    end = pd.Timestamp(told["period"]["end"])
    firsts = [at for at in pd.date_range(starts[0].normalize(), end, freq="MS", inclusive="left") if at > starts[0]]
    if begun != [starts[0], *firsts]:
        sys.exit(f"monthly trained at {', '.join(map(str, begun))}; expected the beginning and the first of each month.")
    monthly = [at for at, event in zip(begun, events, strict=True) if event["promoted"]]
    return {"never": starts[:1], "monthly": monthly, "always": starts}


def fitted(rows: pd.DataFrame, problem: Any, start: pd.Timestamp) -> Any:
    """The estimator, fitted on what was known at a moment without the newest days, which judge it."""
    event, delay = rows[problem.time], problem.target.label_delay
    known = rows[(event - problem.prediction_lead < start) & (event + delay <= start) & rows[problem.target.name].notna()]
    newest = known[problem.time].max()
    last = newest - pd.Timedelta(days=problem.split.holdout_days) - delay - problem.split.feature_lookback
    train = known[known[problem.time] <= last]
    model = problem.build_estimator()
    seeds = [name for name, value in model.get_params().items() if name.endswith("random_state") and value is None]
    model.set_params(**dict.fromkeys(seeds, problem.retraining.seed))
    return model.fit(train[list(problem.features)], train[problem.target.name].astype("int64"))


def costs_of(rows: pd.DataFrame, problem: Any, model: Any, span: tuple[pd.Timestamp, pd.Timestamp]) -> pd.Series:
    """Of each row whose prediction is due in a span of time; a yes from the probability on from which it is cheaper than a no."""
    due, prices = rows[problem.time] - problem.prediction_lead, problem.business.row_cost
    here = rows[(due >= span[0]) & (due < span[1]) & rows[problem.target.name].notna()]
    chance = model.predict_proba(here[list(problem.features)])[:, 1]
    said, happened = chance >= prices.false_alarm / (prices.false_alarm + prices.missed), here[problem.target.name] == 1
    return pd.Series(prices.missed * (happened & ~said) + prices.false_alarm * (~happened & said), index=here.index)


def flights(landing: Path, problem: Any) -> pd.DataFrame:
    """The deliveries of the flights, read by the problem's own readers and joined by hand."""
    told = {
        source.name: pd.concat([source.read(path) for path in sorted((landing / source.name).glob("*.csv"))], ignore_index=True)
        for source in problem.sources
    }
    weather = told["weather"].rename(columns={"observed_at": "seen"}).sort_values("seen", kind="stable")
    rows = told["schedule"].assign(asked=told["schedule"]["scheduled_at"] - pd.Timedelta(hours=2)).sort_values("asked", kind="stable")
    rows = pd.merge_asof(rows, weather, left_on="asked", right_on="seen", by="origin", tolerance=pd.Timedelta(hours=6))
    rows = rows.merge(told["planes"][["tailnum", "built", "seats"]], left_on="aircraft", right_on="tailnum", how="left")
    rows = rows.merge(told["airports"][["faa", "lat", "lon"]], left_on="dest", right_on="faa", how="left")
    outcomes = told["outcomes"].assign(**{problem.target.name: problem.target.label(told["outcomes"])})
    rows = rows.merge(outcomes[["flight_id", problem.target.name]], on="flight_id", how="left")
    return rows.sort_values(["scheduled_at", "flight_id"], kind="stable", ignore_index=True)


def evergreen(home: Path, *words: str) -> str:
    """What a command prints."""
    command = [str(Path(sys.executable).with_name("evergreen")), *words]
    done = subprocess.run(command, env={**os.environ, "EVERGREEN_HOME": str(home)}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def processor_seconds() -> float:
    """Of all commands that have ended."""
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told.ru_utime + told.ru_stime


def page(told: dict[str, Any], by_hand: dict[str, list[float]], seconds: Sequence[tuple[float, float]], load: float) -> str:
    """The page of the documents; `seconds` by the clock and of the processor, `load` before it began."""
    unit = f"{told['unit']} per 1,000 {told['things']}"
    lines = [
        *("# The backtest, measured", ""),
        "Written by `make bench-backtest` from the flights of 2013: `evergreen backtest` with its usual policies, and `never`, `monthly`",
        "and `always` once more by benchmarks/backtest_check.py, which shares no code with it. Of `monthly` it takes as recorded which",
        "candidates the gate let through, and joins, trains and counts by itself.",
        *("", "## What it says", "", *(f"- {sentence}" for sentence in told["answer"]), ""),
        f"| policy | trainings | put in place | cost, {unit} | saved against never | which is |",
        *("|---|---|---|---|---|---|", *map(line, told["policies"]), *map(line, told["without"])),
        *("", "## By hand", ""),
        f"| window | {' | '.join(f'{name} | by hand' for name in CHECKED)} |",
        f"|---|{'---|' * 2 * len(CHECKED)}",
    ]
    for at, window in enumerate(told["windows"]):
        cells = (f"{window['costs'][name]:.6f} | {by_hand[name][at]:.6f}" for name in CHECKED)
        lines.append(f"| {window['start'][:10]} | {' | '.join(cells)} |")
    lines += ["", f"Largest difference: {apart(told, by_hand):.3g}.", "", "## What it takes", ""]
    for (clock, processor), when in zip(seconds, ("from an empty folder", "once its fits were there"), strict=True):
        lines.append(f"The backtest took {processor:.0f} s of processor time {when}, {clock:.0f} s by the clock.")
    told_load = f"The machine has {os.cpu_count()} cores, and had {load:.1f} processes of others to run on average before it began."
    kept = "is kept" if seconds[0][0] <= TARGET else "is not kept beside them"
    return "\n".join([*lines, told_load, f"The target, {TARGET} s by the clock on two cores, {kept}.", ""])


def line(one: dict[str, Any]) -> str:
    """A policy's row of the table."""
    other = one["against"].get("never", {"saved": 0.0, "low": 0.0, "high": 0.0, "word": "itself"})
    counts = " | ".join(str(one.get(name, "")) for name in ("trainings", "promotions"))
    cost_told = f"{one['cost_per_1000']:,.0f} ({one['low']:,.0f} to {one['high']:,.0f})"
    saved = f"{other['saved']:+,.0f} ({other['low']:+,.0f} to {other['high']:+,.0f})"
    return f"| {one['name']} | {counts} | {cost_told} | {saved} | {other['word']} |"


def apart(told: dict[str, Any], by_hand: dict[str, list[float]]) -> float:
    """The largest difference of the two opinions."""
    pairs = [(window["costs"][name], by_hand[name][at]) for name in CHECKED for at, window in enumerate(told["windows"])]
    return float(max(abs(one - other) for one, other in pairs))


def differences(told: dict[str, Any], by_hand: dict[str, list[float]]) -> list[str]:
    """Where the two opinions are not the same to the last digit, in words; a window that one of them leaves out is a difference."""
    found = []
    for name in CHECKED:
        one, other = [window["costs"][name] for window in told["windows"]], by_hand[name]
        if len(one) != len(other):
            found.append(f"{name}: {len(one)} windows; by hand {len(other)}")
        apart = [(window, a, b) for window, a, b in zip(told["windows"], one, other, strict=False) if a != b]
        found += [f"{name}, {window['start'][:10]}: {a!r}; by hand {b!r}" for window, a, b in apart]
    return found


def backtest_twice(home: Path, seed: int | None) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """What it says, and what each of two runs took: seconds by the clock and of the processor.

    Raises
    ------
    SystemExit
        The second says something else.
    """
    times, texts = [], []
    for _ in range(2):
        begun, worked = time.monotonic(), processor_seconds()
        texts.append(evergreen(home, "backtest", "--json", *(["--seed", str(seed)] if seed is not None else [])))
        times.append((time.monotonic() - begun, processor_seconds() - worked))
    if texts[0] != texts[1]:
        sys.exit("Run again, the backtest says something else.")
    return json.loads(texts[0]), times


def seeded(problem: Any, seed: int | None) -> Any:
    """The problem, with another seed of its recipe where one is given."""
    if seed is None:
        return problem
    return problem.model_copy(update={"retraining": problem.retraining.model_copy(update={"seed": seed})})


def main() -> None:
    """Run both, print the page, and write it where both opinions are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seed", type=int)
    given, load = parser.parse_args(), os.getloadavg()[1]
    problem = seeded(importlib.import_module("problem.contract").PROBLEM, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = given.home.resolve() if given.home else Path(folder)
        if not given.home:
            evergreen(home, "feed", "--through", "2013-12")
            evergreen(home, "ingest")
        told, times = backtest_twice(home, given.seed)
        windows = list(zip(STARTS, [*STARTS[1:], END], strict=True))
        by_hand = costs_by_hand(flights(home / "landing", problem), problem, windows, terms_of(told))
    if found := differences(told, by_hand):
        sys.exit("The two opinions differ.\n" + "\n".join(found))
    text = page(told, by_hand, times, load)
    print(text)
    if given.seed is None:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
