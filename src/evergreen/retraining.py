"""One retraining, step by step: a frame from a snapshot, a candidate, what all models say of the holdout, a verdict, its consequence.

Each step is keyed by digests of what goes into it, so a step that was done is found again instead of done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import Trained, predicted
from evergreen.data.landing import active, batch_path
from evergreen.data.snapshots import Frame, Snapshot, build_frame, content_digest, row_fingerprints
from evergreen.errors import DataError
from evergreen.evaluation import read_predicted
from evergreen.files import atomic_path, digest_file, digest_text, lock
from evergreen.gate.collection import ModelAnswer, Origin, collect_evidence
from evergreen.gate.decision import judge
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DataVerdict, Evidence
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import Question, open_budget, spending
from evergreen.gate.record import Context, build_record
from evergreen.prediction import predict_all
from evergreen.predictor import Job
from evergreen.promotion import Word, barred, promote, standing
from evergreen.provenance import code_version, differences, provenance_digests, training_key
from evergreen.registry import Version, stored_digest
from evergreen.splitting import Split, split_rows
from evergreen.training import fit_candidate, tune
from evergreen.validation import validate
from evergreen.workspace import Workspace

GOLDEN_ROWS = 1_000
EXAMPLE_ROWS = 5
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """What a candidate is made of and judged on."""

    snapshot: Snapshot
    frame: Frame
    split: Split
    content: str
    """Digest of the labelled rows."""
    data: tuple[DataVerdict, ...]
    """What the expectations said of each batch and of the training frame."""
    warnings: tuple[str, ...]
    """What is unusual about the training frame, and refuses nothing."""


def inputs_digest(space: Workspace, snapshot: Snapshot) -> str:
    """Name of everything that a verdict can depend on but the champion: snapshot, contract, code, lock. Reads no data."""
    return _inputs(provenance_digests(space.problem, snapshot=snapshot.id, lock=space.settings.lock))


def prepare(space: Workspace, snapshot: Snapshot) -> Material:
    """Build the training frame of a snapshot, hold it against `expectations/training_data.json`, and split it.

    Raises
    ------
    DataError
        A join's guard is broken, a critical expectation fails, or there is too little to split.
    """
    problem = space.problem
    frame = build_frame(space.settings.root, snapshot, problem)
    labelled = frame.labelled
    columns = list(dict.fromkeys(column for column in (problem.key, problem.time, problem.target.name, *problem.features) if column))
    report = validate(labelled[columns], space.settings.expectations / "training_data.json", name="training data", key=(problem.key,))
    if not report.passed:
        broken = "; ".join(check.sentence for check in report.failed)
        raise DataError(f"The training data are not what expectations/training_data.json expects: {broken}. No model was trained on them.")
    verdict = DataVerdict("training data", report.passed, tuple(check.sentence for check in report.failed))
    data = (*_batch_verdicts(space, snapshot), verdict)
    warnings = tuple(check.finding for check in report.warnings)
    return Material(snapshot, frame, split_rows(labelled, problem), content_digest(labelled[columns]), data, warnings)


def make_candidate(space: Workspace, material: Material, *, tuning: bool, progress: Progress = lambda _: None) -> Version:
    """Fit the contract's recipe on the training rows and register it, unless this very training has been done before.

    With `tuning` the parameters are searched first; without, the last ones found are used.
    """
    problem, train = space.problem, material.split.train
    digests = provenance_digests(problem, snapshot=material.snapshot.id, lock=space.settings.lock)
    recipe = digest_text(digests["contract"], digests["code"])
    if tuning:
        progress(f"search for parameters, {problem.retraining.tuning_iterations} tries")
        best, cost = tune(problem, train, iterations=problem.retraining.tuning_iterations)
        space.journal.add(tables.tunings, recipe=recipe, tuning=digest_text(recipe, material.content), parameters=best, cost=cost)
    last = space.journal.last(tables.tunings, recipe=recipe)
    parameters = best if tuning else last["parameters"] if last else {}
    key = training_key(digests, content=material.content, seed=problem.retraining.seed, parameters=parameters)
    for version in space.registry.versions():
        if version.training_key == key:
            return version
    fitted = fit_candidate(problem, train, parameters=parameters, progress=progress)
    progress("register the candidate")
    golden = train.sample(min(GOLDEN_ROWS, len(train)), random_state=problem.retraining.seed)[list(problem.features)]
    trained = Trained(
        estimator=fitted.estimator,
        features=problem.features,
        example=golden.head(EXAMPLE_ROWS),
        golden=golden.join(predicted(fitted.estimator, golden)),
        training_rows=np.sort(row_fingerprints(train, problem.key)),
        parameters={"seed": problem.retraining.seed, **parameters},
        metrics={"cv_cost": fitted.cost, **{f"cv_cost_fold_{i}": fold["measure"] for i, fold in enumerate(fitted.folds, start=1)}},
        training_key=key,
        snapshot=material.snapshot.id,
        provenance=digests,
        facts=_facts(space, train, fitted.threshold, list(fitted.folds)),
    )
    return space.registry.register(trained)


def ask_models(space: Workspace, material: Material, candidate: Version) -> dict[str, ModelAnswer]:
    """Have candidate, champion and anchor predict the holdout, each in a process of its own; one that is two of them predicts once."""
    now, problem = standing(space.journal), space.problem
    names = {CANDIDATE: candidate.number, CHAMPION: now.champion, ANCHOR: now.anchor}
    versions = {number: space.registry.version(number) for number in names.values() if number is not None}
    folder = space.settings.root / "evidence" / candidate.training_key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "holdout.parquet"
    # An older model is given its own features, which today's contract may no longer name.
    wanted = dict.fromkeys([problem.key, *(name for version in versions.values() for name in version.facts["features"])])
    with atomic_path(rows) as temporary:
        material.split.holdout[[name for name in wanted if name in material.split.holdout]].to_parquet(temporary, index=False)
    jobs = {
        number: Job(
            space.registry.folder(version),
            rows,
            folder / f"version-{number}.parquet",
            key=problem.key,
            trusted=tuple(version.facts["trusted_types"]),
            chunk_rows=problem.serving.chunk_rows,
        )
        for number, version in versions.items()
    }
    predict_all(list(jobs.values()), seconds=problem.cost.max_predict_seconds)
    answers = {
        number: ModelAnswer(
            version=number,
            predicted=read_predicted(jobs[number].out, problem.task),
            training_rows=np.load(space.registry.evidence_folder(version) / "training_rows.npy", allow_pickle=False),
            training_end=version.facts["training_end"],
        )
        for number, version in versions.items()
    }
    return {name: answers[number] for name, number in names.items() if number is not None}


def earlier_verdict(space: Workspace, snapshot: Snapshot) -> dict[str, Any] | None:
    """The record of the verdict on these very inputs; None where there is none, or where the champion it was judged against has gone."""
    known = space.journal.last(tables.decisions, inputs=inputs_digest(space, snapshot))
    if known is None:
        return None
    carried_out = known["verdict"] == Verdict.PROMOTE and _is_carried_out(space, known["candidate"])
    return known["record"] if carried_out or known["champion"] == standing(space.journal).champion else None


def decide(space: Workspace, material: Material, candidate: Version, answers: dict[str, ModelAnswer]) -> dict[str, Any]:
    """Gate the candidate; verdict and spent error budget are written to the journal together. Asked again, it answers the same.

    Returns
    -------
    dict
        The decision record.
    """
    journal, policy = space.journal, space.problem.gate
    if candidate.number == standing(journal).champion and (known := journal.last(tables.decisions, candidate=candidate.number)):
        return dict(known["record"])  # there was nothing new to learn from: a model is not judged against itself
    champion = space.registry.version(answers[CHAMPION].version) if CHAMPION in answers else None
    artefact, window = champion.artefact if champion else None, f"{material.split.start} {material.split.end}"
    name = digest_text(candidate.artefact, str(artefact), str(standing(journal).anchor), window)
    data_time = (material.split.end or pd.Timestamp(datetime.now(UTC))).to_pydatetime()
    with lock(space.settings.root / ".gate.lock", holder="the gate"):
        if known := journal.last(tables.decisions, decision=name):
            return dict(known["record"])
        budget = open_budget(journal, Question(candidate.artefact, artefact, window), data_time=data_time, policy=policy)
        evidence = _evidence(space, material, candidate, answers)
        verdict = judge(evidence, policy, budget=budget)
        record = build_record(evidence, verdict, budget, context=_context(space, candidate, champion, name))
        record["rebase_anchor"] = verdict.rebase_anchor
        row = {
            "decision": name,
            "training_key": candidate.training_key,
            "inputs": _inputs(candidate.facts["provenance"] | {"snapshot": material.snapshot.id}),  # not of files saved meanwhile
            "verdict": str(verdict.verdict),
            "snapshot": material.snapshot.id,
            "data_time": data_time.isoformat(),
            "candidate": candidate.number,
            "champion": champion.number if champion else None,
            "record": record,
        }
        spent = spending(budget)
        if not journal.add_all([*([(tables.ledger, spent)] if spent else []), (tables.decisions, row)]):
            record = journal.rows(tables.decisions, decision=name)[0]["record"]  # another machine was first
    return record


def apply(space: Workspace, record: dict[str, Any], *, files: Sequence[Path] = ()) -> None:
    """Show the verdict and its files in MLflow, and do what it says, once: promote, or nothing. What a person did later stays."""
    number = record["candidate"]["version"]
    space.registry.annotate(space.registry.version(number), record, files=files)
    if record["verdict"] == Verdict.PROMOTE and not _is_carried_out(space, number) and number not in barred(space.journal):
        promote(
            space.registry,
            number,
            Word("promotion", record["headline"], "gate"),
            expected_champion=record["champion"]["version"] if record["champion"] else None,
            rebase_anchor=record["rebase_anchor"],
        )


def _inputs(digests: dict[str, str]) -> str:
    return digest_text(*(digests[name] for name in ("code", "contract", "lock", "snapshot")))


def _is_carried_out(space: Workspace, version: int) -> bool:
    return bool(space.journal.rows(tables.promotions, version=version, kind="promotion", state="done"))


def _evidence(space: Workspace, material: Material, candidate: Version, answers: dict[str, ModelAnswer]) -> Evidence:
    """Everything the verdict rests on; the margin is the one that was fixed when the champion was decided on."""
    decided = space.journal.last(tables.decisions, candidate=answers[CHAMPION].version) if CHAMPION in answers else None
    starts = {name: space.registry.version(answer.version).facts["training_start"] for name, answer in answers.items()}
    joins = [f"{join.source}: {join.match_rate:.1%} matched, {join.unused:,} of its rows not asked for" for join in material.frame.joins]
    origin = Origin(
        recorded=candidate.facts["provenance"],
        found=_found_now(space, candidate),
        data=material.data,
        margin=decided["record"]["margin_next"] if decided else None,
        facts={
            **{"training_start": starts, "joins": joins, "orphans": material.frame.orphans, "replaced rows": material.frame.replaced},
            "unusual training data": list(material.warnings),
        },
    )
    return collect_evidence(space.problem, material.split, answers, origin)


def _facts(space: Workspace, train: pd.DataFrame, threshold: float | None, folds: list[dict[str, float]]) -> dict[str, Any]:
    time = space.problem.time
    start, end = (train[time].min().isoformat(), train[time].max().isoformat()) if time else (None, None)
    commit = code_version(space.problem.package)
    return {"training_start": start, "training_end": end, "rows": len(train), "threshold": threshold, "folds": folds, "commit": commit}


def _found_now(space: Workspace, candidate: Version) -> dict[str, str]:
    """The candidate's digests, made again from what is stored and from the code as it stands now."""
    kept = space.journal.last(tables.snapshots, snapshot=candidate.facts["snapshot"]) or {"batches": {}}
    root = space.settings.root
    parts = [f"{name} {_digest_or_none(batch_path(root, name, digest))}" for name in kept["batches"] for digest in kept["batches"][name]]
    found = provenance_digests(space.problem, snapshot=digest_text(*parts), lock=space.settings.lock)
    return found | {"artefact": stored_digest(space.registry.folder(candidate))}


def _digest_or_none(path: Path) -> str:
    return digest_file(path) if path.is_file() else "missing"


def _batch_verdicts(space: Workspace, snapshot: Snapshot) -> list[DataVerdict]:
    """What the journal says of each source's batches; one that it does not know as published has no business in a snapshot."""
    told = []
    for name, digests in snapshot.batches.items():
        published = {row["batch"] for row in active(space.journal, name)}
        strange = [f"batch {digest[:12]} is not among the published ones" for digest in digests if digest not in published]
        told.append(DataVerdict(f"{name}, {len(digests)} batches", not strange, tuple(strange)))
    return told


def _context(space: Workspace, candidate: Version, champion: Version | None, decision: str) -> Context:
    problem = space.problem
    return Context(
        decision=decision,
        problem=problem.name,
        question=problem.business.question,
        unit=problem.business.unit,
        entity=problem.things,
        cluster=f"{problem.gate.cluster}s",
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        changed=differences(problem, candidate.facts, champion.facts if champion else None),
    )
