"""The toy problem's features and estimator; as in a real problem it imports nothing but scikit-learn, pandas and numpy."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

NUMBERS = ["amount", "stock_level", "load"]
CATEGORIES = ["product"]


def add_load(X: pd.DataFrame) -> pd.DataFrame:
    """How much of the stock an order takes."""
    return X.assign(load=X["amount"] / X["stock_level"].clip(lower=1))


def build_estimator() -> Pipeline:
    """An unfitted pipeline that takes the contract's features as a data frame."""
    return make_pipeline(
        FunctionTransformer(add_load),
        make_column_transformer(
            (StandardScaler(), NUMBERS),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
        ),
        LogisticRegression(),
    )
