from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.svm import LinearSVC
from workspaces import changed

from evergreen.errors import ContractError, ModelError
from evergreen.evaluation import Predicted, central_cost, dummy, measure, predict, read_predicted, trivial_policies
from evergreen.policies import BinaryCosts, GatePolicy

COSTS = BinaryCosts(missed=20, false_alarm=10, ratio_range=(1, 4))
NOTHING = pd.DataFrame(index=range(4))
Y = np.array([1, 1, 0, 0])


def problem(row_cost: Any = COSTS, **values: Any) -> Any:
    from toy.contract import PROBLEM

    return changed(business=changed(PROBLEM.business, row_cost=row_cost), **values)


THREE_RATIOS = problem(gate=GatePolicy(ratios=3))  # 1, 2 and 4: thresholds 1/2, 1/3 and 1/5


class Says(ClassifierMixin, BaseEstimator):
    """Answers what it was given."""

    def __init__(self, decision: Any, probability: Any) -> None:
        self.decision, self.probability = decision, probability

    def predict(self, X: pd.DataFrame) -> Any:
        return self.decision

    def predict_proba(self, X: pd.DataFrame) -> Any:
        return np.asarray(self.probability)


class Guesses(RegressorMixin, BaseEstimator):
    """Says three for every row."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.full(len(X), 3.0)


def test_the_measure_is_the_mean_over_the_ratios_each_with_its_own_threshold():
    predicted = Predicted(np.array([1, 0, 1, 0]), np.array([0.6, 0.25, 0.4, 0.1]))
    # Row 1: 0.6 acts at every ratio, rightly. Row 2: 0.25 acts only at ratio 4; missed at 1 and 2 it costs 10 and 20.
    # Row 3: 0.4 acts at 2 and 4: two false alarms at 10. Row 4: never acts, rightly.
    assert measure(THREE_RATIOS, NOTHING, Y, predicted) == pytest.approx([0, 30 / 3, 20 / 3, 0])


def test_a_policy_without_probabilities_keeps_its_decision_at_every_ratio():
    predicted = Predicted(np.array([1, 0, 1, 0]))
    assert measure(THREE_RATIOS, NOTHING, Y, predicted) == pytest.approx([0, (10 + 20 + 40) / 3, 10, 0])


def test_the_central_cost_is_what_the_decision_costs_at_the_contracts_own_prices():
    predicted = Predicted(np.array([1, 0, 1, 0]), np.array([0.6, 0.25, 0.4, 0.1]))
    assert central_cost(THREE_RATIOS, NOTHING, Y, predicted).tolist() == [0, 20, 10, 0]
    without_range = problem(BinaryCosts(missed=20, false_alarm=10))
    assert measure(without_range, NOTHING, Y, predicted).tolist() == [0, 20, 10, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("costs", [COSTS, BinaryCosts(missed=20, false_alarm=10)])
def test_a_probability_that_is_no_number_has_no_cost(value: float, costs: BinaryCosts):
    predicted = Predicted(np.array([1, 0, 1, 0]), np.array([0.6, value, 0.4, 0.1]))
    assert np.isnan(measure(problem(costs), NOTHING, Y, predicted)).tolist() == [False, True, False, False]


def test_a_decision_that_is_no_number_has_no_cost():
    predicted = Predicted(np.array([1, np.nan, 1, 0]))
    assert np.isnan(measure(THREE_RATIOS, NOTHING, Y, predicted)).tolist() == [False, True, False, False]


def test_a_cost_of_the_wrong_shape_is_told():
    with pytest.raises(ContractError, match=r"business\.row_cost: got shape \(\); expected one cost for each of the 4 rows"):
        central_cost(problem(lambda rows, y, decision: 3.0), NOTHING, Y, Predicted(Y))


def test_a_cost_may_look_at_the_rows():
    rows = pd.DataFrame({"price": [5.0, 6.0, 7.0, 8.0]})
    priced = problem(lambda rows, y, decision: rows["price"] * (y != decision))
    assert measure(priced, rows, Y, Predicted(np.array([0, 1, 1, 0]))).tolist() == [5, 0, 7, 0]


def test_a_classifier_says_decisions_and_the_probability_of_one():
    said = predict(Says(Y, [[0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.9, 0.1]]), NOTHING, "binary")
    assert said.decision.tolist() == [1, 1, 0, 0]
    assert said.probability.tolist() == [0.8, 0.6, 0.3, 0.1]
    several = predict(Says(Y, np.full((4, 3), 1 / 3)), NOTHING, "multiclass")
    assert several.probability.shape == (4, 3)


def test_a_regressor_says_values_and_no_probability():
    said = predict(Guesses(), NOTHING, "regression")
    assert (said.decision.tolist(), said.probability) == ([3, 3, 3, 3], None)


def test_a_classifier_without_probabilities_is_told_with_the_way_out():
    with pytest.raises(ModelError, match=r"gave LinearSVC without predict_proba; a classification problem needs .*CalibratedClassifierCV"):
        predict(LinearSVC(), NOTHING, "binary")


@pytest.mark.parametrize("decision", [[1, 0, 1], 1, [[1, 0, 1, 0]]])
def test_decisions_of_the_wrong_shape_are_told(decision: Any):
    with pytest.raises(ModelError, match=r"predict gave shape .*; expected \(4,\): one answer for each of the 4 rows"):
        predict(Says(decision, np.full((4, 2), 0.5)), NOTHING, "binary")


@pytest.mark.parametrize("probability", [np.ones((4, 1)), np.full(4, 0.5), np.full((3, 2), 0.5), np.full((4, 3), 1 / 3)])
def test_probabilities_of_the_wrong_shape_are_told(probability: np.ndarray):
    with pytest.raises(ModelError, match=r"predict_proba.* shape"):
        predict(Says(Y, probability), NOTHING, "binary")


def test_predictions_of_another_process_are_read_as_they_were_written(tmp_path: Path):
    pd.DataFrame({"order_id": ["a", "b"], "decision": [1, 0], "probability": [0.7, 0.2]}).to_parquet(tmp_path / "binary.parquet")
    binary = read_predicted(tmp_path / "binary.parquet", "binary")
    assert (binary.decision.tolist(), binary.probability.tolist()) == ([1, 0], [0.7, 0.2])
    pd.DataFrame({"decision": ["x", "z"], "probability_x": [0.7, 0.2], "probability_z": [0.3, 0.8]}).to_parquet(tmp_path / "multi.parquet")
    several = read_predicted(tmp_path / "multi.parquet", "multiclass")
    assert several.probability.tolist() == [[0.7, 0.3], [0.2, 0.8]]
    pd.DataFrame({"decision": [1.5, 2.5]}).to_parquet(tmp_path / "values.parquet")
    assert read_predicted(tmp_path / "values.parquet", "regression").probability is None


def test_trivial_policies_are_every_class_or_the_mean_and_median():
    classes = trivial_policies("binary", np.array([0, 1, 1]), 2)
    assert {name: one.decision.tolist() for name, one in classes.items()} == {"always 0": [0, 0], "always 1": [1, 1]}
    values = trivial_policies("regression", np.array([1.0, 2.0, 9.0]), 2)
    assert {name: one.decision.tolist() for name, one in values.items()} == {"always the mean": [4, 4], "always the median": [2, 2]}


@pytest.mark.parametrize(("events", "decision"), [(3, 0), (4, 1)])
def test_the_dummy_knows_the_share_of_events_and_acts_where_that_is_cheaper(events: int, decision: int):
    said = dummy(problem(), np.array([1] * events + [0] * (10 - events)), 2)  # acts from a third on
    assert said.probability == pytest.approx([events / 10] * 2)
    assert said.decision.tolist() == [decision] * 2


@pytest.mark.parametrize("label", [0, 1])
def test_the_dummy_of_one_class_says_that_class(label: int):
    said = dummy(problem(), np.full(5, label), 2)
    assert said.decision.tolist() == [label, label]
    assert said.probability.tolist() == [label, label]


def test_the_dummy_of_a_regression_says_the_mean():
    values = problem(lambda rows, y, decision: np.abs(y - decision), task="regression")
    assert dummy(values, np.array([1.0, 2.0, 9.0]), 2).decision.tolist() == [4, 4]
