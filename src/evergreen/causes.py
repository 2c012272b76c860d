"""What people should be told of: found in the journal and the contract, each with its cause and the one command to run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from textwrap import shorten

from evergreen import journal as tables
from evergreen.attempts import GIVEN_UP
from evergreen.cadence import cadence, last_due
from evergreen.data.landing import active
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import has_room_from
from evergreen.monitoring.alerts import LONGEST, Alert, alert
from evergreen.monitoring.signals import findings
from evergreen.promotion import standing
from evergreen.status import freshness, in_quarantine
from evergreen.triggers import SIGNALS
from evergreen.workspace import Workspace

CADENCES = 2
"""After so many of its own cadences without a sign the loop is thought dead."""


def find_alerts(space: Workspace, now: datetime) -> list[Alert]:
    """All that holds now and that the contract wants to be told, whether it was told before or not."""
    finders = (_quarantined, _missing, _refused, _spent, _seen)
    found = [*_late(space, now), *_given_up(space, now), *(one for find in finders for one in find(space)), *_silence(space, now)]
    return [one for one in found if one.kind in space.problem.alerts.on]


def _quarantined(space: Workspace) -> Iterator[Alert]:
    for row in in_quarantine(space):
        reason = shorten(row["reason"], LONGEST, placeholder=" …").rstrip(".")
        what = f"The delivery {row['source']}/{row['name']} is in quarantine: {reason}. Nothing has taken its place."
        names = (row["source"], row["name"], row["delivery"])
        yield alert(space.problem, "quarantine", *names, what=what, command="evergreen ingest")


def _late(space: Workspace, now: datetime) -> Iterator[Alert]:
    for one in freshness(space, now):
        if one.is_stale and one.behind is not None and one.max_age is not None:
            behind = f"{_hours(one.behind)} behind {one.clock}; the contract allows {_hours(one.max_age)}"
            what = f"The source {one.source} is late: its newest row, {one.newest}, lies {behind}."
            yield alert(space.problem, "late", one.source, what=what, command="evergreen status")


def _missing(space: Workspace) -> Iterator[Alert]:
    delivered = {source.name: bool(active(space.journal, source.name)) for source in space.problem.sources}
    for name, is_there in delivered.items():
        if not is_there and any(delivered.values()):
            what = f"Nothing of the source {name} has ever been published, while others have been: no model can be trained."
            yield alert(space.problem, "missing", name, what=what, command="evergreen status")


def _refused(space: Workspace) -> Iterator[Alert]:
    """The newest verdict, unless it lets the version serve or a person has had it serve all the same."""
    row = space.journal.last(tables.decisions)
    if row is None or row["verdict"] == Verdict.PROMOTE or row["candidate"] == standing(space.journal).champion:
        return
    is_held, version = row["verdict"] == Verdict.HOLD, row["candidate"]
    what = f"{row['verdict'].upper()}: {row['record']['headline']}"
    command = f"evergreen gate resume {version}" if is_held else "evergreen history"
    yield alert(space.problem, "verdict", row["decision"], what=what, command=command)


def _spent(space: Workspace) -> Iterator[Alert]:
    """An error budget that has no room for another gate; it is the data's year, so what ends it is newer data."""
    row = space.journal.last(tables.decisions)
    if row is None:
        return
    again = has_room_from(space.journal, data_time=datetime.fromisoformat(row["data_time"]), policy=space.problem.gate)
    if again is not None:
        until = f"until outcomes reach {again:%Y-%m-%d}, no other candidate can be promoted by the gate"
        yield alert(space.problem, "budget", what=f"The error budget of the year is spent: {until}.", command="evergreen history")


def _given_up(space: Workspace, now: datetime) -> Iterator[Alert]:
    """Rounds that were gone in vain, until the schedule's hour gives them another chance."""
    hour = last_due(space.problem.retraining.cron, now).isoformat()
    for row in space.journal.rows(tables.triggers, rule=GIVEN_UP, window=hour):
        yield alert(space.problem, "failure", row["trigger"], what=f"Nothing gets done: {row['reason']}.", command="evergreen run")


def _seen(space: Workspace) -> Iterator[Alert]:
    """Drift and decay of the version that serves, where they count by the contract's `debounce`."""
    serves, (wanted, among) = standing(space.journal).champion, space.problem.retraining.debounce
    for kind in SIGNALS:
        windows = findings(space.journal, kind, serves)[-among:]
        if windows and windows[-1] and sum(windows) >= wanted:
            row = space.journal.rows(tables.signals, kind=kind)[-1]
            what = f"{kind.capitalize()} was found in {sum(windows)} of the last {len(windows)} windows: {row['facts']['sentence']}"
            yield alert(space.problem, kind, row["signal"], what=what, command="evergreen train")


def _silence(space: Workspace, now: datetime) -> Iterator[Alert]:
    """The dead man's switch: the loop has given no sign of life for too long.

    Signs are a decision, a round that ended, and a reason to retrain that was weighed, skipped or not; before them the first delivery.
    """
    newest = [space.journal.last(table) for table in (tables.decisions, tables.cycles, tables.triggers)]
    signs = [row["at"] for row in (*space.journal.rows(tables.deliveries)[:1], *newest) if row]
    every = cadence(space.problem.retraining.cron, now)
    last = max(map(datetime.fromisoformat, signs), default=now)
    if now - last > CADENCES * every:
        long = f"the schedule is every {_hours(every)}, and the last sign of life was at {last:%Y-%m-%d %H:%M} UTC"
        what = f"No gate decision for {_hours(now - last)}: {long}."
        yield alert(space.problem, "silence", last.isoformat(), what=what, command="evergreen run")


def _hours(time: timedelta) -> str:
    hours = time.total_seconds() / 3_600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"  # noqa: PLR2004 - two days
