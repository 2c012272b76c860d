"""The check of what the candidate said in shadow: of the very rows that the champion answered, once their outcomes are known."""

from __future__ import annotations

from functools import partial

from evergreen.gate.comparison import groups_of, has_few_clusters, in_words, margin_in_force, no_margin
from evergreen.gate.evidence import CANDIDATE, Evidence, Shadowed, SideBySide
from evergreen.gate.finding import Finding, Outcome, amount, percent
from evergreen.gate.statistics import Interval, paired_interval
from evergreen.policies import GatePolicy

MIN_ASKED = 20
"""Rows before the share of failures counts."""

_shadow = partial(Finding, "shadow", "What did worse than the champion when both were asked the same does not take its place.")


def shadow(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """It answers what is served, and what it said did not surely cost more than what the champion said, by all of the margin.

    Of things with outcomes there must be as many as a holdout needs; before that, and where it never was in shadow, nothing is held.
    """
    seen = evidence.shadow
    if seen is None:
        return _shadow(Outcome.PASS, "It was not in shadow.")
    asked, details = seen.scored + seen.failed, _served_by(seen)
    version = evidence.contenders[CANDIDATE].version or "VERSION"
    settle = f'A better model; or a person looks at both and releases it with `evergreen promote {version} --reason "..."`.'
    share = seen.failed / asked if asked else 0.0
    if not (0 <= asked < MIN_ASKED or 0 <= share <= seen.most_faults):
        told = f"In shadow it failed at {seen.failed:,} of {asked:,} rows ({percent(share)}; at most {percent(seen.most_faults)})."
        reason = f"{told} The newest failure: {seen.fault}"
        return _shadow(Outcome.HOLD, reason, estimate=share, threshold=seen.most_faults, n=asked, settle=settle, details=details)
    saved = saved_in_shadow(seen.things, policy, alpha)
    if saved is None:
        reason = f"It was in shadow, but too few outcomes are known yet: {too_few(seen.things, policy)}."
        return _shadow(Outcome.PASS, reason, n=len(seen.things.cluster), details=details)
    margin = margin_in_force(evidence, policy)
    if margin is None:
        return _shadow(Outcome.ERROR, no_margin(evidence))
    bounds = {"estimate": saved.estimate, "low": saved.low, "high": saved.high, "threshold": -margin, "n": saved.n}
    finding = partial(_shadow, **bounds, details=details)
    told = f"on {saved.n:,} rows it {in_words(saved)} against the champion, which served them; the margin is {amount(1000 * margin)}."
    if saved.high >= -margin:
        return finding(Outcome.PASS, f"In shadow it was not surely worse by more than the margin: {told}")
    return finding(Outcome.HOLD, f"In shadow it was worse by more than the margin: {told}", settle=settle)


def saved_in_shadow(things: SideBySide, policy: GatePolicy, alpha: float) -> Interval | None:
    """What the one in shadow would have saved a row, as candidate and champion are compared; None while too few outcomes are known."""
    if len(things.cluster) < policy.min_rows:
        return None
    saved = paired_interval(things.served.measure - things.shadow.measure, things.cluster, alpha=alpha)
    return None if has_few_clusters(saved, policy) else saved


def too_few(things: SideBySide, policy: GatePolicy) -> str:
    """How many outcomes there are and how many it takes, in words."""
    rows = f"{len(things.cluster):,} rows of {policy.min_rows:,} needed"
    if policy.cluster == "row":
        return rows
    return f"{rows}, in {len(set(things.cluster)):,} {groups_of(policy)} of {policy.min_clusters:,}"


def _served_by(seen: Shadowed) -> tuple[str, ...]:
    """Who served what it answered, where not one version did."""
    if len(seen.served) <= 1:
        return ()
    told = ", ".join(f"version {version} {rows:,}" for version, rows in sorted(seen.served.items()))
    return (f"Of the {seen.scored:,} rows that it answered served: {told}. Only what the champion served counts.",)
