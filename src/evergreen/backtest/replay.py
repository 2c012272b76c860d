"""One policy, played through: look, decide, train, judge, put in place. Nothing is known but what was known then."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.backtest.fits import Candidate, Fits
from evergreen.backtest.judging import Gate, Judged, Serving
from evergreen.backtest.periods import Period
from evergreen.backtest.plans import Plan
from evergreen.backtest.world import World, due_in
from evergreen.cadence import last_due
from evergreen.candidate import DECISION
from evergreen.errors import EvergreenError
from evergreen.facts import golden_rows
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import why_no_room
from evergreen.journal import Journal
from evergreen.monitoring import decay, drift
from evergreen.monitoring.signals import drift_of
from evergreen.monitoring.windows import end_of, newest
from evergreen.occasions import BY_THEMSELVES
from evergreen.triggers import SIGNALS, Decision, Kind, State, Trigger, decide

FIRST, SKIPPED, FAILED, UNGATED = "first model", "skip", "failed", "put in place"


@dataclass(frozen=True)
class Event:
    """What a policy made of one look."""

    at: pd.Timestamp
    action: str
    """FIRST, "retrain", or SKIPPED."""
    rule: str
    reason: str
    verdict: str = ""
    """The gate's, UNGATED or FAILED; empty where nothing was trained."""
    stopped_by: tuple[str, ...] = ()
    promoted: bool = False


@dataclass
class Course:
    """What became of a policy; it grows while it is played."""

    plan: Plan
    champion: Serving
    anchor: Serving
    since: pd.Timestamp
    events: list[Event]
    terms: list[tuple[pd.Timestamp, Candidate]]
    """From when on which candidate predicted."""
    begun: list[pd.Timestamp] = field(default_factory=list)
    found: dict[Kind, list[bool]] = field(default_factory=lambda: {"drift": [], "decay": []})
    """Whether drift and decay of the present champion were found, look by look."""
    judged: set[str] = field(default_factory=set)
    """Inputs on which a verdict was given."""

    def put_in_place(self, one: Serving, at: pd.Timestamp) -> None:
        """Let a candidate predict from a moment on."""
        self.champion, self.since = one, at
        self.anchor = one if one.judged.rebase_anchor else self.anchor
        self.terms.append((at, one.candidate))
        self.found = {"drift": [], "decay": []}


@dataclass(frozen=True)
class Stage:
    """What all policies share."""

    period: Period
    fits: Fits
    gate: Gate
    seen: dict[tuple[str, pd.Timestamp, pd.Timestamp], bool] = field(default_factory=dict)
    """Whether a signal was found, by its kind, and of which champion, since when and at which moment."""
    progress: Callable[[str], None] = lambda _: None

    @property
    def world(self) -> World:
        """What is played again."""
        return self.fits.world


def play(plan: Plan, stage: Stage) -> Course:
    """Play a policy through the period.

    All policies begin with the same first model, whatever the gate says of it: how often to train is the question, not whether.

    Raises
    ------
    EvergreenError
        The first model cannot be trained.
    """
    first = stage.period.first
    with _ledger() as ledger:
        candidate = stage.fits.at(first)
        judged = stage.gate.first(candidate, ledger)
        serving = Serving(candidate, judged)
        told = Event(first, FIRST, "", "there is none before it", str(judged.verdict), judged.stopped_by, promoted=True)
        course = Course(plan, serving, serving, first, [told], [(first, candidate)])
        before = first
        for at in plan.times(stage.period):
            stage.progress(f"{plan.name}: {at:%Y-%m-%d}")
            _look(course, stage, ledger, before=before, at=at)
            before = at
    return course


def decisions_of(course: Course, stage: Stage, rows: pd.DataFrame) -> np.ndarray:
    """What was decided for rows of the period: each by the candidate that served when its prediction was due."""
    ends = [*(begin for begin, _ in course.terms[1:]), stage.period.end]
    parts = [
        candidate.answers(due_in(rows, begin, end).index.to_numpy())[DECISION]
        for (begin, candidate), end in zip(course.terms, ends, strict=True)
    ]
    return np.asarray(pd.concat(parts).loc[rows.index].to_numpy())


@contextmanager
def _ledger() -> Iterator[Journal]:
    """A journal of its own: what one policy spends is not another's."""
    with tempfile.TemporaryDirectory(prefix="evergreen-backtest-") as folder:
        journal = Journal(f"sqlite:///{Path(folder) / 'journal.db'}")
        try:
            yield journal
        finally:
            journal.close()


def _look(course: Course, stage: Stage, ledger: Journal, *, before: pd.Timestamp, at: pd.Timestamp) -> None:
    trigger, decision = _decide(course, stage, ledger, before=before, at=at)
    if decision.action != "retrain":
        course.events.append(Event(at, SKIPPED, decision.rule, decision.reason))
        return
    course.begun.append(at)
    try:
        candidate = stage.fits.at(at)
        judged = _judge(course, stage, candidate, ledger)
    except EvergreenError as error:
        course.events.append(Event(at, "retrain", decision.rule, str(error), FAILED))
        return
    course.judged.add(trigger.inputs)
    promoted = not course.plan.is_gated or judged.verdict is Verdict.PROMOTE
    word = str(judged.verdict) if course.plan.is_gated else UNGATED
    course.events.append(Event(at, "retrain", decision.rule, decision.reason, word, judged.stopped_by, promoted))
    if promoted:
        course.put_in_place(Serving(candidate, judged), at)


def _judge(course: Course, stage: Stage, candidate: Candidate, ledger: Journal) -> Judged:
    if course.plan.is_gated:
        return stage.gate.later(candidate, course.champion, course.anchor, ledger=ledger)
    return Judged(Verdict.PROMOTE, (), is_too_small=False, margin_next=None, rebase_anchor=True, level=None)


def _decide(course: Course, stage: Stage, ledger: Journal, *, before: pd.Timestamp, at: pd.Timestamp) -> tuple[Trigger, Decision]:
    """What is made of the look: the first reason to train, or why none is one."""
    wanted = [kind for kind in BY_THEMSELVES if kind in course.plan.policy.on]
    for kind in wanted:
        if kind in SIGNALS:
            course.found[kind].append(_is_found(course, stage, kind, at))
    frame = stage.world.at(at)
    inputs, no_room = stage.world.content(frame.labelled), ""
    if course.plan.is_gated and frame.settled is not None:
        no_room = why_no_room(ledger, data_time=frame.settled.to_pydatetime(), policy=stage.world.problem.gate)
    skipped = list[tuple[Trigger, Decision]]()
    for kind in wanted:
        if not _is_there(course, kind, before=before, at=at):
            continue
        trigger = Trigger(kind, inputs, at.isoformat())
        decision = decide(trigger, course.plan.policy, _state(course, trigger, at, no_room))
        if decision.rule == "schedule" and not course.plan.obeys_cron:
            decision = replace(decision, reason="its day has come, and there is something new to learn from")
        if decision.action == "retrain":
            return trigger, decision
        skipped.append((trigger, decision))
    why = f"nothing asks for it: no {', no '.join(wanted)}" if wanted else "the contract lets nothing set a training going"
    return next(iter(skipped), (Trigger("person", inputs), Decision("skip", "nothing", why)))


def _is_there(course: Course, kind: Kind, *, before: pd.Timestamp, at: pd.Timestamp) -> bool:
    """Whether there is such a trigger at all."""
    if kind == "schedule" and course.plan.obeys_cron:
        return last_due(course.plan.policy.cron, at.to_pydatetime()) > before.to_pydatetime()
    return kind not in SIGNALS or course.found[kind][-1]


def _state(course: Course, trigger: Trigger, at: pd.Timestamp, no_room: str) -> State:
    return State(
        now=at.to_pydatetime(),
        is_judged=trigger.inputs in course.judged,
        windows=tuple(course.found.get(trigger.kind, ())),
        begun=tuple(moment.to_pydatetime() for moment in course.begun),
        no_room=no_room,
    )


def _is_found(course: Course, stage: Stage, kind: Kind, at: pd.Timestamp) -> bool:
    key = (f"{kind} {course.champion.candidate.name} {course.champion.judged.level}", course.since, at)
    if key not in stage.seen:
        stage.seen[key] = (_drift if kind == "drift" else _decay)(course, stage, at)
    return stage.seen[key]


def _drift(course: Course, stage: Stage, at: pd.Timestamp) -> bool:
    """As `monitoring.signals` does it: the newest rows against the champion's training rows, its answers against those to its holdout."""
    world, one = stage.world, course.champion.candidate
    problem, frame, split = world.problem, world.at(at), world.split(one.moment)
    golden = golden_rows(problem, split).index
    then = one.answers(golden[golden >= one.begin].to_numpy())
    now = one.answers(newest(due_in(frame.rows, course.since, at), frame.time, days=problem.retraining.drift.days).index.to_numpy())
    said = drift.Said(then, now)
    return drift_of(frame, split.train, features=list(problem.features), policy=problem.retraining.drift, said=said).found


def _decay(course: Course, stage: Stage, at: pd.Timestamp) -> bool:
    """The newest outcomes of rows that the champion predicted, against what it cost on its holdout."""
    world, one = stage.world, course.champion.candidate
    problem, labelled = world.problem, world.at(at).labelled
    rows = due_in(newest(labelled, problem.time, days=problem.retraining.decay.days), course.since, at)
    rows = rows.assign(**{DECISION: one.answers(rows.index.to_numpy())[DECISION]})
    record = {"cost_level": course.champion.judged.level, "provenance": {"contract": problem.digest()}}
    return decay.judge(problem, rows, record, window_end=end_of(labelled, problem.time)).found
