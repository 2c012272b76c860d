"""Checks of the candidate against what is there without it: baselines, champion, anchor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from evergreen.gate.comparison import (
    best_trivial,
    called,
    groups_of,
    has_few_clusters,
    in_words,
    is_superior,
    margin_in_force,
    next_alpha,
    no_margin,
    rivals,
    saving,
    waiting,
)
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, Contender, Evidence
from evergreen.gate.finding import Finding, Outcome, amount
from evergreen.gate.footprints import costlier, unmeasured
from evergreen.gate.statistics import Interval, Side, clusters_to_settle, upper_bound
from evergreen.policies import GatePolicy

CLEARLY_WORSE = 0.05
"""Chance of error of "worse, if not by all of the margin"."""

_baseline = partial(Finding, "baseline", "A model must be worth more than what people do without one.")
_champion = partial(Finding, "champion", "Today's model, and the best so far, are not replaced by a worse one.")


@dataclass(frozen=True)
class Opinion:
    """How the candidate does against one other."""

    other: Contender
    saved: Interval
    outcome: Outcome

    @property
    def sentence(self) -> str:
        """The comparison in words, for 1,000 rows."""
        return f"against {called(self.other)} it {in_words(self.saved)}"


def baseline(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """First model: superior to dummy and rule of thumb, and good enough. Later ones: not certainly worse than any baseline.

    A first model is judged at what the ledger allows this attempt, all attempts together at `alpha_first`. Who follows a champion that
    serves against the gate's word must be what a first model must be. Later models are not refused because the world got harder.
    """
    others = (evidence.contenders[RULE_OF_THUMB], evidence.contenders[DUMMY], best_trivial(evidence))
    level = policy.alpha_first if CHAMPION in evidence.contenders else alpha
    saved = [(other, saving(evidence, other, alpha=level)) for other in others]
    opinions = [Opinion(o, s, _superiority(s)) for o, s in saved]
    rule = opinions[0]
    finding = _with_interval(_baseline, rule.saved)
    worse = [o for o in opinions if o.outcome is Outcome.REJECT]
    if worse:
        reason = f"It is worse than doing without: {'; '.join(o.sentence for o in worse)}."
        return finding(Outcome.REJECT, reason, threshold=0.0)
    if CHAMPION in evidence.contenders and not evidence.is_overruled:
        unsure = [o.sentence for o in opinions if o.outcome is not Outcome.PASS]
        note = ("It is no longer surely better than doing without, so the champion may not be either: look at it.",) if unsure else ()
        return finding(Outcome.PASS, f"It is not worse than doing without: {rule.sentence}.", threshold=0.0, details=(*note, *unsure))
    return _first_model(evidence, policy, level, opinions[:2])


def champion(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Not worse than champion and anchor by more than the margin, at the ledger's chance of error; what is costlier must be better.

    Where one of the two cannot predict these rows nobody knows, and a person decides.
    """
    if evidence.silent:
        return _incomparable(evidence)
    others, margin = rivals(evidence), margin_in_force(evidence, policy)
    if not others:
        return _champion(Outcome.PASS, "There is no champion yet.")
    if margin is None:
        return _champion(Outcome.ERROR, no_margin(evidence))
    saved = [(other, saving(evidence, other, alpha=alpha)) for other in others.values()]
    return _later_model(evidence, policy, alpha, margin, [Opinion(o, s, non_inferiority(s, margin)) for o, s in saved])


def non_inferiority(saved: Interval, margin: float) -> Outcome:
    """PASS when it is surely not worse by the margin; REJECT when surely worse by it, or clearly worse and by half of it."""
    if saved.low > -margin:
        return Outcome.PASS
    if saved.high < -margin or (upper_bound(saved, CLEARLY_WORSE) < 0 and saved.estimate < -margin / 2):
        return Outcome.REJECT
    return Outcome.HOLD


def _later_model(evidence: Evidence, policy: GatePolicy, alpha: float, margin: float, opinions: list[Opinion]) -> Finding:
    nearest = min(opinions, key=lambda o: (o.saved.low, o.saved.estimate))
    said = f"{'; '.join(o.sentence for o in opinions)}; the margin is {amount(1000 * margin)}."
    finding = partial(_with_interval(_champion, nearest.saved), threshold=-margin)
    few, unknown = has_few_clusters(nearest.saved, policy), unmeasured(evidence)
    if not few and any(o.outcome is Outcome.REJECT for o in opinions):
        return finding(Outcome.REJECT, f"It is worse than what serves or served: {said}")
    if unknown:
        return finding(Outcome.ERROR, unknown)
    if few:
        have, need = nearest.saved.clusters, policy.min_clusters
        settle = f"About {need - have} more {groups_of(policy)} of outcomes are needed before chance can be told from change."
        return finding(Outcome.HOLD, f"Only {have} {groups_of(policy)} of outcomes, of {need} needed: {said}", settle=settle)
    if any(o.outcome is not Outcome.PASS for o in opinions):
        return finding(Outcome.HOLD, f"It may be worse by more than the margin: {said}", settle=_settling(opinions, margin, alpha, policy))
    dearer = costlier(evidence, policy.costlier_ratio)
    if dearer and not is_superior(evidence, policy, alpha, CHAMPION):
        return _unpaid(opinions[0].saved, dearer, alpha, policy)
    best = is_superior(evidence, policy, alpha, ANCHOR)
    note = "It is surely better than the best champion so far." if best else "It is not surely better than the best champion so far."
    return finding(Outcome.PASS, f"It is not worse by more than the margin: {said}", details=(note,))


def _incomparable(evidence: Evidence) -> Finding:
    told = "; ".join(dict.fromkeys(evidence.silent.values()))
    version = evidence.contenders[CANDIDATE].version
    settle = f'A person compares them and releases it with `evergreen promote {version or "VERSION"} --reason "..."`.'
    return _champion(Outcome.HOLD, f"Nobody knows whether it is worse than what serves or served: {told}.", settle=settle)


def _with_interval(finding: partial[Finding], saved: Interval) -> partial[Finding]:
    return partial(finding, estimate=saved.estimate, low=saved.low, high=saved.high, n=saved.n)


def _superiority(saved: Interval) -> Outcome:
    if saved.low > 0:
        return Outcome.PASS
    return Outcome.REJECT if saved.high < 0 else Outcome.HOLD


def _first_model(evidence: Evidence, policy: GatePolicy, alpha: float, opinions: list[Opinion]) -> Finding:
    rule = opinions[0]
    needed = evidence.good_enough * abs(float(rule.other.measure.mean()))
    finding = partial(_with_interval(_baseline, rule.saved), threshold=needed)
    unsure = [o for o in opinions if o.outcome is not Outcome.PASS]
    said = "; ".join(o.sentence for o in opinions)
    if not unsure and rule.saved.estimate >= needed:
        return finding(Outcome.PASS, f"It is surely better than doing without: {said}; good enough is {amount(1000 * needed)}.")
    if unsure:
        # looking again at a first model is another attempt, at half of this one's alpha
        more = [clusters_to_settle(o.saved, o.saved.estimate, alpha=alpha / 2) for o in unsure]
        return finding(Outcome.HOLD, f"It is not surely better than doing without: {said}.", settle=waiting(more, policy))
    short = f"good enough would be {amount(1000 * needed)} per 1,000 rows"
    return finding(Outcome.HOLD, f"It is better, but not good enough: {said}; {short}.", settle=f"A better model: {short}.")


def _unpaid(saved: Interval, dearer: list[str], alpha: float, policy: GatePolicy) -> Finding:
    """What costs more than the champion and is not surely better."""
    reason = f"It is costlier than the champion, so it must be surely better: {'; '.join(dearer)}; it {in_words(saved)}."
    settle = waiting([clusters_to_settle(saved, saved.estimate, alpha=next_alpha(alpha, policy))], policy)
    return _with_interval(_champion, saved)(Outcome.HOLD, reason, threshold=0.0, settle=f"A model as cheap as the champion. {settle}")


def _settling(opinions: list[Opinion], margin: float, alpha: float, policy: GatePolicy) -> str:
    """What settles all open comparisons, each by the nearest bound that decides it."""
    more, alpha = [], next_alpha(alpha, policy)
    for saved in (o.saved for o in opinions if o.outcome is Outcome.HOLD):
        gaps: list[tuple[float, float, Side]] = [(saved.estimate + margin, alpha, "low"), (-margin - saved.estimate, alpha, "high")]
        if saved.estimate < -margin / 2:
            gaps.append((-saved.estimate, CLEARLY_WORSE, "high"))
        waits = [clusters_to_settle(saved, gap, alpha=level, side=side) for gap, level, side in gaps]
        more.append(min((wait for wait in waits if wait is not None), default=None))
    return waiting(more, policy)
