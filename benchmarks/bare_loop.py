"""The loop's computations and nothing else: what `evergreen run` would be without its tools. Usage: bare_loop.py FOLDER THROUGH."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from problem.features import build_estimator

# By name, for a problem of your own has others.
data, feed = importlib.import_module("problem.data"), importlib.import_module("problem.feed")

FEATURES = [
    *("carrier", "origin", "dest", "distance", "sched_dep_time", "weekday"),
    *("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    *("built", "seats", "lat", "lon"),
]
READERS = {
    "schedule": data.read_schedule,
    "weather": data.read_weather,
    "outcomes": data.read_outcomes,
    "planes": data.read_planes,
    "airports": data.read_airports,
    "airlines": data.read_airlines,
}
THRESHOLD = 10 / 60
DAY = pd.Timedelta(days=1)


def main(folder: Path, through: str) -> None:
    """Go round once a month, as the loop does."""
    champion = None
    for month in feed.months_through(through):
        feed.deliver(folder / "landing", month)
        rows = read_and_join(folder / "landing")
        known, coming = rows[rows["late"].notna()], rows[rows["late"].isna()]
        end = known["scheduled_at"].max()
        start = end - 30 * DAY
        train, holdout = known[known["scheduled_at"] <= start - DAY], known[known["scheduled_at"] > start]
        candidate, folds = fit(train)
        try_recipe(train, holdout)
        costs = [cost(model, holdout) for model in (candidate, champion) if model is not None]
        rule = float(np.mean(data.warn_in_the_afternoon(holdout)))
        champion = candidate
        answers = coming[["flight_id"]].assign(probability=candidate.predict_proba(coming[FEATURES])[:, 1])
        answers.to_parquet(folder / f"{month}.parquet", index=False)
        print(month, [round(1000 * one) for one in costs], [round(1000 * one) for one in folds], round(rule, 3))


def read_and_join(landing: Path) -> pd.DataFrame:
    """All that has been delivered, as one row a flight."""
    tables = {
        name: pd.concat([read(file) for file in sorted((landing / name).glob("*.csv"))], ignore_index=True)
        for name, read in READERS.items()
    }
    rows = tables["schedule"].assign(asof=tables["schedule"]["scheduled_at"] - pd.Timedelta(hours=2)).sort_values("asof")
    weather = tables["weather"].sort_values("observed_at")
    rows = pd.merge_asof(rows, weather, left_on="asof", right_on="observed_at", by="origin", tolerance=pd.Timedelta(hours=6))
    rows = rows.merge(tables["planes"][["tailnum", "built", "seats"]].rename(columns={"tailnum": "aircraft"}), on="aircraft", how="left")
    rows = rows.merge(tables["airports"][["faa", "lat", "lon"]].rename(columns={"faa": "dest"}), on="dest", how="left")
    rows = rows.merge(tables["airlines"], on="carrier", how="left")
    outcomes = tables["outcomes"]
    labels = pd.DataFrame({"flight_id": outcomes["flight_id"], "late": data.label_late(outcomes)})
    return rows.merge(labels, on="flight_id", how="left").sort_values(["scheduled_at", "flight_id"], ignore_index=True)


def fit(train: pd.DataFrame) -> tuple[Any, list[float]]:
    """The same folds and fits as the loop: three rolling-origin folds, and one model on all rows."""
    time, y = train["scheduled_at"], train["late"].to_numpy(dtype=np.int64)
    window = min(30 * DAY, (time.max() - time.min()) / 4)
    parts = [(np.ones(len(train), dtype=bool), np.zeros(len(train), dtype=bool))]
    for fold in (3, 2, 1):
        start, end = time.max() - fold * window, time.max() - (fold - 1) * window
        parts.append(((time <= start - DAY).to_numpy(), ((time > start) & (time <= end)).to_numpy()))
    jobs = Parallel(n_jobs=-1, prefer="threads")
    models = jobs(delayed(build_estimator().set_params(model__random_state=2013).fit)(train.loc[use, FEATURES], y[use]) for use, _ in parts)
    return models[0], [cost(model, train[judge]) for model, (_, judge) in zip(models[1:], parts[1:], strict=True)]


def try_recipe(train: pd.DataFrame, holdout: pd.DataFrame) -> list[float]:
    """The same further fits as the loop: another seed, and parts of the rows for the learning curve."""
    order = np.random.default_rng(2013).permutation(len(train))
    parts = [train] + [train.iloc[np.sort(order[: len(order) // share])] for share in (2, 4, 8)]
    seeds = [2014, 2013, 2013, 2013]
    jobs = Parallel(n_jobs=-1, prefer="threads")
    models = jobs(
        delayed(build_estimator().set_params(model__random_state=seed).fit)(part[FEATURES], part["late"].to_numpy(dtype=np.int64))
        for part, seed in zip(parts, seeds, strict=True)
    )
    return [cost(model, holdout) for model in models]


def cost(model: Any, rows: pd.DataFrame) -> float:
    """Mean cost of a flight with a missed delay at 50 and a false alarm at 10."""
    y, warn = rows["late"].to_numpy(), model.predict_proba(rows[FEATURES])[:, 1] >= THRESHOLD
    return float((50 * y * ~warn + 10 * (1 - y) * warn).mean())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
