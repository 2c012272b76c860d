"""What a problem is tried with before it is trusted: one small pass through everything that its author wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from evergreen.artefact import MODEL_FILE, check_trusted
from evergreen.contract import Problem
from evergreen.data.joins import join_sources
from evergreen.data.reading import read_delivery
from evergreen.data.snapshots import check_columns
from evergreen.data.targets import maturity, why_so_few, with_target
from evergreen.errors import ContractError, DataError, ModelError
from evergreen.evaluation import Predicted, central_cost, predict, rule_of_thumb
from evergreen.examination import perturbed
from evergreen.policies import Source
from evergreen.quoting import quoted
from evergreen.report.pace import asks_too_often, pace
from evergreen.training import build_estimator, search_space, training_target
from evergreen.validation import load_suite, suite_path
from evergreen.workspace import Workspace

FILES = 2
ROWS = 2_000
TOLERANCE = 1e-9


def check_problem(space: Workspace) -> Iterator[str]:
    """Load, join, label, fit, predict and price a little of what lies in the landing folders.

    Yields
    ------
    str
        A sentence for each step that is in order.

    Raises
    ------
    EvergreenError
        At the first mistake: what was got, what was expected, what to do.
    """
    problem = space.problem
    tables = {source.name: _load(space, source) for source in problem.sources}
    yield f"{len(tables)} sources can be read: {', '.join(f'{name} {len(rows):,} rows' for name, rows in tables.items())}."
    expectations = space.settings.expectations
    for path in dict.fromkeys([*(suite_path(source, expectations) for source in problem.sources), expectations / "training_data.json"]):
        load_suite(path)
    yield "Each source and the training data have a suite of expectations."
    rows, reports = join_sources(problem, tables)
    yield f"The joins hold: {', '.join(f'{one.source} {one.match_rate:.0%}' for one in reports) or 'there are none'}."
    rows, outcomes = with_target(problem, rows, tables[problem.target.source])
    labelled = rows[rows[problem.target.name].notna()]
    check_columns(problem, labelled)
    if labelled.empty:
        apart = "The first files of the outcomes and of the entity source do not belong together, or their keys are of another form"
        raise DataError(f"No row has its outcome. {apart}. {outcomes.apart}.")
    sample = labelled.sample(min(ROWS, len(labelled)), random_state=problem.retraining.seed)
    y = training_target(sample, problem)
    if problem.task != "regression" and len(np.unique(y)) < 2:  # noqa: PLR2004 - one class cannot be told apart
        raise ContractError(f"target.label: got only {np.unique(y)} in {len(y):,} rows; expected every class. Is the label turned round?")
    had = f"{len(labelled):,} of {len(rows):,} rows have their outcome, {problem.target.name}"
    why = why_so_few(rows, problem)
    yield f"{had}. {why}" if why else f"{had}; {maturity(rows, problem).counting:,} of these count."
    yield from _check_model(problem, sample, y)
    yield from _check_business(problem, sample, y)
    for index, claim in enumerate(problem.behaviour):
        perturbed(problem, index, sample[list(problem.features)])
        yield f"The change of rows behind this claim can be made: {claim.name}"
    if advice := asks_too_often(problem):
        yield f"{pace(problem)} {advice}"


def _load(space: Workspace, source: Source) -> pd.DataFrame:
    folder = space.settings.landing / source.name
    files = sorted(path for path in folder.glob("*") if not path.name.startswith(".")) if folder.is_dir() else []
    if not files:
        raise DataError(
            f"There is no file in {folder}; expected at least one delivery of {source.name}. Put one there (the example: evergreen feed)."
        )
    try:
        parts = [read_delivery(path, source) for path in files[:FILES]]
    except DataError as error:
        raise ContractError(
            f"sources.{source.name}: a delivery {error}. Mend the reader, the key or the time in the contract, or the file."
        ) from error
    return pd.concat(parts, ignore_index=True).drop_duplicates(list(source.key), keep="last", ignore_index=True)


def _check_model(problem: Problem, sample: pd.DataFrame, y: np.ndarray) -> Iterator[str]:
    """Fit and predict; features must be stateless, and the model storable without pickle."""
    import skops.io

    X = sample[list(problem.features)]
    before = X.copy(deep=True)
    recipe = build_estimator(problem, {})
    if problem.search_space is not None and (stray := sorted(set(search_space(problem)) - set(recipe.get_params()))):
        raise ContractError(f"search_space: {stray} are no parameters of the estimator; see build_estimator().get_params().")
    try:
        model = clone(recipe).fit(X, y)
    except Exception as error:  # the estimator is the user's: whatever it raises is theirs to read, in one sentence
        raise ModelError(f"build_estimator(): fitting on {len(X):,} rows failed: {type(error).__name__}: {quoted(error)}") from error
    answer = predict(model, X, problem.task)
    if not X.equals(before):
        raise ModelError("The features change the frame that they are given. Return a new one (DataFrame.assign) instead.")
    alone = predict(model, X.iloc[::-1].head(1), problem.task)
    numbers = answer.decision if answer.probability is None else answer.probability
    one = alone.decision if alone.probability is None else alone.probability
    if not np.allclose(np.asarray(one, dtype=float)[0], np.asarray(numbers, dtype=float)[-1], rtol=0, atol=TOLERANCE):
        raise ModelError("A row alone is predicted differently than among others: a feature looks at other rows. Make it stateless.")
    if not np.isfinite(np.asarray(numbers, dtype=float)).all():
        raise ModelError("Some predictions are not finite numbers. Mend the features or the estimator.")
    yield f"The estimator fits and predicts; the same row alone and among {len(X):,} gives the same."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MODEL_FILE
        skops.io.dump(model, file)
        check_trusted(file, trusted=problem.trusted_types, packages=[problem.package.name])
    yield "The model can be stored without pickle, and every type in it has been reviewed."


def _check_business(problem: Problem, sample: pd.DataFrame, y: np.ndarray) -> Iterator[str]:
    rule = rule_of_thumb(problem, sample).decision
    cost = central_cost(problem, sample, y, Predicted(rule))
    if not np.isfinite(cost).all():
        raise ContractError("business.row_cost: some costs are not finite numbers.")
    right = central_cost(problem, sample, y, Predicted(y))
    if right.mean() > cost.mean():
        raise ContractError("business.row_cost: being always right costs more than the rule of thumb. Are two costs mixed up?")
    yield f"The rule of thumb costs {1000 * cost.mean():,.0f} {problem.business.unit} per 1,000 {problem.things} on a sample."
