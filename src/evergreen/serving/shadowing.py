"""A version in shadow beside the one that serves: its process is started, watched and ended here; what it does, it does by itself."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack

from evergreen import shadows
from evergreen.errors import EvergreenError, ModelError, TamperedError
from evergreen.limits import OnlinePolicy
from evergreen.moves import standing
from evergreen.registry import Registry
from evergreen.serving.champions import OpenRegistry
from evergreen.serving.copies import Copies
from evergreen.serving.line import Line
from evergreen.serving.mirror import mirror
from evergreen.serving.worker import FAILED, HINDERED, READY
from evergreen.serving.workers import join, launch
from evergreen.shadows import Shadow

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

LOOK_SECONDS = 2.0
PAUSES = (1.0, 5.0, 30.0, 60.0)
"""Between two starts of a version whose process has ended by itself, or that could not be had."""
STOP_SECONDS, STEADY_SECONDS = 5.0, 60.0


class Shadowing:
    """Carries out the journal's wish for a version in shadow. Nothing that goes wrong here concerns whoever serves.

    Parameters
    ----------
    folder
        For the copy of the version.
    url
        The journal's.
    tell
        Called with a sentence when something becomes of the version that people should know.
    """

    def __init__(self, folder: Path, url: str, policy: OnlinePolicy, *, open_registry: OpenRegistry, tell: Callable[[str], None]) -> None:
        self.version: int | None = None
        """The version that is asked; None while none is ready."""
        self.account: dict[str, int] = {}
        """The newest that its process has told, see `evergreen.journal.mirror.Account`."""
        self.trouble = ""
        """Why nothing goes on, or nothing can be written down."""
        self._folder, self._copies, self._url, self._policy = folder, Copies(folder), url, policy
        self._open, self._tell = open_registry, tell
        self._registry: Registry | None = None
        self._now: Shadow | None = None
        self._process: ForkServerProcess | None = None
        self._line: Line | None = None
        self._has_ended = False
        self._hindrance = ""
        """What the process has said before it ended."""
        self._stirred = asyncio.Event()
        self._tries, self._again = 0, 0.0
        self._failed = (0, "")
        """The wish that could not be carried out for the version's own fault, and why."""

    async def run(self) -> None:
        """Carry it out; ends when it is cancelled."""
        while True:
            try:
                await self._carry_out(await asyncio.to_thread(self._wanted))
            except (EvergreenError, OSError, EOFError) as error:
                self._trouble(str(error) or type(error).__name__)
            except Exception:  # a defect of ours: whoever serves goes on
                logging.getLogger(__name__).exception("The version in shadow could not be seen to.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), LOOK_SECONDS)
            self._stirred.clear()

    def nudge(self) -> None:
        """Look for what is wanted now."""
        self._stirred.set()

    async def close(self) -> None:
        """End the process."""
        await self._stop()
        if self._registry is not None:
            self._registry.journal.close()

    def _wanted(self) -> Shadow | None:
        """What the journal wants. A version that serves by now, or that has failed here, is in shadow no more."""
        if self._registry is None:
            self._registry = self._open()
        journal = self._registry.journal
        if self._policy.shadow_held:
            shadows.follow_gate(journal)
        wanted = shadows.wanted(journal)
        if wanted is None:
            return None
        if self._failed[0] == wanted.number:
            reason = self._failed[1]
        elif standing(journal).champion == wanted.version:
            reason = f"Version {wanted.version} is the champion now."
        else:
            return wanted
        shadows.end(journal, reason=reason, number=wanted.number)
        return None

    async def _carry_out(self, wanted: Shadow | None) -> None:
        if self._has_ended or wanted != self._now:
            await self._stop()
        if self._now != wanted:
            self._now, self._tries, self._again, self.account, self.trouble = wanted, 0, 0.0, {}, ""
        if wanted is None and self._folder.exists():
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        if self.version is not None and time.monotonic() - self._again > STEADY_SECONDS:
            self._tries = 0
        if wanted is not None and self._process is None and time.monotonic() >= self._again:
            self._again = time.monotonic() + PAUSES[min(self._tries, len(PAUSES) - 1)]
            self._tries += 1
            await self._start(wanted)

    async def _start(self, wanted: Shadow) -> None:
        assert self._registry is not None  # noqa: S101 - it has just been asked what is wanted
        try:
            copy = await asyncio.to_thread(self._copies.make, self._registry, wanted.version, since=wanted.at, decision="")
        except (ModelError, TamperedError) as error:
            self._refuse(wanted, str(error))
            return
        await asyncio.to_thread(self._copies.keep, copy, None)
        shadow, most = (wanted.number, wanted.since), self._policy.shadow_rows
        process, connection = await asyncio.to_thread(launch, mirror, copy.order, self._url, shadow, most)
        self._process, self._hindrance = process, ""
        try:
            self._line = await Line.over(connection, self._heard, partial(self._lost, process))
        except OSError:
            await self._stop()
            raise

    def _lost(self, process: ForkServerProcess) -> None:
        """A process has ended: by itself, where it is that of the present; it is started again later."""
        if process is self._process:
            self._trouble(self._hindrance or "The process of the version in shadow has ended; it is started again.")
            self._has_ended = True
            self._stirred.set()

    def _heard(self, message: bytes) -> None:
        said, told = msgpack.unpackb(message)
        if self._now is None:
            return
        if said == READY:
            self.version, self.trouble = self._now.version, ""
            self._tell(f"Version {self.version} is asked in shadow.")
        elif said == FAILED:
            self._refuse(self._now, told)
        elif said == HINDERED:
            self._hindrance = f"It could not be loaded now: {told}"
        else:
            self._trouble(said)
            self.account = told or self.account

    def _trouble(self, sentence: str) -> None:
        """Keep in mind why nothing goes on, and say so when it is something new."""
        if sentence and sentence != self.trouble and self._now is not None:
            self._tell(f"Version {self._now.version} in shadow: {sentence}")
        self.trouble = sentence

    def _refuse(self, wanted: Shadow, fault: str) -> None:
        """Have the next look end the wish: the fault is the version's own, and trying again does not mend it."""
        self._failed = wanted.number, f"Version {wanted.version} cannot be asked in shadow: {fault}"
        self._tell(self._failed[1])
        self._stirred.set()

    async def _stop(self) -> None:
        process, line = self._process, self._line
        self._process = self._line = self.version = None
        self._has_ended = False
        if line is not None:
            line.close()
        if process is not None:
            await asyncio.to_thread(join, process, seconds=STOP_SECONDS)
