"""Defects that the self-test of the gate plants into a user's own estimator; nothing else may use them.

A model that holds one is stored and loaded like any other, so the defect goes the way that a real one would.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

NOT_A_NUMBER_SHARE = 0.01


class Defective(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator with a defect when it predicts: slow, not a number on some rows, or looking at the other rows of its batch.

    `seconds` is what an answer takes when it is slow.
    """

    def __init__(self, estimator: Any, defect: Literal["slow", "not a number", "looks around"], seconds: float = 0.0) -> None:
        self.estimator = estimator
        self.defect = defect
        self.seconds = seconds

    def __sklearn_tags__(self) -> Any:
        """Be what the estimator inside is."""
        return get_tags(self.estimator)

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Defective:
        """Fit the estimator inside, on what it will see."""
        self.estimator_ = clone(self.estimator).fit(self._given(X), y)
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """What the estimator inside says, with the defect."""
        return self._said(self.estimator_.predict(self._given(X)))

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """The probabilities of the estimator inside, with the defect."""
        return self._said(self.estimator_.predict_proba(self._given(X)))

    def _given(self, X: pd.DataFrame) -> pd.DataFrame:
        if self.defect == "slow" and hasattr(self, "estimator_"):
            time.sleep(self.seconds)
        if self.defect != "looks around":
            return X
        names = [name for name in X if pd.api.types.is_numeric_dtype(X[name]) and not pd.api.types.is_bool_dtype(X[name])]
        return X.assign(**{str(name): (X[name] - X[name].mean()).astype(float) for name in names})

    def _said(self, answer: np.ndarray) -> np.ndarray:
        if self.defect == "not a number" and answer.dtype.kind == "f":
            rows = np.arange(len(answer)) % round(1 / NOT_A_NUMBER_SHARE) == 0
            return np.where(rows if answer.ndim == 1 else rows[:, None], np.nan, answer)
        return answer


def overfitted(task: str) -> Pipeline:
    """A tree that knows every training row by heart; it takes any table."""
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = make_column_transformer((encode, make_column_selector(dtype_exclude="number")), remainder="passthrough")
    return make_pipeline(columns, DecisionTreeRegressor() if task == "regression" else DecisionTreeClassifier())


def underfitted(task: str) -> Any:
    """A model that looks at no feature."""
    return DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")
