"""The retraining policies that are compared: when each one looks, and what lets it train."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pandas as pd

from evergreen.backtest.periods import Period
from evergreen.errors import RefusedError
from evergreen.policies import RetrainingPolicy

NEVER, CONTRACT, ALWAYS = "never", "contract", "always"
CALENDAR = {"weekly": "W-MON", "monthly": "MS", "quarterly": "QS"}
SIGNALS = {"on-drift": ("drift",), "on-decay": ("decay",), "on-drift-or-decay": ("drift", "decay")}
EVERY = re.compile(r"every-([1-9]\d{0,3})-days")
NAMES = (NEVER, *CALENDAR, "every-N-days", *SIGNALS, ALWAYS, CONTRACT)
USUAL = (NEVER, "quarterly", "monthly", *SIGNALS, ALWAYS, CONTRACT)
"""Compared unless others are asked for; they share their fits, for each trains at the beginning of some window."""
SAYS = {
    NEVER: "trained once, then never",
    "weekly": "trained every Monday",
    "monthly": "trained on the first of every month",
    "quarterly": "trained on the first of every quarter",
    "on-drift": "trained when the rows have drifted",
    "on-decay": "trained when the decisions have come to cost more",
    "on-drift-or-decay": "trained when either is found",
    ALWAYS: "trained in every window, and put in place without the gate",
    CONTRACT: "what the contract says",
}


@dataclass(frozen=True)
class Plan:
    """A retraining policy under test."""

    name: str
    says: str
    policy: RetrainingPolicy
    """By which its reasons to train are decided on."""
    looks: Literal["never", "windows"] | str
    """When it looks: at the beginning of each window, or a frequency as pandas has it."""
    is_gated: bool = True
    obeys_cron: bool = False
    """Whether its schedule is the contract's hours; else each look is an hour of the schedule."""

    @property
    def is_sure_to_train(self) -> bool:
        """Whether it trains at each look, as far as can be said before."""
        return bool({"schedule", "data"} & {*self.policy.on})

    def times(self, period: Period) -> list[pd.Timestamp]:
        """When it looks, after the first model."""
        if self.looks == NEVER:
            return []
        if self.looks == "windows":
            return list(period.starts[1:])
        begin = period.first if self.looks.endswith("D") else period.first.normalize()
        return [at for at in pd.date_range(begin, period.end, freq=self.looks, inclusive="left") if at > period.first]


def plans_of(names: Sequence[str], retraining: RetrainingPolicy) -> list[Plan]:
    """The policies of these names, and always `never` and `contract`, in the order in which they are told.

    Raises
    ------
    RefusedError
        A name is unknown.
    """
    asked = list(dict.fromkeys([NEVER, *names, CONTRACT]))
    return [_plan(name, retraining) for name in asked if name != CONTRACT] + [_plan(CONTRACT, retraining)]


def _plan(name: str, retraining: RetrainingPolicy) -> Plan:
    timed = retraining.model_copy(update={"on": ("schedule",), "cooldown": timedelta(0), "per_day": 1000})
    if name == CONTRACT:
        return Plan(name, SAYS[name], retraining, "windows", obeys_cron=True)
    if name in SIGNALS:
        return Plan(name, SAYS[name], retraining.model_copy(update={"on": SIGNALS[name]}), "windows")
    if name in CALENDAR:
        return Plan(name, SAYS[name], timed, CALENDAR[name])
    if name in {NEVER, ALWAYS}:
        return Plan(name, SAYS[name], timed, NEVER if name == NEVER else "windows", is_gated=False)
    if found := EVERY.fullmatch(name):
        return Plan(name, f"trained every {found[1]} days", timed, f"{found[1]}D")
    raise RefusedError(f"There is no retraining policy {name!r}; there are: {', '.join(NAMES)}.")
