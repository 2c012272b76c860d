"""Whether a reason to retrain is acted upon: one pure function of the contract's policy and of how things stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

from evergreen.files import digest_text

if TYPE_CHECKING:
    from evergreen.policies import RetrainingPolicy

Kind = Literal["schedule", "data", "drift", "decay", "person"]
Action = Literal["retrain", "resume", "skip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LOOK = "look for what asks for a round"
"""Name of the platform's looks, where people read of runs."""
SIGNALS = ("drift", "decay")
PACED = ("schedule", "data")
"""Kinds that ask by the calendar or by what arrives, and not for what was found."""
NO_ROOM = "error budget"
"""The rule by which these wait while nothing they train could be promoted."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Trigger:
    """A reason to retrain now."""

    kind: Kind
    inputs: str
    """Name of what a training would learn from: snapshot, contract, code and lock; empty while a source has nothing."""
    window: str = ""
    """The hour of a schedule, the end of the rows in which drift or decay was seen, the moment at which a person asked."""

    @property
    def key(self) -> str:
        """Its name: what asks again for the same is the same trigger."""
        return digest_text(self.kind, self.inputs, self.window)


@dataclass(frozen=True)
class State:
    """How things stand when a trigger is looked at."""

    now: datetime
    missing: tuple[str, ...] = ()
    """Sources of which nothing has been published yet, or nothing counts any more."""
    taken_back: tuple[str, ...] = ()
    """Those of them of which all that counted was taken back by a person."""
    stale: tuple[str, ...] = ()
    """Sources that lie farther behind than the contract allows."""
    spoilt: str = ""
    """What the version that serves has learnt from and a person has taken back, in words."""
    is_judged: bool = False
    """Whether the verdict on these very inputs stands."""
    failed: str = ""
    """What a training that this trigger began failed of, in a way that trying again does not mend."""
    acted: Action | None = None
    """What this very trigger has begun; it was cut short when there is no verdict yet."""
    windows: tuple[bool, ...] = ()
    """Whether the trigger's drift or decay was found, window by window, newest last."""
    begun: tuple[datetime, ...] = ()
    """When trainings began by themselves, that no person asked for."""
    is_first: bool = False
    """Whether no model serves yet."""
    no_room: str = ""
    """Why the gate could promote no new candidate now, in words; empty where it could."""
    held: int | None = None
    """A held version that has not been judged on these inputs and still can be."""


@dataclass(frozen=True)
class Decision:
    """What is made of a trigger, by which rule, and why in words."""

    action: Action
    rule: str
    reason: str


def decide(trigger: Trigger, policy: RetrainingPolicy, state: State) -> Decision:
    """Retrain, judge the held version again, or skip.

    The first rule that has something to say decides. A person is only refused what cannot be done.
    """
    for decision in _refusals(trigger, policy, state):
        return decision
    if state.acted == "retrain":
        return Decision("retrain", "cut short", "what was begun for the same reason was cut short and goes on")
    if trigger.kind == "person":
        return Decision("retrain", "person", "a person asked for it")
    for rule, reason in _brakes(trigger, policy, state):
        if state.held is not None and state.acted != "resume":
            told = f"{reason}, but version {state.held} is held and can be judged again"
            return Decision("resume", "held", told)
        return Decision("skip", rule, reason)
    return Decision("retrain", trigger.kind, _because(trigger, policy, state))


def _refusals(trigger: Trigger, policy: RetrainingPolicy, state: State) -> Iterator[Decision]:
    """What stands against it whenever it is asked."""
    if state.taken_back:
        yield Decision("skip", "no data", f"all that counted of {', '.join(state.taken_back)} was taken back")
    if state.missing:
        yield Decision("skip", "no data", f"nothing has been published yet of {', '.join(state.missing)}")
    if state.is_judged:
        yield Decision("skip", "nothing new", "the verdict on these very data, contract, code and packages stands")
    if trigger.kind == "person":
        return
    if state.failed:
        yield Decision("skip", "failed", f"it was tried and failed: {state.failed}")
    if trigger.kind not in policy.on:
        yield Decision("skip", "not wanted", f"the contract lets {_told(policy.on)} set a training going, not {trigger.kind}")
    if state.stale:
        verb = "lie" if len(state.stale) > 1 else "lies"
        yield Decision("skip", "stale", f"{_told(state.stale)} {verb} farther behind than the contract allows")
    if trigger.kind in SIGNALS:
        wanted, among = policy.debounce
        seen = state.windows[-among:]
        if not (seen and seen[-1]):
            yield Decision("skip", "debounce", f"the newest window shows no {trigger.kind}")
        elif sum(seen) < wanted:
            yield Decision("skip", "debounce", f"{trigger.kind} was seen in {sum(seen)} of the last {among} windows; expected {wanted}")


def _brakes(trigger: Trigger, policy: RetrainingPolicy, state: State) -> Iterator[tuple[str, str]]:
    """What delays it; a training that lies ahead was written by a clock that has been set back since, and has no say."""
    last = max((begun for begun in state.begun if begun <= state.now), default=None)
    if last is not None and not state.is_first and state.now < last + policy.cooldown:
        yield "cooldown", f"a training began at {last:%Y-%m-%d %H:%M} UTC; the next may from {last + policy.cooldown:%Y-%m-%d %H:%M} on"
    today = [begun for begun in state.begun if state.now - DAY < begun <= state.now]
    if len(today) >= policy.per_day:
        yield "budget", f"{len(today)} trainings began by themselves within 24 hours; the contract allows {policy.per_day}"
    if state.no_room and trigger.kind in PACED and not state.is_first and not state.spoilt:
        yield NO_ROOM, state.no_room


def _because(trigger: Trigger, policy: RetrainingPolicy, state: State) -> str:
    if trigger.kind in SIGNALS:
        seen = state.windows[-policy.debounce[1] :]
        return f"{trigger.kind} was seen in {sum(seen)} of the last {len(seen)} windows, the newest among them"
    if trigger.kind == "schedule":
        return f"the schedule {policy.cron} named {trigger.window:.16}, and there is something new to learn from"
    return f"the version that serves has learnt from {state.spoilt}" if state.spoilt else "there is something new to learn from"


def _told(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing"
