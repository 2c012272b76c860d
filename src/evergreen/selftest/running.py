"""Trying the gate on the user's own problem: everything goes the real way, in a folder that is thrown away."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evergreen import examination, retraining
from evergreen.contract import Problem
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import RefusedError
from evergreen.examination import Examination
from evergreen.gate.collection import Origin, collect_evidence
from evergreen.gate.decision import judge, next_margin
from evergreen.gate.evidence import Evidence
from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.gate.ledger import GATE, Budget
from evergreen.journal import Journal
from evergreen.promotion import Word, promote
from evergreen.registry import Version
from evergreen.retraining import Material
from evergreen.selftest.trials import TRIALS, Trial
from evergreen.splitting import Split
from evergreen.workspace import Workspace

ROWS = 20_000
"""At most so many are learnt from, and judged on: enough for every check, and the whole takes about two minutes."""
OLDER_SHARE = 0.8
"""The champion has learnt from the older part of the training rows."""
SEVERITY = {Outcome.PASS: 0, Outcome.HOLD: 1, Outcome.REJECT: 2, Outcome.ERROR: 2}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What the gate said of a trial's candidate."""

    trial: Trial
    verdict: Verdict | None
    """None where the defect could not be planted."""
    findings: tuple[Finding, ...] = ()
    impossible: str | None = None
    usual: tuple[Finding, ...] = ()
    """What it said of the honest candidate."""

    @property
    def stopped_by(self) -> list[str]:
        """The checks that did not pass."""
        return [finding.check for finding in self.findings if finding.outcome is not Outcome.PASS]

    @property
    def caught_by(self) -> list[str]:
        """The checks that say worse of it than of the honest candidate: one that stops everybody has found nothing."""
        usual = {finding.check: SEVERITY[finding.outcome] for finding in self.usual}
        return [finding.check for finding in self.findings if SEVERITY[finding.outcome] > usual.get(finding.check, 0)]

    @property
    def passed(self) -> bool:
        """Whether the gate did what it is there for."""
        if not self.trial.caught_by:
            return self.verdict is not Verdict.REJECT
        caught = self.verdict is not Verdict.PROMOTE and not {*self.trial.caught_by}.isdisjoint(self.caught_by)
        return self.impossible is not None or caught


def run_selftest(space: Workspace, *, only: Sequence[str] = (), progress: Progress = lambda _: None) -> Iterator[Result]:
    """Train a champion on the older rows, then an honest candidate and one for each defect, and ask the gate.

    Parameters
    ----------
    only
        Names of trials; all of them unless some are named. The honest candidate is always made, for the others are compared with it.

    Yields
    ------
    Result
        As soon as each is known.

    Raises
    ------
    RefusedError
        A name is unknown, or nothing has been published yet.
    DataError
        There are too few rows.
    """
    unknown = sorted({*only} - {trial.name for trial in TRIALS})
    if unknown:
        raise RefusedError(f"There is no trial {unknown[0]!r}; there are: {', '.join(trial.name for trial in TRIALS)}.")
    progress("read the data")
    material = _sampled(space, retraining.prepare(space, take_snapshot(space.journal, space.problem)))
    with tempfile.TemporaryDirectory(prefix="evergreen-selftest-") as folder:
        scratch = _scratch(space, Path(folder))
        try:
            _crown(scratch, material, progress)
            usual: tuple[Finding, ...] = ()
            for trial in TRIALS:
                wanted = not only or trial.name in only
                if wanted or not trial.caught_by:
                    progress(f"{trial.name}: {trial.says}")
                    result = dataclasses.replace(_try(scratch, material, trial), usual=usual)
                    usual = usual if trial.caught_by else result.findings
                    if wanted:
                        yield result
        finally:
            scratch.journal.close()


def _sampled(space: Workspace, material: Material) -> Material:
    split, seed = material.split, space.problem.retraining.seed
    train, holdout = (rows.sample(min(ROWS, len(rows)), random_state=seed).sort_index() for rows in (split.train, split.holdout))
    return dataclasses.replace(material, split=dataclasses.replace(split, train=train, holdout=holdout))


def _scratch(space: Workspace, folder: Path) -> Workspace:
    """The user's problem with a store, a registry and a journal that nobody needs afterwards; one seed, because luck is not planted."""
    gate = space.problem.gate.model_copy(update={"seeds": 1})
    quick = space.problem.model_copy(update={"gate": gate})
    settings = space.settings.model_copy(update={"home": folder, "journal_url": "", "mlflow_uri": ""})
    return Workspace(settings, quick, Journal(settings.journal))


def _crown(space: Workspace, material: Material, progress: Progress) -> None:
    """Make a champion of the user's own recipe, from the older training rows."""
    progress("a champion, from the older rows")
    problem, split = space.problem, material.split
    order = split.train.sort_values(problem.time, kind="stable") if problem.time else split.train
    older = order.head(int(OLDER_SHARE * len(order))).sort_index()
    version = retraining.make_candidate(space, _named(material, "champion", dataclasses.replace(split, train=older)), tuning=False)
    promote(space.registry, version.number, Word("promotion", "to have something to compare with", "self-test"), expected_champion=None)


def _try(space: Workspace, material: Material, trial: Trial) -> Result:
    if why := trial.impossible(space.problem, material.split):
        return Result(trial, None, impossible=why)
    problem, split = trial.plant(space.problem, material.split)
    here = dataclasses.replace(space, problem=problem)
    candidate = retraining.make_candidate(here, _named(material, trial.name, split), tuning=False)
    asked = trial.answer(problem, split, examination.examine(here, split, candidate, material.frame))
    evidence = _evidence(here, material, split, candidate, asked)
    decision = judge(evidence, problem.gate, budget=_budget(problem))
    return Result(trial, decision.verdict, decision.findings)


def _evidence(space: Workspace, material: Material, split: Split, candidate: Version, asked: Examination) -> Evidence:
    made = candidate.facts["provenance"]
    origin = Origin(recorded=made, found=made, data=material.data, margin=None, facts={}, trials=asked.trials)
    evidence = collect_evidence(space.problem, split, asked.answers, origin)
    return dataclasses.replace(evidence, margin=next_margin(evidence, space.problem.gate))


def _named(material: Material, name: str, split: Split) -> Material:
    """The material of one trial; its name makes the training another one, even on the same rows."""
    return dataclasses.replace(material, split=split, content=f"{material.content} {name}")


def _budget(problem: Problem) -> Budget:
    """What a gate spends at a first look, from a ledger that nobody has spent from."""
    price, year = problem.gate.alpha, problem.gate.alpha_per_year
    alpha = price * (1 - problem.gate.resume_share)
    return Budget(alpha, 0.0, year, year, "self-test", False, GATE, datetime.now(UTC), price)
