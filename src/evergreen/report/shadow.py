"""A version in shadow in plain sentences, for the overview and for the command line."""

from __future__ import annotations

from typing import Any

from evergreen.contract import Problem
from evergreen.gate.checks_shadow import saved_in_shadow, too_few
from evergreen.gate.comparison import in_words
from evergreen.gate.finding import amount, percent
from evergreen.journal.mirror import Account
from evergreen.monitoring.comparison import Agreement, Comparison
from evergreen.report import plots
from evergreen.report.pages import moment
from evergreen.shadows import Shadow


def shadow_sentences(seen: Comparison, problem: Problem) -> list[str]:
    """Which version was in shadow and why, what became of what was served since, how often it agreed, and what both cost."""
    told = account_sentences(seen.shadow, seen.account, ended=seen.ended)
    if seen.faults.lacking:
        told.append(
            f"Of those that failed, {seen.faults.lacking:,} have no {', '.join(seen.faults.lacks)} in the log, "
            f"which version {seen.shadow.version} wants; that says nothing of it."
        )
    if seen.faults.failed:
        told.append(f"The newest failure of the model: {seen.faults.newest}")
    return [*told, *_agreed(seen.compared.agreement, problem), *_worth(seen, problem)]


def account_sentences(shadow: Shadow, account: Account, *, ended: str) -> list[str]:
    """Which version was in shadow, since when and why, why it is no more, and what became of what was served; needs no answers."""
    is_in = "was" if ended else "is"
    told = [f"Version {shadow.version} {is_in} asked in shadow since {moment(shadow.at)}. {shadow.reason}"]
    if ended:
        told.append(f"It has ended: {ended}")
    counts = {
        "answered": account.scored,
        "failed": account.failed,
        "left out, because too many waited": account.dropped,
        "not reached before the end" if ended else "waiting": account.waiting,
    }
    parts = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return [*told, f"Predictions served meanwhile: {account.mirrored:,}{f'; {parts}' if parts else ''}."]


def side_by_side(seen: Comparison) -> list[dict[str, Any]]:
    """What 1,000 things cost with each of the two, for a table; nothing before an outcome is known."""
    things = seen.compared.things
    if not len(things.cluster):
        return []
    sides = ((_served(seen.compared.agreement), things.served), (f"Version {seen.shadow.version} in shadow", things.shadow))
    return [{"name": name[:1].upper() + name[1:], "cost": 1000 * float(one.cost.mean())} for name, one in sides]


def picture(seen: Comparison, problem: Problem) -> str:
    """What both said, drawn; nothing where nothing can be."""
    return plots.agreement(
        seen.compared.agreement.cells, chances=problem.task == "binary", said=" ".join(_agreed(seen.compared.agreement, problem))
    )


def _served(agreement: Agreement) -> str:
    versions = sorted(agreement.served)
    return f"version {versions[0]}, which served" if len(versions) == 1 else f"what served (versions {', '.join(map(str, versions))})"


def _agreed(agreement: Agreement, problem: Problem) -> list[str]:
    if not agreement.rows:
        return []
    parts = [(f"version {version}", f" ({rows:,})") for version, rows in sorted(agreement.served.items())]
    who = parts[0][0] if len(parts) == 1 else " and ".join(map("".join, parts))
    told = [f"What both answered ({agreement.rows:,}) was served by {who}."]
    if problem.task != "regression":
        same = f"The decisions are the same for {percent(agreement.equal / agreement.rows)} of them"
        ways = f": {agreement.to_no:,} times it says 0 where 1 was served, {agreement.to_yes:,} times 1 where 0 was served"
        told.append(f"{same}{ways if problem.task == 'binary' else ''}.")
    if agreement.mean_apart is not None and agreement.most_apart is not None:
        what = "probabilities" if problem.task == "binary" else "values"
        told.append(f"The {what} are {amount(agreement.mean_apart)} apart on average, {amount(agreement.most_apart)} at most.")
    return told


def _worth(seen: Comparison, problem: Problem) -> list[str]:
    things, unit, n = seen.compared.things, problem.business.unit, len(seen.compared.things.cluster)
    if not seen.compared.agreement.rows:
        return []
    if not n:
        return [f"No outcome that counts is known yet of the {problem.things} that both answered."]
    costs = [amount(row["cost"]) for row in side_by_side(seen)]
    served = _served(seen.compared.agreement)
    told = [
        f"For {n:,} {problem.things} whose outcome is known since, 1,000 cost {costs[0]} {unit} with {served}, "
        f"and {costs[1]} {unit} with version {seen.shadow.version}."
    ]
    saved = saved_in_shadow(things, problem.gate)
    if saved is None:
        return [*told, f"That is too little to tell the difference from chance: {too_few(things, problem.gate)}."]
    averaged = any((one.cost != one.measure).any() for one in (things.served, things.shadow))
    it = "Over the contract's range of costs version" if averaged else "Version"
    return [*told, f"{it} {seen.shadow.version} {in_words(saved)}, in {unit}; below 0 is a loss."]
