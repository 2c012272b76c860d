"""What asks for a round at this moment, found in the journal and the landing folders: the poll that is the truth, whatever events say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from evergreen import attempts, resuming, triggers
from evergreen import journal as tables
from evergreen.attempts import Occasion
from evergreen.cadence import last_due
from evergreen.data.landing import Known, find, known
from evergreen.data.snapshots import Snapshot, frame_of, snapshot_of
from evergreen.errors import EvergreenError, RefusedError
from evergreen.files import digest_text
from evergreen.gate.finding import Outcome, Verdict
from evergreen.gate.ledger import has_room_from, why_no_room
from evergreen.journal import Journal
from evergreen.monitoring.freshness import of_known
from evergreen.monitoring.signals import findings
from evergreen.moves import standing
from evergreen.releases import is_carried_out
from evergreen.revocations import in_words, learnt_by
from evergreen.status import current_state, inputs_of, is_due, waiting_of
from evergreen.triggers import Decision, Kind, State, Trigger
from evergreen.workspace import Workspace

FAILED, ANSWERED = "failed", "answered"
ASK = "ask"
DELAYS = {"cooldown", "budget", triggers.NO_ROOM}
"""Rules that say not yet."""
BY_THEMSELVES: tuple[Kind, ...] = ("data", "schedule", "drift", "decay")


@dataclass(frozen=True)
class Look:
    """What one look has read of deliveries: all reasons that it finds are weighed by the same."""

    space: Workspace
    known: Known
    inputs: str
    """Empty while a source has nothing that counts."""


def find_occasion(space: Workspace, now: datetime) -> Occasion | None:
    """The first reason to go a round now, None when there is nothing to do, or nothing that has not been tried often enough.

    Triggers that are skipped are recorded here, so no run has to be started to skip them.
    """
    for found in occasions_now(space, now):
        if attempts.are_used_up(space.journal, found):
            attempts.give_up(space.journal, found, attempts.IN_VAIN)
        elif not attempts.must_wait(space.journal, found, now):
            return found
    return None


def current_occasion(space: Workspace, now: datetime) -> Occasion | None:
    """The reason that the round which is gone now counts for: the first that has not been tried often enough."""
    return next((one for one in occasions_now(space, now) if not attempts.are_used_up(space.journal, one)), None)


def ask(space: Workspace, now: datetime, *, why: str = "") -> None:
    """Write down that a person asks for a round, before anything can go wrong; whoever asks while a request waits asks for the same."""
    if not asked(space.journal):
        trigger = Trigger("person", _look(space).inputs, now.astimezone(UTC).isoformat())
        row = {"trigger": trigger.key, "kind": trigger.kind, "inputs": trigger.inputs, "window": trigger.window}
        space.journal.add(tables.triggers, **row, action=ASK, rule="person", reason=why or "a person asked for it")


def asked(journal: Journal) -> str:
    """When a person asked for what has got no answer yet; empty when nobody waits."""
    rows = journal.rows(tables.triggers, kind="person")
    newest = next((row["window"] for row in reversed(rows) if row["action"] == ASK), "")
    answers = {row["action"] for row in rows if row["window"] == newest}
    is_answered = "skip" in answers or ("retrain" in answers and not _is_cut_short(journal, "person", newest))
    return "" if is_answered else newest


def occasions_now(space: Workspace, now: datetime) -> Iterator[Occasion]:
    """Every reason to go a round now, tried before or not; triggers that are skipped are recorded."""
    hour, landing = last_due(space.problem.retraining.cron, now).isoformat(), space.settings.landing
    found = find(landing, space.problem, settle_seconds=0, now=datetime.now(UTC)) if landing.is_dir() else None
    look = _look(space)
    waiting = waiting_of(space, found, look.known) if found else []
    place = digest_text(str(standing(space.journal).champion), *(f"{one.source} {one.name} {one.stat}" for one in waiting))
    for kind, reason in _reasons(look, now, waits=bool(waiting)):
        yield Occasion(kind, reason, look.inputs, place, hour)


def _look(space: Workspace) -> Look:
    seen = known(space.journal)
    return Look(space, seen, inputs_of(space, seen) or "")


def _reasons(look: Look, now: datetime, *, waits: bool) -> Iterator[tuple[Kind, str]]:
    """Why a round should be gone; that the last one was not gone to its end is a reason where there is no other."""
    none = True
    for change in _changes(look, now, waits=waits):
        none = False
        yield change
    if none and _is_unfinished(look):
        yield "data", "the last round was not gone to its end"


def _changes(look: Look, now: datetime, *, waits: bool) -> Iterator[tuple[Kind, str]]:
    space = look.space
    if asked(space.journal):
        yield "person", "a person asked for it"
    if waits:
        yield "data", "a delivery waits to be judged"
    if is_due(space, now):
        yield "data", "a move of the champion is due"
    for trigger, decision in _weigh(look, BY_THEMSELVES, now):
        if decision.action == "skip":
            record(space.journal, trigger, decision)
        else:
            yield trigger.kind, decision.reason


def weigh(space: Workspace, kinds: Iterable[Kind], now: datetime) -> Iterator[tuple[Trigger, Decision]]:
    """Every trigger of these kinds that there is, with what is to be made of it; whoever acts on one does not ask for the next."""
    return _weigh(_look(space), kinds, now)


def _weigh(look: Look, kinds: Iterable[Kind], now: datetime) -> Iterator[tuple[Trigger, Decision]]:
    for kind in kinds:
        trigger = _trigger(look, kind, now)
        if trigger is not None:
            yield trigger, _decide(look, trigger, now)


def _decide(look: Look, trigger: Trigger, now: datetime) -> Decision:
    """What is made of a trigger; whether the error budget has room is asked last, for it may take reading the data."""
    policy, state = look.space.problem.retraining, _state(look, trigger, now)
    decision = triggers.decide(trigger, policy, state)
    if decision.action != "retrain" or trigger.kind not in triggers.PACED:
        return decision
    snapshot = snapshot_of(look.known, look.space.problem)
    full = _no_room(look.space, snapshot, trigger, now)
    return triggers.decide(trigger, policy, replace(state, no_room=full, held=_resumable(look.space, snapshot, full=bool(full))))


def trigger_of(space: Workspace, kind: Kind, now: datetime) -> Trigger | None:
    """The trigger of a kind as it stands now; None when there is none: no hour of the schedule has passed, nothing was measured."""
    return _trigger(_look(space), kind, now)


def _trigger(look: Look, kind: Kind, now: datetime) -> Trigger | None:
    space, inputs, journal = look.space, look.inputs, look.space.journal
    if kind == "data":
        return Trigger(kind, inputs) if inputs and not _is_judged(journal, inputs) else None
    if kind == "person":
        return Trigger(kind, inputs, asked(journal) or now.astimezone(UTC).isoformat())
    if kind == "schedule":
        hour = last_due(space.problem.retraining.cron, now)
        since = datetime.fromisoformat(journal.rows(tables.about)[0]["at"])
        rows = [row for row in journal.rows(tables.triggers, kind=kind) if row["action"] not in attempts.ACTIONS]
        told = {row["window"] for row in rows if row["rule"] not in DELAYS}
        due = hour > since and hour.isoformat() not in told
        return Trigger(kind, inputs, hour.isoformat()) if due or _is_cut_short(journal, kind, hour.isoformat()) else None
    newest = _newest_signal(journal, kind)
    return Trigger(kind, inputs, newest["window"]) if newest and newest["facts"]["found"] else None


def state_of(space: Workspace, trigger: Trigger, now: datetime) -> State:
    """How things stand for a trigger, but for the error budget."""
    return _state(_look(space), trigger, now)


def _state(look: Look, trigger: Trigger, now: datetime) -> State:
    space, journal, missing = look.space, look.space.journal, look.known.lacks(look.space.problem)
    snapshot = None if missing else snapshot_of(look.known, space.problem)
    own = journal.rows(tables.triggers, trigger=trigger.key)
    begun = {row["trigger"]: row["at"] for row in reversed(journal.rows(tables.triggers, action="retrain")) if row["kind"] != "person"}
    return State(
        now=now,
        missing=missing,
        taken_back=tuple(name for name in missing if look.known.emptied(name)),
        stale=tuple(one.source for one in of_known(look.known, space.problem, now) if one.is_stale),
        spoilt=_spoilt(journal),
        is_judged=_is_judged(journal, trigger.inputs),
        failed=next((row["reason"] for row in own if row["rule"] == FAILED), ""),
        acted=next((row["action"] for row in own if row["action"] in {"retrain", "resume"}), None),
        windows=_windows(journal, trigger.kind),
        begun=tuple(map(datetime.fromisoformat, begun.values())),
        is_first=standing(journal).champion is None,
        held=_resumable(space, snapshot, full=False) if snapshot else None,
    )


def _no_room(space: Workspace, snapshot: Snapshot, trigger: Trigger, now: datetime) -> str:
    """Why the gate could promote no candidate that is made of a snapshot, in words; empty where it could, or where that is not known.

    The data are read only where the last gate left no room for another, and once for the same inputs.
    """
    journal, policy, last = space.journal, space.problem.gate, space.journal.last(tables.decisions)
    if last is None or has_room_from(journal, data_time=datetime.fromisoformat(last["data_time"]), policy=policy) is None:
        return ""
    if space.problem.time is None:
        return why_no_room(journal, data_time=now, policy=policy)
    if told := journal.last(tables.triggers, inputs=trigger.inputs, rule=triggers.NO_ROOM):
        return str(told["reason"])
    with suppress(EvergreenError):  # what the training would fail of, which then tells it
        until = frame_of(space.settings.root, journal, snapshot, space.problem).settled
        return why_no_room(journal, data_time=until.to_pydatetime(), policy=policy) if until is not None else ""
    return ""


def _spoilt(journal: Journal) -> str:
    """What the version that serves has learnt from and a person has taken back, until a version was trained that has not."""
    newest = journal.last(tables.versions)
    return in_words(learnt_by(journal, standing(journal).champion)) if newest and learnt_by(journal, newest["version"]) else ""


def record(journal: Journal, trigger: Trigger, decision: Decision) -> None:
    """Write down what is made of a trigger; what is written already is not written again."""
    row = {"trigger": trigger.key, "kind": trigger.kind, "inputs": trigger.inputs, "window": trigger.window}
    journal.add(tables.triggers, **row, action=decision.action, rule=decision.rule, reason=decision.reason)


def record_answer(journal: Journal, trigger: Trigger) -> None:
    """Write down that a training on a trigger's inputs had nothing new to learn from, so that an earlier verdict is the answer."""
    if not _is_judged(journal, trigger.inputs):
        record(journal, trigger, Decision("skip", ANSWERED, "these data teach nothing that an earlier verdict was not given on"))


def record_failure(journal: Journal, trigger: Trigger, error: Exception) -> None:
    """Write down that a training failed in a way that trying again does not mend, so that it is not tried every few minutes."""
    record(journal, trigger, Decision("skip", FAILED, str(error)))


def _is_judged(journal: Journal, inputs: str) -> bool:
    """Whether a verdict on these inputs stands: against the champion of today, about it, or carried out."""
    serves = standing(journal).champion
    if any(row["rule"] == ANSWERED for row in journal.rows(tables.triggers, inputs=inputs)):
        return True
    return any(
        serves in {row["champion"], row["candidate"]} or (row["verdict"] == Verdict.PROMOTE and is_carried_out(journal, row["candidate"]))
        for row in journal.rows(tables.decisions, inputs=inputs)
    )


def _newest_signal(journal: Journal, kind: Kind) -> dict[str, Any] | None:
    """The last that was written down of the version that serves."""
    serves = standing(journal).champion
    return next((row for row in reversed(journal.rows(tables.signals, kind=kind)) if row["facts"]["champion"] == serves), None)


def _windows(journal: Journal, kind: Kind) -> tuple[bool, ...]:
    return findings(journal, kind, standing(journal).champion) if kind in triggers.SIGNALS else ()


def _is_cut_short(journal: Journal, kind: Kind, window: str) -> bool:
    """Whether a trigger was acted upon and left no verdict."""
    acted = [row for row in journal.rows(tables.triggers, kind=kind) if row["window"] == window and row["action"] == "retrain"]
    return any(not journal.rows(tables.decisions, inputs=row["inputs"]) for row in acted)


def _is_unfinished(look: Look) -> bool:
    """Whether the last round ended elsewhere than where things stand now, as when it was killed after the verdict."""
    journal, last = look.space.journal, look.space.journal.last(tables.cycles)
    if not look.inputs:
        return False
    state = current_state(look.space, look.inputs, standing(journal).champion)
    return last is None or last["facts"].get("state") != state


def _resumable(space: Workspace, snapshot: Snapshot, *, full: bool) -> int | None:
    """A held version with something new to be judged on; while the error budget is full, only one whose look is paid for already."""
    try:
        version = resuming.held_version(space)
        resuming.refuse_changed(space, snapshot, version)
    except RefusedError:
        return None
    last = space.journal.last(tables.decisions, candidate=version.number)
    if last is None or last["snapshot"] == snapshot.id:
        return None
    is_unpaid = any(one["check"] == "budget" and one["outcome"] != Outcome.PASS for one in last["record"].get("findings", ()))
    return None if full and is_unpaid else version.number
