"""What a backtest comes to, in words."""

from __future__ import annotations

from typing import Any

from evergreen.backtest.judging import NOT_TRIED
from evergreen.backtest.periods import Period
from evergreen.backtest.plans import ALWAYS, CONTRACT, NEVER
from evergreen.contract import Problem
from evergreen.gate.finding import amount, between

RULE, NOTHING = "rule of thumb", "no model"
BETTER, WORSE, SAME, UNCERTAIN = "surely better", "surely worse", "the same", "cannot be told apart"
SURE = 0.95
"""All comparisons of policies with the same other hold together with this chance, at least; any other for itself."""
AGAINST = {NEVER: "training once", ALWAYS: "training in every window without the gate", RULE: "the rule of thumb", NOTHING: "no model"}


def answer(told: dict[str, Any]) -> list[str]:
    """Is it worth it, and how often? The first sentence is the answer, the others what it rests on."""
    policies, unit = {one["name"]: one for one in told["policies"]}, f"{told['unit']} per 1,000 {told['things']}"
    best, own = policies[told["finding"]["cheapest"]], policies[CONTRACT]
    more = []
    if best["name"] != NEVER:
        more.append(f"The cheapest is {best['name']}: with {_times(best['trainings'])} it {saves(best['against'][NEVER], unit, NEVER)}.")
    ungated = policies.get(ALWAYS, {"against": {}})["against"].get(NEVER)
    if ungated:
        more.append(f"Training in every window without the gate {saves(ungated, unit, NEVER)}.")
    others = [name for name in (NEVER, ALWAYS, RULE, NOTHING) if name in own["against"]]
    more += [f"What the contract says {saves(own['against'][name], unit, name)}." for name in others]
    return [_headline(told["finding"], policies), *more]


def _headline(found: dict[str, Any], policies: dict[str, dict[str, Any]]) -> str:
    if not found["is_worth_it"]:
        return "Nothing shows that retraining behind the gate is worth it here: no such policy is surely cheaper than training once."
    least = policies[found["least"]]
    enough = "" if found["least"] == found["cheapest"] else f", and {found['cheapest']} is not surely cheaper than that"
    return f"Retraining is worth it here: {least['name']}, with {_times(least['trainings'])}, is surely cheaper than training once{enough}."


def assumptions(problem: Problem, period: Period) -> list[str]:
    """What the backtest takes for granted."""
    tried = "; ".join(NOT_TRIED.values())
    return [
        "All policies begin with the same first model, which is put in place whatever the gate says of it: how often is the question.",
        f"At each moment only those outcomes are known that are older than the contract's delay ({_days(problem)}), and only rows whose "
        "prediction was due.",
        "The rows are those that are published today: corrections that came later, and reference tables as they are now, are in them from "
        "the beginning.",
        f"Deliveries come at the beginning of each window ({period.windows}), and are never late; a policy by the calendar also looks "
        "between them.",
        "A row is predicted by the model that serves when its prediction is due.",
        "Parameters are the contract's own; what a search has found is not used, for it may have seen the period.",
        f"The gate is the real one, with its error budget in data time. Not tried, and taken to pass: {tried}.",
        "A candidate that is held is not judged again, and no person releases it. Training and predicting cost nothing.",
        "Costs are the contract's central ones.",
        f"Bounds are so wide that all comparisons of policies with the same other hold together in {SURE:.0%} of all cases. What rule of "
        f"thumb and no model cost against training once holds in {SURE:.0%} for each alone.",
    ]


def saves(saved: dict[str, Any], unit: str, other: str) -> str:
    """A saving against another, with what is known of it."""
    if saved["word"] == SAME:
        return f"costs the same as {AGAINST[other]}, row by row"
    verb = "saves" if saved["saved"] >= 0 else "loses"
    known = between(saved["low"], saved["high"]) if None not in (saved["low"], saved["high"]) else "how much is chance cannot be said"
    return f"{verb} {amount(abs(saved['saved']))} {unit} against {AGAINST[other]} ({saved['word']}; {known})"


def _times(number: int) -> str:
    return f"{number:,} {'training' if number == 1 else 'trainings'}"


def _days(problem: Problem) -> str:
    return f"{problem.target.label_delay.total_seconds() / 86_400:.3g} days"
