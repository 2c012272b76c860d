"""The backtest's `never` and `always`, worked out a second time with plain pandas and scikit-learn, and beside it what Evergreen says.

    make bench-backtest                           flights of 2013, about four minutes on two cores; writes docs/backtest-measured.md
    make bench-backtest ARGS="--home var"         with what has been ingested there already

The second opinion knows the problem's readers, its features, its estimator and the numbers of its contract. It shares no code with the
backtest, the gate, the joins or the splits. What agrees must agree to the last digit.
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
CHECKED = ("never", "always")


def costs_by_hand(rows: pd.DataFrame, problem: Any, starts: Sequence[pd.Timestamp], end: pd.Timestamp) -> dict[str, list[float]]:
    """Mean cost of 1,000 rows in each window, trained once and trained at the beginning of each.

    Parameters
    ----------
    rows
        In order of time and key, with the features, the time of the event, and the target (NaN where it is not known).
    """
    models = [fitted(rows, problem, start) for start in starts]
    windows = list(zip(starts, [*starts[1:], end], strict=True))
    return {
        "never": [cost(rows, problem, models[0], window) for window in windows],
        "always": [cost(rows, problem, model, window) for model, window in zip(models, windows, strict=True)],
    }


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


def cost(rows: pd.DataFrame, problem: Any, model: Any, window: tuple[pd.Timestamp, pd.Timestamp]) -> float:
    """Of 1,000 rows whose prediction is due in the window; a yes from the probability on from which it is cheaper than a no."""
    due, prices = rows[problem.time] - problem.prediction_lead, problem.business.row_cost
    here = rows[(due >= window[0]) & (due < window[1]) & rows[problem.target.name].notna()]
    chance = model.predict_proba(here[list(problem.features)])[:, 1]
    said, happened = chance >= prices.false_alarm / (prices.false_alarm + prices.missed), here[problem.target.name] == 1
    return 1000 * float(np.mean(prices.missed * (happened & ~said) + prices.false_alarm * (~happened & said)))


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


def page(told: dict[str, Any], by_hand: dict[str, list[float]], seconds: Sequence[tuple[float, float]]) -> str:
    """The page of the documents."""
    unit = f"{told['unit']} per 1,000 {told['things']}"
    lines = [
        *("# The backtest, measured", ""),
        "Written by `make bench-backtest` from the flights of 2013: `evergreen backtest` with its usual policies, and `never` and `always`",
        "once more by benchmarks/backtest_check.py, which shares no code with it.",
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
    lines += ["", f"Largest difference: {apart(told, by_hand):.3g}.", ""]
    for (clock, processor), when in zip(seconds, ("from an empty folder", "once its fits were there"), strict=True):
        lines.append(f"The backtest took {processor:.0f} s of processor time {when}, {clock:.0f} s by the clock.")
    return "\n".join([*lines, f"The machine has {os.cpu_count()} cores, and had {os.getloadavg()[2]:.1f} processes to run on average.", ""])


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


def main() -> None:
    """Run both, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    given, problem = parser.parse_args(), importlib.import_module("problem.contract").PROBLEM
    with tempfile.TemporaryDirectory() as folder:
        home = given.home.resolve() if given.home else Path(folder)
        if not given.home:
            evergreen(home, "feed", "--through", "2013-12")
            evergreen(home, "ingest")
        times, texts = [], []
        for _ in range(2):
            begun, worked = time.monotonic(), processor_seconds()
            texts.append(evergreen(home, "backtest", "--json"))
            times.append((time.monotonic() - begun, processor_seconds() - worked))
        if texts[0] != texts[1]:
            sys.exit("Run again, the backtest says something else.")
        told = json.loads(texts[0])
        by_hand = costs_by_hand(flights(home / "landing", problem), problem, STARTS, END)
    if len(told["windows"]) != len(STARTS):
        sys.exit(f"Got {len(told['windows'])} windows; expected {len(STARTS)}.")
    PAGE.write_text(page(told, by_hand, times))
    print(PAGE.read_text())
    if apart(told, by_hand):
        sys.exit("The two opinions differ.")


if __name__ == "__main__":
    main()
