"""A version in shadow: one process reads what was served from the journal and writes down what another one, that has the model, says of it.

Nobody waits for either, and who answers requests does not know of them. The model gets what the machine has left; the process that writes
gets a little more, for whoever holds a database's only lock must not be kept from the end of its transaction.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import EvergreenError
from evergreen.serving.worker import FAILED, READY, Order, end_with_parent, work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from evergreen.journal import Journal
    from evergreen.journal.mirror import Account, Asked

PAUSE_SECONDS = 0.5
"""Between two looks into the log when nothing waits there, and between two words to whoever started the process."""
BATCH_ROWS = 500
NICE, LEAST_NICE = 10, 19
ANSWER_SECONDS = 300.0
"""A model that is silent for so long is taken for stuck: it gets little of a busy machine, but not nothing."""
MOST_DEATHS = 30
MOST_NAMES = 10
Columns = dict[str, list[Any]]
Rows = list[dict[str, Any]]
Told = tuple[str, dict[str, int]]


class Unanswered(Exception):  # noqa: N818 - what a model says of rows is no error of ours
    """The model failed at these rows; the message is its own, in one line."""


class HungUpError(Exception):
    """Nobody wants to know what the version says any more."""


class GoneError(Exception):
    """There is no process of the version any more; `said` is the word for it, FAILED or HINDERED."""

    def __init__(self, said: str, sentence: str) -> None:
        super().__init__(sentence)
        self.said = said


def mirror(connection: Connection, order: Order, url: str, shadow: tuple[int, int], most_rows: int) -> None:
    """Ask a version about every row of the log from a number on, until the other end of `connection` is closed.

    It sends (READY, facts), (FAILED, sentence) or (HINDERED, sentence) first, as `evergreen.serving.worker.work` does, then
    (sentence, account) after each batch; the sentence says why the journal cannot be used, and is empty while it can.

    Parameters
    ----------
    url
        The journal's.
    shadow
        `Shadow.number` and `Shadow.since`.
    most_rows
        When more rows wait, all but the newest half of so many are left out and counted.
    """
    import msgpack

    end_with_parent()
    with suppress(OSError):
        os.nice(NICE)
    model = Model(order, connection)
    with suppress(HungUpError, EOFError, OSError):
        said, facts = model.start()
        connection.send_bytes(msgpack.packb((said, facts)))
        if said != READY:
            return
        try:
            _tell(connection, _follow(model.ask, url, shadow, most_rows))
        except GoneError as error:
            connection.send_bytes(msgpack.packb((error.said, str(error))))


def _tell(connection: Connection, follows: Iterator[Told]) -> None:
    import msgpack

    quiet_until = 0.0
    for told in follows:
        is_idle = bool(told[0]) or not told[1]["waiting"]
        if is_idle or time.monotonic() >= quiet_until:
            connection.send_bytes(msgpack.packb(told))
            quiet_until = time.monotonic() + PAUSE_SECONDS
        if connection.poll(PAUSE_SECONDS if is_idle else 0):  # nothing is ever sent here: the line is closed
            return


class Model:
    """The process that has the model and gets what the machine has left. It ends when the line to it is closed.

    Parameters
    ----------
    hung_up
        Readable when nobody wants to know any more.
    """

    def __init__(self, order: Order, hung_up: Connection) -> None:
        self._order, self._hung_up = order, hung_up
        self._line: Connection | None = None
        self._process = self._deaths = 0
        self._features: list[str] = []

    def start(self) -> tuple[str, Any]:
        """Load the version: what its process says of it first."""
        import msgpack

        ours, theirs = Pipe()
        self._process = os.fork()
        if self._process == 0:
            try:
                ours.close()
                self._hung_up.close()
                _step_back()
                work(theirs, self._order)
            finally:
                os._exit(0)
        theirs.close()
        self._line = ours
        said, facts = msgpack.unpackb(self._heard())
        if said == READY:
            self._features = list(facts["example"])
        return said, facts

    def ask(self, rows: Rows) -> Columns:
        """What it says of rows.

        Raises
        ------
        Unanswered
            It fails at these rows, or its process ends at them; another one is there then.
        GoneError
            That has happened too often, or another one cannot be had.
        """
        import msgpack

        if missing := sorted({name for row in rows for name in self._features if name not in row}):
            from evergreen.journal.mirror import lacking

            raise Unanswered(lacking(missing[:MOST_NAMES]))
        assert self._line is not None  # noqa: S101 - it was started
        try:
            self._line.send_bytes(msgpack.packb((0, {name: [row[name] for row in rows] for name in self._features})))
            _, fault, said = msgpack.unpackb(self._heard())
        except (EOFError, OSError):
            self._start_again()
            raise Unanswered(f"The process of the version ended, or took more than {ANSWER_SECONDS:g} s.") from None
        if fault is not None:
            raise Unanswered(fault)
        answers: Columns = said
        return answers

    def end(self) -> None:
        """End its process."""
        if self._line is not None:
            self._line.close()
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        self._process = 0

    def _start_again(self) -> None:
        self._deaths += 1
        self.end()
        if self._deaths > MOST_DEATHS:
            raise GoneError(FAILED, f"its process ended {self._deaths} times at rows that it was asked about, or took too long")
        said, told = self.start()
        if said != READY:
            raise GoneError(said, told)

    def _heard(self) -> bytes:
        """What the process says next; EOFError when it is gone or silent for too long, HungUpError when nobody wants to know."""
        assert self._line is not None  # noqa: S101 - it was started
        heard = wait([self._hung_up, self._line], ANSWER_SECONDS)
        if self._hung_up in heard:
            raise HungUpError
        if not heard:
            raise EOFError
        return self._line.recv_bytes()


def _step_back() -> None:
    with suppress(OSError):
        os.nice(LEAST_NICE)
    with suppress(OSError, AttributeError):  # Linux only: whoever else wakes up goes first at once
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):  # the same: where memory is short, this is what is given up
        Path("/proc/self/oom_score_adj").write_text("1000")


def _follow(ask: Callable[[Rows], Columns], url: str, shadow: tuple[int, int], most_rows: int) -> Iterator[Told]:
    """Score batch after batch; after each, and while nothing waits, what there is to tell."""
    from evergreen.journal import Journal
    from evergreen.journal import mirror as log

    journal: Journal | None = None
    so_far: Account | None = None
    at, (number, since) = 0, shadow
    while True:
        told: Told
        try:
            if journal is None or so_far is None:
                journal = journal or Journal(url)
                at, so_far = log.position(journal, number, since=since), log.account(journal, number, since=since)
            if log.newest_served(journal) - at > most_rows and log.count_waiting(journal, at) > most_rows:
                at, dropped = log.skip(journal, number, at, keep=most_rows // 2)
                so_far = replace(so_far, dropped=so_far.dropped + dropped)
            if rows := log.next_rows(journal, at, most=BATCH_ROWS):
                failed = write(journal, number, rows, ask)
                at = rows[-1].number
                so_far = replace(so_far, scored=so_far.scored + len(rows) - failed, failed=so_far.failed + failed)
            so_far = replace(so_far, waiting=log.count_waiting(journal, at) if len(rows) == BATCH_ROWS else 0)
            told = "", asdict(so_far)
        except EvergreenError as error:
            told, so_far = (str(error), {}), None
        yield told


def write(journal: Journal, shadow: int, rows: list[Asked], ask: Callable[[Rows], Columns]) -> int:
    """Ask the version about rows and write down what it says, or why it says nothing; at how many it failed."""
    import orjson

    from evergreen.journal import shadowed
    from evergreen.journal.each import add_each

    answers = _answers([orjson.loads(row.inputs) for row in rows], ask)
    said = [{"shadow": shadow, "served": row.number, "answer": one, "fault": why} for row, (one, why) in zip(rows, answers, strict=True)]
    unfit = add_each(journal, shadowed, said)
    if unfit:
        journal.add_new(shadowed, [{**row, "answer": None, "fault": f"What it said was not written down. {why}"} for row, why in unfit])
    return sum(why is not None for _, why in answers) + sum(row["fault"] is None for row, _ in unfit)


def _answers(inputs: Rows, ask: Callable[[Rows], Columns]) -> list[tuple[str | None, str | None]]:
    """For each row what the model says, as JSON, or why it says nothing; where it fails at several, they are asked about by halves."""
    import orjson

    try:
        said = ask(inputs)
    except Unanswered as error:
        if len(inputs) == 1:
            return [(None, str(error))]
        half = len(inputs) // 2
        return [*_answers(inputs[:half], ask), *_answers(inputs[half:], ask)]
    return [(orjson.dumps({name: values[at] for name, values in said.items()}).decode(), None) for at in range(len(inputs))]
