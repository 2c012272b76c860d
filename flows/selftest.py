"""What `evergreen gate selftest` says."""

from __future__ import annotations

from evergreen.selftest.running import Result, run_selftest
from evergreen.workspace import open_workspace
from flows import account


def tell_selftest(only: list[str]) -> bool:
    """Plant defects into the user's problem and say what the gate made of each; False when one got through."""
    space, passed = open_workspace(), True
    with account.working("self-test of the gate"):
        for one in run_selftest(space, only=only, progress=account.progress):
            passed = passed and one.passed
            tone = "bad" if not one.passed else "hold" if one.impossible else "good"
            account.done("ok" if one.passed else "WRONG", f"{one.trial.name} ({one.trial.says}): {_said(one)}", tone=tone)
    if passed:
        account.say("Every planted defect was refused by a check meant for it, and an honest retrain was not rejected.", style="green")
    else:
        account.say("The gate does not do its work on this problem yet. What each check looks at: docs/gate.md", style="red")
    return passed


def _said(one: Result) -> str:
    if one.verdict is None:
        return f"not tried, {one.impossible}"
    stopped = f"stopped by {', '.join(dict.fromkeys(one.stopped_by))}" if one.stopped_by else "all checks pass"
    meant = "" if one.passed else f"; meant for {', '.join(one.trial.caught_by) or 'anything but a refusal'}"
    return f"{one.verdict.upper()}, {stopped}{meant}"
