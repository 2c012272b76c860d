"""What registered models are asked before a verdict: to predict the holdout, and for the candidate whether it can be relied on.

Every answer comes from a process of its own, as in production. The gate only sees what is collected here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.contract import Problem, called
from evergreen.data.snapshots import Frame, row_fingerprints
from evergreen.data.support import outside_support, separability
from evergreen.errors import ContractError, ModelError
from evergreen.evaluation import Predicted, read_predicted
from evergreen.faults import reach
from evergreen.files import atomic_path
from evergreen.gate.collection import ModelAnswer, Trials
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, Footprint, Promise, Reaction, Support
from evergreen.monitoring.comparison import shown_in_shadow
from evergreen.moves import standing
from evergreen.prediction import compare_golden, predict, predict_all
from evergreen.predictor import Job
from evergreen.registry import Version
from evergreen.splitting import Split
from evergreen.workspace import Workspace

PERTURBED_ROWS = 1_000
"""Holdout rows that the contract's perturbations are tried on."""


@dataclass(frozen=True)
class Examination:
    """What all compared models said, by contender, and what else was found of the candidate."""

    answers: dict[str, ModelAnswer]
    """Of the candidate alone when champion or anchor is silent."""
    trials: Trials
    champion: int | None = None
    silent: dict[str, str] = field(default_factory=dict)
    """What keeps champion and anchor from predicting the holdout, in words, by contender."""


def examine(space: Workspace, split: Split, candidate: Version, frame: Frame) -> Examination:
    """Have candidate, champion and anchor predict the holdout, then try the candidate; one that is two of them predicts once.

    `frame` holds the rows that wait to be predicted, and all that anybody can have learnt from. A champion or an anchor that cannot
    predict the holdout is told, not raised.

    Raises
    ------
    ModelError
        The candidate cannot predict.
    """
    reach("begin asking the models")
    now = standing(space.journal)
    names = {CANDIDATE: candidate.number, CHAMPION: now.champion, ANCHOR: now.anchor}
    versions = {number: space.registry.version(number) for number in names.values() if number is not None}
    folder = space.settings.root / "evidence" / candidate.training_key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    answers, cannot = _predict_holdout(space, split.holdout, list(versions.values()), folder)
    facts = candidate.facts
    trials = Trials(
        replays=tuple(compare_golden(space.registry, candidate, shuffled=True, seconds=space.problem.cost.max_predict_seconds)),
        replayable=facts["rows"] + facts["holdout_rows"],
        promise=Promise(**facts["promise"]) if facts["promise"] else None,
        seeds={int(seed): _number(cost) for seed, cost in facts["seeds"].items()},
        seeds_se=_number(facts["seeds_se"]),
        random_without_seed=facts["random_without_seed"],
        reactions=_perturb(space, candidate, split.holdout, folder),
        support=support_of(space.problem, split.train, frame, answers.get(now.champion) if now.champion else None),
        shadow=shown_in_shadow(space, frame, candidate.number, now.champion),
    )
    silent = {
        name: f"{CHAMPION if number == now.champion else name} (version {number}) {cannot[number]}"
        for name, number in names.items()
        if number in cannot
    }
    told = {name: answers[number] for name, number in names.items() if number is not None and (name == CANDIDATE or not silent)}
    return Examination(told, trials, now.champion, silent)


def _number(told: float | None) -> float:
    """A number as it was before it was written as JSON, which has no not-a-number."""
    return np.nan if told is None else told


def _predict_holdout(
    space: Workspace, holdout: pd.DataFrame, versions: list[Version], folder: Path
) -> tuple[dict[int, ModelAnswer], dict[int, str]]:
    """The answers by version, the candidate's first, and what keeps others from answering."""
    problem, rows = space.problem, folder / "holdout.parquet"
    # An older model is given its own features, which today's contract may no longer name.
    wanted = dict.fromkeys([problem.key, *(name for version in versions for name in version.facts["features"])])
    _write(holdout[[name for name in wanted if name in holdout]], rows)
    names = {version.number: folder / f"version-{version.number}" for version in versions}
    jobs = {
        version.number: replace(
            _job(space, version, rows, names[version.number].with_suffix(".parquet")), profile=names[version.number].with_suffix(".json")
        )
        for version in versions
    }
    cannot = _have_predicted(jobs, seconds=problem.cost.max_predict_seconds)
    answers = {
        version.number: ModelAnswer(
            version=version.number,
            predicted=read_predicted(jobs[version.number].out, problem.task),
            training_rows=space.registry.training_rows(version),
            training_end=version.facts["training_end"],
            footprint=_footprint(names[version.number].with_suffix(".json"), jobs[version.number].model),
        )
        for version in versions
        if version.number not in cannot
    }
    for number in list(answers)[1:]:  # the candidate's are judged by the check finite
        if rows_without := _unanswered(answers[number].predicted):
            cannot[number] = f"gives no finite answer to {rows_without:,} of these rows"
    return {number: answer for number, answer in answers.items() if number not in cannot}, cannot


def _have_predicted(jobs: dict[int, Job], *, seconds: float) -> dict[int, str]:
    """Have all predict at once, and what cannot once more alone; what kept whom from it, by version. The first one's failure is raised."""
    try:
        predict_all(list(jobs.values()), seconds=seconds)
    except ModelError:
        first, *others = jobs
        predict(jobs[first], seconds=seconds)
        cannot = {number: _hindrance(jobs[number], seconds=seconds) for number in others}
        return {number: why for number, why in cannot.items() if why}
    return {}


def _unanswered(said: Predicted) -> int:
    """On how many rows an answer is missing or infinite."""
    bad = pd.isna(said.decision)
    for part in (said.decision, said.probability):
        if part is not None and part.dtype.kind == "f":
            bad |= ~np.isfinite(part).reshape(len(bad), -1).all(axis=1)
    return int(bad.sum())


def _hindrance(job: Job, *, seconds: float) -> str:
    """What a model does instead of predicting, in words; nothing when it predicts."""
    try:
        predict(job, seconds=seconds)
    except ModelError as error:
        told = str(error).removeprefix("The model ").removeprefix(f"{job.model} ")
        return told.replace(job.rows.name, "these rows").rstrip(".")
    return ""


def _job(space: Workspace, version: Version, rows: Path, out: Path) -> Job:
    trusted = tuple(version.facts["trusted_types"])
    return Job(
        space.registry.folder(version), rows, out, key=space.problem.key, trusted=trusted, chunk_rows=space.problem.serving.chunk_rows
    )


def _footprint(profile: Path, model: Path) -> Footprint:
    told = json.loads(profile.read_text())
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6
    return Footprint(**{**told, "one_row_seconds": np.array(told["one_row_seconds"])}, megabytes=size)


def _perturb(space: Workspace, candidate: Version, holdout: pd.DataFrame, folder: Path) -> tuple[Reaction, ...]:
    """The candidate's answers to changed rows, less those to the same rows unchanged; all of them predicted at once."""
    problem = space.problem
    if not problem.behaviour:
        return ()
    told = rows_to_react_to(problem, holdout)
    told.insert(0, problem.key, np.arange(len(told)))
    _write(told, folder / "perturbed.parquet")
    job = _job(space, candidate, folder / "perturbed.parquet", folder / "reactions.parquet")
    return reactions_of(problem, read_predicted(predict(job, seconds=problem.cost.max_predict_seconds), problem.task))


def rows_to_react_to(problem: Problem, holdout: pd.DataFrame) -> pd.DataFrame:
    """Features of some holdout rows as they are, and below them the same once more for each perturbation of the contract, changed by it."""
    rows = holdout.sample(min(PERTURBED_ROWS, len(holdout)), random_state=problem.retraining.seed)[list(problem.features)]
    return pd.concat([rows, *(perturbed(problem, index, rows) for index in range(len(problem.behaviour)))], ignore_index=True)


def reactions_of(problem: Problem, said: Predicted) -> tuple[Reaction, ...]:
    """What each perturbation did to the answers; `said` are those to `rows_to_react_to`."""
    before, *after = np.split(_amounts(said), len(problem.behaviour) + 1)
    return tuple(Reaction(claim, _moved(now - before)) for claim, now in zip(problem.behaviour, after, strict=True))


def perturbed(problem: Problem, index: int, rows: pd.DataFrame) -> pd.DataFrame:
    """What a perturbation of the contract makes of rows of features.

    Raises
    ------
    ContractError
        It does not give back the same number of rows with the same columns, or it changes the frame that it is given.
    """
    claim, before = problem.behaviour[index], rows.copy(deep=True)
    changed = called(f"behaviour.{index}.change", claim.change, rows)
    if not isinstance(changed, pd.DataFrame) or list(changed.columns) != list(rows.columns) or len(changed) != len(rows):
        raise ContractError(
            f"behaviour.{index}.change: it gave {type(changed).__name__} of shape {getattr(changed, 'shape', 'unknown')}; "
            f"expected a frame of the same {len(rows):,} rows and {rows.shape[1]} columns."
        )
    if not rows.equals(before):
        raise ContractError(
            f"behaviour.{index}.change: it changes the frame that it is given. Return a new one (DataFrame.assign) instead."
        )
    return changed


def _amounts(said: Predicted) -> np.ndarray:
    """What moves when rows change: probabilities where there are some, else values. Shape (n,) or (n, classes)."""
    return np.asarray(said.decision if said.probability is None else said.probability, dtype=float)


def _moved(change: np.ndarray) -> np.ndarray:
    return change if change.ndim == 1 else np.abs(change).max(axis=1)


def support_of(problem: Problem, learnt: pd.DataFrame, frame: Frame, champion: ModelAnswer | None) -> Support:
    """The rows that wait against those that the candidate has learnt from, and against the champion's, which may be others."""
    features, unlike = (
        list(problem.features),
        partial(outside_support, slack=problem.gate.range_slack, shift=problem.gate.max_missing_shift),
    )
    train, asked, theirs = learnt[features], frame.still_open[features], None
    outside = unlike(train, asked)
    counts: dict[str, Any] = {str(name): int(count) for name, count in outside.sum().items() if count}
    if champion is not None:
        known = frame.labelled
        seen = known[np.isin(row_fingerprints(known, problem.key), champion.training_rows)][features]
        theirs = int(unlike(seen, asked).any(axis=1).sum())
    told = separability(train, asked, seed=problem.retraining.seed)
    return Support(len(asked), int(outside.any(axis=1).sum()), counts, theirs, told)


def _write(frame: pd.DataFrame, file: Path) -> None:
    with atomic_path(file) as temporary:
        frame.to_parquet(temporary, index=False)
