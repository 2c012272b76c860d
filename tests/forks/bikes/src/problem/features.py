"""The model: features and estimator."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

SATURDAY = 5


def add_free_day(X: pd.DataFrame) -> pd.DataFrame:
    """Add whether people do not work on that day."""
    return X.assign(free=((X["weekday"] >= SATURDAY) | X["holiday"]).astype("float64")).drop(columns=["weekday", "holiday"])


def build_estimator() -> Pipeline:
    """Build the estimator, unfitted; four of five days it sends enough bikes."""
    columns = make_column_transformer(
        (StandardScaler(), ["degrees", "free"]), (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["station"])
    )
    return make_pipeline(FunctionTransformer(add_free_day), columns, QuantileRegressor(quantile=0.8, alpha=0.0))
