"""Candidate against others on the same rows."""

from __future__ import annotations

import math

from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, Contender, Evidence
from evergreen.gate.finding import amount, between
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.policies import GatePolicy

CALLED = {
    CHAMPION: "the champion",
    ANCHOR: "the best champion so far",
    DUMMY: "a model without features",
    RULE_OF_THUMB: "the rule of thumb",
}


def called(other: Contender) -> str:
    """What somebody who is compared with is called in a sentence; a constant decision is the best single answer."""
    if other.name not in CALLED:
        return f"the best single answer ({other.name})"
    return CALLED[other.name] if other.version is None else f"{CALLED[other.name]} (version {other.version})"


def best_trivial(evidence: Evidence) -> Contender:
    """The constant decision with the lowest mean measure; of equal ones the first by name.

    Raises
    ------
    ValueError
        The evidence has none, or no row.
    """
    if not evidence.trivial:
        raise ValueError("got no trivial policy; expected at least one constant decision to compare with")
    if not len(evidence.y):
        raise ValueError("got no holdout row; expected at least one to compare on")
    return min(evidence.trivial.values(), key=lambda policy: (float(policy.measure.mean()), policy.name))


def rivals(evidence: Evidence) -> dict[str, Contender]:
    """Champion and anchor, once where they are the same version; empty at the first model.

    Raises
    ------
    ValueError
        There is one without the other.
    """
    found = {name: evidence.contenders[name] for name in (CHAMPION, ANCHOR) if name in evidence.contenders}
    if len(found) == 1:
        raise ValueError(f"got {next(iter(found))} alone; expected champion and anchor, or neither at the first model")
    if found and found[CHAMPION].version is not None and found[CHAMPION].version == found[ANCHOR].version:
        del found[ANCHOR]
    return found


def saving(evidence: Evidence, other: Contender, *, alpha: float, by: str = CANDIDATE) -> Interval:
    """What the candidate (or another contender) saves a row against `other`; above 0 it is better."""
    return paired_interval(other.measure - evidence.contenders[by].measure, evidence.cluster, alpha=alpha)


def has_few_clusters(interval: Interval, policy: GatePolicy) -> bool:
    """Whether there are too few clusters to trust the interval; independent rows need none."""
    return policy.cluster != "row" and not interval.clusters >= policy.min_clusters


def is_superior(evidence: Evidence, policy: GatePolicy, alpha: float, to: str = ANCHOR) -> bool:
    """Whether the candidate is certainly better than the contender `to`: the lower bound of what it saves is above 0."""
    interval = saving(evidence, evidence.contenders[to], alpha=alpha)
    return not has_few_clusters(interval, policy) and interval.low > 0


def fresh_margin(evidence: Evidence, policy: GatePolicy) -> float:
    """Margin in cost a row from this evidence: for a first model, and for whoever challenges the candidate next."""
    return policy.margin if policy.margin is not None else policy.margin_share * abs(float(best_trivial(evidence).measure.mean()))


def margin_in_force(evidence: Evidence, policy: GatePolicy) -> float | None:
    """Margin that the candidate is judged with: the champion's, or at a first model a fresh one; None when that is no amount.

    Where the contract has changed since, the smaller of both.
    """
    margin = evidence.margin if CHAMPION in evidence.contenders else fresh_margin(evidence, policy)
    if evidence.is_restated and margin is not None:  # an amount of yesterday's costs may be large beside today's
        margin = min(margin, fresh_margin(evidence, policy))
    return margin if margin is not None and 0 <= margin < math.inf else None


def no_margin(evidence: Evidence) -> str:
    """What a check answers where there is no margin."""
    return f"The champion's record fixes no margin: got {evidence.margin}; expected an amount of at least 0."


def next_alpha(alpha: float, policy: GatePolicy) -> float:
    """At which the next look at the same question is judged, so what waiting must satisfy; see `ledger._asked`."""
    return min(alpha, policy.alpha * policy.resume_share) / 2


def in_words(saved: Interval) -> str:
    """A saving for 1,000 rows: "loses 500 per 1,000 rows (very likely between -700 and -300)"."""
    word = "saves" if saved.estimate >= 0 else "loses"
    return f"{word} {amount(abs(1000 * saved.estimate))} per 1,000 rows ({between(1000 * saved.low, 1000 * saved.high)})"


def groups_of(policy: GatePolicy) -> str:
    """What clusters are called: "days", "rows", "groups of customer"."""
    return {"day": "days", "date": "days", "row": "rows"}.get(policy.cluster, f"groups of {policy.cluster}")


def waiting(more: list[int | None], policy: GatePolicy) -> str:
    """What settles comparisons that take so many more clusters each; None: no reasonable number does."""
    known = [wait for wait in more if wait is not None]
    if len(known) < len(more):
        return "More outcomes alone are not likely to settle it: a better model would."
    return f"About {max(known):,} more {groups_of(policy)} of outcomes, if the difference and its spread stay what they are."
