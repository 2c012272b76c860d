"""The three worlds as problems: contract, recipe, and how many rows there are to learn from, to be judged on, and to know the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from benchmarks.gate import worlds
from benchmarks.gate.worlds import CATEGORIES, NUMBERS, SEASONS
from evergreen import policies as p
from evergreen.contract import Problem


@dataclass(frozen=True)
class World:
    """A problem and its rows. `draw(seed, first day, days, rows a day)` gives rows of those days, with their truth."""

    problem: Problem
    draw: Callable[[int, int, int, int], pd.DataFrame]
    train: tuple[int, int]
    """Days and rows a day to train on."""
    sizes: dict[str, tuple[int, int]]
    """Days and rows a day to be judged on."""
    first: int
    """First day of the holdout."""
    recipe: dict[str, float]
    """Parameters of the trees."""
    oracle_rows: int = 40_000

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return self.problem.task == "binary"

    @property
    def numbers(self) -> list[str]:
        """Features that are numbers."""
        return [name for name in self.problem.features if name not in CATEGORIES]

    def pipeline(self, extra: tuple[str, ...] = (), **parameters: Any) -> Pipeline:
        """The recipe: small boosted trees that may not turn x2 upside down. `extra` columns are given as they are."""
        numbers = [*self.numbers, *extra]
        monotonic = [0] * len(CATEGORIES) + [int(name == "x2") for name in numbers]
        model = HistGradientBoostingClassifier if self.binary else HistGradientBoostingRegressor
        # every split sees 70% of the columns: without chance in it no recipe could have a lucky seed
        usual = {"max_features": 0.7, **self.recipe}
        return make_pipeline(encoder(numbers), model(**{**usual, "early_stopping": False, "monotonic_cst": monotonic, **parameters}))


def encoder(numbers: list[str]) -> Any:
    """Categories as numbers, then the numbers."""
    return make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORIES), ("passthrough", numbers)
    )


def build_rides() -> Pipeline:
    """Recipe for rides."""
    return WORLDS["rides"].pipeline()


def build_demand() -> Pipeline:
    """Recipe for demand."""
    return WORLDS["demand"].pipeline()


def build_fraud() -> Pipeline:
    """Recipe for fraud."""
    return WORLDS["fraud"].pipeline()


def absolute_error(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """One for each unit too many or too few."""
    return np.asarray(np.abs(np.asarray(y_true, dtype=float) - np.asarray(decision, dtype=float)))


def act_on_x2(rows: pd.DataFrame) -> pd.Series:
    """What people do without a model."""
    return (rows["x2"] > 1).astype("int64")


def guess_from_x2(rows: pd.DataFrame) -> pd.Series:
    """What people order without a model."""
    return 100 + 6 * rows["x2"]


def more_x2(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with a higher x2."""
    return rows.assign(x2=rows["x2"] + 1)


def other_channel(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows through the other channel."""
    return rows.assign(channel=np.where(rows["channel"] == "web", "phone", "web"))


def _never_read(file: Path) -> pd.DataFrame:
    raise NotImplementedError(f"got {file}; rows of this world are drawn, not read")


def _label(rows: pd.DataFrame) -> pd.Series:
    return rows["y"]


def _problem(name: str, costs: Any, build: Callable[[], Pipeline], *, gate: p.GatePolicy, timed: bool = True) -> Problem:
    binary = isinstance(costs, p.BinaryCosts)
    more = SEASONS if not binary else []
    tolerance = 0.02 if binary else 1.0
    key, time = ("row_id",), "at" if timed else None
    return Problem(
        name=name,
        things="rows",
        business=p.Business(
            question="What will come of it?",
            decision="Act, or leave it as it is.",
            owner="the benchmark",
            unit="EUR",
            row_cost=costs,
            rule_of_thumb=p.RuleOfThumb(sentence="Go by x2 alone.", decide=act_on_x2 if binary else guess_from_x2),
            good_enough=0.05,
        ),
        task="binary" if binary else "regression",
        target=p.Target(name="y", meaning="what came of it", source="outcomes", label=_label, label_delay=timedelta(days=1)),
        sources=tuple(p.Source(name=one, key=key, time=time, read=_never_read) for one in ("things", "outcomes")),
        entity="things",
        prediction_lead=timedelta(hours=1),
        features=(*CATEGORIES, *NUMBERS, *more),
        slices=("zone",),
        build_estimator=build,
        split=p.ForwardSplit(holdout_days=100) if timed else p.HashedSplit(group="customer"),
        gate=gate,
        behaviour=(
            p.Perturbation(name="More x2 never makes it less", change=more_x2, expect="up", tolerance=tolerance),
            p.Perturbation(name="The channel changes nothing", change=other_channel, expect="same", tolerance=5 * tolerance),
        ),
    )


WORLDS: dict[str, World] = {
    "rides": World(
        _problem("rides", p.BinaryCosts(missed=50, false_alarm=10, ratio_range=(3, 8)), build_rides, gate=p.GatePolicy()),
        worlds.draw_rides,
        train=(240, 40),
        sizes={"small": (30, 50), "medium": (60, 100), "large": (100, 200)},
        recipe={"max_iter": 50, "learning_rate": 0.15, "max_leaf_nodes": 12, "min_samples_leaf": 40},
        first=243,
    ),
    "demand": World(
        _problem("demand", absolute_error, build_demand, gate=p.GatePolicy()),
        worlds.draw_demand,
        train=(420, 24),
        sizes={"small": (30, 50), "medium": (60, 100), "large": (100, 200)},
        recipe={"max_iter": 120, "learning_rate": 0.12, "max_leaf_nodes": 8, "min_samples_leaf": 40},
        first=423,
    ),
    "fraud": World(
        _problem(
            "fraud",
            p.BinaryCosts(missed=300, false_alarm=10, ratio_range=(20, 45)),
            build_fraud,
            gate=p.GatePolicy(cluster="customer"),
            timed=False,
        ),
        worlds.draw_fraud,
        train=(240, 160),
        sizes={"small": (240, 40), "medium": (240, 120), "large": (240, 300)},
        recipe={"max_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 5, "min_samples_leaf": 200},
        first=0,
    ),
}
