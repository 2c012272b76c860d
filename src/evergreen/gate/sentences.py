"""The decision in sentences, for a reader without statistics: money, and how many out of 1,000."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from evergreen.gate import figures
from evergreen.gate.checks_data import unsound
from evergreen.gate.comparison import best_trivial, rivals, saving
from evergreen.gate.decision import Decision
from evergreen.gate.evidence import CANDIDATE, CHAMPION, RULE_OF_THUMB, Evidence
from evergreen.gate.finding import Finding, Outcome, Verdict, amount, between

CONCERNS = {
    "provenance": "whether it can be built again",
    "data": "whether the data meet their expectations",
    "finite": "whether all numbers are finite",
    "size": "whether there is enough evidence",
    "hygiene": "whether the holdout was unseen",
    "leakage": "whether a feature knows the answer",
    "parity": "whether it predicts in serving exactly as in training",
    "baseline": "whether it is worth more than doing without",
    "generalization": "whether it keeps on unseen rows what it promised in training",
    "champion": "whether it is worse than today's model",
    "slices": "whether a part of the users is harmed",
    "calibration": "whether its probabilities can be taken at their word",
    "stability": "whether another random seed would have given the same",
    "behaviour": "whether it reacts sensibly to made-up changes",
    "cost": "whether production can afford it",
    "representativeness": "whether what is served looks like what it was trained on",
    "shadow": "whether it did worse in shadow than what served",
}
"""What each check of docs/gate.md asks. Those without a finding are listed as not judged."""
BEGINNING = re.compile(r"[:;.]\s")
"""Where the beginning of a reason ends."""
NEVER_OVERRIDDEN = ("finite", "hygiene", "parity")
"""Where these refuse, the other numbers say nothing of what would serve: nobody can know what they would answer for."""


@dataclass(frozen=True)
class Context:
    """What the record says beside the evidence: names, words and times that no verdict depends on."""

    decision: str
    """Id of the decision."""
    problem: str
    question: str
    unit: str
    entity: str
    """What a row is, in the plural: "flights"."""
    cluster: str
    """What a cluster is, in the plural: "days"."""
    made_at: str
    changes: dict[str, Any] = field(default_factory=dict)
    """What differs from the champion, as `evergreen.changes` tells it; its `sentences` are what the record says."""
    labels: dict[str, str] = field(default_factory=dict)
    """What contenders are called, by name; others are called by their version, or by their name."""

    def label(self, name: str, evidence: Evidence) -> str:
        """What a contender is called."""
        if name in self.labels:
            return self.labels[name]
        if name == figures.BEST_TRIVIAL:
            return f"the best trivial policy ({best_trivial(evidence).name})"
        version = evidence.contenders[name].version if name in evidence.contenders else None
        return f"the {name}" if version is None else f"version {version}"


def tell(evidence: Evidence, decision: Decision, context: Context) -> dict[str, Any]:
    """The sentences of the record, by its keys."""
    faults = tuple(f for f in decision.findings if f.outcome is not Outcome.PASS)
    sound = not unsound(evidence)
    return {
        "headline": _headline(evidence, decision, context, faults),
        "why": [f.reason for f in faults] + (_in_numbers(evidence, decision, context) if sound else []),
        "settle": [f.settle for f in faults if f.settle] if decision.verdict is Verdict.HOLD else [],
        "checked": [f"{f.protects} {f.reason}" for f in decision.findings if f.outcome is not Outcome.ERROR],
        "not_judged": _not_judged(evidence, decision, sound=sound),
        "changed": list(context.changes.get("sentences", [])),
        "next": _next(evidence, decision, context),
        "override": _override(evidence, decision),
    }


def _headline(evidence: Evidence, decision: Decision, context: Context, faults: tuple[Finding, ...]) -> str:
    who = _capital(context.label(CANDIDATE, evidence))
    if decision.verdict is Verdict.REJECT:
        return f"{who} is refused: {_clauses([fault for fault in faults if fault.outcome is not Outcome.HOLD])}."
    if decision.verdict is Verdict.HOLD:
        return f"{who} is held: {_clauses(list(faults))}."
    if CHAMPION not in evidence.contenders:
        return f"{who} is promoted: it is the first model, and better than doing without one."
    champion = context.label(CHAMPION, evidence)
    better = saving(evidence, evidence.contenders[CHAMPION], alpha=decision.alpha).low > 0
    how = f"better than {champion}" if better else f"not worse than {champion} by more than the margin"
    return f"{who} is promoted: it is {how}."


def _clauses(findings: list[Finding]) -> str:
    """What each has found, in a sentence: the beginning of its reason, up to the figures."""
    told = [BEGINNING.split(finding.reason, maxsplit=1)[0].rstrip(".") for finding in findings]
    return ", and ".join(text if text[1:2].isupper() else text[:1].lower() + text[1:] for text in told)


def _in_numbers(evidence: Evidence, decision: Decision, context: Context) -> list[str]:
    costs = [
        f"{amount(row['cost_per_1000'])} {context.unit} with {row['label']}"
        for row in figures.money(evidence, {name: context.label(name, evidence) for name in figures.compared(evidence)})
        if row["name"] in (CANDIDATE, CHAMPION, RULE_OF_THUMB)
    ]
    window = f" from {evidence.holdout_start:.10} to {evidence.holdout_end or 'now':.10}" if evidence.holdout_start else ""
    told = [f"On {len(evidence.y):,} {context.entity} held out{window}, 1,000 cost {', '.join(costs)}."]
    if left_out := evidence.facts.get("left out of the holdout"):
        told.append(f"Left out of the holdout, because a compared model has learnt from them: {left_out:,} {context.entity}.")
    first, averaged = not rivals(evidence), any((c.cost != c.measure).any() for c in evidence.contenders.values())
    for name in rivals(evidence) or (RULE_OF_THUMB,):
        saved = saving(evidence, evidence.contenders[name], alpha=decision.alpha_first if first else decision.alpha)
        word = "saves" if saved.estimate >= 0 else "loses"
        it = f"Over the contract's range of costs it {word}" if averaged else f"It {word}"
        difference = f"{amount(abs(1000 * saved.estimate))} {context.unit} per 1,000 {context.entity}"
        true = between(1000 * saved.low, 1000 * saved.high)
        told.append(f"{it} {difference} against {context.label(name, evidence)}; the true saving: {true} (below 0 is a loss).")
    return told + _natural_frequencies(evidence, context)


def _natural_frequencies(evidence: Evidence, context: Context) -> list[str]:
    told = []
    for name, near in figures.exactness(evidence).items():
        if name in (CANDIDATE, CHAMPION):
            told.append(_nearness(near, context.label(name, evidence), context.entity))
    for name, share in figures.frequencies(evidence).items():
        if name in (CANDIDATE, CHAMPION):
            told.append(
                f"Out of 1,000 {context.entity}, the answer is yes for {share['events']:.0f}: "
                f"{context.label(name, evidence)} acts on {share['acted']:.0f}, {share['caught']:.0f} of them rightly and "
                f"{share['false_alarms']:.0f} for nothing, and misses {share['missed']:.0f}."
            )
    return told


def _nearness(near: dict[str, float], who: str, entity: str) -> str:
    if "right" in near:
        return f"Out of 1,000 {entity}, {who} names the right class of {near['right']:.0f}."
    return f"Half of what {who} foretells is off by at most {amount(near['half'])}, 9 of 10 by at most {amount(near['most'])}."


def _not_judged(evidence: Evidence, decision: Decision, *, sound: bool) -> list[str]:
    answered = {f.check for f in decision.findings if f.outcome is not Outcome.ERROR}
    told = [f"{_capital(concern)} ({check})." for check, concern in CONCERNS.items() if check not in answered]
    if CHAMPION not in evidence.contenders:
        told.append("It was not compared with champion and anchor." if evidence.silent else "There is no champion to compare with.")
    told += [small for f in decision.findings if f.check == "slices" for small in f.details]
    if not evidence.reactions:
        told.append("The contract says nothing of how it must react to made-up changes, so none was tried.")
    return told + [f"Too small to be shown on their own: {slices}." for slices in (figures.small_slices(evidence) if sound else [])]


def _next(evidence: Evidence, decision: Decision, context: Context) -> list[str]:
    who = _capital(context.label(CANDIDATE, evidence))
    if decision.verdict is Verdict.PROMOTE:
        told = [f"{who} becomes the challenger, reproduces its golden rows in a process of its own, and then serves."]
        told += ["It is the best so far: those that follow are compared with it too."] if decision.rebase_anchor else []
    else:
        champion = _capital(context.label(CHAMPION, evidence))
        serves = f"{champion} goes on serving." if CHAMPION in evidence.contenders or evidence.silent else "No model serves yet."
        stays = "waits, registered" if decision.verdict is Verdict.HOLD else "stays registered as evidence"
        told = [serves, f"{who} {stays}, and does not serve."]
    return told + [f.details[0] for f in decision.findings if f.check == "baseline" and f.outcome is Outcome.PASS and f.details]


def _override(evidence: Evidence, decision: Decision) -> str:
    candidate = evidence.contenders.get(CANDIDATE)
    version = "VERSION" if candidate is None or candidate.version is None else candidate.version
    if decision.verdict is Verdict.HOLD:
        return f'A person may release it with `evergreen promote {version} --reason "..."`; name, reason and time are recorded.'
    if decision.verdict is Verdict.PROMOTE:
        if CHAMPION not in evidence.contenders:
            return "It can be taken back with `evergreen rollback` once another version serves: there is none before it to go back to."
        return 'A person may take it back with `evergreen rollback --reason "..."`; name, reason and time are recorded.'
    barring = final(decision)
    if barring:
        return f"This refusal cannot be overridden ({_listed(barring)}): remove its cause and train again, which makes a new version."
    return (
        "Better: remove the cause of the refusal and train again, which makes a new version. A person who answers for it may override it "
        f'with `evergreen promote {version} --override --reason "..." --by NAME --expires DATE`; name, reason and expiry are recorded.'
    )


def final(decision: Decision) -> list[str]:
    """The checks whose refusal nobody can override, of those that refused."""
    return [f.check for f in decision.findings if f.check in NEVER_OVERRIDDEN and f.outcome in (Outcome.REJECT, Outcome.ERROR)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(checks: list[str]) -> str:
    return f"the check {checks[0]}" if len(checks) == 1 else f"the checks {', '.join(checks)}"
