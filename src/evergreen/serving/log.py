"""The log of predictions, as the front sees it: a bounded queue that a process of its own writes into the journal."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from evergreen.files import write_bytes
from evergreen.serving.line import Line
from evergreen.serving.recorder import record
from evergreen.serving.workers import DiedError, join, launch

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

PAUSE_SECONDS = 0.1
"""Predictions are written together that come within this time."""
MESSAGE_REQUESTS = 2_000
"""The requests of one message at most."""
RESTART_SECONDS = 1.0
Replied = tuple[bool, int, str]
Entry = tuple[list[str], list[Any], str, int, dict[str, list[Any]], dict[str, list[Any]]]


class PredictionLog:
    """Takes predictions in at once and has them written; what is not written when the server ends waits in a file for the next start.

    Parameters
    ----------
    url
        The journal's.
    leftovers
        The file for what could not be written.
    most_rows
        So many rows may wait.
    """

    def __init__(self, url: str, leftovers: Path, *, most_rows: int) -> None:
        self.written = self.dropped = 0
        self.trouble = ""
        """Why the newest try to write failed."""
        self._url, self._leftovers, self._most = url, leftovers, most_rows
        self._waiting: deque[Entry] = deque()
        self._sent: list[Entry] = []
        self._rows = 0
        self._has_some = asyncio.Event()
        self._has_leftovers = False
        self._process: ForkServerProcess | None = None
        self._line: Line | None = None
        self._replies: asyncio.Queue[Replied | None] = asyncio.Queue()
        """What the recorder says, see there; None: it is gone."""

    @property
    def waiting_rows(self) -> int:
        """Predictions that are not in the journal yet."""
        return self._rows

    @property
    def is_full(self) -> bool:
        """Whether one more prediction could not be logged."""
        return self._rows >= self._most

    def put(self, entry: Entry) -> None:
        """Log the rows of one request; where there is no room they are counted as dropped."""
        if self.is_full:
            self.dropped += len(entry[0])
            return
        self._waiting.append(entry)
        self._rows += len(entry[0])
        self._has_some.set()

    async def run(self) -> None:
        """Write what comes; ends when it is cancelled."""
        self._take_leftovers()
        while True:
            if not (self._waiting or self._sent):
                self._has_some.clear()
                await self._has_some.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                while self._waiting or self._sent:
                    await self._write_some()
            except DiedError:
                self.trouble = "the process that writes the log has ended; it is started again"
                await asyncio.sleep(RESTART_SECONDS)

    async def close(self, *, seconds: float) -> int:
        """Write the rest, into a file first: what the journal has not taken in time is left in it. How many predictions these are.

        Raises
        ------
        OSError
            There is no room for the file, and the journal did not take them.
        """
        fault = self._leave()
        try:
            async with asyncio.timeout(seconds):
                while self._waiting or self._sent:
                    await self._write_some()
        except (TimeoutError, DiedError):
            pass
        await self._hang_up()
        left = sum(len(entry[0]) for entry in (*self._sent, *self._waiting))
        if not left:
            self._leftovers.unlink(missing_ok=True)
        elif fault is not None:
            raise fault
        return left

    def _leave(self) -> OSError | None:
        waiting = [*self._sent, *self._waiting]
        try:
            if waiting:
                write_bytes(self._leftovers, msgpack.packb(waiting))
        except OSError as error:
            return error
        return None

    async def _write_some(self) -> None:
        """Send what waits and wait until it is in the journal, however often the recorder must try."""
        line = self._line or await self._start()
        while self._waiting and len(self._sent) < MESSAGE_REQUESTS:
            self._sent.append(self._waiting.popleft())
        try:
            line.send(msgpack.packb(self._sent))
            while (reply := await self._replies.get()) is not None and not reply[0]:
                self.trouble = reply[2]
        except asyncio.CancelledError:
            await self._hang_up()  # its answer would be taken for another's; what it has written is not written twice
            raise
        if reply is None:
            await self._hang_up()
            raise DiedError
        rows = sum(len(entry[0]) for entry in self._sent)
        if self._has_leftovers and not self._waiting:
            self._leftovers.unlink(missing_ok=True)  # they came first, so they are in the journal
            self._has_leftovers = False
        _, refused, self.trouble = reply
        if refused:
            logging.getLogger(__name__).error("%d predictions are lost: %s", refused, self.trouble)
        self.written, self.dropped = self.written + rows - refused, self.dropped + refused
        self._rows, self._sent = self._rows - rows, []

    async def _start(self) -> Line:
        try:
            self._process, connection = await asyncio.to_thread(launch, record, self._url)
            self._replies = asyncio.Queue()
            self._line = await Line.over(connection, partial(_put, self._replies), partial(self._replies.put_nowait, None))
        except (OSError, EOFError):  # no process or no file more can be had now
            raise DiedError from None
        return self._line

    async def _hang_up(self) -> None:
        line, process, self._line, self._process = self._line, self._process, None, None
        if line is not None:
            line.close()
        if process is not None:
            await asyncio.to_thread(join, process, seconds=RESTART_SECONDS)

    def _take_leftovers(self) -> None:
        try:
            left = [(*entry,) for entry in msgpack.unpackb(self._leftovers.read_bytes())]
            rows = [len(entry[0]) for entry in left]
        except FileNotFoundError:
            return
        except Exception as error:  # whatever is in it, the server does not stand or fall by it
            damaged = self._leftovers.with_suffix(".damaged")
            with suppress(OSError):
                self._leftovers.replace(damaged)
            self.trouble = f"what was left to be logged in {self._leftovers} cannot be read ({error}); it is {damaged.name} now"
            return
        self._waiting.extendleft(reversed(left))
        self._rows += sum(rows)
        self._has_leftovers = bool(left)


def _put(replies: asyncio.Queue[Replied | None], message: bytes) -> None:
    replies.put_nowait(msgpack.unpackb(message))
