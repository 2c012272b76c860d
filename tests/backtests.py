"""Worlds to be played again: the toy shop with outcomes that are planted, as deliveries that have been ingested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from toy import data
from toy.contract import PROBLEM
from workspaces import changed, deliver, deliver_days, ingest, open_space

from evergreen.backtest.periods import Stretch
from evergreen.backtest.running import run_backtest
from evergreen.contract import Problem
from evergreen.workspace import Workspace

DAYS, TURN = 150, 30
FORTNIGHTS = Stretch(every=14)
QUICK: Problem = changed(gate=changed(PROBLEM.gate, seeds=2), retraining=changed(PROBLEM.retraining, folds=2))
Returned = Callable[[int, pd.DataFrame], np.ndarray]
"""From a day and its orders to whether each comes back."""


def stable(day: int, orders: pd.DataFrame) -> np.ndarray:
    """The toy shop as it is, on every day alike."""
    return orders["returned"].to_numpy()


def turning(day: int, orders: pd.DataFrame) -> np.ndarray:
    """Shoes come back; from the 30th day on, which no first model has seen, sofas do too."""
    sofas = 0.22 if day < TURN else 0.5
    return drawn(day, np.select([orders["product"] == "shoe", orders["product"] == "sofa"], [0.6, sofas], 0.12))


def drawn(day: int, chance: np.ndarray) -> np.ndarray:
    """Yes with these chances, always the same on the same day."""
    return np.random.default_rng([77, day]).random(len(chance)) < chance


def world(root: Path, returned: Returned, *, days: int = DAYS, problem: Problem = QUICK) -> Workspace:
    """A workspace in which so many days have been ingested."""
    space = open_space(root, problem=problem)
    deliver_days(space, days, without=["outcomes"])
    deliver(space, "outcomes", "outcomes.csv", outcomes(returned, days))
    ingest(space)
    return space


def outcomes(returned: Returned, days: int = DAYS) -> pd.DataFrame:
    """What becomes of the orders of so many days."""
    orders = [data.day_of_orders(day) for day in range(days)]
    parts = [one[["order_id", "ordered_at"]].assign(returned=returned(day, one)) for day, one in enumerate(orders)]
    return pd.concat(parts, ignore_index=True)


def played(space: Workspace, *policies: str, **how: Any) -> dict[str, Any]:
    """The backtest of a workspace in fortnights."""
    return run_backtest(space, policies=policies, **{"stretch": FORTNIGHTS, **how})


def policy(told: dict[str, Any], name: str) -> dict[str, Any]:
    """What is told of a policy."""
    return next(one for one in told["policies"] if one["name"] == name)
