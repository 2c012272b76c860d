"""One retraining, step by step: a frame from a snapshot, a candidate, what all models say of the holdout, a verdict, its consequence.

Each step is keyed by digests of what goes into it, so a step that was done is found again instead of done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen import portrait
from evergreen.artefact import CODE_FOLDER
from evergreen.candidate import Trained, predicted
from evergreen.changes import Made, changes
from evergreen.contract import Problem
from evergreen.data.landing import batch_path
from evergreen.data.snapshots import Frame, Snapshot, content_digest, explained, frame_of, row_fingerprints
from evergreen.data.targets import why_so_few
from evergreen.errors import BusyError, DataError, JoinError
from evergreen.examination import Examination, examine
from evergreen.facts import facts_of, golden_rows
from evergreen.files import digest_bytes, digest_file, digest_text
from evergreen.gate.collection import Origin, batch_verdicts, collect_evidence, taken_back_since
from evergreen.gate.comparison import groups_of
from evergreen.gate.decision import judge
from evergreen.gate.evidence import CANDIDATE, CHAMPION, DataVerdict, Evidence
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import Question, open_budget, spending
from evergreen.gate.record import Context, build_record
from evergreen.leases import unless_alone
from evergreen.monitoring.pillars import refuse_apart
from evergreen.moves import standing
from evergreen.overrides import in_force
from evergreen.policies import HashedSplit
from evergreen.provenance import locked_packages, provenance_digests, training_key
from evergreen.registry import Version, stored_digest
from evergreen.releases import carry_out, is_carried_out
from evergreen.splitting import Split, leave_out, split_frame
from evergreen.training import fit_candidate, tune
from evergreen.trials import try_recipe
from evergreen.validation import training_columns, validate_training
from evergreen.workspace import Workspace

EXAMPLE_ROWS = 5
RESUMED = "resumed "
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
    again: bool = False
    """Whether it is for judging a held candidate again: what the next training learns from has not been judged then."""


def inputs_digest(space: Workspace, snapshot: Snapshot) -> str:
    """Name of everything that a verdict can depend on but the champion: snapshot, contract, code, lock. Reads no data."""
    return _inputs(provenance_digests(space.problem, snapshot=snapshot.id, lock=space.settings.lock))


def prepare(space: Workspace, snapshot: Snapshot) -> Material:
    """Build the training frame of a snapshot, hold it against `expectations/training_data.json`, and split it.

    Holdout rows that champion or anchor has learnt from are left out.

    Raises
    ------
    DataError
        A join's guard is broken, a critical expectation fails, or there is too little to split.
    """
    problem = space.problem
    frame = frame_of(space.settings.root, space.journal, snapshot, problem)
    labelled, too_few = frame.labelled, why_so_few(frame.rows, problem)
    try:
        refuse_apart(problem, frame)
    except JoinError as error:
        raise explained(space.journal, error) from error
    report = validate_training(labelled, problem, space.settings.expectations)
    if not report.passed:
        broken = "; ".join(check.sentence for check in report.failed)
        said = f"The training data are not what expectations/training_data.json expects: {broken}."
        raise DataError(f"{said} No model was trained on them. {too_few}".rstrip())
    verdict = DataVerdict("training data", report.passed, tuple(check.sentence for check in report.failed))
    data = (*batch_verdicts(space.journal, snapshot), verdict)
    warnings = tuple(filter(None, (*(check.finding for check in report.warnings), too_few)))
    split = leave_out(split_frame(frame, problem), _learnt_by_standing(space), problem)
    deals = [problem.split.group] if isinstance(problem.split, HashedSplit) else []
    content = content_digest(labelled[list(dict.fromkeys([*training_columns(problem), *deals]))])
    return Material(snapshot, frame, split, content, data, warnings)


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
    tried = try_recipe(problem, material.split, fitted, progress=progress)
    progress("register the candidate")
    golden = golden_rows(problem, material.split)
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
        facts=facts_of(problem, material.split, fitted, tried) | {"packages": locked_packages(space.settings.lock)},
    )
    return space.registry.register(trained)


def ask_models(space: Workspace, material: Material, candidate: Version) -> Examination:
    """Have all compared models predict the holdout and try the candidate, each in a process of its own."""
    asked = examine(space, material.split, candidate, material.frame)
    portrait.draw(space, material.split.holdout, candidate, asked.answers[CANDIDATE].predicted)
    return asked


def earlier_verdict(space: Workspace, snapshot: Snapshot) -> dict[str, Any] | None:
    """The record of the verdict on these very inputs; None where there is none, or where the champion it was judged against has gone."""
    known = space.journal.last(tables.decisions, inputs=inputs_digest(space, snapshot))
    if known is None:
        return None
    carried_out = known["verdict"] == Verdict.PROMOTE and is_carried_out(space.journal, known["candidate"])
    return known["record"] if carried_out or known["champion"] == standing(space.journal).champion else None


def decide(space: Workspace, material: Material, candidate: Version, asked: Examination) -> dict[str, Any]:
    """Gate the candidate; verdict and spent error budget are written to the journal together. Asked again, it answers the same.

    Returns
    -------
    dict
        The decision record.
    """
    journal, policy = space.journal, space.problem.gate
    if candidate.number == standing(journal).champion and (known := journal.last(tables.decisions, candidate=candidate.number)):
        return dict(known["record"])  # there was nothing new to learn from: a model is not judged against itself
    champion = None if asked.champion is None else space.registry.version(asked.champion)
    artefact, window = champion.artefact if champion else None, _window(space.problem, material.split)
    name = digest_text(candidate.artefact, str(artefact), str(standing(journal).anchor), window)
    data_time = (material.split.end or pd.Timestamp(datetime.now(UTC))).to_pydatetime()
    with unless_alone(journal, space.settings.root / ".gate.lock", holder="the gate"):
        if known := journal.last(tables.decisions, decision=name):
            return dict(known["record"])
        budget = open_budget(journal, Question(candidate.artefact, artefact, window), data_time=data_time, policy=policy)
        evidence = _evidence(space, material, candidate, asked)
        verdict = judge(evidence, policy, budget=budget)
        budget = replace(budget, is_waived=verdict.is_too_small)
        record = build_record(evidence, verdict, budget, context=_context(space, candidate, champion, name))
        record |= {"rebase_anchor": verdict.rebase_anchor, "silent": asked.silent}
        record["champion"] = record["champion"] or _unasked(champion)
        row = _decision(material, candidate, name, record) | {"data_time": data_time.isoformat()}
        if not journal.add_all([*spending(budget), (tables.decisions, row)]):
            first = journal.last(tables.decisions, decision=name)
            if first is None:
                raise BusyError("Another process is judging the same candidate at this moment. Run again when it has ended.")
            record = first["record"]  # another machine was first
    return record


def apply(space: Workspace, record: dict[str, Any], *, files: Sequence[Path] = ()) -> None:
    """Show the verdict and its files in MLflow, and do what it says; see `releases.carry_out`."""
    number = record["candidate"]["version"]
    space.registry.annotate(space.registry.version(number), record, files=files)
    carry_out(space.registry, record)


def _learnt_by_standing(space: Workspace) -> np.ndarray:
    """Fingerprints of the rows that champion and anchor have learnt from; empty where there is none."""
    now, registry = standing(space.journal), space.registry
    numbers = {number for number in (now.champion, now.anchor) if number is not None}
    return np.concatenate([np.empty(0, np.uint64), *(registry.training_rows(registry.version(number)) for number in sorted(numbers))])


def _decision(material: Material, candidate: Version, name: str, record: dict[str, Any]) -> dict[str, Any]:
    """The journal's row of a decision; it is filed under what the candidate was made from, not under files that were saved meanwhile."""
    inputs = _inputs(candidate.facts["provenance"] | {"snapshot": material.snapshot.id})
    return {
        "decision": name,
        "training_key": candidate.training_key,
        "inputs": RESUMED + name if material.again else inputs,
        "verdict": str(record["verdict"]),
        "snapshot": material.snapshot.id,
        "candidate": candidate.number,
        "champion": record["champion"]["version"] if record["champion"] else None,
        "record": record,
    }


def _unasked(champion: Version | None) -> dict[str, Any] | None:
    """What a record says of a champion that the candidate could not be compared with."""
    if champion is None:
        return None
    return {"version": champion.number, **{name: champion.facts[name] for name in ("rows", "training_start", "training_end")}}


def _window(problem: Problem, split: Split) -> str:
    """Names the holdout: by its ends in time, or by its rows where these were drawn by lot, for more of them come later."""
    if split.start is None:
        return digest_bytes(np.sort(row_fingerprints(split.holdout, problem.key)).tobytes())
    return f"{split.start} {split.end}"


def _inputs(digests: dict[str, str]) -> str:
    return digest_text(*(digests[name] for name in ("code", "contract", "lock", "snapshot")))


def _evidence(space: Workspace, material: Material, candidate: Version, asked: Examination) -> Evidence:
    """Everything the verdict rests on; the margin is the one that was fixed when the champion was decided on."""
    answers = asked.answers
    decided = space.journal.last(tables.decisions, candidate=answers[CHAMPION].version) if CHAMPION in answers else None
    starts = {name: space.registry.version(answer.version).facts["training_start"] for name, answer in answers.items()}
    joins = [f"{join.source}: {join.match_rate:.1%} matched, {join.unused:,} of its rows not asked for" for join in material.frame.joins]
    origin = Origin(
        recorded=candidate.facts["provenance"],
        found=_found_now(space, candidate),
        data=(*material.data, *taken_back_since(space.journal, candidate.facts["snapshot"], material.snapshot.id)),
        margin=decided["record"]["margin_next"] if decided else None,
        is_restated=decided is not None and decided["record"]["provenance"]["contract"] != candidate.facts["provenance"]["contract"],
        is_overruled=decided is not None and in_force(space.journal, decided["candidate"]) is not None,
        facts={
            **{"training_start": starts, "joins": joins, "orphans": material.frame.orphans, "replaced rows": material.frame.replaced},
            **{"unusual training data": list(material.warnings), "left out of the holdout": material.split.left_out},
            "learning_curve": candidate.facts.get("learning_curve", []),
        },
        trials=asked.trials,
        silent=asked.silent,
    )
    return collect_evidence(space.problem, material.split, answers, origin)


def _found_now(space: Workspace, candidate: Version) -> dict[str, str]:
    """The candidate's digests, made again from what is stored and from the code as it stands now."""
    kept = space.journal.last(tables.snapshots, snapshot=candidate.facts["snapshot"]) or {"batches": {}}
    root = space.settings.root
    parts = [f"{name} {_digest_or_none(batch_path(root, name, digest))}" for name in kept["batches"] for digest in kept["batches"][name]]
    found = provenance_digests(space.problem, snapshot=digest_text(*parts), lock=space.settings.lock)
    return found | {"artefact": stored_digest(space.registry.folder(candidate))}


def _digest_or_none(path: Path) -> str:
    return digest_file(path) if path.is_file() else "missing"


def _context(space: Workspace, candidate: Version, champion: Version | None, decision: str) -> Context:
    problem = space.problem
    return Context(
        decision=decision,
        problem=problem.name,
        question=problem.business.question,
        unit=problem.business.unit,
        entity=problem.things,
        cluster=groups_of(problem.gate),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        labels={CHAMPION: f"version {champion.number}"} if champion else {},
        changes=changes(problem, _made(space, candidate), _made(space, champion) if champion else None),
    )


def _made(space: Workspace, version: Version) -> Made:
    known = space.journal.last(tables.snapshots, snapshot=version.facts["snapshot"])
    return Made(version.facts, known["batches"] if known else {}, space.registry.folder(version) / CODE_FOLDER)
