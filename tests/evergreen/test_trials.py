import dataclasses

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from toy import features
from workspaces import changed, toy_frame

from evergreen.evaluation import cost_threshold, measure, predict
from evergreen.policies import GatePolicy, RetrainingPolicy
from evergreen.splitting import Split, split_rows
from evergreen.training import fit_candidate, training_target
from evergreen.trials import Recipe, try_recipe


def with_last_step(model) -> Pipeline:
    """The toy's pipeline with another model at its end."""
    steps = features.build_estimator().steps
    return Pipeline([*steps[:-1], ("model", model)])


def random_trees() -> Pipeline:
    """An estimator that its seed decides on."""
    return with_last_step(ExtraTreesClassifier(5, min_samples_leaf=20))


def deep_trees() -> Pipeline:
    """An estimator that knows every row that it has learnt by heart."""
    return with_last_step(ExtraTreesClassifier(5))


def still_boosting() -> Pipeline:
    """An estimator that takes a seed, of which nothing depends."""
    return with_last_step(HistGradientBoostingClassifier(max_iter=10, early_stopping=False))


def regression() -> Pipeline:
    """An estimator whose author chose the seed."""
    return with_last_step(LogisticRegression(random_state=3))


def tried(build, **values) -> tuple[Recipe, Split]:
    """The toy problem's recipe with another estimator, tried on 80 days."""
    problem = changed(build_estimator=build, **values)
    split = split_rows(toy_frame(80), problem)
    told: list[str] = []
    recipe = try_recipe(problem, split, fit_candidate(problem, split.train, parameters={}), progress=told.append)
    assert told
    return recipe, split


def test_other_seeds_give_other_costs_and_the_candidates_own_is_the_first():
    recipe, _ = tried(random_trees, gate=GatePolicy(seeds=4), retraining=RetrainingPolicy(seed=11))
    assert list(recipe.seeds) == [11, 12, 13, 14]
    assert len({measured.mean() for measured in recipe.seeds.values()}) == 4
    assert recipe.seeds[11].mean() == recipe.learning_curve[-1]["holdout"]


def test_the_cost_of_a_seed_is_that_of_the_same_recipe_fitted_with_it():
    recipe, split = tried(random_trees, gate=GatePolicy(seeds=2), retraining=RetrainingPolicy(seed=11))
    other = changed(build_estimator=random_trees, retraining=RetrainingPolicy(seed=12))
    model = fit_candidate(other, split.train, parameters={}).estimator
    said = predict(model, split.holdout[list(other.features)], other.task, threshold=cost_threshold(other))
    assert recipe.seeds[12] == pytest.approx(measure(other, split.holdout, training_target(split.holdout, other), said))


@pytest.mark.parametrize("build", [still_boosting, regression])
def test_where_nothing_is_random_there_is_one_seed(build):
    assert len(tried(build)[0].seeds) == 1


def test_the_learning_curve_ends_with_the_candidate_and_a_flexible_model_costs_less_where_it_learnt():
    recipe, split = tried(deep_trees)
    rows = [point["rows"] for point in recipe.learning_curve]
    n = len(split.train)
    assert rows == [int(n / 8), int(n / 4), int(n / 2), n]
    assert all(point["train"] < point["holdout"] for point in recipe.learning_curve)


def test_a_part_without_every_class_is_no_point_of_the_curve():
    problem = changed(build_estimator=regression)
    split = split_rows(toy_frame(80), problem)
    order = np.random.default_rng(problem.retraining.seed).permutation(len(split.train))
    rare = split.train["returned"] * 0
    rare.iloc[order[int(len(order) * 0.3)]] = 1  # in the half of the rows, not in the quarter
    one = dataclasses.replace(split, train=split.train.assign(returned=rare))
    fitted = fit_candidate(problem, split.train, parameters={})
    assert [point["rows"] for point in try_recipe(problem, one, fitted).learning_curve] == [int(len(rare) / 2), len(rare)]


class Lottery(LogisticRegression):
    """A model that each fit changes by chance, as its seed says where it has one."""

    def fit(self, X, y):
        super().fit(X, y)
        self.intercept_ = self.intercept_ + np.random.default_rng(getattr(self, "seed", None)).normal()
        return self


class SeededLottery(Lottery):
    def __init__(self, seed=None):
        super().__init__()
        self.seed = seed


class RandomlySeededLottery(Lottery):
    def __init__(self, random_seed=None):
        super().__init__()
        self.random_seed = random_seed

    @property
    def seed(self):
        return self.random_seed


class UnseededLottery(Lottery):
    def __init__(self):
        super().__init__()


class NoLottery(LogisticRegression):
    def __init__(self):
        super().__init__()


@pytest.mark.parametrize("model", [SeededLottery, RandomlySeededLottery])
def test_a_seed_is_tried_by_whatever_usual_name(model):
    recipe, _ = tried(lambda: with_last_step(model()))
    assert len({measured.mean() for measured in recipe.seeds.values()}) == 3
    assert not recipe.random_without_seed
    again, _ = tried(lambda: with_last_step(model()))
    assert recipe.learning_curve == again.learning_curve  # the contract's seed is set where none is


def test_a_recipe_that_is_random_without_a_seed_is_told_from_one_in_which_nothing_is():
    hidden, plain, single = (
        tried(lambda: with_last_step(UnseededLottery())),
        tried(lambda: with_last_step(NoLottery())),
        tried(lambda: with_last_step(UnseededLottery()), gate=GatePolicy(seeds=1)),
    )
    assert [(len(recipe.seeds), recipe.random_without_seed) for recipe, _ in (hidden, plain, single)] == [(1, True), (1, False), (1, False)]


class WantsRows(LogisticRegression):
    """A model that cannot be fitted on few rows."""

    def fit(self, X, y):
        if len(X) < 3_000:
            raise ValueError("too few for my own folds")
        return super().fit(X, y)


def wanting() -> Pipeline:
    return with_last_step(WantsRows())


def test_a_part_that_is_too_small_for_the_recipe_stops_nothing():
    problem = changed(build_estimator=wanting)
    split = split_rows(toy_frame(80), problem)
    fitted = fit_candidate(changed(), split.train, parameters={})
    assert [point["rows"] for point in try_recipe(problem, split, fitted).learning_curve] == [int(len(split.train) / 2), len(split.train)]


def chosen_seed() -> Pipeline:
    return with_last_step(ExtraTreesClassifier(5, min_samples_leaf=20, random_state=42))


def test_a_seed_that_the_author_chose_is_tried_against_others():
    assert len({measured.mean() for measured in tried(chosen_seed)[0].seeds.values()}) == 3


def test_a_seed_that_a_search_found_is_tried_against_others():
    problem = changed(build_estimator=random_trees)
    split = split_rows(toy_frame(80), problem)
    fitted = fit_candidate(problem, split.train, parameters={"model__random_state": 7})
    assert len({measured.mean() for measured in try_recipe(problem, split, fitted).seeds.values()}) == 3
