"""The defects, and how each is planted into a contract, its rows or a candidate's answers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evergreen.contract import Problem
from evergreen.data.snapshots import clusters
from evergreen.evaluation import Predicted
from evergreen.examination import Examination
from evergreen.gate.evidence import CANDIDATE
from evergreen.selftest.planted import Defective, overfitted, underfitted
from evergreen.splitting import Split

Plant = Callable[[Problem, Split], tuple[Problem, Split]]
Answer = Callable[[Problem, Split, Examination], Examination]


@dataclass(frozen=True)
class Trial:
    """One candidate, and what the gate is to say of it."""

    name: str
    says: str
    """What is planted, in words."""
    caught_by: tuple[str, ...] = ()
    """The checks that are meant for it: one of them must say worse of it than of the honest candidate.

    Empty for the honest candidate itself, which must not be rejected.
    """
    plant: Plant = lambda problem, split: (problem, split)
    """Into the contract and the rows."""
    answer: Answer = lambda problem, split, asked: asked
    """Into what the candidate answered."""
    impossible: Callable[[Problem, Split], str | None] = lambda problem, split: None
    """Why it cannot be planted into this problem, if it cannot."""


def leak(problem: Problem, split: Split) -> tuple[Problem, Split]:
    """Make a feature tell the answer: a number becomes the outcome's, a category one for each class."""
    name, target = _carrier(problem, split) or "", problem.target.name
    known = pd.concat([split.train[name], split.holdout[name]])
    return problem, dataclasses.replace(
        split, **{part: (rows := getattr(split, part)).assign(**{name: _telling(rows[target], known)}) for part in ("train", "holdout")}
    )


def shuffle_labels(problem: Problem, split: Split) -> tuple[Problem, Split]:
    """Give every training row another row's outcome."""
    target = problem.target.name
    mixed = split.train[target].sample(frac=1, random_state=problem.retraining.seed).to_numpy()
    return problem, dataclasses.replace(split, train=split.train.assign(**{target: mixed}))


def contaminate(problem: Problem, split: Split) -> tuple[Problem, Split]:
    """Let the candidate learn from half of the holdout."""
    seen = split.holdout.iloc[::2]
    return problem, dataclasses.replace(split, train=pd.concat([split.train, seen]))


def with_estimator(change: Callable[[Problem], Any]) -> Plant:
    """Give the contract another estimator, which still belongs to the user's package: that is what travels with a model."""

    def plant(problem: Problem, split: Split) -> tuple[Problem, Split]:
        build = functools.wraps(problem.build_estimator)(lambda: change(problem))
        trusted = (*problem.trusted_types, f"{Defective.__module__}.{Defective.__qualname__}")
        return problem.model_copy(update={"build_estimator": build, "trusted_types": trusted}), split

    return plant


def defective(defect: Any) -> Plant:
    """The user's own estimator, with a defect when it predicts."""

    def change(problem: Problem) -> Defective:
        limit = problem.cost.max_one_row_milliseconds / 1000
        return Defective(problem.build_estimator(), defect, seconds=1.2 * limit if defect == "slow" else 0.0)

    return with_estimator(change)


def fail_in_a_slice(problem: Problem, split: Split, asked: Examination) -> Examination:
    """Turn the candidate's answers round for the smallest slice that can be judged."""
    column, value = _smallest_slice(problem, split) or ("", "")
    inside = (split.holdout[column].astype(str) == value).to_numpy()
    own = asked.answers[CANDIDATE]
    wrong = _turned(problem, own.predicted, split.holdout[problem.target.name].to_numpy(), inside)
    return dataclasses.replace(asked, answers={**asked.answers, CANDIDATE: dataclasses.replace(own, predicted=wrong)})


def no_slice(problem: Problem, split: Split) -> str | None:
    """Why there is no slice to fail in."""
    if not problem.slices:
        return "the contract declares no slices"
    return None if _smallest_slice(problem, split) else "no slice has enough rows to be judged"


def no_carrier(problem: Problem, split: Split) -> str | None:
    """Why there is no feature to plant the answer into."""
    return None if _carrier(problem, split) else "no feature is a number, and none has a category for each class"


def no_number(problem: Problem, split: Split) -> str | None:
    """Why there is no other row of a batch to look at."""
    numbers = [name for name in problem.features if pd.api.types.is_numeric_dtype(split.train[name])]
    return None if numbers else "no feature is a number"


TRIALS = (  # the honest one first: the others are compared with it
    Trial("honest", "your own recipe, with more rows than the champion"),
    Trial("leak", "a feature that tells the answer", ("leakage",), leak, impossible=no_carrier),
    Trial("shuffled labels", "every row learns another row's outcome", ("baseline", "generalization", "champion"), shuffle_labels),
    Trial("underfit", "a model that looks at no feature", ("baseline", "champion"), with_estimator(lambda p: underfitted(p.task))),
    Trial(
        "overfit",
        "a tree that knows every row by heart",
        ("generalization", "champion", "baseline"),
        with_estimator(lambda p: overfitted(p.task)),
    ),
    Trial("contaminated holdout", "half of the holdout was learnt from", ("hygiene",), contaminate),
    Trial(
        "skewed artefact",
        "in serving it sees the numbers relative to their batch",
        ("parity",),
        defective("looks around"),
        impossible=no_number,
    ),
    Trial("slice failure", "its answers are turned round in one slice", ("slices",), answer=fail_in_a_slice, impossible=no_slice),
    Trial("slow model", "an answer takes longer than the contract allows", ("cost",), defective("slow")),
    Trial("NaN model", "some answers are not numbers", ("finite", "parity"), defective("not a number")),
)


def _carrier(problem: Problem, split: Split) -> str | None:
    """The first number among the features; else, for classes, the first that has a category for each of them."""
    X = split.train[list(problem.features)]
    numbers = [name for name in X if pd.api.types.is_numeric_dtype(X[name]) and not pd.api.types.is_bool_dtype(X[name])]
    classes = split.train[problem.target.name].nunique()
    texts = [name for name in X if problem.task != "regression" and name not in numbers and X[name].nunique() >= classes]
    return next((str(name) for name in [*numbers, *texts]), None)


def _telling(outcome: pd.Series, known: pd.Series) -> Any:
    """Values of the column's own kind that tell the outcome."""
    if pd.api.types.is_numeric_dtype(known):
        return pd.factorize(outcome, sort=True)[0].astype(float)
    names, codes = known.dropna().drop_duplicates().to_numpy(), pd.factorize(outcome, sort=True)[0]
    return pd.Series(names[codes % len(names)], index=outcome.index).astype(known.dtype)


def _smallest_slice(problem: Problem, split: Split) -> tuple[str, str] | None:
    policy, rows = problem.gate, split.holdout
    groups = pd.Series(clusters(rows, policy.cluster), index=rows.index)
    found = []
    for column in problem.slices:
        for value, inside in rows.groupby(rows[column].astype(str)).groups.items():
            enough = policy.cluster == "row" or groups[inside].nunique() >= policy.min_clusters
            if enough and len(inside) >= policy.min_slice_rows:
                found.append((len(inside), column, str(value)))
    return min(found)[1:] if found else None


def _turned(problem: Problem, said: Predicted, y: np.ndarray, inside: np.ndarray) -> Predicted:
    """The answers with the worst ones where `inside`."""
    decision, probability = said.decision.copy(), None if said.probability is None else said.probability.copy()
    if problem.task == "regression":
        decision[inside] = y[inside] + 10 * np.std(y)
    elif problem.task == "binary" and probability is not None:
        decision[inside] = 1 - y[inside]
        probability[inside] = 1.0 - y[inside]
    else:
        classes = np.unique(y)
        decision[inside] = classes[(np.searchsorted(classes, y[inside]) + 1) % len(classes)]
    return Predicted(decision, probability)
