"""A version's process, as the front sees it: start it, ask it, see that it has died, end it."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgpack

from evergreen.errors import EvergreenError, ModelError
from evergreen.serving.line import Line
from evergreen.serving.worker import FAILED, HINDERED, Order, work

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

STOP_SECONDS = 5.0
Columns = dict[str, list[Any]]
_parent = forkserver.ForkServer()
_one_at_a_time = Lock()


class DiedError(Exception):
    """The worker has ended, or was ended, before it answered."""


class NotReadyError(EvergreenError):
    """A version was not ready in time, or its process ended before; whoever wants it may try again."""


class HinderedError(NotReadyError):
    """The machine has not what a version needs to be loaded."""


class Refused(Exception):  # noqa: N818 - what a model says of rows is no error of ours
    """The model failed at these rows; the message is its own, in one line."""


class Worker:
    """One version in a process of its own. Everything is called from the front's event loop; one question at a time."""

    def __init__(self, order: Order, process: ForkServerProcess) -> None:
        self.version = order.version
        self.process = process
        self.facts: dict[str, Any] = {}
        self.started = time.monotonic()
        self.died = asyncio.Event()
        self._line: Line | None = None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] | None = None
        self._said: deque[Any] = deque()
        """What has come before anybody waited for it."""
        self._number = 0

    @classmethod
    async def start(cls, order: Order, *, seconds: float) -> Worker:
        """Start a process and wait until it has answered its golden rows.

        Raises
        ------
        ModelError
            The version fails; its process has ended.
        NotReadyError
            It is not ready in time, its process died or had not what it needs, or there could be none.
        """
        try:
            process, connection = await asyncio.wait_for(asyncio.to_thread(_launch, order), seconds)
            worker = cls(order, process)
            worker._line = await Line.over(connection, worker._heard, worker._bury)
        except (OSError, EOFError, TimeoutError) as error:
            raise NotReadyError(f"No process could be started for version {order.version}: {type(error).__name__} {error}") from None
        try:
            async with asyncio.timeout(seconds):
                said, told = await worker._next()
        except TimeoutError:
            worker.kill()
            raise NotReadyError(
                f"Version {order.version} was not ready within {seconds:g} s. Raise cost.max_load_seconds in the contract."
            ) from None
        except DiedError:
            raise NotReadyError(f"The process of version {order.version} ended while it was loaded. Is there enough memory?") from None
        except BaseException:
            worker.kill()
            raise
        if said == FAILED:
            await worker.stop()
            raise ModelError(told)
        if said == HINDERED:
            await worker.stop()
            raise HinderedError(f"Version {order.version} could not be loaded now: {told}")
        worker.facts = told
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self.died.is_set()

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for its answer."""
        return self._answer is not None

    async def ask(self, columns: Columns) -> Columns:
        """What the version says of rows.

        Raises
        ------
        DiedError
            The process is gone.
        Refused
            The model failed at these rows.
        """
        if self.died.is_set() or self._line is None:
            raise DiedError
        self._number += 1
        self._line.send(msgpack.packb((self._number, columns)))
        number = 0
        while number != self._number:  # an answer that nobody waited for any more may come first
            number, fault, answers = await self._next()
        if fault is not None:
            raise Refused(fault)
        said: Columns = answers
        return said

    async def stop(self) -> None:
        """Let it end by closing the line to it; one that does not end is killed."""
        self._bury()
        await asyncio.to_thread(join, self.process, seconds=STOP_SECONDS)

    def kill(self) -> None:
        """End it at once; whoever waits for an answer is told that it died."""
        if self.process.pid and self.process.is_alive():
            self.process.kill()
        self._bury()

    async def _next(self) -> Any:
        if self._said:
            return self._said.popleft()
        if self.died.is_set():
            raise DiedError
        self._answer = self._loop.create_future()
        try:
            return await self._answer
        finally:
            self._answer = None

    def _heard(self, message: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(msgpack.unpackb(message))
        else:
            self._said.append(msgpack.unpackb(message))

    def _bury(self) -> None:
        if self.died.is_set():
            return
        self.died.set()
        if self._line is not None:
            self._line.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(DiedError())


def join(process: ForkServerProcess, *, seconds: float) -> None:
    """Wait until a process has ended; one that does not in time is killed."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()


def launch(target: Callable[..., None], *arguments: Any) -> tuple[ForkServerProcess, Connection]:
    """Start a process that is given one end of a line; returned are the process and the other end.

    Its parent is a process of ours that has imported the libraries and no model, so that a worker is there in a moment. It is not the one
    that Python keeps for everybody: others may have had that import a problem's package.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("forkserver").Process(target=target, args=(theirs, *arguments), daemon=True)
    with _one_at_a_time:
        _parent.set_forkserver_preload(["evergreen.serving.preload"])
        everybodys = forkserver.connect_to_new_process
        # Else each child would import the command that was called as its own `__main__`, to no use.
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            forkserver.connect_to_new_process = _parent.connect_to_new_process
            process.start()
        finally:
            sys.modules["__main__"], forkserver.connect_to_new_process = main, everybodys
            theirs.close()
    return process, ours


def _launch(order: Order) -> tuple[ForkServerProcess, Connection]:
    return launch(work, order)
