import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform, randint
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from toy.contract import PROBLEM
from toy.features import build_estimator as toy_estimator
from workspaces import changed, toy_frame

from evergreen import evaluation
from evergreen.contract import Problem
from evergreen.errors import ContractError, ModelError
from evergreen.evaluation import Predicted, measure
from evergreen.policies import BinaryCosts, ForwardSplit, RetrainingPolicy
from evergreen.splitting import rolling_origin
from evergreen.training import Fitted, build_estimator, fit_candidate, training_target, tune

SHORT = changed(split=ForwardSplit(holdout_days=5, min_train_days=5))
NUMBERS = changed(SHORT, features=("amount", "stock_level"))
SPACE = {"logisticregression__C": [1e-6, 1.0]}


def forest() -> Pipeline:
    return make_pipeline(RandomForestClassifier(n_estimators=5, max_depth=3))


def broken_forest() -> Pipeline:
    return make_pipeline(RandomForestClassifier(n_estimators=-1))


def no_estimator() -> str:
    return "a model"


def raising() -> Any:
    raise RuntimeError("no model today")


def tunable(row_cost: Any = PROBLEM.business.row_cost, space: Callable[[], dict[str, Any]] = lambda: SPACE) -> Problem:
    return changed(SHORT, search_space=space, business=changed(PROBLEM.business, row_cost=row_cost))


def fit(problem: Problem, days: int = 20, **parameters: Any) -> Fitted:
    return fit_candidate(problem, toy_frame(days), parameters=parameters)


def test_the_same_rows_seed_and_parameters_give_the_same_predictions():
    problem = changed(NUMBERS, build_estimator=forest)
    one, two = (fit(problem) for _ in range(2))
    other = fit(changed(problem, retraining=RetrainingPolicy(seed=1)))
    X = toy_frame(20)[list(problem.features)]
    assert (one.estimator.predict_proba(X) == two.estimator.predict_proba(X)).all()
    assert one.folds == two.folds
    assert (one.estimator.predict_proba(X) != other.estimator.predict_proba(X)).any()


def test_a_seed_that_the_author_set_stays():
    problem = changed(NUMBERS, build_estimator=lambda: RandomForestClassifier(random_state=7))
    assert build_estimator(problem, {}).random_state == 7
    assert build_estimator(changed(NUMBERS, build_estimator=forest), {}).get_params()["randomforestclassifier__random_state"] == 0


def test_a_parameter_may_be_a_seed():
    name = "randomforestclassifier__random_state"
    assert build_estimator(changed(NUMBERS, build_estimator=forest), {name: 3}).get_params()[name] == 3


def test_the_model_ships_with_the_threshold_of_the_contracts_costs():
    fitted = fit(SHORT)
    assert fitted.threshold == pytest.approx(1 / 3)
    assert isinstance(fitted.estimator, FixedThresholdClassifier)
    X = toy_frame(20)[list(SHORT.features)]
    assert (fitted.estimator.predict(X) == (fitted.estimator.predict_proba(X)[:, 1] >= 1 / 3)).all()
    assert 0 < fitted.estimator.predict(X).mean() < 1


def test_a_regression_ships_without_threshold():
    problem = changed(
        NUMBERS,
        task="regression",
        build_estimator=LinearRegression,
        business=changed(PROBLEM.business, row_cost=lambda rows, y, decision: np.abs(y - decision)),
    )
    fitted = fit(problem)
    assert fitted.threshold is None
    assert isinstance(fitted.estimator, LinearRegression)


def test_each_fold_tells_what_its_shipped_decisions_cost():
    train, problem = toy_frame(20), SHORT
    fitted = fit(problem)
    y, X = training_target(train, problem), train[list(problem.features)]
    for told, (learnt, judged) in zip(fitted.folds, rolling_origin(train, problem), strict=True):
        p = toy_estimator().fit(X.iloc[learnt], y[learnt]).predict_proba(X.iloc[judged])[:, 1]
        predicted = Predicted((p >= 1 / 3).astype(int), p)
        cost = evaluation.central_cost(problem, train.iloc[judged], y[judged], predicted)
        assert told == {
            "rows": len(judged),
            "cost": pytest.approx(cost.mean()),
            "measure": pytest.approx(measure(problem, train.iloc[judged], y[judged], predicted).mean()),
        }


def test_the_cost_of_a_recipe_is_weighted_by_the_rows_of_its_folds():
    folds = ({"rows": 1, "cost": 0.0, "measure": 4.0}, {"rows": 3, "cost": 0.0, "measure": 8.0})
    assert Fitted(None, None, folds, {}, pd.DataFrame()).cost == 7.0


def test_every_step_is_told():
    told: list[str] = []
    fit_candidate(SHORT, toy_frame(20), parameters={}, progress=told.append)
    assert told == [f"cross-validate and fit, {number} of 4" for number in (1, 2, 3, 4)]


def test_training_changes_nothing_in_the_rows_given():
    rows = toy_frame(20)
    before = rows.copy(deep=True)
    fit(SHORT)
    pd.testing.assert_frame_equal(rows, before)


def test_labels_other_than_zero_and_one_are_told():
    with pytest.raises(ContractError, match=r"target\.label: got the values \[.*2.*\] in a binary problem; expected 0 and 1 only"):
        training_target(toy_frame(5).assign(returned=2), PROBLEM)


def test_labels_that_are_numbers_with_a_point_become_whole():
    target = training_target(toy_frame(5).astype({"returned": "float64"}), PROBLEM)
    assert target.dtype == np.int64
    assert target.tolist() == toy_frame(5)["returned"].tolist()


def test_parameters_that_the_estimator_does_not_know_are_told():
    with pytest.raises(ModelError, match=r"does not know these parameters: .*'logisticregression__depth'|Invalid parameter 'depth'.*Mend"):
        fit(SHORT, logisticregression__depth=3)


def test_parameters_reach_the_estimator():
    assert fit(SHORT, logisticregression__C=0.5).estimator.estimator_.get_params()["logisticregression__C"] == 0.5


@pytest.mark.parametrize(("build", "told"), [(no_estimator, "gave str; expected an unfitted"), (raising, "RuntimeError: ⟦no model today⟧")])
def test_what_is_no_estimator_is_told(build: Callable[[], Any], told: str):
    with pytest.raises(ModelError, match=rf"build_estimator\(\).* {told}"):
        fit(changed(build_estimator=build))


def test_a_fit_that_fails_is_one_sentence():
    told = r"^Fitting \w+ on [\d,]+ rows failed: InvalidParameterError: ⟦The 'n_estimators' parameter .*$"
    with pytest.raises(ModelError, match=told):
        fit(changed(NUMBERS, build_estimator=broken_forest))


@pytest.mark.parametrize("build", [LinearRegression, RidgeClassifier])
def test_an_estimator_without_probabilities_is_told(build: Callable[[], Any]):
    with pytest.raises(ModelError, match=r"predict_proba.*(needs probabilities|Got LinearRegression)"):
        fit(changed(NUMBERS, build_estimator=build))


class OneClass(BaseEstimator):
    """A classifier with one probability, as scikit-learn's are that saw one class."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Any:
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.zeros(len(X))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.ones((len(X), 1))


def test_a_fold_that_learnt_from_one_class_is_told():
    with pytest.raises(ModelError, match="predict_proba"):
        fit(changed(NUMBERS, build_estimator=OneClass))


def test_rows_that_give_no_fold_are_told():
    with pytest.raises(ModelError, match=r"\d+ training rows are too few for 3 folds\. Wait for data, or lower retraining\.folds"):
        fit(SHORT, days=1)


def test_tuning_picks_the_cheapest_parameters_and_tells_their_mean_measure():
    problem = tunable()
    best, cost = tune(problem, toy_frame(20), iterations=2)
    costs = {C: np.mean([fold["measure"] for fold in fit(problem, logisticregression__C=C).folds]) for C in (1e-6, 1.0)}
    assert best == {"logisticregression__C": 1.0}
    assert cost == pytest.approx(costs[1.0])
    assert costs[1.0] < costs[1e-6]
    assert tune(problem, toy_frame(20), iterations=2) == (best, cost)


def test_tuning_judges_the_decisions_that_would_ship():
    problem = tunable(BinaryCosts(missed=90, false_alarm=10))  # without a range of ratios the decision is judged as it is
    best, cost = tune(problem, toy_frame(20), iterations=2)
    assert cost == pytest.approx(np.mean([fold["measure"] for fold in fit(problem, **best).folds]))


def test_tuning_with_a_cost_that_looks_at_other_columns_than_the_features():
    problem = tunable(lambda rows, y, decision: np.where(rows["region"] == "north", 2.0, 1.0) * (y != decision))
    best, cost = tune(problem, toy_frame(20), iterations=2)
    assert cost == pytest.approx(np.mean([fold["measure"] for fold in fit(problem, **best).folds]))


def test_tuning_may_be_asked_for_more_than_the_space_holds():
    assert tune(tunable(), toy_frame(20), iterations=8)[0] == {"logisticregression__C": 1.0}


def test_tuning_without_a_search_space_is_told():
    with pytest.raises(ContractError, match=r"search_space: is missing, .*or leave out --tune"):
        tune(SHORT, toy_frame(20), iterations=2)


class Shuffled:
    """A distribution of somebody's own; each draw is a function."""

    def rvs(self, random_state: Any = None) -> Any:
        return forest


class Torn:
    """A distribution that cannot draw."""

    def rvs(self, random_state: Any = None) -> Any:
        raise RuntimeError("no numbers today")


@pytest.mark.parametrize(
    "values",
    [[np.float64(1e-6), np.float32(1.0)], np.array([1e-6, 1.0]), np.array([1, 2]), loguniform(0.5, 2.0), randint(1, 3), range(1, 3)],
    ids=["numpy scalars", "an array", "whole numbers", "a distribution", "a distribution of whole numbers", "a range"],
)
def test_tuning_gives_pythons_own_numbers_whatever_the_space_is_made_of(values: Any):
    best, _ = tune(tunable(space=lambda: {"logisticregression__C": values}), toy_frame(20), iterations=4)
    assert type(best["logisticregression__C"]) in {int, float}
    assert json.loads(json.dumps(best)) == best
    assert fit(SHORT, **best).parameters == best


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([1.0, LinearRegression()], r"LinearRegression\(\) \(LinearRegression\), which JSON"),
        ([forest], r"<function forest at .*\(function\), which JSON"),
        ([None, {0: 1.0, 1: 2.0}], r"\{0: 1\.0, 1: 2\.0\} \(dict\), which JSON does not keep as it is; expected numbers, text"),
        ([(1, 2)], r"\(1, 2\) \(tuple\), which JSON"),
        ([float("nan")], r"nan \(float\), which JSON"),
        (Shuffled(), r"<function forest at .*\(function\), which JSON"),
        ([], r"\[\]; expected a list of values, not empty, or a distribution"),
        ("l2", "'l2'; expected a list"),
        (1.0, r"1\.0; expected a list"),
    ],
)
def test_a_search_space_whose_best_parameters_could_not_be_kept_is_refused_before_the_search(values: Any, got: str):
    def never() -> Any:
        raise AssertionError("the search began")

    problem = changed(tunable(space=lambda: {"logisticregression__C": values}), build_estimator=never)
    with pytest.raises(ContractError, match=rf"search_space: 'logisticregression__C': got {got}"):
        tune(problem, toy_frame(20), iterations=2)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ([SPACE], r"search_space: got list; expected a dict from parameters to what may be tried"),
        ({"logisticregression__C": Torn()}, r"search_space: 'logisticregression__C': .*rvs .*failed: RuntimeError: ⟦no numbers today⟧"),
    ],
)
def test_what_is_no_search_space_is_one_sentence(space: Any, told: str):
    with pytest.raises(ContractError, match=told):
        tune(tunable(space=lambda: space), toy_frame(20), iterations=2)


@pytest.mark.parametrize("space", [{"logisticregression__C": [-1.0]}, {"logisticregression__depth": [3]}])
def test_a_search_space_with_what_the_estimator_refuses_is_one_sentence(space: dict[str, Any]):
    with pytest.raises(ModelError, match=r"search_space|Fitting"):
        tune(tunable(space=lambda: space), toy_frame(20), iterations=1)
