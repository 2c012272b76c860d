"""Which version serves: the front follows the champion of the journal, and a version takes over only after it has shown that it can."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from evergreen.contract import Problem
from evergreen.errors import EvergreenError, ModelError, StoreError
from evergreen.files import digest_text
from evergreen.journal import decisions, promotions, refusals
from evergreen.moves import standing
from evergreen.registry import Registry
from evergreen.serving.batching import Batcher
from evergreen.serving.copies import Copies, Copy
from evergreen.serving.schema import Schema
from evergreen.serving.workers import Worker

LOOK_SECONDS = 1.0
"""How often the journal is asked for the champion; each pause is up to a quarter longer or shorter."""
PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each new start of a worker that has died again within `STEADY_SECONDS`."""
STEADY_SECONDS = 60.0
FEWEST_REQUESTS = 20
"""So many must have been sent to a version on probation before its faults are held against it."""
GIVE_UP_DEATHS = 3
"""A new version whose worker dies so often before it was steady is refused, where there is one to go back to."""


OpenRegistry = Callable[[], Registry]


@dataclass(frozen=True)
class Champion:
    """What the journal says: the version, and the move that made it champion."""

    version: int
    promotion: str
    since: str
    decision: str


class Follower:
    """Keeps the champion's worker alive, and swaps it when the champion is another one.

    Parameters
    ----------
    open_registry
        Opens the journal and the registry; tried again while it fails.
    tell
        Called with a sentence when something becomes of a version that people should know.
    """

    def __init__(
        self, problem: Problem, batcher: Batcher, copies: Copies, *, open_registry: OpenRegistry, tell: Callable[[str], None]
    ) -> None:
        self.problem, self.batcher, self.copies = problem, batcher, copies
        self.copy: Copy | None = None
        """What serves."""
        self.before: Copy | None = None
        """What served before it."""
        self.trouble = ""
        """Why the journal or the registry cannot be followed at this moment."""
        self.swaps = self.refusals = self.worker_deaths = 0
        self._open, self._tell = open_registry, tell
        self._registry: Registry | None = None
        self._refused: set[str] = set()
        self._deaths = 0
        self._since = 0.0
        """When the version that serves has taken over."""
        self._nudged = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether a verified version can be asked."""
        return self.batcher.worker is not None and self.batcher.worker.is_alive

    def nudge(self) -> None:
        """Look for the champion now."""
        self._nudged.set()

    async def run(self) -> None:
        """Follow the champion; ends when it is cancelled."""
        while True:
            await self._look()
            if self.copy is not None and not self.is_ready:
                await self._revive(self.copy)
            elif self.copy is not None and self.before is not None and (fault := self._fault_on_probation()):
                await self._go_back(self.copy, self.before, fault)
            pause = LOOK_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311 - several servers are not to ask at once
            waits = [asyncio.create_task(self._nudged.wait())]
            if self.batcher.worker is not None:
                waits.append(asyncio.create_task(self.batcher.worker.died.wait()))
            await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for one in waits:
                one.cancel()
            self._nudged.clear()

    async def close(self) -> None:
        """End the worker."""
        worker = self.batcher.worker
        self.batcher.switch(None, None)
        if worker is not None:
            await worker.stop()
        if self._registry is not None:
            self._registry.journal.close()

    async def _look(self) -> None:
        try:
            wanted = await asyncio.to_thread(self._champion)
            self.trouble = ""
        except EvergreenError as error:
            self.trouble = str(error)
            if self.copy is None:
                await self._serve_last()
            return
        if wanted is None or wanted.promotion in self._refused:
            return
        if self.copy is None or self.copy.order.version != wanted.version:
            await self._take_over(wanted)
        elif self.copy.since != wanted.since:
            self.copy = replace(self.copy, since=wanted.since, decision=wanted.decision)

    async def _serve_last(self) -> None:
        """At a start where the champion cannot be had: the copy that served last."""
        try:
            copy = await asyncio.to_thread(self.copies.last)
            if copy is not None:
                await self._start(copy)
                self._tell(f"Version {copy.order.version} serves from this server's own copy.")
        except EvergreenError as error:
            self._tell(str(error))

    async def _take_over(self, wanted: Champion) -> None:
        """Verify a new champion, and have it answer from the next batch on; the old version answers until then."""
        begun = time.monotonic()
        try:
            copy = await asyncio.to_thread(self._fetch, wanted)
            await self._start(copy)
        except (ModelError, StoreError) as error:
            await self._refuse(wanted, str(error), serves=self.copy)
            if self.copy is None:
                await self._serve_last()
        except EvergreenError as error:
            self.trouble = str(error)
            if self.copy is None:
                await self._serve_last()
        else:
            self.swaps += 1
            self._tell(f"Version {wanted.version} serves, {time.monotonic() - begun:.2f} s after it was seen.")

    async def _start(self, copy: Copy) -> None:
        worker = await Worker.start(copy.order, seconds=self.problem.cost.max_load_seconds)
        old = self.batcher.worker
        self.batcher.switch(worker, Schema(copy.columns, self.problem.key, max_rows=self.batcher.policy.max_rows))
        if self.copy is not None and self.copy.order.version != copy.order.version:
            self.before = self.copy
        if self.copy is None or self.copy.order.version != copy.order.version:
            self._since = time.monotonic()
        self.copy = copy
        await asyncio.to_thread(self.copies.keep, copy)
        if old is not None:
            while old.is_busy:
                await asyncio.sleep(0.002)
            await old.stop()

    async def _revive(self, copy: Copy) -> None:
        """Start the version again whose worker has died; requests are refused until it is there."""
        worker = self.batcher.worker
        self.batcher.switch(None, None)
        if worker is not None:
            self.worker_deaths += 1
            await worker.stop()
            self._deaths = 1 if time.monotonic() - worker.started > STEADY_SECONDS else self._deaths + 1
            self._tell(f"The worker of version {copy.order.version} has ended by itself ({_how(worker)}); it is started again.")
        else:
            self._deaths += 1
        if self._deaths >= GIVE_UP_DEATHS and self.before is not None:
            await self._go_back(copy, self.before, f"Its worker ended by itself {self._deaths} times, each within {STEADY_SECONDS:g} s.")
            return
        await asyncio.sleep(PAUSES[min(self._deaths - 1, len(PAUSES) - 1)])
        try:
            await self._start(copy)
        except EvergreenError as error:
            self._tell(str(error))

    def _fault_on_probation(self) -> str:
        """Why the version that has taken over is to be left again; empty when it is not."""
        policy, now, before = self.batcher.policy, self.batcher.tally, self.batcher.tally_before
        if time.monotonic() - self._since > policy.probation.total_seconds() or now.requests < FEWEST_REQUESTS:
            return ""
        if now.fault_share <= policy.max_fault_share or now.fault_share <= 2 * before.fault_share:
            return ""
        return f"It failed at {now.faults:,} of its first {now.requests:,} requests, the version before it at {before.fault_share:.1%}."

    async def _go_back(self, bad: Copy, good: Copy, reason: str) -> None:
        """Serve the version before one that does not serve as it should."""
        wanted = await asyncio.to_thread(self._champion_or_none)
        if wanted is not None and wanted.version == bad.order.version:
            await self._refuse(wanted, reason, serves=good)
        try:
            await self._start(good)
            self._deaths, self.before = 0, None
        except EvergreenError as error:
            self._tell(str(error))

    async def _refuse(self, wanted: Champion, reason: str, *, serves: Copy | None) -> None:
        """Not this version by this promotion: told, written down, and not tried again and again."""
        self._refused.add(wanted.promotion)
        self.refusals += 1
        instead = f"version {serves.order.version} serves" if serves else "no version serves"
        self._tell(f"Version {wanted.version} was refused, {instead}: {reason}")
        await asyncio.to_thread(self._write_refusal, wanted, reason)

    def _write_refusal(self, wanted: Champion, reason: str) -> None:
        try:
            journal = self._opened().journal
            row = {"promotion": wanted.promotion, "version": wanted.version, "reason": reason}
            journal.add(refusals, refusal=digest_text(wanted.promotion, reason), **row)
        except EvergreenError as error:
            self.trouble = str(error)

    def _champion_or_none(self) -> Champion | None:
        try:
            return self._champion()
        except EvergreenError:
            return None

    def _champion(self) -> Champion | None:
        journal = self._opened().journal
        if standing(journal).champion is None:
            return None
        move = journal.rows(promotions, state="done")[-1]
        judged = journal.last(decisions, candidate=move["version"])
        return Champion(move["version"], move["promotion"], move["at"], judged["decision"] if judged else "")

    def _fetch(self, wanted: Champion) -> Copy:
        return self.copies.make(self._opened(), wanted.version, since=wanted.since, decision=wanted.decision)

    def _opened(self) -> Registry:
        if self._registry is None:
            self._registry = self._open()
        return self._registry


def _how(worker: Worker) -> str:
    code = worker.process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
