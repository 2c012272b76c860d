"""From predictions, made elsewhere, to the evidence that the gate is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from evergreen.contract import Problem
from evergreen.data.joins import late_features
from evergreen.data.landing import active
from evergreen.data.snapshots import Snapshot, clusters, row_fingerprints
from evergreen.evaluation import Predicted, central_cost, dummy, measure, rule_of_thumb, trivial_policies
from evergreen.gate.evidence import (
    DUMMY,
    RULE_OF_THUMB,
    Contender,
    DataVerdict,
    Evidence,
    Footprint,
    Promise,
    Reaction,
    Replay,
    Shadowed,
    Support,
)
from evergreen.journal import Journal
from evergreen.revocations import lost_from
from evergreen.splitting import Split
from evergreen.training import training_target


@dataclass(frozen=True)
class ModelAnswer:
    """What a registered model, in a process of its own, said of the holdout rows, and what it had learnt from."""

    version: int
    predicted: Predicted
    training_rows: np.ndarray
    """Fingerprints (uint64) of its training rows."""
    training_end: str | None
    footprint: Footprint | None = None


@dataclass(frozen=True)
class Trials:
    """What the candidate and its recipe were put through beside predicting the holdout; see `Evidence` for each."""

    replays: tuple[Replay, ...] = ()
    replayable: int = 1_000
    promise: Promise | None = None
    seeds: dict[int, float] | None = None
    seeds_se: float = 0.0
    random_without_seed: bool = False
    reactions: tuple[Reaction, ...] = ()
    support: Support | None = None
    shadow: Shadowed | None = None


@dataclass(frozen=True)
class Origin:
    """Where the candidate comes from, and what was fixed or found before it was judged."""

    recorded: dict[str, str]
    """Digests as registered, and in `found` as they are now."""
    found: dict[str, str]
    data: Sequence[DataVerdict]
    margin: float | None
    """In cost per row, from the champion's own decision; None for a first model."""
    facts: dict[str, Any]
    """What the record reports and no check judges."""
    trials: Trials = field(default_factory=Trials)
    is_restated: bool = False
    is_overruled: bool = False
    """What the champion's decision and its promotion say of these two: see `Evidence`."""
    silent: dict[str, str] = field(default_factory=dict)
    """Why champion and anchor have no answer; see `Evidence`."""


def batch_verdicts(journal: Journal, snapshot: Snapshot) -> list[DataVerdict]:
    """What the journal says of each source's batches; one that it does not know as published has no business in a snapshot."""
    told = []
    for name, digests in snapshot.batches.items():
        published = {row["batch"] for row in active(journal, name)}
        strange = [f"batch {digest[:12]} is not among the published ones" for digest in digests if digest not in published]
        told.append(DataVerdict(f"{name}, {len(digests)} batches", not strange, tuple(strange)))
    return told


def taken_back_since(journal: Journal, *snapshots: str) -> list[DataVerdict]:
    """Whether a person has taken back what a candidate has learnt from, or is judged on, at this moment; nothing when nobody has."""
    lost = dict.fromkeys(one.sentence for snapshot in dict.fromkeys(snapshots) for one in lost_from(journal, snapshot))
    return [DataVerdict("what it rests on", passed=False, failed=tuple(lost))] if lost else []


def collect_evidence(problem: Problem, split: Split, answers: dict[str, ModelAnswer], origin: Origin) -> Evidence:
    """Put everything that one verdict rests on side by side, on the same holdout rows.

    `answers` are by contender: CANDIDATE, and CHAMPION and ANCHOR where there are some and neither is silent.
    """
    rows, y, y_train = split.holdout, training_target(split.holdout, problem), training_target(split.train, problem)
    priced = partial(priced_answers, problem, rows, y)
    policies = {
        DUMMY: dummy(problem, y_train, len(rows)),
        RULE_OF_THUMB: rule_of_thumb(problem, rows),
    }
    contenders = {name: _contender(name, priced(answer.predicted), answer) for name, answer in answers.items()}
    contenders |= {name: _contender(name, priced(predicted)) for name, predicted in policies.items()}
    trivial = trivial_policies(problem.task, y_train, len(rows))
    return Evidence(
        task=problem.task,
        rows=row_fingerprints(rows, problem.key),
        y=y,
        cluster=clusters(rows, problem.gate.cluster),
        features=rows[list(problem.features)].reset_index(drop=True),
        slices=rows[list(problem.slices)].reset_index(drop=True),
        contenders=contenders,
        trivial={name: _contender(name, priced(predicted)) for name, predicted in trivial.items()},
        holdout_start=split.start.isoformat() if split.start is not None else None,
        holdout_end=split.end.isoformat() if split.end is not None else None,
        embargo_seconds=problem.embargo.total_seconds(),
        good_enough=problem.business.good_enough,
        margin=origin.margin,
        is_restated=origin.is_restated,
        is_overruled=origin.is_overruled,
        data=tuple(origin.data),
        provenance=origin.recorded,
        provenance_now=origin.found,
        late_features=tuple(late_features(problem, rows)),
        limits=problem.cost,
        **vars(origin.trials),
        silent=origin.silent,
        facts=origin.facts,
    )


def _contender(name: str, priced: dict[str, Any], answer: ModelAnswer | None = None) -> Contender:
    known: dict[str, Any] = dict(priced)
    if answer is not None:
        known |= {"version": answer.version, "training_rows": np.sort(answer.training_rows), "training_end": answer.training_end}
        known |= {"footprint": answer.footprint}
    return Contender(name=name, **known)


def priced_answers(problem: Problem, rows: pd.DataFrame, y: np.ndarray, predicted: Predicted) -> dict[str, Any]:
    """What predictions are and cost, as a `Contender` has it."""
    return {
        "measure": measure(problem, rows, y, predicted),
        "cost": central_cost(problem, rows, y, predicted),
        "decision": predicted.decision,
        "probability": predicted.probability,
        "classes": predicted.classes,
    }
