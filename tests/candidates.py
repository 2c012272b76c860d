"""Candidates of the toy problem for tests, trained in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import FixedThresholdClassifier
from stores import lay_store
from toy import data
from toy.contract import PROBLEM

from evergreen.candidate import Trained, predicted
from evergreen.journal import Journal
from evergreen.registry import Registry
from evergreen.settings import Settings

LOCK = Path(__file__).parent.parent / "requirements.txt"


def toy_rows(days: range) -> pd.DataFrame:
    """Orders with the stock level of their day and the outcome."""
    rows = pd.concat([data.day_of_orders(day).assign(day=day) for day in days], ignore_index=True)
    levels = [data.stock_level(day, product) for day, product in zip(rows["day"], rows["product"], strict=True)]
    return rows.assign(stock_level=levels, product=rows["product"].astype("str"))


def toy_candidate(key: str = "first", *, days: int = 10, estimator: Any = None, golden_error: float = 0.0) -> Trained:
    """A candidate fitted on the first `days` days; `golden_error` is what its golden probabilities are wrong by."""
    rows = toy_rows(range(days))
    X = rows[list(PROBLEM.features)]
    fitted = FixedThresholdClassifier(estimator or PROBLEM.build_estimator(), threshold=1 / 3).fit(X, rows["returned"].astype(int))
    said = predicted(fitted, X)
    if golden_error:
        said["probability"] += golden_error
    return Trained(
        estimator=fitted,
        features=PROBLEM.features,
        example=X.head(3),
        golden=pd.concat([X, said], axis=1),
        training_rows=np.arange(len(X), dtype=np.uint64)[::-1],
        parameters={"days": days},
        metrics={"cost": np.float64(2.5)},
        training_key=key,
        snapshot="5" * 64,
        provenance={"snapshot": "5" * 64, "contract": "c" * 64, "code": "d" * 64, "lock": "e" * 64},
        facts={"training_end": "2026-01-14T00:00:00+00:00", "rows": len(X), "commit": "0123456789ab+"},
    )


def toy_registry(home: Path, *, bare: bool = False, **settings: Any) -> Registry:
    """The toy problem's registry in a folder of its own, with MLflow's tables made already unless it is to be bare."""
    if not bare:
        lay_store(home)
    where = Settings(_env_file=None, home=home, lock=settings.pop("lock", LOCK), **settings)
    return Registry(where, PROBLEM, Journal(where.journal))


def write_rows(path: Path, days: range = range(20, 23)) -> pd.DataFrame:
    """Rows to predict, as parquet; returned as they were written."""
    rows = toy_rows(days)[["order_id", *PROBLEM.features]]
    rows.to_parquet(path, index=False)
    return rows
