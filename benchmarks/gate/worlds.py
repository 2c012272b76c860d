"""Rows of three worlds whose truth is known: beside what a model may see stands the true probability, or mean.

`rides` is binary, drifts, and rows of one day share a day's mood; `demand` is a regression with seasons; `fraud` has 1% positives,
many rows, no time, and customers who come back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evergreen.data.joins import PREDICTION_TIME

TRUTH = "_truth"
"""Column with the true probability, or mean; no model is given it."""
DAY = "_day"
START = pd.Timestamp("2024-01-01", tz="UTC")
ZONES, ZONE_SHARES = np.array(["north", "south", "east", "west", "centre"]), (0.3, 0.25, 0.2, 0.13, 0.12)
KINDS = np.array(["a", "b", "c", "d", "e", "f", "g", "h"])
CATEGORIES = ["zone", "kind", "channel"]
NUMBERS = ["x1", "x2", "x3", "x4", "hour"]
SEASONS = ["season", "season2", "weekend"]
NOISE = 12.0
"""Standard deviation of an amount around its mean (regression)."""
TURN, SLOW_TURN = 1.0 / 365, 0.3 / 365
"""How fast what matters moves from x1 to x4, in radians a day."""


def draw_rides(seed: int, first: int, days: int, per_day: int) -> pd.DataFrame:
    """Binary outcomes; the day's mood moves all rows of a day."""
    rng = np.random.default_rng([1, seed])
    rows = _rows(rng, first, days, per_day)
    mood = np.repeat(rng.normal(0, 0.4, days), per_day)
    return _with_binary(rows, -1.6 + 1.1 * _signal(rows) + mood, rng, f"r{seed}-")


def draw_demand(seed: int, first: int, days: int, per_day: int) -> pd.DataFrame:
    """Amounts with a season, a week and a day's mood."""
    rng = np.random.default_rng([2, seed])
    rows = _rows(rng, first, days, per_day)
    day = rows[DAY].to_numpy()
    turn = day / 365 * 2 * np.pi
    rows["season"], rows["season2"], rows["weekend"] = np.sin(turn), np.cos(turn), np.isin(day % 7, (5, 6)) * 1.0
    mood = np.repeat(rng.normal(0, 2.0, days), per_day)
    truth = 100 + 8 * rows["season"] + 5 * rows["weekend"] + 12 * _signal(rows, SLOW_TURN) + mood
    return _finished(rows, truth, truth + rng.normal(0, NOISE, len(rows)), f"d{seed}-")


def draw_fraud(seed: int, first: int, days: int, per_day: int) -> pd.DataFrame:
    """One row in a hundred is positive; four rows of each customer share a leaning."""
    rng = np.random.default_rng([3, seed])
    rows = _rows(rng, first, days, per_day).drop(columns=["at", PREDICTION_TIME])
    customer = np.arange(len(rows)) // 4
    leaning = rng.normal(0, 0.4, customer[-1] + 1)[customer]
    rows["customer"] = f"c{seed}-" + pd.Series(customer.astype(str))
    return _with_binary(rows, -7.2 + 1.8 * _signal(rows) + leaning, rng, f"f{seed}-")


def _rows(rng: np.random.Generator, first: int, days: int, per_day: int) -> pd.DataFrame:
    n = days * per_day
    day, hour = np.repeat(first + np.arange(days), per_day), rng.integers(6, 23, n)
    rows = pd.DataFrame({"at": START + pd.to_timedelta(day * 24 + hour, unit="h"), DAY: day.astype(float)})
    rows[PREDICTION_TIME] = rows["at"] - pd.Timedelta(hours=1)
    rows[["x1", "x2", "x3", "x4"]] = rng.normal(size=(n, 4))
    rows["_x3"] = rows["x3"]
    rows.loc[rng.random(n) < 0.15, "x3"] = np.nan
    rows["hour"] = hour
    rows["zone"] = rng.choice(ZONES, n, p=ZONE_SHARES)
    rows["kind"] = pd.Series(rng.choice(KINDS, n)).astype(object).where(rng.random(n) > 0.03, None)
    rows["channel"] = rng.choice(["web", "phone"], n)
    return rows


def _signal(rows: pd.DataFrame, turn: float = TURN) -> np.ndarray:
    """What decides an outcome; the channel does not."""
    angle = rows[DAY].to_numpy() * turn
    zone = pd.Series([0.5, -0.5, 0.2, -0.2, 0.0], index=ZONES).reindex(rows["zone"]).to_numpy()
    kind = pd.Series(np.linspace(-0.7, 0.7, len(KINDS)), index=KINDS).reindex(rows["kind"]).fillna(0.0).to_numpy()
    moving = np.cos(angle) * rows["x1"] + np.sin(angle) * rows["x4"]
    return np.asarray(moving + 0.7 * rows["x2"] + 0.4 * rows["_x3"] + 0.4 * np.sin(rows["hour"] / 4) + zone + kind)


def _with_binary(rows: pd.DataFrame, logit: Any, rng: np.random.Generator, prefix: str) -> pd.DataFrame:
    truth = 1 / (1 + np.exp(-np.asarray(logit)))
    return _finished(rows, truth, (rng.random(len(rows)) < truth).astype(float), prefix)


def _finished(rows: pd.DataFrame, truth: Any, y: Any, prefix: str) -> pd.DataFrame:
    rows[TRUTH], rows["y"] = np.asarray(truth), np.asarray(y)
    return rows.drop(columns="_x3").assign(row_id=prefix + pd.Series(np.arange(len(rows)).astype(str)))
