"""The check for features that know the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from evergreen.gate.comparison import best_trivial
from evergreen.gate.evidence import CANDIDATE, CHAMPION, Evidence
from evergreen.gate.finding import Finding, Outcome, amount, percent
from evergreen.gate.identities import identities
from evergreen.gate.statistics import share_lower_bound
from evergreen.gate.strength import MIN_ROWS, best_auc, best_r2, category_r2, numbers_of
from evergreen.policies import GatePolicy

MAX_CATEGORIES = 50
"""A number with at most this many different values is judged as a category too: flags are often 0 and 1."""
COMMON_CLASS = 0.9
"""A class this common is the answer nearly everywhere; a category that has nothing else is no news."""
RARE_CLASS, RARE_SETTLED = 0.1, 0.9
"""A class below the first share of all rows is settled by the second already: of a hundredth of all, few rows can be in any category."""
QUANTILES = (0.5, 0.7, 0.85, 0.3, 0.15)
"""Where a number is cut in two to see whether a missing value tells which side it is on."""
NAMED = 3
"""How many faults, or features, a reason names; the details have all."""

_leakage = partial(Finding, "leakage", "No feature knows the answer, which it would not when the model serves.")


def leakage(evidence: Evidence, policy: GatePolicy, alpha: float) -> Finding:
    """No feature alone, and no two together, predict the target too well; no category of one, or its absence, settles the outcome.

    Where no feature is found out, a candidate that is too good to be true is held for a person to look at.
    For more than two classes each class is judged against the rest, so a problem whose features honestly
    separate a class (petals, say) needs a higher `max_feature_auc` in its contract.
    """
    y, features = evidence.y, evidence.features
    if len(features) != len(y) or not len(y):
        raise ValueError(f"got {len(features)} rows of features for {len(y)} outcomes; expected as many, and at least one")
    limit = policy.max_feature_r2 if evidence.task == "regression" else policy.max_feature_auc
    strengths, faults = _strengths(evidence, policy, limit)
    best = sorted(strengths, key=lambda name: (-strengths[name], name))[:NAMED]
    finding = partial(_leakage, estimate=strengths[best[0]] if best else None, threshold=limit, n=len(y))
    if faults:
        return finding(Outcome.REJECT, f"A feature knows the answer: {'; '.join(faults[:NAMED])}.", details=tuple(faults))
    unlikely = list(_too_good(evidence, policy))
    if unlikely:
        told, share, bar = max(unlikely, key=lambda one: one[1])
        settle = (
            f"A person looks at what the strongest features ({', '.join(best) or 'none is a number'}) know when the prediction is made, "
            "and whether holdout rows repeat training rows. Is the task that easy, release it, or raise `too_good_share`, `too_good_gain`."
        )
        finding = partial(finding, estimate=share, threshold=bar)
        return finding(Outcome.HOLD, f"It is too good to be true: {told}.", settle=settle)
    most = f"; the strongest alone is {best[0]} ({strengths[best[0]]:.3f}, limit {limit:g})" if best else ""
    return finding(Outcome.PASS, f"None of {features.shape[1]} features knows the answer{most}.")


def _strengths(evidence: Evidence, policy: GatePolicy, limit: float) -> tuple[dict[str, float], list[str]]:
    """How well each number tells the answer alone, and every way in which a feature knows it, in words."""
    regression = evidence.task == "regression"
    classes, names = pd.factorize(np.asarray(evidence.y), sort=True)
    y = np.asarray(evidence.y, dtype=float) if regression else classes
    # by name, so that the order of the columns changes nothing
    columns = {str(name): evidence.features[name] for name in sorted(evidence.features, key=str)}
    numbers = {name: values for name, column in columns.items() if (values := numbers_of(column)) is not None}
    strengths = {name: best_r2(values, y) if regression else float(best_auc(values, y)) for name, values in numbers.items()}
    alone = [name for name, strength in strengths.items() if not strength <= limit]
    word = "explains the target with an R2 of" if regression else "alone ranks the outcomes with an AUC of"
    faults = [f"{name} {word} {strengths[name]:.3f} (at most {limit:g})" for name in alone]
    if regression:
        faults += [f"{name} {fault}" for name, column in columns.items() for fault in _telling_gaps(column, y, policy.max_settled_share)]
        told = {name: category_r2(column, y) for name, column in columns.items() if name not in numbers}
        faults += [f"the categories of {name} explain the target with an R2 of {r2:.3f}" for name, r2 in told.items() if not r2 <= limit]
    else:
        faults += [
            f"{name} {fault}" for name, column in columns.items() for fault in _settled(column, classes, names, policy.max_settled_share)
        ]
    others = {name: values for name, values in numbers.items() if name not in alone}
    faults += identities(others, y, evidence.rows, limit=limit, regression=regression)
    return strengths, faults


def _too_good(evidence: Evidence, policy: GatePolicy) -> Iterator[tuple[str, float, float]]:
    """Against whom the candidate saves a larger share of the measure than is likely, in words, the share, and the limit.

    Only where no row's measure is negative: then 0 is perfect, and the share is one of all that can be saved. With profits there is none.
    """
    own, trivial = evidence.contenders[CANDIDATE].measure, best_trivial(evidence)
    others = [(f"doing without ({trivial.name})", trivial.measure, policy.too_good_share)]
    if CHAMPION in evidence.contenders:
        others.append(("the champion", evidence.contenders[CHAMPION].measure, policy.too_good_gain))
    for name, measure, limit in others:
        cost, saved = float(measure.mean()), float(measure.mean() - own.mean())
        if not (min(own.min(), measure.min()) < 0 or saved <= limit * cost):
            share = saved / cost if math.isfinite(saved) else math.nan
            costs = f"{amount(1000 * (cost - saved))} instead of {amount(1000 * cost)} per 1,000 rows"
            yield f"it saves {percent(share)} of what {name} costs ({costs}; at most {percent(limit)} is likely)", share, limit


def _settled(column: pd.Series, classes: np.ndarray, names: np.ndarray, limit: Any) -> Iterator[str]:
    """The categories, and the absence or presence of a value, under which a class is surer than `limit`."""
    share = np.bincount(classes) / len(classes)
    rare = share < COMMON_CLASS
    limit = np.where(share < RARE_CLASS, min(limit, RARE_SETTLED), limit)
    missing = np.asarray(column.isna(), dtype=int)
    found = [(("known", "missing")[code], *rest) for code, *rest in _surest(missing, classes, rare, limit)]
    codes, categories = pd.factorize(column)
    if not pd.api.types.is_numeric_dtype(column) or len(categories) <= MAX_CATEGORIES:
        known = codes >= 0
        found += [(f"= {categories[code]!s:.40}", *rest) for code, *rest in _surest(codes[known], classes[known], rare, limit)]
    for value, of, count, total in found:
        yield f"{value} settles the outcome: {count:,} of {total:,} rows are of class {names[of]}"


def _telling_gaps(column: pd.Series, y: np.ndarray, limit: float) -> Iterator[str]:
    """The absence or presence of a value under which a number is nearly always high, or low."""
    gone = np.asarray(column.isna(), dtype=int)
    for share in QUANTILES:
        high = (y > np.quantile(y, share)).astype(int)
        rare = np.bincount(high, minlength=2) / len(y) < COMMON_CLASS
        for code, of, count, total in _surest(gone, high, rare, limit):
            side = "above" if of else "not above"
            yield f"{('known', 'missing')[code]} settles the outcome: {count:,} of {total:,} rows are {side} the {share:.0%} point of all"
            return


def _surest(codes: np.ndarray, classes: np.ndarray, rare: np.ndarray, limit: Any) -> Iterator[tuple[int, int, int, int]]:
    """Code, class, rows of that class with the code, rows with the code: where the class's share is surely above `limit`."""
    width = len(rare)
    counts = np.bincount(codes * width + classes, minlength=width * (codes.max(initial=0) + 1)).reshape(-1, width)
    totals = counts.sum(axis=1, keepdims=True)
    for code, of in np.argwhere((totals >= MIN_ROWS) & (counts > limit * totals) & rare):
        count, total = int(counts[code, of]), int(totals[code, 0])
        if not share_lower_bound(count, total) <= np.broadcast_to(limit, width)[of]:
            yield int(code), int(of), count, total
