"""The model: stateless features, the estimator, and what tuning may try.

This file travels inside every registered model, so it imports scikit-learn, pandas and numpy only.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

CATEGORIES = ["carrier", "origin", "dest"]


def add_flight_features(X: pd.DataFrame) -> pd.DataFrame:
    """Clock time as minutes since midnight, the aircraft's age in years, and how near the air is to fog."""
    return X.assign(
        minute_of_day=X["sched_dep_time"] // 100 * 60 + X["sched_dep_time"] % 100,
        aircraft_age=2013 - X["built"],
        dew_point_spread=X["temp"] - X["dewp"],
    ).drop(columns=["sched_dep_time", "built"])


def build_estimator() -> Pipeline:
    """Build the estimator, unfitted; it learns the probability that a flight is late."""
    encode = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=20), CATEGORIES),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    model = HistGradientBoostingClassifier(
        categorical_features=list(range(len(CATEGORIES))), learning_rate=0.1, max_iter=100, min_samples_leaf=100, early_stopping=False
    )
    return Pipeline([("features", FunctionTransformer(add_flight_features)), ("encode", encode), ("model", model)])


def search_space() -> dict[str, Any]:
    """Parameters of the estimator that `evergreen train --tune` tries."""
    return {
        "model__learning_rate": [0.03, 0.05, 0.1, 0.2],
        "model__max_iter": [60, 100, 150],
        "model__max_leaf_nodes": [15, 31, 63],
        "model__min_samples_leaf": [50, 100, 200],
        "model__l2_regularization": [0.0, 1.0, 10.0],
    }
