"""What `evergreen gate selftest` says."""

from __future__ import annotations

from evergreen.selftest.running import Result, run_selftest
from evergreen.workspace import open_workspace
from flows import account


def tell_selftest(only: list[str]) -> bool:
    """Plant defects into the user's problem and say what the gate made of each; False when one got through, or none could be planted."""
    space, tried = open_workspace(), list[Result]()
    with account.working("self-test of the gate"):
        for one in run_selftest(space, only=only, progress=account.progress):
            tried.append(one)
            tone = "bad" if not one.passed else "hold" if one.impossible else "good"
            sign = "WRONG" if not one.passed else "" if one.impossible else "ok"
            account.done(sign, f"{one.trial.name} ({one.trial.says}): {_said(one)}", tone=tone)
    shown, text = conclusion(tried)
    account.say(text, style="green" if shown else "red")
    return shown


def conclusion(tried: list[Result]) -> tuple[bool, str]:
    """Whether the gate has shown that it does its work, and the sentence that says so, or what was not shown."""
    if not all(one.passed for one in tried):
        return False, "The gate does not do its work on this problem yet. What each check looks at: docs/gate.md"
    left = [one.trial.name for one in tried if one.impossible]
    planted = sum(bool(one.trial.caught_by) for one in tried) - len(left)
    told = [f"Not planted: {', '.join(left)}."] if left else []
    honest = "an honest retrain was not rejected" if any(not one.trial.caught_by for one in tried) else ""
    if left and not planted:
        return False, f"No defect was planted, so this shows nothing of what the gate refuses. {told[0]}"
    if planted:
        which = "The planted defect" if planted == 1 else f"Each of the {planted} planted defects"
        told.insert(0, f"{which} was refused by a check meant for it{honest and ', and ' + honest}.")
    else:
        told.insert(0, f"{honest.capitalize()}. No defect was to be planted.")
    return True, " ".join(told)


def _said(one: Result) -> str:
    if one.verdict is None:
        return f"not tried, {one.impossible}"
    stopped = f"stopped by {', '.join(dict.fromkeys(one.stopped_by))}" if one.stopped_by else "all checks pass"
    if one.passed:
        return f"{one.verdict.upper()}, {stopped}"
    blind = sorted({*one.trial.caught_by} & {*one.stopped_by})
    same = f"; the honest candidate fares no better with {', '.join(blind)}" if blind else ""
    return f"{one.verdict.upper()}, {stopped}; meant for {', '.join(one.trial.caught_by) or 'anything but a refusal'}{same}"
