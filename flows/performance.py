"""What `evergreen performance` says: how predictions in service did, what the newest are expected to cost, and how versions grow old."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from evergreen.errors import JoinError
from evergreen.files import shown
from evergreen.monitoring import kinds, measuring
from evergreen.monitoring.service import history
from evergreen.quoting import revealed
from evergreen.report.pages import NONE
from evergreen.report.words import counted
from evergreen.workspace import open_workspace
from flows import account

WORST_SLICES = 5
"""So many slices are shown, those that cost most."""
Told = dict[str, Any]


def tell_performance(*, as_json: bool) -> None:
    """Measure what has become known since, and say all of it, as tables or as JSON."""
    space = open_workspace()
    trouble = ""
    with account.working("see how predictions did"):
        try:
            measuring.measure(space)
            measuring.estimate_published(space)
        except JoinError as error:
            trouble = f"Nothing new can be measured, this is what was before: {error}"
    told = history(space.journal, space.problem, datetime.now(UTC))
    if as_json:
        sys.stderr.write(f"{revealed(trouble)}\n" * bool(trouble))
        sys.stdout.write(f"{json.dumps(told, indent=1)}\n")
        return
    if trouble:
        account.say(trouble, style="red")
    elif not any((told["windows"], told["staleness"], told["features"])):
        account.say("Nothing has been predicted whose outcome is known. Run: evergreen run")
    _tell_windows(told)
    _tell_slices(told)
    _tell_staleness(told)
    _tell_features(told["features"])
    if age := told["age"]:
        account.title("Age")
        learnt = f"version {age['version']} has learnt from nothing newer than {age['training_end']:.16} UTC"
        account.say(f"  {learnt}, {age['days']:.1f} days before {age['clock']}.")


def _tell_windows(told: Told) -> None:
    for origin, title in ((kinds.PUBLISHED, "Published predictions"), (kinds.SERVED, "Predictions over HTTP")):
        rows = [_window(one) for one in told["windows"] if one["origin"] == origin]
        if not rows:
            continue
        account.title(f"{title}, cost in {told['unit']} per 1,000 {told['things']}; in brackets {told['level']:.0%} intervals")
        columns = ["from", "version", told["things"], "cost", "estimate", "AUC", "estimate", "bias", "error"]
        filled = [at for at in range(len(columns)) if any(row[at] for row in rows)]
        account.table([columns[at] for at in filled], [[row[at] for at in filled] for row in rows])
    if found := told["accuracy"]:
        account.say(_accuracy(found, told["unit"]))


def _window(one: Told) -> list[str]:
    realized, estimate = one["realized"] or {}, one["estimate"] or {}
    rows = one["predicted"] if one["predicted"] is not None else realized.get("rows", 0)
    why = realized.get("why", "") if realized else "no outcomes yet"
    cost = _amount(realized.get("cost"), "{:,.0f}") or ("not judged: " * bool(realized) + why)
    return [
        *(one["window"], _versions(one), f"{rows:,}", cost, _amount(estimate.get("cost"), "{:,.0f}")),
        *(_amount(realized.get("auc"), "{:.3f}"), _amount(estimate.get("auc"), "{:.3f}")),
        *(_amount(realized.get("bias"), "{:+.3f}"), _plain(realized.get("error")) if realized.get("auc") is None else ""),
    ]


def _versions(one: Told) -> str:
    """Whose predictions a window has."""
    return ", ".join(map(str, one["versions"] or [one["version"]]))


def _amount(told: Told | None, form: str) -> str:
    if told is None or told["estimate"] is None:
        return ""
    low, high = (form.format(told[name]) if told[name] is not None else "?" for name in ("low", "high"))
    return f"{form.format(told['estimate'])} ({low}{' to ' if '+' in form else NONE}{high})"


def _plain(told: Told | None) -> str:
    return "" if told is None or told["estimate"] is None else f"{told['estimate']:.3g}"


def _accuracy(found: Told, unit: str) -> str:
    auc = "" if found["auc"] is None else f"; of the AUC {found['auc']:.3f}, and {found['auc_as_before']:.3f}"
    windows = counted(found["windows"], "window")
    return (
        f"  Estimates of the cost missed by {found['cost']:,.0f} {unit} on average in {windows}, the window before by "
        f"{found['cost_as_before']:,.0f}{auc}. An estimate sees harder rows, and no world in which the same rows come to other ends."
    )


def _tell_slices(told: Told) -> None:
    known = [one for one in told["windows"] if one["realized"] and one["realized"]["is_judged"] and one["realized"]["slices"]]
    if not known:
        return
    newest = known[-1]
    judged = [one for one in newest["realized"]["slices"] if one["is_judged"]]
    worst = sorted(judged, key=lambda one: -one["cost"]["estimate"])[:WORST_SLICES]
    account.title(f"Slices that cost most, {newest['origin']} from {newest['window']} on")
    rows = [
        [f"{one['slice']} {shown(one['value'])}", f"{one['rows']:,}", _amount(one["cost"], "{:,.0f}"), _amount(one["bias"], "{:+.3f}")]
        for one in worst
    ]
    account.table(["slice", told["things"], "cost", "bias"], rows, caption=_not_judged(newest["realized"]["slices"], judged))


def _not_judged(slices: list[Told], judged: list[Told]) -> str:
    few = len(slices) - len(judged)
    return f"{few} of {len(slices)} slices have too few rows and are not judged" if few else ""


def _tell_staleness(told: Told) -> None:
    found = told["staleness"]
    if not found:
        return
    account.title(f"Versions asked about the newest outcomes, until {found['window_end']:.16}")
    rows = [
        [
            *(str(one["version"]), "" if one["age_days"] is None else f"{one['age_days']:.0f}"),
            *(_amount(one.get("cost"), "{:,.0f}") or f"not judged: {one['why']}", _amount(one.get("auc"), "{:.3f}")),
        ]
        for one in found["points"]
    ]
    account.table(["version", "days old", "cost", "AUC"], rows)


def _tell_features(facts: Told | None) -> None:
    if facts is None:
        return
    account.title("Features of predictions over HTTP, computed anew")
    left = f"{facts['unknown']:,} are of things that no delivery has brought, {facts['late']:,} were asked too late"
    account.say(f"  {facts['differing']:,} of {facts['rows']:,} rows differ from the data; {left}.")
    rows = [
        [
            *(shown(one["feature"]), f"{one['differing']:,} of {one['rows']:,}", "" if one["largest"] is None else f"{one['largest']:.6g}"),
            "; ".join(shown(f"{each['entity']}: {each['served']} served, {each['computed']} now") for each in one["examples"][:1]),
        ]
        for one in facts["features"]
        if one["differing"]
    ]
    if rows:
        account.table(["feature", "differ", "by at most", "for instance"], rows)
