"""The gate's verdict on a candidate of the backtest: the same checks, on evidence that was made in memory, and a ledger in data time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from evergreen.backtest.fits import Candidate, Fits
from evergreen.backtest.world import World
from evergreen.examination import support_of
from evergreen.files import digest_text
from evergreen.gate import figures
from evergreen.gate.checks import CHECKS
from evergreen.gate.checks_data import unsound
from evergreen.gate.collection import ModelAnswer, Origin, collect_evidence
from evergreen.gate.decision import judge
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DataVerdict, Evidence, Footprint
from evergreen.gate.finding import Outcome, Verdict
from evergreen.gate.ledger import Budget, Question, open_budget, spending
from evergreen.journal import Journal
from evergreen.splitting import Split, leave_out

NOT_TRIED = {
    "provenance": "that a model can be built again from what is stored",
    "parity": "that serving answers as training did, in a process of its own",
    "cost": "latency, memory, size and speed",
    "shadow": "what a model said in shadow",
}
"""Checks that need a stored model or a process of its own; here each is taken to pass."""
TRIED = tuple(check for check in CHECKS if check.__name__ not in NOT_TRIED)


@dataclass(frozen=True)
class Judged:
    """What the gate made of a candidate."""

    verdict: Verdict
    stopped_by: tuple[str, ...]
    """The checks that did not pass."""
    is_too_small: bool
    margin_next: float | None
    rebase_anchor: bool
    level: dict[str, float] | None
    """What a row cost with it on its holdout, as the decision record says it; None where the evidence gives no number."""


@dataclass(frozen=True)
class Serving:
    """A candidate that has been put in place, and what its own verdict fixed."""

    candidate: Candidate
    judged: Judged


@dataclass(frozen=True)
class Gate:
    """Judges candidates; the same question with the same budget is worked out once, whichever policy asks."""

    fits: Fits
    _known: dict[str, Judged] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """What is played again."""
        return self.fits.world

    def first(self, candidate: Candidate, ledger: Journal) -> Judged:
        """The verdict on a first model."""
        return self._ask(candidate, None, None, ledger)

    def later(self, candidate: Candidate, champion: Serving, anchor: Serving, *, ledger: Journal) -> Judged:
        """The verdict on a candidate that would take the champion's place."""
        return self._ask(candidate, champion, anchor, ledger)

    def _ask(self, candidate: Candidate, champion: Serving | None, anchor: Serving | None, ledger: Journal) -> Judged:
        split, policy = self._split(candidate, champion, anchor), self.world.problem.gate
        window = f"{split.start} {split.end}"
        question = Question(candidate.name, champion.candidate.name if champion else None, window)
        assert split.end is not None  # noqa: S101 - for mypy: a forward split has one
        budget = open_budget(ledger, question, data_time=split.end.to_pydatetime(), policy=policy)
        names = [one.candidate.name if one else "" for one in (champion, anchor)]
        key = digest_text(candidate.name, *names, repr((budget.alpha, budget.spent, budget.left, champion and champion.judged)))
        if key not in self._known:
            self._known[key] = self._judge(candidate, champion, anchor, split=split, budget=budget)
        judged = self._known[key]
        ledger.add_all(spending(replace(budget, is_waived=judged.is_too_small)))
        return judged

    def _split(self, candidate: Candidate, *others: Serving | None) -> Split:
        learnt = [self.world.fingerprints(one.candidate.moment) for one in others if one]
        return leave_out(self.world.split(candidate.moment), np.concatenate([np.empty(0, np.uint64), *learnt]), self.world.problem)

    def _judge(self, candidate: Candidate, champion: Serving | None, anchor: Serving | None, *, split: Split, budget: Budget) -> Judged:
        policy = self.world.problem.gate
        evidence = self._evidence(candidate, champion, anchor, split)
        decision = judge(evidence, policy, budget=budget, checks=TRIED)
        return Judged(
            verdict=decision.verdict,
            stopped_by=tuple(finding.check for finding in decision.findings if finding.outcome is not Outcome.PASS),
            is_too_small=decision.is_too_small,
            margin_next=decision.margin_next,
            rebase_anchor=decision.rebase_anchor,
            level=None if unsound(evidence) else figures.cost_level(evidence),
        )

    def _evidence(self, candidate: Candidate, champion: Serving | None, anchor: Serving | None, split: Split) -> Evidence:
        world, problem = self.world, self.world.problem
        told = {CANDIDATE: candidate} | {name: one.candidate for name, one in ((CHAMPION, champion), (ANCHOR, anchor)) if one}
        answers = {name: self._answer(one, split) for name, one in told.items()}
        frame = world.at(candidate.moment)
        digests = {"candidate": candidate.name}
        origin = Origin(
            recorded=digests,
            found=digests,
            data=[DataVerdict("training data", passed=True)],  # else there would be no candidate
            margin=champion.judged.margin_next if champion else None,
            is_overruled=champion is not None and champion.judged.verdict is Verdict.REJECT,
            facts={},
            trials=replace(candidate.trials(world), support=support_of(problem, split.train, frame, answers.get(CHAMPION))),
        )
        return collect_evidence(problem, split, answers, origin)

    def _answer(self, one: Candidate, split: Split) -> ModelAnswer:
        learnt = self.world.split(one.moment).train[str(self.world.problem.time)]
        return ModelAnswer(
            version=one.version,
            predicted=one.predicted(split.holdout, self.world.problem.task),
            training_rows=self.world.fingerprints(one.moment),
            training_end=learnt.iloc[-1].isoformat(),
            footprint=_ALIKE,
        )


_ALIKE = Footprint(np.zeros(1), 0.0, 1.0, 0.0, 0.0, 0.0, "the contract's recipe")
"""One recipe makes all candidates, so none is taken to be costlier than another."""
