"""Requests that wait together are predicted together: one queue, one batch under way, and no timer that anybody waits for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from evergreen.limits import OnlinePolicy
from evergreen.serving.schema import Asked, Schema
from evergreen.serving.workers import Columns, DiedError, Refused, Worker

BATCH_ROWS = 64
"""So many rows are not kept waiting for more."""
MOST_ROWS = 128
"""A batch takes so many of the rows that wait already, for it takes hardly longer than a small one; a larger request is one of its own.
While its answers are written nobody else is heard: with 512, five times as many as can be answered were told so in up to 65 ms, not 34."""
QUIET_TURNS = 3
"""A batch is closed when so many turns of the event loop have brought no request."""
SWEEP_SECONDS = 0.05
STUCK_DEADLINES = 5
"""A worker that computes for so many deadlines is taken for stuck, and ended."""


class FullError(Exception):
    """So many rows wait that this request is refused at once."""


class UnavailableError(Exception):
    """No worker can answer at this moment."""


class LateError(Exception):
    """The answer did not come in time."""


@dataclass
class Answered:
    """What a version said of the rows of one request."""

    version: int
    answers: Columns
    asked: Asked
    """The rows as that version has read them."""


@dataclass
class Tally:
    """How many requests a version was sent, and at how many of them it failed."""

    version: int | None = None
    requests: int = 0
    faults: int = 0

    @property
    def fault_share(self) -> float:
        """Share of the requests at which it failed; 0 before the first."""
        return self.faults / max(self.requests, 1)


@dataclass
class _Waiting:
    asked: Asked
    schema: Schema
    read: Callable[[Schema], Asked]
    """Reads the request again, where another version has taken over meanwhile that has other columns."""
    since: float
    future: asyncio.Future[Answered] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Takes requests in and has the version that serves answer them; the worker is chosen once for a batch, so no answer mixes versions."""

    def __init__(self, policy: OnlinePolicy) -> None:
        self.policy = policy
        self.worker: Worker | None = None
        self.schema: Schema | None = None
        self.batches = self.model_faults = 0
        self.tally, self.tally_before = Tally(), Tally()
        """What came of the requests to the version that serves, and to the one before it."""
        self._waiting: deque[_Waiting] = deque()
        self._under_way: list[_Waiting] = []
        self._asks: Worker | None = None
        self._rows = 0
        self.coming = 0
        """Requests that have been let in and are not read yet."""
        self._arrived = asyncio.Event()
        self._begun = 0.0

    @property
    def waiting_rows(self) -> int:
        """Rows that no batch has taken yet."""
        return self._rows

    @property
    def is_full(self) -> bool:
        """Whether a request is refused before anybody reads it."""
        return self._rows + self.coming >= self.policy.queue_rows

    def switch(self, worker: Worker | None, schema: Schema | None) -> None:
        """Have another worker answer from the next batch on; None: nobody can, and what waits is told so."""
        if worker is not None and worker.version != self.tally.version:
            self.tally, self.tally_before = Tally(worker.version), self.tally
        self.worker = worker
        self.schema = schema or self.schema
        if worker is None:
            while self._waiting:
                self._fail(self._waiting.popleft(), UnavailableError())
            self._rows = 0

    async def answer(self, read: Callable[[Schema], Asked]) -> Answered:
        """What the version that serves says of the rows that `read` reads from a request.

        Raises
        ------
        FullError, UnavailableError, LateError
            It cannot be answered now.
        UnfitError
            Something is wrong with the request.
        Refused
            The model failed at these rows.
        """
        if self.worker is None or self.schema is None:
            raise UnavailableError
        schema, asked = self.schema, read(self.schema)
        if self._rows and self._rows + asked.rows > self.policy.queue_rows:
            raise FullError
        waiting = _Waiting(asked, schema, read, monotonic())
        self._waiting.append(waiting)
        self._rows += asked.rows
        self._arrived.set()
        return await waiting.future

    async def run(self) -> None:
        """Answer batch after batch; ends when it is cancelled."""
        sweep = asyncio.create_task(self._sweep())
        try:
            while True:
                await self._arrived.wait()
                await self._gather()
                batch = self._take()
                if batch:
                    await self._answer(batch)
        finally:
            sweep.cancel()

    async def drained(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._waiting or self._under_way:
            await asyncio.sleep(0.005)

    async def _gather(self) -> None:
        """Let those come that are on their way already: as long as each few turns of the loop bring one."""
        quiet, seen = 0, len(self._waiting)
        while quiet < QUIET_TURNS and self._rows < BATCH_ROWS:
            await asyncio.sleep(0)
            quiet, seen = (quiet + 1, seen) if len(self._waiting) == seen else (0, len(self._waiting))

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting and (not batch or rows + self._waiting[0].asked.rows <= MOST_ROWS):
            one = self._waiting.popleft()
            self._rows -= one.asked.rows
            if one.future.done():  # too late, or whoever asked has gone
                continue
            if one.schema is not self.schema and not self._read_again(one):
                continue
            batch.append(one)
            rows += one.asked.rows
        if not self._waiting:
            self._arrived.clear()
        return batch

    def _read_again(self, one: _Waiting) -> bool:
        """Read a request for the version that serves now; False where it does not fit that one."""
        if self.schema is None or one.schema == self.schema:
            return True
        try:
            one.asked, one.schema = one.read(self.schema), self.schema
        except Exception as error:  # whatever it is, it is this request's
            self._fail(one, error)
            return False
        return True

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Have a batch predicted; whoever has no answer in the end gets none."""
        self._under_way = batch
        try:
            await self._answer_part(batch)
        finally:
            for one in batch:
                self._fail(one, UnavailableError())
            self._under_way = []

    async def _answer_part(self, part: list[_Waiting]) -> None:
        """Where the model fails, find by halves the requests that are to blame, in few questions: the others have their answers."""
        part = [one for one in part if not one.future.done() and self._read_again(one)]
        if not part or await self._is_answered(part):
            return
        half = len(part) // 2
        await self._answer_part(part[:half])
        await self._answer_part(part[half:])

    async def _is_answered(self, batch: list[_Waiting]) -> bool:
        """Ask the version that serves; False where the model has failed and more than one request may be to blame."""
        worker = self.worker
        if worker is None:
            return True
        self._asks, self._begun = worker, monotonic()
        self.batches += 1
        try:
            _hand_out(batch, worker.version, await worker.ask(_together([one.asked.columns for one in batch])))
        except DiedError:
            pass
        except Refused as refused:
            if len(batch) > 1:
                return False
            self.model_faults += 1
            self.tally.faults += 1
            self.tally.requests += 1
            self._fail(batch[0], refused)
        except Exception as error:  # the other requests go on
            for one in batch:
                self._fail(one, error)
        else:
            self.tally.requests += len(batch)
        finally:
            self._asks = None
        return True

    async def _sweep(self) -> None:
        """Tell whoever has waited too long, and end a worker that is stuck."""
        limit = self.policy.deadline.total_seconds()
        while True:
            if not (self._waiting or self._under_way):
                await self._arrived.wait()
            await asyncio.sleep(SWEEP_SECONDS)
            now = monotonic()
            for one in (*self._under_way, *self._waiting):
                if now - one.since <= limit:
                    break  # those behind it came later
                self._fail(one, LateError())
            if self._asks and now - self._begun > STUCK_DEADLINES * limit:
                self._asks.kill()

    @staticmethod
    def _fail(one: _Waiting, error: Exception) -> None:
        if not one.future.done():
            one.future.set_exception(error)


def _together(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _hand_out(batch: list[_Waiting], version: int, said: Columns) -> None:
    """Give each request the answers to its own rows."""
    at = 0
    for one in batch:
        until = at + one.asked.rows
        if not one.future.done():
            answers = said if len(batch) == 1 else {name: values[at:until] for name, values in said.items()}
            one.future.set_result(Answered(version, answers, one.asked))
        at = until
