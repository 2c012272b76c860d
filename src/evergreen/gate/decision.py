"""The verdict: a pure function of the evidence, the policy and what the ledger allows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from evergreen.gate.checks import CHECKS, Check
from evergreen.gate.checks_data import unsound
from evergreen.gate.comparison import fresh_margin, is_superior
from evergreen.gate.evidence import CHAMPION, Evidence
from evergreen.gate.finding import Finding, Outcome, Verdict
from evergreen.gate.ledger import Budget
from evergreen.policies import GatePolicy
from evergreen.quoting import in_words

_budget = partial(Finding, "budget", "Trying often enough does not get a worse model promoted by luck.")


@dataclass(frozen=True)
class Decision:
    """What the gate concludes, and what follows from it for the next gate."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    alpha: float
    """Chance of error of each bound against champion and anchor."""
    alpha_first: float
    """The same against baselines."""
    margin_next: float | None
    """Margin in cost a row for whoever challenges this candidate; None when the evidence gives none."""
    rebase_anchor: bool
    """Whether the candidate, once promoted, is the best champion so far."""

    @property
    def is_too_small(self) -> bool:
        """Whether the holdout has too few rows, events or clusters to promote anybody."""
        return any(finding.check == "size" and finding.outcome is not Outcome.PASS for finding in self.findings)


def judge(evidence: Evidence, policy: GatePolicy, *, budget: Budget, checks: tuple[Check, ...] = CHECKS) -> Decision:
    """Ask every check and conclude. Never raises because of what is in the evidence.

    Parameters
    ----------
    budget
        What the ledger lets this gate spend; its `alpha` is what the checks get.
    checks
        Others than `CHECKS` to measure what each of them is worth.
    """
    findings = (*(_answer(check, evidence, policy, budget.alpha) for check in checks), _affordable(evidence, budget))
    verdict = conclude(findings)
    rebase = verdict is Verdict.PROMOTE and (CHAMPION not in evidence.contenders or is_superior(evidence, policy, budget.alpha))
    first = policy.alpha_first if CHAMPION in evidence.contenders else budget.alpha
    return Decision(verdict, findings, budget.alpha, first, next_margin(evidence, policy), rebase)


def conclude(findings: tuple[Finding, ...]) -> Verdict:
    """REJECT if any finding rejects or could not be made; PROMOTE if all pass; else HOLD. Their order does not matter."""
    outcomes = {finding.outcome for finding in findings}
    if outcomes & {Outcome.REJECT, Outcome.ERROR}:
        return Verdict.REJECT
    return Verdict.PROMOTE if outcomes == {Outcome.PASS} else Verdict.HOLD


def _answer(check: Check, evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    try:
        return check(evidence, policy, alpha)
    except Exception as error:  # whatever goes wrong must end in a refusal that is on record, not in a run without a verdict
        reason = f"The check {check.__name__} could not be made: {type(error).__name__}: {in_words(error)}."
        return Finding(check.__name__, "What cannot be checked is not promoted.", Outcome.ERROR, reason)


def _affordable(evidence: Evidence, budget: Budget) -> Finding:
    if budget.is_first != (CHAMPION not in evidence.contenders and not evidence.silent):
        told, seen = ("no champion", "one") if budget.is_first else ("a champion", "none")
        return _budget(Outcome.ERROR, f"The ledger was told of {told}, the evidence holds {seen}. Open the budget for what is judged.")
    finding = partial(_budget, estimate=budget.price, threshold=budget.left)
    if budget.is_exhausted:
        reason = f"The year's error budget is spent: {budget.spent:.3g} of {budget.allowed:.3g}; this gate would need {budget.price:.3g}."
        return finding(Outcome.HOLD, reason, settle="It is free again a year after the gates that spent it.")
    if not budget.price:
        return finding(Outcome.PASS, "This question was paid for when it was asked first; looking again costs nothing.")
    return finding(Outcome.PASS, f"The error budget of {budget.allowed:.3g} allows this gate's {budget.price:.3g}.")


def next_margin(evidence: Evidence, policy: GatePolicy) -> float | None:
    """The margin, in cost a row, for whoever challenges this candidate; None when the evidence gives none."""
    return None if policy.margin is None and unsound(evidence) else fresh_margin(evidence, policy)
