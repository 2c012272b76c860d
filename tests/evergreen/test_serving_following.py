"""What a server does again and again while the journal is away must cost next to nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import pytest
from toy.online import PROBLEM

from evergreen.errors import JournalError, StoreError
from evergreen.limits import OnlinePolicy
from evergreen.serving import following
from evergreen.serving.batching import Batcher
from evergreen.serving.copies import Copies, Copy
from evergreen.serving.following import Follower


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
