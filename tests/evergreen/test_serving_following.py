"""What a server does again and again while it lacks something: the journal, or memory for a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from toy.online import PROBLEM

from evergreen.errors import JournalError, ModelError, StoreError
from evergreen.limits import OnlinePolicy
from evergreen.serving import following
from evergreen.serving.batching import Batcher
from evergreen.serving.copies import Copies, Copy
from evergreen.serving.following import Follower
from evergreen.serving.worker import Order
from evergreen.serving.workers import HinderedError


class Damaged(Copies):
    """Copies of which the last is not what it was; to see it, all of it is read."""

    looks = 0

    def last(self) -> Copy | None:
        self.looks += 1
        raise StoreError("it is not what it was")


def away() -> NoReturn:
    raise JournalError("the journal is away")


def test_a_copy_that_is_not_what_it_was_is_not_read_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    copies, told = Damaged(tmp_path), []
    follower = Follower(PROBLEM, Batcher(OnlinePolicy()), copies, open_registry=away, tell=told.append)

    async def scene() -> None:
        task = asyncio.create_task(follower.run())
        await asyncio.sleep(1)
        task.cancel()

    asyncio.run(scene())
    assert (copies.looks, told, follower.trouble) == (1, ["it is not what it was"], "the journal is away")


class Kept(Copies):
    """Copies of which the last is version 2."""

    def last(self) -> Copy:
        return copy_of(2)

    def keep(self, copy: Copy, before: Copy | None) -> None:
        """It is."""


class Fake:
    """A worker; those of version 2 come to what they are told to."""

    starts: Sequence[Exception | None] = ()
    at = 0

    def __init__(self, version: int) -> None:
        self.version, self.died, self.is_busy, self.started = version, asyncio.Event(), False, 0.0
        self.process = SimpleNamespace(exitcode=-9)

    @property
    def is_alive(self) -> bool:
        return not self.died.is_set()

    async def stop(self) -> None:
        """It has ended."""

    @classmethod
    async def start(cls, order: Order, *, seconds: float) -> Any:
        cls.at += 1
        error = cls.starts[cls.at - 1] if cls.at <= len(cls.starts) else None
        if error is not None and order.version == 2:
            raise error
        return cls(order.version)


GIVEN_UP = "Its worker ended by itself, or could not be started again, 3 times, each within 60 s."


def copy_of(version: int) -> Copy:
    return Copy(Order(version, Path("model"), Path("golden")), f"digest {version}", (), "2026-01-05", "")


@pytest.mark.parametrize(
    ("fault", "serves", "refused"),
    [
        (HinderedError("no memory"), 2, []),
        (
            ModelError("its golden rows differ"),
            1,
            [GIVEN_UP],
        ),
    ],
)
def test_what_the_machine_lacks_when_a_worker_is_started_again_is_not_held_against_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, serves: int, refused: list[str]
):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(following, "PAUSES", (0.0,))
    monkeypatch.setattr(following, "Worker", Fake)
    monkeypatch.setattr(Fake, "starts", (None, fault, fault, fault, fault))
    monkeypatch.setattr(Fake, "at", 0)
    follower = Follower(PROBLEM, Batcher(OnlinePolicy()), Kept(tmp_path), open_registry=away, tell=lambda _: None)
    champion = SimpleNamespace(version=2, promotion="p", since="s", decision="d")
    monkeypatch.setattr(follower.champions, "now_if_known", lambda: champion)
    said: list[str] = []
    monkeypatch.setattr(follower.champions, "refuse", lambda _, reason: said.append(reason))

    async def scene() -> None:
        task = asyncio.create_task(follower.run())
        async with asyncio.timeout(20):
            while not follower.is_ready:
                await asyncio.sleep(0.01)
            follower.before = copy_of(1)
            follower.batcher.worker.died.set()
            while Fake.at < 4 or not follower.is_ready:
                await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(scene())
    assert follower.copy is not None
    assert (follower.copy.order.version, said, follower.worker_deaths) == (serves, refused, 1)
