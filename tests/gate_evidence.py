"""Synthetic evidence for tests of the gate: a binary problem of flights a day, with every part sound unless a test changes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from evergreen.gate.evidence import (
    ANCHOR,
    CANDIDATE,
    CHAMPION,
    DUMMY,
    RULE_OF_THUMB,
    Contender,
    DataVerdict,
    Evidence,
    Footprint,
    Promise,
    Replay,
    Shadowed,
    SideBySide,
    Support,
)
from evergreen.policies import BinaryCosts

COSTS = BinaryCosts(missed=50, false_alarm=10)
DIGESTS = {name: name * 4 for name in ("snapshot", "contract", "code", "lock", "artefact")}


def make_evidence(*, days: int = 40, per_day: int = 50, first: bool = False, seed: int = 0, **changes: Any) -> Evidence:
    """Evidence for a good candidate (version 7) against an equally good champion (6) and anchor (4), which it beats by little."""
    rng = np.random.default_rng(seed)
    n = days * per_day
    latent = rng.normal(size=n) - 1.2
    y = (latent + rng.logistic(size=n) * 0.5 > 0).astype(int)
    day = np.repeat(np.arange(days), per_day)
    truth = 1 / (1 + np.exp(-2 * latent))
    model = {name: _model(name, y, _blurred(truth, blur, rng)) for name, blur in ((CANDIDATE, 0.3), (CHAMPION, 0.33), (ANCHOR, 0.33))}
    past = np.arange(10_000_000, 10_000_500, dtype=np.uint64)
    facts = {"training_rows": past, "training_end": "2013-04-28T00:00:00+00:00", "footprint": make_footprint()}
    models = {name: dataclasses.replace(model[name], version=v, **facts) for name, v in ((CANDIDATE, 7), (CHAMPION, 6), (ANCHOR, 4))}
    if first:
        del models[CHAMPION], models[ANCHOR]
    values: dict[str, Any] = {
        "task": "binary",
        "rows": np.arange(n, dtype=np.uint64),
        "y": y,
        "cluster": (np.datetime64("2013-05-01") + day).astype("datetime64[D]").astype(str).astype(object),
        "features": _features(latent, rng),
        "slices": pd.DataFrame({"origin": rng.choice(["EWR", "JFK", "LGA"], n), "carrier": np.where(np.arange(n) < 20, "OO", "UA")}),
        "contenders": {
            **models,
            DUMMY: _policy(DUMMY, y, np.zeros(n, dtype=int)),
            RULE_OF_THUMB: _policy(RULE_OF_THUMB, y, (rng.random(n) < 0.5).astype(int)),
        },
        "trivial": {f"always {one}": _policy(f"always {one}", y, np.full(n, one)) for one in (0, 1)},
        "holdout_start": "2013-05-01T00:00:00+00:00",
        "holdout_end": "2013-06-09T23:00:00+00:00",
        "embargo_seconds": 2 * 86400.0,
        "good_enough": 0.05,
        "margin": None if first else 0.15,
        "data": (DataVerdict("weather", passed=True), DataVerdict("training frame", passed=True)),
        "provenance": dict(DIGESTS),
        "provenance_now": dict(DIGESTS),
        "replays": (Replay("in a process of its own", 1_000, 0, 0.0, 0), Replay("in another order, in other batches", 1_000, 0, 0.0, 0)),
        "promise": Promise(saving=1.0, se=0.1, clusters=60, rows=3_000),
        "seeds": {7: 5.00, 8: 5.01, 9: 4.99},
        "support": Support(rows=500, outside=0, features={}),
    }
    return Evidence(**{**values, **changes})


def make_shadowed(saved: float = 0.0, *, days: int = 25, per_day: int = 40, spread: float = 0.02, **changes: Any) -> Shadowed:
    """What became of a candidate that saves `saved` a row in shadow, give or take `spread` a day."""
    rng, n = np.random.default_rng(3), days * per_day
    noise = rng.normal(size=days)
    noise = spread * (noise - noise.mean()) / noise.std(ddof=1)
    served, day = rng.choice([0.0, 10.0, 50.0], n, p=[0.8, 0.15, 0.05]), np.repeat(np.arange(days), per_day)
    mine = served - saved - noise[day]
    things = SideBySide(
        shadow=Contender(CANDIDATE, measure=mine, cost=mine, decision=np.zeros(n)),
        served=Contender(CHAMPION, measure=served, cost=served, decision=np.zeros(n)),
        cluster=(np.datetime64("2013-06-10") + day).astype("datetime64[D]").astype(str).astype(object),
    )
    values: dict[str, Any] = {"scored": n + 100, "failed": 0, "fault": "", "most_faults": 0.05, "served": {6: n + 100}, "things": things}
    return Shadowed(**{**values, **changes})


def make_footprint(**changes: Any) -> Footprint:
    """What a small model takes."""
    values: dict[str, Any] = {
        "one_row_seconds": np.full(100, 0.005),
        "processor_seconds": 0.005,
        "rows_per_second": 50_000.0,
        "memory_megabytes": 100.0,
        "load_seconds": 0.5,
        "megabytes": 1.0,
        "family": "HistGradientBoostingClassifier",
    }
    return Footprint(**{**values, **changes})


def change(evidence: Evidence, name: str, **changes: Any) -> Evidence:
    """The same evidence with one contender changed."""
    return dataclasses.replace(
        evidence, contenders={**evidence.contenders, name: dataclasses.replace(evidence.contenders[name], **changes)}
    )


def saving(evidence: Evidence, amount: float, *, spread: float = 0.0, over: str = CHAMPION, seed: int = 1) -> Evidence:
    """The same evidence with the candidate saving `amount` a row against `over`, give or take `spread` a day."""
    days, of = np.unique(evidence.cluster, return_inverse=True)
    noise = np.random.default_rng(seed).normal(size=len(days))
    # exactly as many rows a day: centred noise of unit spread makes the mean saving exactly `amount`
    noise = (noise - noise.mean()) / noise.std(ddof=1) if spread else np.zeros(len(days))
    return change(evidence, over, measure=evidence.contenders[CANDIDATE].measure + amount + spread * noise[of])


def without(evidence: Evidence, *names: str) -> Evidence:
    """The same evidence without these contenders."""
    return dataclasses.replace(evidence, contenders={k: v for k, v in evidence.contenders.items() if k not in names})


def take(evidence: Evidence, order: np.ndarray) -> Evidence:
    """The same evidence with its rows in this order, or a part of them."""

    def taken(one: Contender) -> Contender:
        parts = {part: getattr(one, part)[order] for part in ("measure", "cost", "decision")}
        return dataclasses.replace(one, **parts, probability=None if one.probability is None else one.probability[order])

    return dataclasses.replace(
        evidence,
        **{part: getattr(evidence, part)[order] for part in ("rows", "y", "cluster")},
        features=evidence.features.iloc[order].reset_index(drop=True),
        slices=evidence.slices.iloc[order].reset_index(drop=True),
        contenders={name: taken(one) for name, one in evidence.contenders.items()},
        trivial={name: taken(one) for name, one in evidence.trivial.items()},
    )


def _features(latent: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    n = len(latent)
    wind = latent + rng.normal(size=n) * 2
    wind[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"wind": wind, "hour": rng.integers(5, 23, n), "origin": rng.choice(["EWR", "JFK", "LGA", None], n)})


def _blurred(truth: np.ndarray, blur: float, rng: np.random.Generator) -> np.ndarray:
    logit = np.log(truth / (1 - truth)) + rng.normal(size=len(truth)) * blur
    return np.asarray(1 / (1 + np.exp(-logit)))


def _model(name: str, y: np.ndarray, probability: np.ndarray) -> Contender:
    return dataclasses.replace(_policy(name, y, (probability >= COSTS.threshold).astype(int)), probability=probability)


def _policy(name: str, y: np.ndarray, decision: np.ndarray) -> Contender:
    cost = COSTS(pd.DataFrame(), y, decision)
    return Contender(name, measure=cost, cost=cost, decision=decision)
