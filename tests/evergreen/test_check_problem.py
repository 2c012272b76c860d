import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from toy import features
from toy.contract import PROBLEM
from workspaces import changed, deliver_days, toy_frame, with_join, with_source

from evergreen.contract import Problem
from evergreen.errors import ContractError, DataError, EvergreenError, ModelError
from evergreen.evaluation import predict
from evergreen.policies import BinaryCosts, Perturbation
from evergreen.testing import check_problem
from evergreen.training import shipped_estimator
from evergreen.workspace import Workspace

NUMBERS = ("amount", "stock_level")


@pytest.fixture
def landed(empty_space: Workspace) -> Workspace:
    """A workspace with four days of deliveries that nobody has judged yet."""
    deliver_days(empty_space, 4)
    return empty_space


def told(space: Workspace, problem: Problem = PROBLEM) -> list[str]:
    return list(check_problem(Workspace(space.settings, problem, space.journal)))


def refused(space: Workspace, problem: Problem, error: type[EvergreenError], match: str) -> None:
    with pytest.raises(error, match=match) as raised:
        told(space, problem)
    assert "Traceback" not in str(raised.value)


def with_feature(function: Callable[[pd.DataFrame], pd.DataFrame], **values: Any) -> Problem:
    """The toy problem with this feature before a simple model of numbers."""
    return changed(features=NUMBERS, build_estimator=lambda: make_pipeline(FunctionTransformer(function), LogisticRegression()), **values)


def business(**values: Any) -> Problem:
    return changed(business=changed(PROBLEM.business, **values))


def add_in_place(X: pd.DataFrame) -> pd.DataFrame:
    X["load"] = X["amount"] / X["stock_level"]
    return X


def against_the_mean(X: pd.DataFrame) -> pd.DataFrame:
    return X - X.mean()


def share_of_the_group(X: pd.DataFrame) -> pd.DataFrame:
    return X.assign(same=X.groupby("stock_level")["amount"].transform("count"))


def against_the_row_before(X: pd.DataFrame) -> pd.DataFrame:
    return X - X.shift(1)


def forgetting(X: pd.DataFrame) -> pd.DataFrame:
    raise KeyError("weight")


def add_nothing(X: pd.DataFrame) -> pd.DataFrame:
    return X.assign(load=0)


def misspelt() -> Any:
    return features.LogisticRegresion()


def test_a_sound_problem_passes_every_step(landed: Workspace):
    steps = told(landed)
    assert len(steps) == 10
    assert "4 sources can be read: orders" in steps[0]
    assert "The joins hold: stock 100%, customers 100%." in steps
    assert steps[3] == "634 of 634 rows have their outcome, returned; 634 of these count."
    assert steps[4] == "These rows are what training_data.json expects."
    assert steps[5].startswith("The split of these few files, which all deliveries together may pass: Got 0 days to train on")
    assert "EUR per 1,000 orders" in steps[8]
    assert steps[9].startswith("The schedule asks 365 times a year")
    assert 'set a schedule that comes as seldom (monthly: cron="30 3 1 * *"' in steps[9]
    assert len(told(landed, changed(retraining=changed(PROBLEM.retraining, on=("drift", "decay"))))) == 9


def expecting(space: Workspace, name: str, kind: str, **kwargs: Any) -> None:
    """Have a suite hold one more critical expectation."""
    one = {"type": kind, "kwargs": kwargs, "severity": "critical"}
    (space.settings.expectations / f"{name}.json").write_text(json.dumps({"name": name, "expectations": [one]}))


@pytest.mark.parametrize(
    ("name", "said"),
    [("orders", "Some of these deliveries would be refused: orders: "), ("training_data", "A training on these rows would")],
)
def test_what_a_suite_would_refuse_is_said_of_the_rows_that_were_read(landed: Workspace, name: str, said: str):
    expecting(landed, name, "expect_column_values_to_be_between", column="amount", max_value=3)
    (step,) = [one for one in told(landed) if one.startswith(said)]
    assert "amount" in step


@pytest.mark.parametrize("name", ["orders", "training_data"])
def test_a_suite_that_names_a_column_nobody_has_is_a_mistake(landed: Workspace, name: str):
    expecting(landed, name, "expect_column_values_to_not_be_null", column="amuont")
    refused(landed, PROBLEM, ContractError, rf"expectations/{name}\.json: .*there is no column .*amuont.*Mend the suite")


def test_files_of_two_deliveries_are_held_against_their_suite_one_by_one(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 2, start=2)
    many = changed(PROBLEM, sources=with_source("orders", rows=(1, 420)).sources)
    assert not [one for one in told(empty_space, many) if "would be refused" in one]
    few = changed(PROBLEM, sources=with_source("orders", rows=(1, 20)).sources)
    assert [one for one in told(empty_space, few) if one.startswith("Some of these deliveries would be refused: orders: ")]


def test_a_split_that_the_files_are_enough_for_is_told_in_rows(landed: Workspace):
    quick = changed(split=changed(PROBLEM.split, holdout_days=1, min_train_days=1))
    assert [one for one in told(landed, quick) if one.startswith("The split leaves ") and one.endswith(" to judge with.")]


@pytest.mark.parametrize("left", ["a.part", "a.csv.tmp", "0-folder"])
def test_what_still_arrives_and_what_is_no_file_is_no_delivery(landed: Workspace, left: str):
    path = landed.settings.landing / "orders" / left
    path.mkdir() if left.endswith("folder") else path.write_text("order_id\no")
    assert "4 sources can be read" in told(landed)[0]


def own_cost(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    return np.asarray(40.0 * (y_true > decision) + 1.0 * (y_true < decision))


def test_a_binary_cost_that_is_a_function_is_said_to_leave_the_threshold_at_a_half(landed: Workspace):
    assert not [one for one in told(landed) if "50%" in one]
    own = business(row_cost=own_cost)
    (step,) = [one for one in told(landed, own) if "50%" in one]
    assert "Use BinaryCosts, or wrap the estimator in scikit-learn's FixedThresholdClassifier" in step


def early() -> FixedThresholdClassifier:
    return FixedThresholdClassifier(features.build_estimator(), threshold=0.05)


def test_the_wrapper_that_is_advised_decides_at_its_threshold_and_can_be_stored(landed: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(early, "__module__", "toy.features")
    wrapped = changed(business(row_cost=own_cost), build_estimator=early)
    assert "The model can be stored without pickle, and every type in it has been reviewed." in told(landed, wrapped)
    rows = toy_frame(5)
    model = shipped_estimator(wrapped, {}).fit(rows[list(wrapped.features)], rows["returned"])
    said = predict(model, rows[list(wrapped.features)], "binary")
    assert said.probability is not None
    assert (said.decision == (said.probability >= 0.05)).all()
    assert ((said.probability > 0.05) & (said.probability < 0.5)).any()


def test_checking_writes_nothing(landed: Workspace):
    before = sorted(landed.settings.root.rglob("*"))
    told(landed)
    assert sorted(landed.settings.root.rglob("*")) == before


def test_a_source_without_a_file_is_named(landed: Workspace):
    next((landed.settings.landing / "stock").iterdir()).unlink()
    refused(landed, PROBLEM, DataError, r"no file in .*landing/stock; expected at least one delivery of stock")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"read": lambda path: pd.read_csv(path, sep=";")}, r"sources\.orders: a delivery lacks `order_id`"),
        ({"read": lambda path: pd.read_csv(path, parse_dates=["when"])}, r"sources\.orders: a delivery cannot be read: .*when"),
        ({"read": lambda path: pd.read_csv(path).assign(ordered_at=pd.Timestamp("2026-01-05"))}, "no time zone in `ordered_at`"),
        ({"read": pd.read_csv}, r"no time zone in `ordered_at`: got str; expected times such as 2026-01-31T23:00:00Z"),
        ({"read": lambda path: pd.read_csv(path).to_dict()}, "The reader of 'orders' returned dict; expected a pandas DataFrame"),
        ({"key": ("order_number",)}, r"sources\.orders: a delivery lacks `order_number`, which"),
        ({"time": "orderd_at"}, r"sources\.orders: a delivery lacks `orderd_at`"),
    ],
)
def test_a_mistake_in_reading_is_told_with_the_source(landed: Workspace, values: dict[str, Any], match: str):
    refused(landed, with_source("orders", **values), ContractError, match)


@pytest.mark.parametrize("name", ["stock", "training_data"])
def test_a_missing_suite_is_named(landed: Workspace, name: str):
    (landed.settings.expectations / f"{name}.json").unlink()
    refused(landed, PROBLEM, ContractError, rf"There is no suite .*{name}\.json")


def test_the_suite_that_a_source_names_is_read_and_may_be_shared(landed: Workspace):
    (landed.settings.expectations / "stock.json").unlink()
    assert told(landed, with_source("stock", suite="orders"))
    refused(landed, with_source("stock", suite="shelves"), ContractError, r"There is no suite .*shelves\.json")


@pytest.mark.parametrize(
    ("problem", "match"),
    [
        (with_join(0, take=("stock_levle",)), r"joins\.0\.take: \['stock_levle'\] not in stock"),
        (with_join(0, offset=timedelta(days=90)), r"Join with stock: 0\.0% of .* rows found a partner"),
    ],
)
def test_a_mistake_in_a_join_is_told(landed: Workspace, problem: Problem, match: str):
    refused(landed, problem, EvergreenError, match)


@pytest.mark.parametrize("field", ["features", "slices"])
def test_a_misspelt_column_is_named_with_those_there_are(landed: Workspace, field: str):
    columns = (*getattr(PROBLEM, field), "amuont")
    refused(
        landed, changed(**{field: columns}), ContractError, r"\['amuont'\] not in the data after the joins, which have order_id, .*amount"
    )


def test_outcomes_of_other_orders_are_told(landed: Workspace):
    for path in (landed.settings.landing / "outcomes").iterdir():
        path.unlink()
    deliver_days(landed, 2, start=40, without=("orders", "stock"))
    refused(landed, PROBLEM, DataError, "No row has its outcome")


@pytest.mark.parametrize(
    ("label", "match"),
    [
        (lambda outcomes: np.zeros(len(outcomes)), r"target\.label: got only \[0\] in .* rows; expected every class"),
        (lambda outcomes: outcomes["returned"].astype(int) + 1, r"target\.label: got the values \[.*2.*\] in a binary problem"),
        (lambda outcomes: [1, 0], r"target\.label: got shape \(2,\)"),
        (lambda outcomes: outcomes["refunded"], "refunded"),
    ],
)
def test_a_mistake_in_the_label_is_told(landed: Workspace, label: Callable[[pd.DataFrame], Any], match: str):
    refused(landed, changed(target=changed(PROBLEM.target, label=label)), ContractError, match)


def test_features_that_change_what_they_are_given_are_refused(landed: Workspace):
    refused(landed, with_feature(add_in_place), ModelError, r"The features change the frame .*Return a new one")


@pytest.mark.parametrize("function", [against_the_mean, share_of_the_group])
def test_a_feature_that_looks_at_other_rows_is_refused(landed: Workspace, function: Callable[[pd.DataFrame], pd.DataFrame]):
    refused(landed, with_feature(function), ModelError, "A row alone is predicted differently than among others")


def test_a_feature_that_breaks_on_a_single_row_is_told_in_one_sentence(landed: Workspace):
    def scaled(X: pd.DataFrame) -> pd.DataFrame:
        return X / X.std()  # of one row there is none

    refused(landed, with_feature(scaled), ModelError, "ValueError|alone")


@pytest.mark.parametrize(("function", "match"), [(forgetting, "KeyError: ⟦'weight'⟧"), (against_the_row_before, "contains NaN")])
def test_a_fit_that_fails_is_one_sentence(landed: Workspace, function: Callable[[pd.DataFrame], pd.DataFrame], match: str):
    refused(landed, with_feature(function), ModelError, rf"build_estimator\(\): fitting on [\d,]+ rows failed: .*{match}")


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (RidgeClassifier, r"RidgeClassifier without predict_proba; a classification problem needs probabilities"),
        (lambda: "a model", r"build_estimator\(\) gave str; expected an unfitted scikit-learn estimator"),
        (misspelt, r"build_estimator\(\).*'LogisticRegresion'"),
    ],
)
def test_an_estimator_that_cannot_be_used_is_told(landed: Workspace, build: Callable[[], Any], match: str):
    refused(landed, changed(features=NUMBERS, build_estimator=build), ModelError, match)


def test_a_search_space_with_an_unknown_parameter_is_told(landed: Workspace):
    problem = changed(search_space=lambda: {"logisticregression__C": [1.0], "logisticregression__depth": [3]})
    refused(landed, problem, ContractError, r"search_space: \['logisticregression__depth'\] are no parameters of the estimator")
    assert told(landed, changed(search_space=lambda: {"logisticregression__C": [1.0]}))


def test_a_search_space_that_could_not_be_kept_is_told(landed: Workspace):
    problem = changed(search_space=lambda: {"logisticregression": [LogisticRegression(), None]})
    refused(landed, problem, ContractError, r"search_space: 'logisticregression': got LogisticRegression\(\)")


def test_a_type_that_nobody_has_reviewed_is_named_and_may_be_trusted(landed: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "add_load", add_nothing)  # a function that is not of the problem's own package
    name = f"{add_nothing.__module__}.add_nothing"
    refused(landed, PROBLEM, ModelError, rf"types that nobody has reviewed: .*{name}.*trusted_types in the contract")
    assert told(landed, changed(trusted_types=(name,)))


def test_costs_that_are_mixed_up_are_told(landed: Workspace):
    def reward(rows: pd.DataFrame, y: np.ndarray, decision: np.ndarray) -> np.ndarray:
        return np.asarray(y == decision, dtype=float)

    refused(
        landed, business(row_cost=reward), ContractError, "being always right costs more than the rule of thumb. Are two costs mixed up"
    )
    assert told(landed, business(row_cost=BinaryCosts(missed=1.0, false_alarm=9.0)))


@pytest.mark.parametrize(
    ("cost", "match"),
    [
        (lambda rows, y, decision: np.full(len(rows), np.nan), "some costs are not finite numbers"),
        (lambda rows, y, decision: 1.0, r"business\.row_cost: got shape \(\); expected one cost for each"),
        (lambda rows, y, decision: rows["price"], "price"),
    ],
)
def test_a_mistake_in_the_cost_is_told(landed: Workspace, cost: Callable[..., Any], match: str):
    refused(landed, business(row_cost=cost), ContractError, match)


@pytest.mark.parametrize(
    ("decide", "match"),
    [
        (lambda rows: 1, r"business\.rule_of_thumb\.decide gave shape \(\); expected .* one answer for each"),
        (lambda rows: rows["shape"] == "shoe", "shape"),
    ],
)
def test_a_mistake_in_the_rule_of_thumb_is_told(landed: Workspace, decide: Callable[..., Any], match: str):
    rule = changed(PROBLEM.business.rule_of_thumb, decide=decide)
    refused(landed, business(rule_of_thumb=rule), ContractError, match)


def smaller(X: pd.DataFrame) -> pd.DataFrame:
    return X.head(3)


def test_every_perturbation_is_tried(landed: Workspace):
    good = Perturbation(name="The same order has the same chance", change=lambda X: X.assign(), expect="same")
    assert told(landed, changed(behaviour=(good,)))[-2] == (
        "The change of rows behind this claim can be made: The same order has the same chance"
    )
    bad = Perturbation(name="Fewer orders", change=smaller, expect="same")
    refused(landed, changed(behaviour=(good, bad)), ContractError, r"behaviour\.1\.change: it gave DataFrame of shape \(3, 3\)")
