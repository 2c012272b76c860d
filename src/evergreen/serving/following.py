"""Which version serves: the front follows the champion of the journal, and a version takes over only after it has shown that it can."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace

from evergreen.contract import Problem
from evergreen.errors import EvergreenError, ModelError, StoreError, TamperedError
from evergreen.faults import reach
from evergreen.serving.batching import Batcher
from evergreen.serving.champions import Champion, Champions, OpenRegistry
from evergreen.serving.copies import Copies, Copy
from evergreen.serving.schema import Schema
from evergreen.serving.tidying import leave_alone
from evergreen.serving.workers import HinderedError, Worker

LOOK_SECONDS = 1.0
"""How often the journal is asked for the champion; each pause is up to a quarter longer or shorter."""
PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each new start of a worker that has died again within `STEADY_SECONDS`, and before a version is tried again."""
STEADY_SECONDS = 60.0
SHORTEST_SECONDS = 0.1
"""However often a look is wanted, so much lies between two."""
SILENT_SECONDS = 5.0
"""A journal that does not answer for so long is told to be in trouble."""
FEWEST_REQUESTS = 20
"""So many must have been sent to a version on probation before its faults are held against it."""
GIVE_UP_DEATHS = 3
"""A new version whose worker dies so often before it was steady is refused, where there is one to go back to."""


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
        self.champions, self._tell = Champions(open_registry, copies), tell
        self.refused = ""
        """Why the champion of this moment does not serve here."""
        self._refused: dict[str, str] = {}
        self._told = ""
        self._deaths = self._hindrances = 0
        self._since = 0.0
        """When the version that serves has taken over."""
        self._nudged = asyncio.Event()
        self._asking: asyncio.Task[Champion | None] | None = None
        """The question who is champion, which a database may take its time to answer."""
        self._asked = 0.0
        self._tries, self._again, self._hindrance = 0, 0.0, ""
        """How often the champion could not take over for this server's own trouble, and when it is tried again."""
        self._last_again = 0.0
        """When the copy that served last is tried again, after it failed."""

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
            if self.copy is not None and not self.is_ready:  # first, for a look may have to wait for a database
                await self._revive(self.copy)
            elif self.copy is not None and self.before is not None and (fault := self._fault_on_probation()):
                await self._go_back(self.copy, self.before, fault)
            if not await self._is_known():
                continue
            await self._look()
            await self._pause(LOOK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311 - several servers are not to ask at once

    async def close(self) -> None:
        """End the worker."""
        worker = self.batcher.worker
        self.batcher.switch(None, None)
        if worker is not None:
            await worker.stop()
        self.champions.close()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when somebody wants a look or the worker has died; a moment at least, however often one is wanted."""
        await asyncio.sleep(SHORTEST_SECONDS)
        waits = [asyncio.create_task(self._nudged.wait())]
        if self.batcher.worker is not None:
            waits.append(asyncio.create_task(self.batcher.worker.died.wait()))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        self._nudged.clear()

    async def _is_known(self) -> bool:
        """Ask the journal for the champion; False while there is no answer: the question stays asked then."""
        if self._asking is None:
            self._asking, self._asked = asyncio.create_task(asyncio.to_thread(self.champions.now)), time.monotonic()
        worker = self.batcher.worker
        died = asyncio.create_task(worker.died.wait() if worker is not None else asyncio.sleep(LOOK_SECONDS))
        await asyncio.wait([self._asking, died], timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if not self._asking.done() and time.monotonic() - self._asked > SILENT_SECONDS:
            self.trouble = "the journal does not answer"
            if self.copy is None:
                await self._serve_last()
        return self._asking.done()

    async def _look(self) -> None:
        """Do what the journal's answer asks for."""
        asked, self._asking = self._asking, None
        if asked is None:
            return
        try:
            wanted = asked.result()
            await asyncio.to_thread(self.champions.write_refusals)
            self.trouble = ""
        except EvergreenError as error:
            self.trouble = str(error)
            if self.copy is None:
                await self._serve_last()
            return
        if wanted is None:
            self.trouble = "there is no champion yet; it is served as soon as there is one (evergreen run)"
            self._tell_once(f"{self.trouble[0].upper()}{self.trouble[1:]}.")
            return
        if self.copy is None and await asyncio.to_thread(self.champions.was_refused, wanted):
            await self._serve_last(but=wanted)
        self.refused = self._refused.get(wanted.promotion, "")
        if self.refused:
            return
        if time.monotonic() < self._again:
            self.trouble = self._hindrance
            return
        if self.copy is None or self.copy.order.version != wanted.version:
            await self._take_over(wanted)
        elif self.copy.since != wanted.since:
            self.copy = replace(self.copy, since=wanted.since, decision=wanted.decision)

    async def _serve_last(self, *, but: Champion | None = None) -> None:
        """At a start where the champion cannot be had, or was refused before: the copy that served last."""
        if time.monotonic() < self._last_again:
            return
        try:
            copy = await asyncio.to_thread(self.copies.last)
        except StoreError as error:  # all of it was read to see that
            self._last_again = time.monotonic() + PAUSES[-1]
            self._tell_once(str(error))
            return
        try:
            if copy is None or (but is not None and copy.order.version == but.version):
                return
            await self._start(copy)
            if but is not None:
                self._refused[but.promotion] = f"version {but.version} was refused before this server started"
            self._tell(f"Version {copy.order.version} serves from this server's own copy.")
        except EvergreenError as error:
            self._tell_once(str(error))

    async def _take_over(self, wanted: Champion) -> None:
        """Verify a new champion, and have it answer from the next batch on; the old version answers until then.

        What the version itself does wrong is held against it, and so is a stored file that is not what was registered. Whatever else goes
        wrong is this server's trouble: it tries again.
        """
        begun = time.monotonic()
        try:
            copy = await asyncio.to_thread(self.champions.fetch, wanted)
            if not await self._start(copy, wanted):
                return
        except (ModelError, TamperedError) as error:
            await self._refuse(wanted, str(error), serves=self.copy)
            if self.copy is None:
                await self._serve_last(but=wanted)
        except EvergreenError as error:
            self.trouble = self._hindrance = f"version {wanted.version} cannot take over: {error}"
            self._tell_once(self.trouble)
            self._again = time.monotonic() + PAUSES[min(self._tries, len(PAUSES) - 1)]
            self._tries += 1
            if self.copy is None:
                await self._serve_last()
        else:
            self.swaps += 1
            self._tries = 0
            self._tell(f"Version {wanted.version} serves, {time.monotonic() - begun:.2f} s after it was seen.")

    async def _start(self, copy: Copy, wanted: Champion | None = None) -> bool:
        """Start a version and have it answer; False when the champion has moved on while it was loaded."""
        worker = await Worker.start(copy.order, seconds=self.problem.cost.max_load_seconds)
        now = await asyncio.to_thread(self.champions.now_if_known) if wanted is not None else None
        if wanted is not None and now is not None and now.promotion != wanted.promotion:
            await worker.stop()
            return False
        old = self.batcher.worker
        if self.copy is None:
            leave_alone()  # by now all libraries are there, and nobody is answered yet
        reach("before a version takes over")
        self.batcher.switch(worker, Schema(copy.columns, self.problem.key, max_rows=self.batcher.policy.max_rows))
        if self.copy is None or self.copy.order.version != copy.order.version:
            self.before, self._since, self._deaths = self.copy, time.monotonic(), 0
        self.copy = copy
        reach("after a version takes over")
        try:
            await asyncio.to_thread(self.copies.keep, copy, self.before)
        except EvergreenError as error:
            self._tell_once(str(error))
        finally:
            if old is not None:
                while old.is_busy:
                    await asyncio.sleep(0.002)
                await old.stop()
                reach("after the version before it has ended")
        return True

    async def _revive(self, copy: Copy) -> None:
        """Start the version again whose worker has died; requests are refused until it is there."""
        worker = self.batcher.worker
        self.batcher.switch(None, None)
        if worker is not None:
            self.worker_deaths += 1
            await worker.stop()
            self._deaths = 1 if time.monotonic() - worker.started > STEADY_SECONDS else self._deaths + 1
            self._hindrances = 0
            self._tell(f"The worker of version {copy.order.version} has ended by itself ({_how(worker)}); it is started again.")
        if self._deaths >= GIVE_UP_DEATHS and self.before is not None:
            reason = f"Its worker ended by itself, or could not be started again, {self._deaths} times, each within {STEADY_SECONDS:g} s."
            await self._go_back(copy, self.before, reason)
            return
        await self._pause(PAUSES[min(self._deaths + self._hindrances - 1, len(PAUSES) - 1)])
        try:
            await self._start(copy)
        except HinderedError as error:  # the machine's fault, not the version's
            self._hindrances += 1
            self._tell_once(str(error))
        except EvergreenError as error:
            self._deaths += 1
            self._tell_once(str(error))

    def _fault_on_probation(self) -> str:
        """Why the version that has taken over is to be left again; empty when it is not."""
        policy, now, before = self.batcher.policy, self.batcher.tally, self.batcher.tally_before
        if time.monotonic() - self._since > policy.probation.total_seconds() or now.requests < FEWEST_REQUESTS:
            return ""
        if now.fault_share <= policy.max_fault_share or now.fault_share <= 2 * before.fault_share:
            return ""
        return f"It failed at {now.faults:,} of its first {now.requests:,} requests, the version before it at {before.fault_share:.1%}."

    async def _go_back(self, bad: Copy, good: Copy, reason: str) -> None:
        """Serve the version before one that does not serve as it should; where that fails, this one goes on as well as it can."""
        wanted = await asyncio.to_thread(self.champions.now_if_known)
        if wanted is not None and wanted.version == bad.order.version:
            await self._refuse(wanted, reason, serves=good)
        try:
            await self._start(good)
        except EvergreenError as error:
            self._tell_once(str(error))
        self.before = None

    async def _refuse(self, wanted: Champion, reason: str, *, serves: Copy | None) -> None:
        """Not this version by this promotion: told, written down, and not tried again and again."""
        self._refused[wanted.promotion] = f"version {wanted.version} was refused: {reason}"
        self.champions.refuse(wanted, reason)
        self.refusals += 1
        instead = f"version {serves.order.version} serves" if serves else "no version serves"
        self._tell(f"Version {wanted.version} was refused, {instead}: {reason}")
        try:
            await asyncio.to_thread(self.champions.write_refusals)
        except EvergreenError as error:
            self.trouble = str(error)  # it is written at a later look

    def _tell_once(self, sentence: str) -> None:
        """Say what is said at every look until it changes only when it does."""
        if sentence != self._told:
            self._told = sentence
            self._tell(sentence)


def _how(worker: Worker) -> str:
    code = worker.process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
