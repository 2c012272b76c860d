"""Checks of how far the candidate can be trusted: on unseen rows, in every part of them, with another seed."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

from evergreen.gate.comparison import best_trivial, called, groups_of, in_words, margin_in_force, no_margin, saving, waiting
from evergreen.gate.evidence import CANDIDATE, CHAMPION, RULE_OF_THUMB, Contender, Evidence, Promise
from evergreen.gate.finding import Finding, Outcome, amount
from evergreen.gate.statistics import Interval, chance_below, clusters_to_settle, holm, interval_of, paired_interval
from evergreen.policies import GatePolicy

MAX_NAMED = 12
"""More slices than these are counted, not named."""

CHANCE_RANGE = 1.43
"""Three draws of unit variance lie 1.69 apart on average, and a difference of two has variance 2: 1.69 ** 2 / 2 (Tippett 1925)."""

_generalization = partial(Finding, "generalization", "A model that has learnt its training rows by heart is found out before it serves.")
_slices = partial(Finding, "slices", "No part of the users pays for what the others gain.")
_stability = partial(Finding, "stability", "What is promoted is a recipe that works, not a lucky draw.")


def generalization(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """The saving over the best trivial policy keeps its share of what cross-validation inside the training rows promised.

    Where it surely does not, but the candidate is not surely worse than the champion on the same rows, the world may have changed:
    that is a HOLD, for later models are not refused because the world got harder.
    """
    promise, trivial = evidence.promise, best_trivial(evidence)
    if promise is None or not (math.isfinite(promise.saving) and math.isfinite(promise.se)):
        said = "nothing is there" if promise is None else f"it says {promise.saving} a row, give or take {promise.se}"
        return _generalization(Outcome.ERROR, f"What cross-validation promises was not measured: {said}.")
    if promise.saving <= 0:
        reason = "Cross-validation promised no saving against a constant answer, so there is none to keep; the check baseline judges it."
        return _generalization(Outcome.PASS, reason, estimate=promise.saving, threshold=0.0)
    saved = saving(evidence, trivial, alpha=policy.evidence_alpha)
    beyond = _beyond(saved, promise, policy)
    said = (
        f"cross-validation promised {amount(1000 * promise.saving)} per 1,000 rows against {called(trivial)}, of which at least "
        f"{amount(1000 * policy.kept_share * promise.saving)} must be kept; on the holdout it {in_words(saved)}"
    )
    finding = partial(_generalization, estimate=beyond.estimate, low=beyond.low, high=beyond.high, threshold=0.0, n=beyond.n)
    if beyond.high < 0:
        if CHAMPION in evidence.contenders and not saving(evidence, evidence.contenders[CHAMPION], alpha=policy.evidence_alpha).high < 0:
            reason = f"It does not keep its promise, but the champion does no better on these rows, so the world may have changed: {said}."
            settle = "Look at what has changed since the training rows. A model that is trained on newer rows promises what they allow."
            return finding(Outcome.HOLD, reason, settle=settle)
        return finding(Outcome.REJECT, f"It does not keep its promise: {said}.")
    if beyond.estimate >= 0 and math.isfinite(beyond.se):
        return finding(Outcome.PASS, f"It keeps its promise: {said}.")
    settle = waiting([_until_clear(saved, beyond, promise, policy)], policy)
    return finding(Outcome.HOLD, f"It may not keep its promise: {said}.", settle=settle)


def slices(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """No slice surely loses more than its margin against the champion; at a first model, against the rule of thumb.

    `details` lists the slices that are too small to be judged.
    """
    if len(evidence.slices.columns) and len(evidence.slices) != len(evidence.y):
        raise ValueError(f"got slices of {len(evidence.slices):,} rows for {len(evidence.y):,} outcomes; expected as many")
    if not len(evidence.slices.columns):
        return _slices(Outcome.PASS, "No slices are declared.")
    margin, other = margin_in_force(evidence, policy), evidence.contenders.get(CHAMPION, evidence.contenders[RULE_OF_THUMB])
    if margin is None:
        return _slices(Outcome.ERROR, no_margin(evidence))
    allowed, (judged, small) = policy.slice_margins * margin, _by_slice(evidence, other, policy)
    finding = partial(_slices, threshold=-allowed, n=len(evidence.y), details=tuple(small))
    if not judged:
        return finding(Outcome.PASS, "No slice is large enough to be judged on its own.")
    chances = np.array([chance_below(saved, -allowed) for _, saved in judged])
    worst = sorted(zip(chances, judged, holm(chances, policy.slice_alpha), strict=True), key=lambda one: (one[0], one[1][0]))
    lost = holm(np.array([chance_below(saved, 0.0) for _, (_, saved), _ in worst]), policy.slice_doubt)
    told = [f"where {name} ({saved.n:,} rows) it {in_words(saved)}" for _, (name, saved), _ in worst]
    nearest, harmed = worst[0][1][1], sum(bool(rejected) for _, _, rejected in worst)
    finding = partial(finding, estimate=nearest.estimate, low=nearest.low, high=nearest.high)
    limit = f"against {called(other)}; a loss of up to {amount(1000 * allowed)} is allowed"
    if harmed:
        more = f"; and in {harmed - MAX_NAMED:,} more" if harmed > MAX_NAMED else ""
        return finding(Outcome.REJECT, f"A part of the users is harmed: {'; '.join(told[: min(harmed, MAX_NAMED)])}{more} {limit}.")
    doubtful = [at for at, (_, (_, saved), _) in enumerate(worst) if saved.estimate < -allowed and lost[at]]
    if doubtful:
        reason = f"A part of the users may be harmed: {'; '.join(told[at] for at in doubtful[:MAX_NAMED])} {limit}."
        settle = "A person looks at these slices, or more outcomes tell: it loses too much there, and chance alone seldom does that."
        return finding(Outcome.HOLD, reason, settle=settle)
    return finding(Outcome.PASS, f"None of {len(judged)} slices is surely harmed; the nearest to it: {told[0]} {limit}.")


def stability(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """The recipe's cost on the same rows is nearly the same with every seed."""
    seeds, margin, noise = evidence.seeds or {}, margin_in_force(evidence, policy), evidence.seeds_se
    costs = np.array(list(seeds.values()), dtype=float)
    if not (len(costs) and np.isfinite(costs).all() and 0 <= noise < math.inf):
        got = f"got {evidence.seeds}, give or take {noise}"
        return _stability(Outcome.ERROR, f"What other seeds give was not measured: {got}; expected a cost for each seed.")
    if margin is None:
        return _stability(Outcome.ERROR, no_margin(evidence))
    if len(costs) == 1:
        return _without_seeds(evidence, policy)
    allowed, apart = policy.max_seed_spread * margin, float(np.ptp(costs))
    spread = math.sqrt(max(0.0, apart**2 - CHANCE_RANGE * noise**2)) if noise else apart
    finding = partial(_stability, estimate=spread, threshold=allowed, n=len(costs))
    said = (
        f"with {len(costs)} seeds 1,000 rows cost {amount(1000 * costs.min())} to {amount(1000 * costs.max())}, "
        f"{amount(1000 * apart)} apart ({amount(1000 * spread)} without what chance explains); {amount(1000 * allowed)} are allowed"
    )
    if not spread <= allowed:
        settle = "A recipe that varies less: stronger regularisation, or the average of models with several seeds."
        return finding(Outcome.HOLD, f"It depends on luck: {said}.", settle=settle)
    if not len(costs) >= policy.seeds:
        missing = policy.seeds - len(costs)
        return finding(Outcome.HOLD, f"Too few seeds were tried: {said}.", settle=f"Train with {missing} more, of {policy.seeds} in all.")
    return finding(Outcome.PASS, f"It does not depend on luck: {said}.")


def _without_seeds(evidence: Evidence, policy: GatePolicy) -> Finding:
    """What is said of a recipe of which one cost is known."""
    if evidence.random_without_seed:
        reason = "It is random, but has no seed that could be set: fitted again on the same rows it costs otherwise."
        settle = "An estimator that takes its seed as a parameter random_state, random_seed or seed, and draws from nothing else."
        return _stability(Outcome.HOLD, reason, n=1, settle=settle)
    alone = "Nothing in the recipe is random." if policy.seeds > 1 else "The contract asks for one seed, so luck was not looked for."
    return _stability(Outcome.PASS, alone, n=1)


def _beyond(saved: Interval, promise: Promise, policy: GatePolicy) -> Interval:
    """What is saved beyond the share that must be kept; holdout and training rows are disjoint, so the variances add."""
    se = math.hypot(saved.se, policy.kept_share * promise.se)
    clusters = min(saved.clusters, promise.clusters)
    return interval_of(saved.estimate - policy.kept_share * promise.saving, se, clusters=clusters, n=saved.n, alpha=policy.evidence_alpha)


def _until_clear(saved: Interval, beyond: Interval, promise: Promise, policy: GatePolicy) -> int | None:
    """Clusters until the shortfall is sure; more of them make the holdout's part of the uncertainty smaller, not the promise's."""
    stays = (beyond.high - beyond.estimate) / beyond.se * policy.kept_share * promise.se
    gap = math.sqrt(max(0.0, beyond.estimate**2 - stays**2))
    return clusters_to_settle(saved, gap, alpha=policy.evidence_alpha)


def _by_slice(evidence: Evidence, other: Contender, policy: GatePolicy) -> tuple[list[tuple[str, Interval]], list[str]]:
    """What each slice that is large enough saves, by name, and a sentence on those of each column that are not."""
    difference = other.measure - evidence.contenders[CANDIDATE].measure
    needed = 0 if policy.cluster == "row" else policy.min_clusters
    judged = []
    told = []
    for column, values in evidence.slices.items():
        codes, found = pd.factorize(values.astype(object).where(values.notna(), "missing"))
        small = []
        for code, (value, n) in enumerate(zip(found, np.bincount(codes), strict=True)):
            inside = codes == code
            if n >= policy.min_slice_rows:
                saved = paired_interval(difference[inside], evidence.cluster[inside], alpha=policy.slice_alpha)
                if saved.clusters >= needed:
                    judged.append((f"{column} = {value!s:.40}", saved))
                    continue
            small.append(f"{value!s:.40}")
        if small:
            named = ", ".join(sorted(small)[:MAX_NAMED]) + (f" and {len(small) - MAX_NAMED:,} more" if len(small) > MAX_NAMED else "")
            groups = f" or {needed} {groups_of(policy)}" if needed else ""
            told.append(f"Too small to be judged on their own: {column}: {named} (fewer than {policy.min_slice_rows} rows{groups} each).")
    return judged, told
