"""Checks of what the verdict rests on: where everything came from, whether the data are clean, enough, and unseen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd

from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DUMMY, RULE_OF_THUMB, Contender, Evidence
from evergreen.gate.finding import Finding, Outcome
from evergreen.policies import GatePolicy

DIGESTS = ("snapshot", "contract", "code", "lock", "artefact")
LEARNERS = (CANDIDATE, CHAMPION, ANCHOR)

_provenance = partial(Finding, "provenance", "Whatever serves can be traced to its data and code, and built again.")
_data = partial(Finding, "data", "No model learns from data that broke their expectations.")
_finite = partial(Finding, "finite", "No verdict rests on a number that is missing or infinite.")
_size = partial(Finding, "size", "No verdict rests on a handful of cases.")
_hygiene = partial(Finding, "hygiene", "No model is judged on rows it has learnt from, nor with knowledge from the future.")


def provenance(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Every digest is recorded, and computing it again gives the same."""
    then, now = evidence.provenance, evidence.provenance_now
    missing = [name for name in DIGESTS if not then.get(name)]
    changed = [name for name in sorted({*then, *now}) if name not in missing and then.get(name) != now.get(name)]
    if missing or changed:
        faults = [f"no digest of the {name} was recorded" for name in missing]
        faults += [f"the {name} is no longer the one recorded ({then.get(name)!s:.12} then, {now.get(name)!s:.12} now)" for name in changed]
        return _provenance(Outcome.REJECT, f"It cannot be rebuilt: {'; '.join(faults)}.", details=tuple(faults))
    return _provenance(Outcome.PASS, f"All {len(then)} digests are recorded and are still the same.", n=len(then))


def data(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """The expectations passed on every delivery and on the training frame; no verdict at all is no pass."""
    if not evidence.data:
        return _data(Outcome.REJECT, "The data were not validated: there is no verdict of the expectations.")
    failed = [f"{v.name} ({', '.join(v.failed) or 'no expectation named'})" for v in evidence.data if not v.passed]
    if failed:
        reason = f"{len(failed)} of {len(evidence.data)} data sets broke their expectations: {'; '.join(failed)}."
        return _data(Outcome.REJECT, reason, n=len(evidence.data), details=tuple(failed))
    return _data(Outcome.PASS, f"All {len(evidence.data)} data sets meet their expectations.", n=len(evidence.data))


def finite(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Every part is there, has one entry for each holdout row, and only numbers that are numbers."""
    faults = unsound(evidence)
    if faults:
        return _finite(Outcome.REJECT, f"The evidence cannot be used: {'; '.join(faults)}.", n=len(evidence.y), details=faults)
    return _finite(Outcome.PASS, f"All numbers of {len(evidence.contenders)} contenders are finite.", n=len(evidence.y))


def size(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """Enough rows, rows of each class, and clusters."""
    n = len(evidence.y)
    counts = [("rows", n, policy.min_rows)]
    if evidence.task != "regression":
        # A constant decision stands for each class that training has seen: one of them may be missing in the holdout.
        classes = {policy.decision[0]: 0 for policy in evidence.trivial.values() if len(policy.decision)}
        classes |= pd.Series(evidence.y).value_counts().to_dict()
        counts += [(f"rows of class {value}", int(classes[value]), policy.min_events) for value in sorted(classes)]
        if len(classes) <= 1:
            counts.append(("rows of any other class", 0, policy.min_events))
    if policy.cluster != "row":
        counts.append((f"clusters ({policy.cluster})", int(pd.Series(evidence.cluster).nunique()), policy.min_clusters))
    short = [(what, have, need) for what, have, need in counts if not have >= need]
    if short:
        reason = "Too little to go by: " + "; ".join(f"{have:,} {what}, of {need:,} needed" for what, have, need in short) + "."
        settle = "Wait for " + " and ".join(f"{need - have:,} more {what}" for what, have, need in short) + "."
        return _size(Outcome.HOLD, reason, estimate=n, threshold=policy.min_rows, n=n, settle=settle)
    return _size(
        Outcome.PASS, "Enough to go by: " + ", ".join(f"{have:,} {what}" for what, have, _ in counts) + ".", n=n, threshold=policy.min_rows
    )


def hygiene(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """No holdout row was learnt from, training ends an embargo before the holdout, and no feature is from the future."""
    faults = list(_contamination(evidence))
    if faults:
        return _hygiene(Outcome.REJECT, f"The holdout is not unseen: {'; '.join(faults)}.", n=len(evidence.rows), details=tuple(faults))
    learners = [name for name in LEARNERS if name in evidence.contenders]
    return _hygiene(Outcome.PASS, f"None of {len(evidence.rows):,} holdout rows was seen by {', '.join(learners)}.", n=len(evidence.rows))


def unsound(evidence: Evidence) -> tuple[str, ...]:
    """What makes this evidence unusable, in words: missing parts, other numbers of rows, values that are missing or infinite."""
    n = len(evidence.y)
    faults = [] if n else ["there is no holdout row"]
    faults += [f"{name} is missing" for name in (CANDIDATE, DUMMY, RULE_OF_THUMB) if name not in evidence.contenders]
    faults += ["champion and anchor are not both there"] if (CHAMPION in evidence.contenders) != (ANCHOR in evidence.contenders) else []
    faults += [] if evidence.trivial else ["there is no trivial policy to compare with"]
    numeric = evidence.task != "multiclass"
    faults += _faults_of("rows", evidence.rows, n) + _faults_of("cluster", evidence.cluster, n)
    faults += _faults_of("y", evidence.y, n, number=numeric)
    for part, frame in (("features", evidence.features), ("slices", evidence.slices)):
        faults += [f"{part} has {len(frame):,} rows instead of {n:,}"] if len(frame.columns) and len(frame) != n else []
    for contender in (*evidence.contenders.values(), *evidence.trivial.values()):
        who = contender.name
        faults += _faults_of(f"{who}'s measure", contender.measure, n, number=True)
        faults += _faults_of(f"{who}'s cost", contender.cost, n, number=True)
        faults += _faults_of(f"{who}'s decision", contender.decision, n, number=numeric)
        if contender.probability is not None:
            faults += _faults_of(f"{who}'s probability", contender.probability, n, number=True, share=True)
    return tuple(faults)


def _faults_of(what: str, values: np.ndarray, n: int, *, number: bool = False, share: bool = False) -> list[str]:
    values = np.asarray(values)
    if values.shape[:1] != (n,) or (values.ndim != 1 and not share):
        return [f"{what} has shape {values.shape} instead of ({n},)"]
    if number and values.dtype.kind not in "biuf":
        return [f"{what} is of type {values.dtype} instead of numbers"]
    bad = pd.isna(values)
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values)
    rows = int(bad.reshape(n, -1).any(axis=1).sum()) if n else 0
    if rows:
        return [f"{what} is missing or infinite on {rows:,} of {n:,} rows"]
    if share and not ((values >= 0) & (values <= 1)).all():
        return [f"{what} is outside 0 to 1"]
    return []


def _contamination(evidence: Evidence) -> Iterator[str]:
    repeated = len(evidence.rows) - len(np.unique(evidence.rows))
    if repeated:
        yield f"{repeated:,} holdout rows are there twice"
    if evidence.late_features:
        yield f"features observed only after the prediction: {', '.join(evidence.late_features)}"
    for name, contender in evidence.contenders.items():
        if name in LEARNERS or contender.training_rows is not None:
            yield from _seen_by(contender, evidence)


def _seen_by(contender: Contender, evidence: Evidence) -> Iterator[str]:
    who = contender.name if contender.version is None else f"{contender.name} (version {contender.version})"
    if contender.training_rows is None or not len(contender.training_rows):
        yield f"what {who} was trained on is not known, so it cannot be shown to be unseen"
        return
    if not contender.training_rows.dtype == evidence.rows.dtype == np.uint64:
        # numpy would compare other mixtures as floats, which round: different rows would look the same
        raise ValueError(f"got fingerprints of types {contender.training_rows.dtype} and {evidence.rows.dtype}; expected uint64")
    holdout = np.unique(evidence.rows)
    at = np.minimum(np.searchsorted(holdout, contender.training_rows), len(holdout) - 1)
    seen = len(np.unique(at[holdout[at] == contender.training_rows]))
    if seen:
        yield f"{who} was trained on {seen:,} of {len(evidence.rows):,} holdout rows"
    if evidence.holdout_start is None:
        return
    if contender.training_end is None:
        yield f"when the training rows of {who} end is not known"
        return
    end = datetime.fromisoformat(contender.training_end) + timedelta(seconds=evidence.embargo_seconds)
    if not end <= datetime.fromisoformat(evidence.holdout_start):
        embargo = f"{evidence.embargo_seconds / 3600:,.3g} hours"
        yield f"{who} was trained up to {contender.training_end}, less than {embargo} before the holdout begins ({evidence.holdout_start})"
