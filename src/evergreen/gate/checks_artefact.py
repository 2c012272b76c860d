"""Checks of the artefact itself: that it serves as it was trained, reacts sensibly, can be afforded, and knows what it is to predict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from evergreen.gate.evidence import CANDIDATE, Evidence, Footprint, Reaction, Replay, Support
from evergreen.gate.finding import Finding, Outcome, amount, percent
from evergreen.policies import CostPolicy, GatePolicy

MIN_REORDERED = 100
"""Rows of every replay after the first, or all there were. One by one is slow, and of what moves 3% of rows they still find 95%."""
ROUNDING = 1e-9
"""How far a mean may go the wrong way and still be none: what a replay calls the same answer."""
NAMED = 3
"""How many features a reason names; the details have all."""

_parity = partial(Finding, "parity", "What was judged is what serves: the same row gets the same answer in production.")
_behaviour = partial(Finding, "behaviour", "No model contradicts what people know of the world.")
_cost = partial(Finding, "cost", "No model is promoted that production cannot afford.")
_representativeness = partial(Finding, "representativeness", "A model is trusted with rows like those it was trained on.")


def parity(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Serving answers the golden rows as training did, whatever rows come with them: not one differs.

    The first replay covers at least `min_replayed` rows, the others `MIN_REORDERED`, or all there were at training time.
    """
    if not evidence.replays:
        return _parity(Outcome.REJECT, "That serving answers as training did was not shown: no row was predicted again.")
    if len(evidence.replays) == 1:
        return _parity(Outcome.REJECT, "That another order and other batches change nothing was not shown: rows were predicted again once.")
    first = max(1, min(policy.min_replayed, evidence.replayable))
    needed = [first, *[min(MIN_REORDERED, first)] * (len(evidence.replays) - 1)]
    faults = [list(_departures(replay, need)) for replay, need in zip(evidence.replays, needed, strict=True)]
    told = tuple(fault for found in faults for fault in found)
    finding = partial(
        _parity, estimate=float(sum(replay.differing for replay in evidence.replays)), threshold=0.0, n=evidence.replays[0].rows
    )
    if told:
        likely = "a feature that looks at the other rows of its batch"
        if faults[0]:
            likely = f"other packages than in training, code that reads the clock or the environment, or {likely}"
        return finding(
            Outcome.REJECT, f"Serving is not shown to answer as training did: {'; '.join(told)}. Likely: {likely}.", details=told
        )
    replayed = ", ".join(f"{replay.rows:,} rows {replay.how}" for replay in evidence.replays)
    return finding(Outcome.PASS, f"Serving answers as training did: {replayed}.")


def behaviour(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Every claim of the contract about changed rows is kept on enough of them, and not contradicted on average."""
    if not evidence.reactions:
        return _behaviour(Outcome.PASS, "The contract declares none, so no reaction to a made-up change was judged.")
    shares = [_kept(reaction) for reaction in evidence.reactions]
    faults = tuple(fault for reaction, share in zip(evidence.reactions, shares, strict=True) for fault in _contradictions(reaction, share))
    nearest = min(
        range(len(shares)), key=lambda at: (shares[at] - evidence.reactions[at].claim.min_share, evidence.reactions[at].claim.name)
    )
    worst = evidence.reactions[nearest]
    finding = partial(_behaviour, estimate=shares[nearest], threshold=worst.claim.min_share, n=worst.moved.size)
    if faults:
        return finding(Outcome.REJECT, f"It reacts as it must not. {'; '.join(faults)}.", details=faults)
    kept = tuple(
        f"{reaction.claim.name}: so on {percent(share)} of {reaction.moved.size:,} rows, {float(reaction.moved.mean()):+.3g} on average"
        for reaction, share in zip(evidence.reactions, shares, strict=True)
    )
    return finding(Outcome.PASS, f"It keeps {len(kept)} of {len(kept)} claims. {'; '.join(kept)}.", details=kept)


def cost(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Latency, speed, size, memory and load time are within the contract's `CostPolicy`."""
    footprint = evidence.contenders[CANDIDATE].footprint
    if footprint is None:
        return _cost(Outcome.REJECT, "What predicting with it takes was not measured.")
    latency, limits = _slowest(footprint), evidence.limits
    taken = _taken(footprint, latency, limits)
    details = tuple(told for told, _ in taken)
    faults = [told for told, affordable in taken if not affordable]
    finding = partial(_cost, estimate=latency, threshold=limits.max_one_row_milliseconds, n=footprint.one_row_seconds.size, details=details)
    if faults:
        return finding(Outcome.REJECT, f"Production cannot afford it: {'; '.join(faults)}.")
    return finding(Outcome.PASS, f"Production can afford it: {'; '.join(details)}.")


def representativeness(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Few of the rows that wait to be predicted lie outside the categories and ranges of the training rows."""
    support, limit = evidence.support, policy.max_outside_share
    if support is None:
        settle = "Compare the rows that are to be predicted with the training rows, or look at both."
        return _representativeness(Outcome.HOLD, "Whether what is to be predicted looks like training was not measured.", settle=settle)
    if support.rows == 0:
        return _representativeness(Outcome.PASS, "Nothing waits to be predicted, so there was nothing to compare with training.", n=0)
    share = support.outside / support.rows if support.rows > 0 else math.nan
    details = tuple(_outside(support))
    finding = partial(_representativeness, estimate=share, threshold=limit, n=support.rows, details=details)
    told = f"{percent(share)} of {support.rows:,} rows to be predicted lie outside what training has seen (at most {percent(limit)})"
    if 0 <= share <= limit:
        return finding(Outcome.PASS, f"{told}.")
    theirs = support.champion_outside
    if theirs is not None and 0 <= support.outside <= theirs:  # whatever is decided, these rows are predicted by one of the two
        return finding(Outcome.PASS, f"{told}, but no more than lie outside what the champion has seen ({theirs:,}).")
    worst = ", ".join(details[: min(NAMED, len(support.features))]) or "no feature is named"
    settle = "Train on data that cover these rows, or look at them and release it."
    return finding(Outcome.HOLD, f"{told}: {worst}.", settle=settle)


def _departures(replay: Replay, needed: int) -> Iterator[str]:
    """What keeps one replay from showing that the answers are the same."""
    if not replay.rows >= needed:
        yield f"{replay.how}, {replay.rows:,} rows were predicted again, of {needed:,} needed"
    if replay.infinite != 0:
        yield f"{replay.how}, {replay.infinite:,} of {replay.rows:,} rows got an answer that is missing or infinite"
    if not (replay.differing == 0 and math.isfinite(replay.farthest)):
        yield f"{replay.how}, {replay.differing:,} of {replay.rows:,} rows got another answer, the farthest by {amount(replay.farthest)}"


def _kept(reaction: Reaction) -> float:
    """Share of the rows on which the claim is true; NaN without rows."""
    moved, claim = reaction.moved, reaction.claim
    far = {"same": -abs(moved), "up": moved, "down": -moved}[claim.expect]
    return float(np.mean(far >= -claim.tolerance)) if moved.size else math.nan


def _contradictions(reaction: Reaction, share: float) -> Iterator[str]:
    moved, claim = reaction.moved, reaction.claim
    bad = int((~np.isfinite(moved)).sum())
    if moved.ndim != 1 or not moved.size or bad:
        got = f"{bad:,} of {moved.size:,} answers are missing or infinite" if bad else f"got answers of shape {moved.shape}"
        yield f"{claim.name}: this could not be tried, {got}"
        return
    if not share >= claim.min_share:
        yield f"{claim.name}: not so on {percent(1 - share)} of {moved.size:,} rows (at most {percent(1 - claim.min_share)})"
    mean = float(moved.mean())
    if claim.expect != "same" and not (mean if claim.expect == "up" else -mean) >= -ROUNDING:
        yield f"{claim.name}: not so on average, over {moved.size:,} rows the answer moves by {mean:+.3g}"


def _slowest(footprint: Footprint) -> float:
    """The 99th percentile of the answers to one row, in milliseconds; NaN where one was not timed.

    numpy's method "lower": a time that was measured, and of two to a hundred the slowest but one, for a busy machine stalls now and then.
    """
    seconds = np.asarray(footprint.one_row_seconds, dtype=float)
    if not seconds.size or not np.isfinite(seconds).all():
        return math.nan
    return 1000 * float(np.quantile(seconds, 0.99, method="lower"))


def _taken(footprint: Footprint, latency: float, limits: CostPolicy) -> list[tuple[str, bool]]:
    """What it takes, in words, and whether that is affordable; what is missing or infinite is not."""
    most = (
        ("a single row takes", latency, limits.max_one_row_milliseconds, f"ms, the slowest of {footprint.one_row_seconds.size} aside"),
        ("it is stored in", footprint.megabytes, limits.max_model_megabytes, "MB"),
        ("it needs", footprint.memory_megabytes, limits.max_memory_megabytes, "MB of memory"),
        ("it loads in", footprint.load_seconds, limits.max_load_seconds, "s"),
    )
    speed, least = footprint.rows_per_second, limits.min_rows_per_second
    return [
        *(
            (f"{what} {amount(got)} {unit} (at most {amount(allowed)})", math.isfinite(got) and got <= allowed)
            for what, got, allowed, unit in most
        ),
        (f"a batch runs at {amount(speed)} rows/s (at least {amount(least)})", math.isfinite(speed) and speed >= least),
    ]


def _outside(support: Support) -> Iterator[str]:
    """The features, worst first, then how far the rows can be told from training, which decides nothing."""
    for name, rows in sorted(support.features.items(), key=lambda item: (-item[1], item[0])):
        yield f"{name} on {percent(rows / support.rows if support.rows > 0 else math.nan)}"
    if support.separable is not None:
        yield (
            f"A classifier tells these rows from training rows with an AUC of {support.separable:.3f}; "
            "seasons alone make it high, so nothing hangs on it."
        )
