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
from evergreen.evaluation import Predicted, central_cost, cost_threshold, predict, rule_of_thumb
from evergreen.examination import perturbed
from evergreen.files import is_unfinished
from evergreen.policies import Source
from evergreen.quoting import quoted
from evergreen.report.pace import asks_too_often, pace
from evergreen.splitting import split_rows
from evergreen.training import build_estimator, search_space, training_target
from evergreen.validation import load_suite, suite_path, validate, validate_training
from evergreen.workspace import Workspace

FILES = 2
ROWS = 2_000
TOLERANCE = 1e-9
AT_A_HALF = (
    "business.row_cost is a function, so the model acts as its own predict() says, mostly from a chance of 50% on, whatever a miss and a "
    "false alarm cost. Use BinaryCosts, or wrap the estimator in scikit-learn's FixedThresholdClassifier(estimator, threshold=...)."
)


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
    parts = {source.name: _load(space, source) for source in problem.sources}
    tables = {source.name: _together(parts[source.name], source) for source in problem.sources}
    yield f"{len(tables)} sources can be read: {', '.join(f'{name} {len(rows):,} rows' for name, rows in tables.items())}."
    yield from _check_suites(space, parts)
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
    yield _known(problem, rows, len(labelled))
    yield _training_data(space, labelled)
    yield _splitting(problem, labelled)
    yield from _check_model(problem, sample, y)
    yield from _check_business(problem, sample, y)
    for index, claim in enumerate(problem.behaviour):
        perturbed(problem, index, sample[list(problem.features)])
        yield f"The change of rows behind this claim can be made: {claim.name}"
    if advice := asks_too_often(problem):
        yield f"{pace(problem)} {advice}"


def _known(problem: Problem, rows: pd.DataFrame, labelled: int) -> str:
    """How many outcomes are known, and how many of them count."""
    had, why = f"{labelled:,} of {len(rows):,} rows have their outcome, {problem.target.name}", why_so_few(rows, problem)
    return f"{had}. {why}" if why else f"{had}; {maturity(rows, problem).counting:,} of these count."


def _check_suites(space: Workspace, parts: dict[str, list[pd.DataFrame]]) -> Iterator[str]:
    """Hold what was read against its suite; what is wrong with a delivery is told and is no mistake of the contract."""
    expectations, told = space.settings.expectations, []
    for source in space.problem.sources:
        for part in parts[source.name]:
            report = validate(part, suite_path(source, expectations), name=source.name, rows=source.rows, key=source.key)
            if unknown := [one for one in report.checks if one.exception]:
                raise ContractError(f"expectations/{source.suite}.json: {unknown[0].finding}. Mend the suite, or the reader.")
            told += [f"{source.name}: {one.finding}" for one in report.failed]
    load_suite(expectations / "training_data.json")
    yield "Each source and the training data have a suite of expectations, and each can be evaluated."
    if told:
        yield f"Some of these deliveries would be refused: {'; '.join(told)}."


def _training_data(space: Workspace, labelled: pd.DataFrame) -> str:
    """Hold the rows with their outcome against `training_data.json`, as a training does; say what would stop it."""
    report = validate_training(labelled, space.problem, space.settings.expectations)
    if unknown := [one for one in report.checks if one.exception]:
        raise ContractError(f"expectations/training_data.json: {unknown[0].finding}. Mend the suite, or the contract's features.")
    if report.failed:
        return f"A training on these rows would be stopped: {'; '.join(one.finding for one in report.failed)}."
    return "These rows are what training_data.json expects."


def _splitting(problem: Problem, labelled: pd.DataFrame) -> str:
    """Split the rows with their outcome; so few of them may well be too few, and then it is said what is missing."""
    try:
        split = split_rows(labelled, problem)
    except DataError as error:
        return f"The split of these few files, which all deliveries together may pass: {error}"
    return f"The split leaves {len(split.train):,} rows to train on and {len(split.holdout):,} to judge with."


def _load(space: Workspace, source: Source) -> list[pd.DataFrame]:
    folder = space.settings.landing / source.name
    there = sorted(folder.glob("*")) if folder.is_dir() else []
    files = [path for path in there if path.is_file() and not is_unfinished(path.name)]  # as the landing folders are read
    if not files:
        raise DataError(
            f"There is no file in {folder}; expected at least one delivery of {source.name}. Put one there (the example: evergreen feed)."
        )
    try:
        return [read_delivery(path, source) for path in files[:FILES]]
    except DataError as error:
        raise ContractError(
            f"sources.{source.name}: a delivery {error}. Mend the reader, the key or the time in the contract, or the file."
        ) from error


def _together(parts: list[pd.DataFrame], source: Source) -> pd.DataFrame:
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
    if problem.task == "binary" and cost_threshold(problem) is None:
        yield AT_A_HALF
    rule = rule_of_thumb(problem, sample).decision
    cost = central_cost(problem, sample, y, Predicted(rule))
    if not np.isfinite(cost).all():
        raise ContractError("business.row_cost: some costs are not finite numbers.")
    right = central_cost(problem, sample, y, Predicted(y))
    if right.mean() > cost.mean():
        raise ContractError("business.row_cost: being always right costs more than the rule of thumb. Are two costs mixed up?")
    yield f"The rule of thumb costs {1000 * cost.mean():,.0f} {problem.business.unit} per 1,000 {problem.things} on a sample."
