"""Estimators for the toy shop's other tasks; those without time have no stock level. As `features`, they import scikit-learn alone."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from toy.features import CATEGORIES, NUMBERS, add_load


def build_regressor() -> Pipeline:
    """Foretells the profit from the order and the stock."""
    return make_pipeline(FunctionTransformer(add_load), _columns(NUMBERS), Ridge())


def build_classifier() -> Pipeline:
    """Foretells one of several wishes from the order and the stock."""
    return make_pipeline(FunctionTransformer(add_load), _columns(NUMBERS), LogisticRegression())


def build_plain_regressor() -> Pipeline:
    """Foretells the profit from the order alone; a further feature is taken as a number."""
    return make_pipeline(_columns(["amount"]), Ridge())


def build_plain_classifier() -> Pipeline:
    """Foretells a yes, or one of several wishes, from the order alone."""
    return make_pipeline(_columns(["amount"]), LogisticRegression())


def _columns(numbers: list[str]) -> object:
    kinds = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((StandardScaler(), numbers), (kinds, CATEGORIES), remainder="passthrough")
