import json

import numpy as np
import pandas as pd
from candidates import toy_candidate, toy_rows
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from toy.contract import PROBLEM

from evergreen.stages import SHOWN, shown, shown_frame, unfold

ROWS = toy_rows(range(3))
X, Y = ROWS[list(PROBLEM.features)], ROWS["returned"].astype(int)


def test_each_step_but_the_last_is_shown_with_what_it_made_of_the_row():
    fitted = toy_candidate().estimator
    told, row = unfold(fitted, X.head(1)), X.iloc[0]
    assert (told["threshold"], told["model"]) == (1 / 3, "LogisticRegression")
    first, second = told["stages"]
    assert (first["name"], first["kind"], first["columns"]) == ("functiontransformer", "FunctionTransformer", 4)
    assert first["values"] == {
        "product": row["product"],
        "amount": row["amount"],
        "stock_level": row["stock_level"],
        "load": row["amount"] / row["stock_level"],
    }
    scaled = fitted.estimator_[:2].transform(X.head(1))[0]
    assert list(second["values"].values()) == scaled.tolist()
    assert list(second["values"])[:4] == [f"standardscaler__{name}" for name in ("amount", "stock_level", "load")] + [
        "onehotencoder__product_book"
    ]
    json.dumps(told, allow_nan=False)


def test_what_is_no_pipeline_has_no_stages():
    model = HistGradientBoostingRegressor(max_iter=2).fit(X[["amount"]], Y)
    assert unfold(model, X[["amount"]].head(1)) == {"threshold": None, "model": "HistGradientBoostingRegressor", "stages": None}


def test_a_pipeline_in_a_pipeline_is_opened_and_what_passes_through_is_left_out():
    inner = Pipeline([("scale", StandardScaler()), ("nothing", "passthrough"), ("half", FunctionTransformer(lambda values: values / 2))])
    model = Pipeline([("numbers", inner), ("model", Ridge())]).fit(X[["amount"]], Y)
    scale, half = unfold(model, X[["amount"]].head(1))["stages"]
    assert (scale["name"], half["name"]) == ("numbers, scale", "numbers, half")
    assert scale["values"] == {"amount": 2 * half["values"]["column 1"]}


def test_of_a_wide_and_sparse_stage_what_is_not_zero_is_shown_and_the_width_is_told():
    texts = pd.DataFrame({"text": [f"word{number} again" for number in range(200)]})
    words = make_column_transformer((CountVectorizer(), "text"), verbose_feature_names_out=False)
    model = make_pipeline(words, LogisticRegression()).fit(texts, np.arange(200) % 2)
    (stage,) = unfold(model, texts.head(1))["stages"]
    assert (stage["columns"], stage["values"]) == (201, {"again": 1, "word0": 1})


def test_of_a_wide_stage_without_zeros_the_first_columns_are_shown():
    wide = pd.DataFrame(np.ones((2, 100)), columns=[f"c{number}" for number in range(100)])
    model = make_pipeline(FunctionTransformer(), Ridge()).fit(wide, [0, 1])
    (stage,) = unfold(model, wide.head(1))["stages"]
    assert (stage["columns"], list(stage["values"])) == (100, [f"c{number}" for number in range(SHOWN)])


def test_names_that_are_there_twice_are_numbered_so_that_no_value_is_lost():
    assert shown(pd.DataFrame([[1, "a"]], columns=["x", "x"]), None)["values"] == {"column 1": 1, "column 2": "a"}


def test_values_that_json_does_not_have_are_told_as_text_or_as_missing():
    row = pd.DataFrame({"a": [np.nan], "b": [np.inf], "c": [pd.NaT], "d": [pd.Timestamp("2026-01-05", tz="UTC")], "e": [True], "f": [None]})
    told = shown_frame(row)["values"]
    assert told == {"a": None, "b": "inf", "c": None, "d": "2026-01-05 00:00:00+00:00", "e": True, "f": None}
    json.dumps(told, allow_nan=False)
