"""What people should be told of: found in the journal and the contract, each with its cause and the one command to run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from evergreen import journal as tables
from evergreen.attempts import GIVEN_UP
from evergreen.cadence import last_due, missed
from evergreen.data.landing import Delivery, Found, Known, find, known, why_empty, why_unknown
from evergreen.errors import DataError, EvergreenError
from evergreen.files import shown
from evergreen.gate.finding import Verdict
from evergreen.gate.ledger import has_room_from
from evergreen.leases import PIPELINE, is_at_work, may_be_at_work
from evergreen.monitoring.alerts import LONGEST, Alert, Holding, alert
from evergreen.monitoring.concerns import find_concerns
from evergreen.monitoring.freshness import of_known
from evergreen.monitoring.pillars import UNFIT, Cell, accepted, failing, why_apart
from evergreen.monitoring.signals import findings
from evergreen.monitoring.undecided import undecided
from evergreen.moves import standing
from evergreen.occasions import occasions_now
from evergreen.quoting import apart, shortened
from evergreen.revocations import in_words, learnt_by
from evergreen.triggers import SIGNALS
from evergreen.workspace import Workspace

POLLS = 3
"""The silence of a loop is told so many looks of the platform after an hour of the schedule at the earliest."""
DAY = timedelta(days=1)


def find_alerts(space: Workspace, now: datetime) -> list[Alert]:
    """All that holds now and that the contract wants to be told, whether it was told before or not."""
    return what_holds(space, now).alerts


def what_holds(space: Workspace, now: datetime) -> Holding:
    """All that holds now, and of which kinds that is not known for certain."""
    lies, seen = None, None
    try:
        lies = _landed(space, now)
        seen = known(space.journal)
        new = _new(lies, seen)
        found, awaited = [*_stray(space, lies, new, now)], {one.source for one in new}
    except (DataError, OSError) as error:
        what, awaited = f"Nothing that is delivered can be judged: {error}", set()
        found = [alert(space.problem, "stray", "unlisted", what=what, command="evergreen status")]
    seen = seen or known(space.journal)
    is_listed = lies is not None and (space.settings.landing.is_dir() or not seen.rows)
    unsure = {*(("late", "missing") if awaited or not is_listed else ()), *(("quarantine", "stray") if not is_listed else ())}
    cells = accepted(space.journal, space.problem)
    unsure |= undecided(space.journal, cells, now)
    if may_be_at_work(space.journal.lease(PIPELINE), space.settings.root):
        unsure.add("silence")  # nobody says so of a loop at work, which may come to nothing
    found += [*_quarantined(space, lies, seen), *_late(space, seen, now, awaited), *_given_up(space, now), *_missing(space, seen, awaited)]
    found += [
        *(one for find in FINDERS for one in find(space)),
        *_unhealthy(space, cells),
        *_silence(space, seen, now),
        *find_concerns(space.journal, space.problem, now),
    ]
    return Holding([one for one in found if one.kind in space.problem.alerts.on], frozenset(unsure))


def _landed(space: Workspace, now: datetime) -> Found:
    landing = space.settings.landing
    return find(landing, space.problem, settle_seconds=0, now=now) if landing.is_dir() else Found((), (), ())


def _new(lies: Found, seen: Known) -> list[Delivery]:
    """What nobody has judged yet: until a round has, its source is neither late nor missing."""
    judged = {(row["source"], row["name"], row["stat"]) for row in seen.rows}
    return [one for one in lies.ready if (one.source, one.name, one.stat) not in judged]


def _quarantined(space: Workspace, lies: Found | None, seen: Known) -> Iterator[Alert]:
    """Deliveries in quarantine whose file lies in the landing folders still; whoever has left them waits for nobody. None: unknown."""
    names = None if lies is None else {(one.source, one.name) for one in lies.ready}
    for row in seen.quarantined:
        if names is not None and (row["source"], row["name"]) not in names:
            continue
        reason = shortened(apart(row["reason"]), LONGEST).rstrip(".")
        ways = "Nothing has taken its place: put a corrected file there under the same name, or remove it from the landing folder."
        what = f"The delivery {row['source']}/{row['name']} is in quarantine: {reason}. {ways}"
        cause = (row["source"], row["name"], row["delivery"])
        yield alert(space.problem, "quarantine", *cause, what=what, command="evergreen ingest")


def _stray(space: Workspace, lies: Found, new: list[Delivery], now: datetime) -> Iterator[Alert]:
    """Files that no round can judge, each with what is wrong with it."""
    faults = [(path, why_unknown(path, space.problem)) for path in lies.unknown]
    locked = (one.path for one in new if not os.access(one.path, os.R_OK))
    faults += [(path, "cannot be opened: check its permissions") for path in locked]
    late = "has been named as unfinished for more than a day: have it delivered to its end, or remove it"
    faults += [(path, late) for path in lies.waiting if _is_left(path, now)]
    for path, fault in faults:
        name = shown(path.relative_to(space.settings.landing).as_posix())
        what = f"{name} in the landing folder waits in vain. It {fault}."
        yield alert(space.problem, "stray", name, what=what, command="evergreen status")


def _is_left(path: Path, now: datetime) -> bool:
    """Whether a copy has not been written to for a day, by our own clock; what merely hides (.DS_Store, .gitkeep) is no copy."""
    if path.name.startswith("._") or "." not in path.name[1:]:
        return False
    try:
        return now.timestamp() - path.lstat().st_ctime > DAY.total_seconds()
    except OSError:
        return False  # gone meanwhile


def _late(space: Workspace, seen: Known, now: datetime, awaited: Collection[str]) -> Iterator[Alert]:
    for one in of_known(seen, space.problem, now):
        if one.source not in awaited and one.is_stale and one.behind is not None and one.max_age is not None:
            behind = f"{_hours(one.behind)} behind {one.clock}; the contract allows {_hours(one.max_age)}"
            what = f"The source {one.source} is late: its newest row, {one.newest}, lies {behind}."
            yield alert(space.problem, "late", one.source, what=what, command="evergreen status")


def _missing(space: Workspace, seen: Known, awaited: Collection[str]) -> Iterator[Alert]:
    delivered = {source.name: bool(seen.active(source.name)) for source in space.problem.sources}
    for name, is_there in delivered.items():
        if not is_there and name not in awaited and any(delivered.values()):
            words = seen.emptied(name)
            never = f"Nothing of the source {name} has ever been published, while others have been: no model can be trained."
            what = f"No model can be trained. {why_empty(name, words)}" if words else never
            command = f"evergreen batch list {name}" if words else "evergreen status"
            yield alert(space.problem, "missing", name, *(word.batch for word in words), what=what, command=command)


def _refused(space: Workspace) -> Iterator[Alert]:
    """The newest verdict, unless it lets the version serve or a person has had it serve all the same."""
    row = space.journal.last(tables.decisions)
    if row is None or row["verdict"] == Verdict.PROMOTE or row["candidate"] == standing(space.journal).champion:
        return
    is_held, version = row["verdict"] == Verdict.HOLD, row["candidate"]
    what = f"{row['verdict'].upper()}: {row['record']['headline']}"
    command = f"evergreen gate resume {version}" if is_held else "evergreen history"
    yield alert(space.problem, "verdict", row["decision"], what=what, command=command)


def _not_served(space: Workspace) -> Iterator[Alert]:
    """The newest champion that a server would not serve, until another version was promoted by the gate or a person."""
    row = space.journal.last(tables.refusals)
    if row is None:
        return
    after = [move for move in space.journal.rows(tables.promotions, state="done") if move["kind"] != "rollback"]
    if after and after[-1]["promotion"] == row["promotion"]:
        now = standing(space.journal).champion
        serves = "it is the champion still" if now == row["version"] else f"version {now} serves again, and it is barred"
        what = f"Version {row['version']} was promoted, and a server would not serve it ({serves}): {apart(row['reason'])}"
        yield alert(space.problem, "refusal", row["promotion"], what=what, command="evergreen history")


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
    """Rounds that were gone in vain, while what they were gone for is what still asks for one."""
    hour = last_due(space.problem.retraining.cron, now).isoformat()
    for row in _still(space, space.journal.rows(tables.triggers, rule=GIVEN_UP, window=hour), now):
        # Not by the trigger's key: it holds the hour, and every hour would be told anew.
        yield alert(
            space.problem, "failure", GIVEN_UP, row["reason"], what=f"Nothing gets done: {apart(row['reason'])}.", command="evergreen run"
        )


def _still(space: Workspace, given_up: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """The row of what asks for a round at this moment; the newest where that cannot be found out, for then nothing is settled."""
    if not given_up:
        return []
    try:
        asking = {one.key for one in occasions_now(space, now)}
    except EvergreenError:
        return given_up[-1:]
    return [row for row in given_up if row["trigger"] in asking]


def _seen(space: Workspace) -> Iterator[Alert]:
    """Drift and decay of the version that serves, where they count by the contract's `debounce`.

    Each is one cause for as long as that version serves, however many windows and corrections come.
    """
    serves, (wanted, among) = standing(space.journal).champion, space.problem.retraining.debounce
    for kind in SIGNALS:
        windows = findings(space.journal, kind, serves)[-among:]
        if windows and windows[-1] and sum(windows) >= wanted:
            row = [row for row in space.journal.rows(tables.signals, kind=kind) if row["facts"]["champion"] == serves][-1]
            what = f"{kind.capitalize()} was found in {sum(windows)} of the last {len(windows)} windows: {row['facts']['sentence']}"
            yield alert(space.problem, kind, str(serves), what=what, command="evergreen train")


def _unhealthy(space: Workspace, cells: list[tuple[str, str, Cell]]) -> Iterator[Alert]:
    """What is wrong with accepted data: a source in one respect is one cause for as long as it fails."""
    for source, pillar, cell in failing(space.journal, cells):
        what = f"The data of {source} are not well ({pillar}): {shortened('; '.join(cell.sentences), LONGEST)}."
        yield alert(space.problem, "health", source, pillar, what=what, command="evergreen status")


def _spoilt(space: Workspace) -> Iterator[Alert]:
    """A champion that has learnt from a batch which a person has taken back."""
    serves = standing(space.journal).champion
    if lost := learnt_by(space.journal, serves):
        waits = why_apart(space.journal, space.problem, rules=UNFIT)
        rest, command = ("", "evergreen status") if waits else (" The next training does without it.", "evergreen run")
        what = f"Version {serves} serves, and has learnt from {in_words(lost)}.{rest}"
        yield alert(space.problem, "revoked", str(serves), *(one.word.batch for one in lost), what=what, command=command)


def _silence(space: Workspace, seen: Known, now: datetime) -> Iterator[Alert]:
    """The dead man's switch: two hours of the schedule, and some patience, have passed without a sign of life of the loop.

    Signs are a decision, a round that ended, and a reason to retrain that was weighed, skipped or not; before them the first delivery.
    """
    newest = [space.journal.last(table) for table in (tables.decisions, tables.cycles, tables.triggers)]
    signs = [row["at"] for row in (*seen.rows[:1], *newest) if row]
    last = max(map(datetime.fromisoformat, signs), default=now)
    first, second = missed(space.problem.retraining.cron, last)
    patience = max((second - first) / 4, timedelta(seconds=POLLS * space.settings.poll_seconds))
    if now > second + patience and not is_at_work(space.journal, space.settings.root, seconds=space.settings.lease_seconds):
        hours = f"the schedule's hours {first:%Y-%m-%d %H:%M} and {second:%Y-%m-%d %H:%M} (UTC) passed"
        what = f"No sign of life for {_hours(now - last)}, since {last:%Y-%m-%d %H:%M} UTC: {hours}, and nothing was judged or weighed."
        yield alert(space.problem, "silence", last.isoformat(), what=what, command="evergreen run")


def _hours(time: timedelta) -> str:
    hours = time.total_seconds() / 3_600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"  # noqa: PLR2004 - two days


FINDERS = (_refused, _not_served, _spent, _seen, _spoilt)
"""What the journal alone tells."""
