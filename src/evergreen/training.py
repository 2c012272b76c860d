"""From training rows to a fitted candidate: rolling-origin cross-validation, optional tuning, one final fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import clone
from sklearn.model_selection import FixedThresholdClassifier, ParameterGrid, RandomizedSearchCV

from evergreen.contract import Problem, called
from evergreen.data.snapshots import clusters
from evergreen.errors import ContractError, DataError, EvergreenError, ModelError
from evergreen.evaluation import central_cost, cost_threshold, measure, need_probabilities, predict, trivial_policies
from evergreen.faults import reach
from evergreen.quoting import quoted
from evergreen.splitting import rolling_origin
from evergreen.threads import side_by_side

SEEDS = ("random_state", "random_seed", "seed")
"""What a parameter that takes a seed is called."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator and what cross-validation inside the training rows said of its recipe."""

    estimator: Any
    threshold: float | None
    """From which probability the shipped model decides 1 (binary tasks)."""
    folds: tuple[dict[str, float], ...]
    """Of each fold: rows, cost (at the central costs) and measure per row."""
    parameters: dict[str, Any]
    out_of_fold: pd.DataFrame = field(compare=False, repr=False)
    """A row for each one that a fold judged: its `cluster`, its `measure`, and that of each trivial policy by name ("always 0")."""

    @property
    def cost(self) -> float:
        """Mean measure per row over the folds, weighted by rows."""
        return float(np.average([fold["measure"] for fold in self.folds], weights=[fold["rows"] for fold in self.folds]))


def training_target(rows: pd.DataFrame, problem: Problem) -> np.ndarray:
    """The target as scikit-learn wants it: whole numbers for a binary task, and for numbered classes. Shape (n,)."""
    y = rows[problem.target.name].to_numpy()
    if problem.task == "multiclass" and y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.floor(y)).all():
        return y.astype(np.int64)  # the frame holds every number as a float; a cost that is looked up by class needs the number itself
    if problem.task != "binary":
        return y
    if stray := sorted(set(np.unique(y).tolist()) - {0, 1}):
        raise ContractError(f"target.label: got the values {stray[:5]} in a binary problem; expected 0 and 1 only.")
    return y.astype(np.int64)


def fit_candidate(problem: Problem, train: pd.DataFrame, *, parameters: dict[str, Any], progress: Progress = lambda _: None) -> Fitted:
    """Cross-validate the recipe by rolling origin, then fit it on all training rows.

    A binary model ships with the threshold that the contract's costs make optimal, as a number in `FixedThresholdClassifier`
    (docs/decisions/0003 says why it is not tuned on past folds).

    Raises
    ------
    ModelError
        The estimator cannot be built, fitted or asked for probabilities.
    """
    reach("begin fitting")
    y, X = training_target(train, problem), train[list(problem.features)]
    recipe, final, threshold = build_estimator(problem, parameters), shipped_estimator(problem, parameters), cost_threshold(problem)
    if problem.task != "regression":
        need_probabilities(recipe)
        _need_classes(problem, y)
    folds = list(rolling_origin(train, problem))
    if not folds:
        raise ModelError(
            f"{len(train):,} training rows are too few for {problem.retraining.folds} folds. Wait for data, or lower retraining.folds."
        )

    def judge_fold(fit: np.ndarray, judge: np.ndarray) -> pd.DataFrame:
        model, rows = fit_estimator(clone(recipe), X.iloc[fit], y[fit]), train.iloc[judge]
        said = predict(model, X.iloc[judge], problem.task, threshold=threshold)
        told = {"model": said, **trivial_policies(problem.task, y[fit], len(judge))}
        costs = {name: measure(problem, rows, y[judge], one) for name, one in told.items()}
        cost = central_cost(problem, rows, y[judge], said)
        return pd.DataFrame({"cluster": clusters(rows, problem.gate.cluster), "cost": cost, "measure": costs.pop("model"), **costs})

    # The largest fit first.
    work = [delayed(fit_estimator)(clone(final), X, y), *(delayed(judge_fold)(*fold) for fold in reversed(folds))]
    done: list[Any] = []
    for result in side_by_side(work):
        done.append(result)
        progress(f"cross-validate and fit, {len(done)} of {len(work)}")
    judged = done[:0:-1]
    summaries = tuple({"rows": len(one), "cost": float(one["cost"].mean()), "measure": float(one["measure"].mean())} for one in judged)
    return Fitted(done[0], threshold, summaries, parameters, pd.concat(judged, ignore_index=True).drop(columns="cost"))


def _need_classes(problem: Problem, y: np.ndarray) -> None:
    if len(classes := np.unique(y).tolist()) < 2:  # noqa: PLR2004 - one class cannot be told from others
        got = f"Got only {classes} as {problem.target.name} in {len(y):,} training rows"
        raise DataError(f"{got}; expected every class. Wait for data, or mend the label.")


def shipped_estimator(problem: Problem, parameters: dict[str, Any], *, seed: int | None = None) -> Any:
    """What a candidate is before it is fitted: the user's estimator, and for a binary task the threshold that the costs make optimal."""
    recipe, threshold = build_estimator(problem, parameters, seed=seed), cost_threshold(problem)
    return recipe if threshold is None else FixedThresholdClassifier(recipe, threshold=threshold, response_method="predict_proba")


def build_estimator(problem: Problem, parameters: dict[str, Any], *, seed: int | None = None) -> Any:
    """The user's estimator with these parameters, and the contract's seed (or another) wherever it takes one.

    Raises
    ------
    ModelError
        `build_estimator()` did not give a scikit-learn estimator, or it does not know a parameter.
    """
    estimator = _given_estimator(problem)
    try:
        if seed is not None:  # every seed, those too that the author chose or a search found: a trial asks what another one would give
            built = clone(estimator).set_params(**parameters)
            return built.set_params(**dict.fromkeys(_seeds(built), seed))
        return clone(estimator).set_params(**dict.fromkeys(_open_seeds(estimator), problem.retraining.seed) | parameters)
    except (TypeError, ValueError) as error:
        raise ModelError(f"The estimator does not know these parameters: {error}. Mend search_space() or the parameters given.") from None


def takes_seed(problem: Problem) -> bool:
    """Whether anything in the user's estimator takes a seed."""
    return bool(_seeds(_given_estimator(problem)))


def tune(problem: Problem, train: pd.DataFrame, *, iterations: int) -> tuple[dict[str, Any], float]:
    """Search `search_space()` at random, judged by cost on rolling-origin folds; returns the best parameters and their cost per row.

    Raises
    ------
    ContractError
        The problem has no search space, or one whose best parameters could not be kept.
    """
    y, space = training_target(train, problem), search_space(problem)
    listed = all(isinstance(values, list) for values in space.values())

    def saved(estimator: Any, X: pd.DataFrame, y_true: np.ndarray) -> float:
        rows, predicted = train.loc[X.index], predict(estimator, X, problem.task, threshold=cost_threshold(problem))
        return -float(measure(problem, rows, np.asarray(y_true), predicted).mean())

    search = RandomizedSearchCV(
        build_estimator(problem, {}),
        space,
        n_iter=min(iterations, len(ParameterGrid(space))) if listed else iterations,
        scoring=saved,
        cv=list(rolling_origin(train, problem)),
        refit=False,
        random_state=problem.retraining.seed,
        error_score="raise",
    )
    fit_estimator(search, train[list(problem.features)], y)
    return {name: _kept(name, value) for name, value in search.best_params_.items()}, -float(search.best_score_)


def search_space(problem: Problem) -> dict[str, Any]:
    """What tuning may try: for each parameter a list, or a distribution with `rvs`. Later trainings read the best ones from JSON.

    Raises
    ------
    ContractError
        There is none, it is no such dict, or a value in it would not come back from JSON as it was.
    """
    if problem.search_space is None:
        raise ContractError(
            "search_space: is missing, so there is nothing to tune. Add a function search_space() to the contract, or leave out --tune."
        )
    given = called("search_space", problem.search_space)
    if not isinstance(given, dict):
        raise ContractError(f"search_space: got {type(given).__name__}; expected a dict from parameters to what may be tried.")
    space: dict[str, Any] = {}
    for name, values in given.items():
        if hasattr(values, "rvs"):
            _kept(name, called(f"search_space: {name!r}", partial(values.rvs, random_state=problem.retraining.seed)))
            space[name] = values
        elif isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) and len(values):
            space[name] = [_kept(name, value) for value in values]
        else:
            raise ContractError(f"search_space: {name!r}: got {values!r:.80}; expected a list of values, not empty, or a distribution.")
    return space


def _kept(name: str, value: Any) -> Any:
    """The value as the journal gives it back: numpy's numbers become Python's, anything that JSON would change is refused."""
    plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    plain = [_kept(name, item) for item in plain] if isinstance(plain, list) else plain
    try:
        same = bool(json.loads(json.dumps(plain, allow_nan=False)) == plain)
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ContractError(
            f"search_space: {name!r}: got {value!r:.80} ({type(value).__name__}), which JSON does not keep as it is; expected numbers, "
            "text, True, False, None, or lists of these. Let an estimator of yours look it up by a name."
        )
    return plain


def fit_estimator(estimator: Any, X: pd.DataFrame, y: np.ndarray) -> Any:
    """Fit it, and give it back.

    Raises
    ------
    ModelError
        Whatever it raised, in one sentence.
    """
    try:
        return estimator.fit(X, y)
    except EvergreenError:
        raise
    except Exception as error:  # the estimator is the user's: whatever it raises is theirs to read, in one sentence
        what = f"Fitting {type(estimator).__name__} on {len(X):,} rows failed"
        raise ModelError(f"{what}: {type(error).__name__}: {quoted(error)}") from error


def _given_estimator(problem: Problem) -> Any:
    estimator = called("build_estimator()", problem.build_estimator, error=ModelError)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise ModelError(f"build_estimator() gave {type(estimator).__name__}; expected an unfitted scikit-learn estimator or Pipeline.")
    return estimator


def _open_seeds(estimator: Any) -> list[str]:
    return [name for name in _seeds(estimator) if estimator.get_params()[name] is None]


def _seeds(estimator: Any) -> list[str]:
    return [name for name in estimator.get_params() if name.endswith("random_state") or name.rpartition("__")[2] in SEEDS]
