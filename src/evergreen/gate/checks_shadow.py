"""The check of what the candidate said in shadow: of the very rows that the champion answered, once their outcomes are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from evergreen.gate.comparison import groups_of, has_few_clusters, in_words, margin_in_force, no_margin
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence, Shadowed, SideBySide
from evergreen.gate.finding import Finding, Outcome, amount, percent
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.policies import GatePolicy

MIN_ASKED = 20
"""Rows that it had all features of before the share of failures counts."""

_shadow = partial(Finding, "shadow", "What did worse than the champion when both were asked the same does not take its place.")


def shadow(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """It answers what is served, and what it said did not surely cost more than what the champion said, by all of the margin.

    Of things with outcomes there must be as many as a holdout needs; before that, and where it never was in shadow, nothing is held. Nor is
    it for rows without features that the candidate wants and the log has not: that says nothing of the candidate.
    """
    seen = evidence.shadow
    if seen is None:
        return _shadow(Outcome.PASS, "It was not in shadow.")
    asked, finding = seen.scored + seen.failed, partial(_shadow, details=(*_lacking(seen), *_served_by(seen)))
    share = seen.failed / asked if asked else 0.0
    if not (0 <= asked < MIN_ASKED or 0 <= share <= seen.most_faults):
        told = f"In shadow it failed at {seen.failed:,} of {asked:,} rows ({percent(share)}; at most {percent(seen.most_faults)})."
        reason = f"{told} The newest failure: {seen.fault}"
        return finding(Outcome.HOLD, reason, estimate=share, threshold=seen.most_faults, n=asked, settle=_settle(evidence))
    if seen.lacking and not asked:
        reason = f"It was in shadow, but could not be compared: the log has no {', '.join(seen.lacks)}, which it wants."
        return finding(Outcome.PASS, reason)
    if not (len(seen.things.cluster) or CHAMPION in evidence.contenders or evidence.silent):
        return finding(Outcome.PASS, "It was in shadow, but there is no champion to compare it with.")
    return _compared(seen.things, evidence, policy, finding)


def saved_in_shadow(things: SideBySide, policy: GatePolicy) -> Interval | None:
    """What the one in shadow would have saved a row, as candidate and champion are compared; None while too few outcomes are known.

    Its chance of error is always the same. The ledger's is smaller at each further look, which makes it harder to promote; here it would
    make it harder to hold.
    """
    if len(things.cluster) < policy.min_rows:
        return None
    saved = paired_interval(things.served.measure - things.shadow.measure, things.cluster, alpha=policy.evidence_alpha)
    return None if has_few_clusters(saved, policy) else saved


def too_few(things: SideBySide, policy: GatePolicy) -> str:
    """How many outcomes there are and how many it takes, in words."""
    rows = f"{len(things.cluster):,} rows of {policy.min_rows:,} needed"
    if policy.cluster == "row":
        return rows
    return f"{rows}, in {len(set(things.cluster)):,} {groups_of(policy)} of {policy.min_clusters:,}"


def _compared(things: SideBySide, evidence: Evidence, policy: GatePolicy, finding: Callable[..., Finding]) -> Finding:
    saved = saved_in_shadow(things, policy)
    if saved is None:
        reason = f"It was in shadow, but too few outcomes are known yet: {too_few(things, policy)}."
        return finding(Outcome.PASS, reason, n=len(things.cluster))
    margin = margin_in_force(evidence, policy)
    if margin is None:
        return _shadow(Outcome.ERROR, no_margin(evidence))
    finding = partial(finding, estimate=saved.estimate, low=saved.low, high=saved.high, threshold=-margin, n=saved.n)
    told = f"on {saved.n:,} rows it {in_words(saved)} against the champion, which served them; the margin is {amount(1000 * margin)}."
    if saved.high >= -margin:
        return finding(Outcome.PASS, f"In shadow it was not surely worse by more than the margin: {told}")
    return finding(Outcome.HOLD, f"In shadow it was worse by more than the margin: {told}", settle=_settle(evidence))


def _settle(evidence: Evidence) -> str:
    version = evidence.contenders[CANDIDATE].version or "VERSION"
    return f'A better model; or a person looks at both and releases it with `evergreen promote {version} --reason "..."`.'


def _lacking(seen: Shadowed) -> tuple[str, ...]:
    """How many rows it could not be asked about, where there are any."""
    if not seen.lacking:
        return ()
    told = f"they have no {', '.join(seen.lacks)} in the log, which it wants"
    return (f"It could not be asked about {seen.lacking:,} rows: {told}. It is not held for that.",)


def _served_by(seen: Shadowed) -> tuple[str, ...]:
    """Who served what it answered, where not one version did."""
    if len(seen.served) <= 1:
        return ()
    told = ", ".join(f"version {version} {rows:,}" for version, rows in sorted(seen.served.items()))
    return (f"Of the {seen.scored:,} rows that it answered served: {told}. Only what the champion served counts.",)
