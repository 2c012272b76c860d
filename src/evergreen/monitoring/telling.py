"""Telling alerts: each cause once in a cooldown and once when it is over; what no address has taken is sent once more."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.errors import LostError, without_passwords
from evergreen.files import digest_text
from evergreen.journal import Journal
from evergreen.monitoring.alerts import RESOLVED, Alert, Holding, as_told, is_of_a_fetch, is_of_a_look, resolved
from evergreen.monitoring.channels import Channels
from evergreen.quoting import revealed

Turn = Literal["first", "again"]
AGAIN, SENT = "again", "sent"
"""Kinds of the journal's rows that follow an alert's own: it is sent once more; an address has taken it."""
SENDING = timedelta(minutes=1)
"""Longer than sending takes: after it, what has no row that it was sent was not. Each time that it fails, twice as long is waited."""
DOUBLINGS = 6
HOUR = timedelta(hours=1)
LATELY = timedelta(days=30)
"""What was told before that is over without a word, as after a long rest of the loop."""
ONE_BY_ONE = frozenset({"late", "stray", "health", "bias"})
"""Kinds whose cause names a source, a file or a version and nothing that changes meanwhile. Others may go on as another cause of the same
kind (a delivery that was corrected and is wrong still): they are over when nothing of their kind holds."""
EACH = ONE_BY_ONE | {"quarantine"}
"""Kinds of which several hold at once. Of the others one takes another's place, as a verdict does."""


@dataclass
class Memory:
    """What was told already: the journal knows, and while it cannot be used, empty files in the system's folder for temporary ones do."""

    journal: Journal | None
    home: Path
    """Names the files, so that two homes of one problem do not silence each other."""
    fault: str = ""
    """Why the journal cannot be used."""
    noted: set[str] = field(default_factory=set)
    """Causes that the journal has a row of, by this very process."""

    def turn(self, one: Alert, cooldown: timedelta, has_addresses: bool, now: datetime) -> Turn | None:
        """Whether an alert is to be told now, for the first time in its cooldown or once more; of several processes one gets a turn."""
        if self.journal is not None and not self.fault:
            try:
                turn = _turn(self.journal, one, cooldown=cooldown, has_addresses=has_addresses, now=now)
            except LostError:
                raise
            except Exception as error:  # whatever is wrong with the journal, people are told
                self.fault = str(error)
            else:
                self.noted |= {one.cause} if turn else set()
                return turn
        return "first" if _is_first_this_hour(self.home, one.cause, now) else None

    def keep_sent(self) -> None:
        """Write down that an address has taken what was told; where that cannot be written it is sent once more, rather than never."""
        if self.journal is None or not self.noted:
            return
        with suppress(Exception):
            last = {cause: self.journal.last(tables.alerts, cause=cause) for cause in sorted(self.noted)}
            rows = [{"cause": cause, "kind": SENT, "text": "", "after": row["seq"]} for cause, row in last.items() if row]
            self.journal.add_all([(tables.alerts, row) for row in rows])

    @property
    def notes(self) -> list[str]:
        """What to say besides, where the journal could not be used."""
        return [f"The journal could not keep what is told here: {without_passwords(self.fault)}"] if self.fault else []


def tell(memory: Memory, alerts: list[Alert], *, channels: Channels, cooldown: timedelta, now: datetime) -> list[Alert]:
    """Tell what was not told within its cooldown, and send once more what no address has taken.

    The journal's row is written before anything is sent, and another one after an address took it. A journal or a channel that fails is
    told on the console and raises nothing.

    Returns
    -------
    list of Alert
        Those that were told or sent once more.

    Raises
    ------
    LostError
        Another process has taken over; it tells the rest.
    """
    due: list[tuple[Alert, Turn]] = []
    try:
        for one in alerts:
            if turn := memory.turn(one, cooldown, bool(channels.urls), now):
                due.append((one, turn))  # noqa: PERF401 - what is due already must be known when the next one raises
    finally:  # what has its row is told, whatever becomes of the others
        _pass_on(memory, due, channels)
    return [one for one, _ in due]


def failures(journal: Journal, problem: Problem, now: datetime) -> list[Alert]:
    """Runs of which it was told within the cooldown that they failed, and that are not over: perhaps no address has taken it."""
    told, ended = (telling[0] for telling in tellings(journal)), _last_round(journal)
    recent = [row for row in told if row["kind"] == "failure" and _between(row, now) < problem.alerts.cooldown]
    return [as_told(problem, row) for row in recent if not _is_of_a_round(row) or not _is_before(row, ended)]


def fetches_over(journal: Journal, problem: Problem) -> list[Alert]:
    """The word, for whoever has fetched deliveries just now, that what people were told of failed fetches holds no longer."""
    told = (telling[0] for telling in tellings(journal))
    return [resolved(problem, row) for row in told if row["kind"] == "failure" and is_of_a_fetch(row)]


def resolutions(journal: Journal, problem: Problem, holding: Holding, looked: datetime | None, now: datetime) -> list[Alert]:
    """What people were told of and holds no longer, given what holds now, and when the platform's last look came to its end.

    What was resolved within the cooldown is among these: perhaps no address has taken the word of it.
    """
    may_hold, cooldown = holding.unsure | {one.cause for one in holding.alerts}, problem.alerts.cooldown
    rows = [row for row in (telling[0] for telling in tellings(journal)) if row["cause"] not in may_hold]
    going_on = holding.unsure | ({one.kind for one in holding.alerts} - ONE_BY_ONE)
    ended = [row for row in rows if row["kind"] in set(problem.alerts.on) - going_on and _between(row, now) < max(LATELY, cooldown)]
    failed, round_ended = [row for row in ended if row["kind"] == "failure"], _last_round(journal)
    # No round and no look ends the failure of a fetch: whoever fetches again does.
    over = [row for row in failed if not is_of_a_fetch(row) and _is_before(row, looked if is_of_a_look(row) else round_ended)]
    # Of some kinds only the newest: those before it became another one long ago.
    newest = {row["kind"]: row["cause"] for row in journal.rows(tables.alerts) if row["kind"] not in {AGAIN, SENT, RESOLVED}}
    over += [row for row in ended if row not in failed and (row["kind"] in EACH or newest[row["kind"]] == row["cause"])]
    lately = [row for row in rows if row["kind"] == RESOLVED and _between(row, now) < cooldown]
    return [
        *(resolved(problem, row) for row in over),
        *(Alert(RESOLVED, row["cause"], problem.name, row["text"], "", "") for row in lately),
    ]


def tellings(journal: Journal) -> list[list[dict[str, Any]]]:
    """For each cause the rows since it was last told, or was last told to be over: that row, and those of sending it."""
    by_cause: dict[str, list[dict[str, Any]]] = {}
    for row in journal.rows(tables.alerts):
        if row["kind"] in {AGAIN, SENT}:
            by_cause.setdefault(row["cause"], []).append(row)
        else:
            by_cause[row["cause"]] = [row]
    return list(by_cause.values())


def _pass_on(memory: Memory, due: list[tuple[Alert, Turn]], channels: Channels) -> None:
    """To the console what is told for the first time, to the addresses all of it in one message."""
    if not due:
        return
    is_news = any(turn == "first" for _, turn in due)
    for one, turn in due:
        if turn == "first":
            channels.say(revealed(one.text))
    faults = channels.send(f"Evergreen: {due[0][0].problem}", "\n\n".join([*(revealed(one.text) for one, _ in due), *memory.notes]))
    for sentence in [*memory.notes, *faults] if is_news else []:
        channels.say(sentence)
    if len(faults) < len(channels.urls):
        memory.keep_sent()


def _turn(journal: Journal, one: Alert, *, cooldown: timedelta, has_addresses: bool, now: datetime) -> Turn | None:
    rows = journal.rows(tables.alerts, cause=one.cause)
    begun = max((place for place, row in enumerate(rows) if row["kind"] not in {AGAIN, SENT}), default=0)
    telling = rows[begun:]
    is_over = one.kind == "failure" and bool(telling) and _is_of_a_round(telling[0]) and _is_before(telling[0], _last_round(journal))
    if is_over or _is_news(one, rows, telling, cooldown=cooldown, now=now):
        turn: Turn = "first"
    elif has_addresses and _is_about(telling, one) and _was_not_sent(telling, now):
        turn = "again"
    else:
        return None
    kind, text = (one.kind, one.text) if turn == "first" else (AGAIN, "")
    is_ours = journal.add(tables.alerts, cause=one.cause, kind=kind, text=text, after=rows[-1]["seq"] if rows else 0)
    return turn if is_ours else None


def _is_news(one: Alert, rows: list[dict[str, Any]], telling: list[dict[str, Any]], *, cooldown: timedelta, now: datetime) -> bool:
    """Whether nobody was told within the cooldown. What comes back after it was resolved is news; what comes and goes stays open."""
    if one.kind == RESOLVED:
        lately = any(row["kind"] == RESOLVED and _between(row, now) < cooldown for row in rows)
        return bool(telling) and telling[0]["kind"] != RESOLVED and not lately
    return not telling or telling[0]["kind"] == RESOLVED or _between(telling[0], now) >= cooldown


def _is_of_a_round(row: dict[str, Any]) -> bool:
    return not is_of_a_look(row) and not is_of_a_fetch(row)


def _last_round(journal: Journal) -> datetime | None:
    """When a round was last gone to its end: what failed before it is over, whether that was told or not."""
    row = journal.last(tables.cycles)
    return datetime.fromisoformat(row["at"]) if row else None


def _is_before(row: dict[str, Any], moment: datetime | None) -> bool:
    return moment is not None and datetime.fromisoformat(row["at"]) < moment


def _is_about(telling: list[dict[str, Any]], one: Alert) -> bool:
    """Whether what was told last is what is to be told: that it holds, or that it is over."""
    return bool(telling) and (telling[0]["kind"] == RESOLVED) == (one.kind == RESOLVED)


def _was_not_sent(telling: list[dict[str, Any]], now: datetime) -> bool:
    """Whether no address has taken it, and nobody is just sending it."""
    pause = SENDING * 2 ** min(len(telling) - 1, DOUBLINGS)
    return all(row["kind"] != SENT for row in telling) and _between(telling[-1], now) >= pause


def _between(row: dict[str, Any], now: datetime) -> timedelta:
    """The distance, not the age: a clock that was set back silences nothing for longer than a cooldown."""
    return abs(now - datetime.fromisoformat(row["at"]))


def _is_first_this_hour(home: Path, cause: str, now: datetime) -> bool:
    """Whether a cause was not told without the journal within the hour; where no file can say so, it is told."""
    me = os.getuid()
    try:
        stamp = Path(tempfile.gettempdir()) / f"evergreen-{digest_text(str(home), cause)[:32]}-{me}.told"
        with suppress(FileNotFoundError):
            known = stamp.lstat()
            if known.st_uid == me and abs(now.timestamp() - known.st_mtime) < HOUR.total_seconds():
                return False
        # Its time is all that it holds, so it can be made where a disk is full.
        os.close(os.open(stamp, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        os.utime(stamp, (now.timestamp(), now.timestamp()))
    except OSError:
        pass
    return True
