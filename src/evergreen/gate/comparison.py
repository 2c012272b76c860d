"""Candidate against others on the same rows."""

from __future__ import annotations

from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, Contender, Evidence
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.policies import GatePolicy


def best_trivial(evidence: Evidence) -> Contender:
    """The constant decision with the lowest mean measure; of equal ones the first by name.

    Raises
    ------
    ValueError
        The evidence has none.
    """
    if not evidence.trivial:
        raise ValueError("got no trivial policy; expected at least one constant decision to compare with")
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


def groups_of(policy: GatePolicy) -> str:
    """What clusters are called: "days", "rows", "groups of customer"."""
    return {"day": "days", "row": "rows"}.get(policy.cluster, f"groups of {policy.cluster}")
