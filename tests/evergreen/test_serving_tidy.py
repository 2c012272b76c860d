"""Python's own search for cycles is off in the server, so its requests must leave none."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn

from evergreen.columns import Column
from evergreen.limits import OnlinePolicy
from evergreen.serving import tidying
from evergreen.serving.answering import Answerer
from evergreen.serving.batching import Batcher
from evergreen.serving.front import Front
from evergreen.serving.log import PredictionLog
from evergreen.serving.metrics import Metrics
from evergreen.serving.schema import Schema
from evergreen.serving.server import Impatient
from evergreen.serving.workers import Columns

REQUESTS = 200


class Fake:
    version = 3

    async def ask(self, columns: Columns) -> Columns:
        return {"decision": [1] * len(columns["a"]), "probability": [0.75] * len(columns["a"])}


async def below(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def server_of(model: Any) -> AsyncIterator[Any]:
    """uvicorn with our protocol and front around a model; its address."""
    batcher = Batcher(OnlinePolicy())
    batcher.switch(model, Schema([Column("a", "integer", "int64", nullable=False)], "id", max_rows=9))
    log = PredictionLog("sqlite://", None, most_rows=10 * REQUESTS)  # type: ignore[arg-type]
    Ours = type("Ours", (Impatient,), {"front": Front(Answerer("binary", batcher, log, Metrics()), below=below)})
    server = uvicorn.Server(uvicorn.Config(Ours.front, http=Ours, lifespan="off", port=0, log_level="critical"))
    server.capture_signals = nullcontext  # type: ignore[method-assign]
    tasks = [asyncio.create_task(batcher.run()), asyncio.create_task(server.serve())]
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await tasks[1]
    tasks[0].cancel()


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [(b'{"a": 1}', b"/predict", b"200"), (b'{"a": "x"}', b"/predict", b"422"), (b"{}", b"/other", b"404")],
)
def test_a_request_leaves_no_cycle_behind(body: bytes, path: bytes, status: bytes):
    said: list[bytes] = []

    async def scene() -> int:
        async with server_of(Fake()) as address:
            reader, writer = await asyncio.open_connection(*address)
            request = b"POST %b HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (path, len(body), body)
            for at in range(REQUESTS + 1):
                if at == 1:  # the first one makes what all share
                    gc.collect()
                writer.write(request)
                said.append((await reader.read(65_536)).split()[1])
            found = gc.collect()
            writer.close()
            return found

    gc.disable()
    try:
        assert asyncio.run(scene()) < REQUESTS
    finally:
        gc.enable()
    assert said == [status] * (REQUESTS + 1)


def test_a_connection_that_closes_before_its_turn_leaves_nothing_either():
    class Slow(Fake):
        async def ask(self, columns: Columns) -> Columns:
            await asyncio.sleep(0.1)
            return await super().ask(columns)

    async def scene() -> int:
        async with server_of(Slow()) as address:
            body = b'{"a": 1}'
            one = b"POST /predict HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            for _ in range(REQUESTS):
                _, writer = await asyncio.open_connection(*address)
                writer.write(one + body + one + body[:-1])
                await writer.drain()
                await asyncio.sleep(0.002)
                writer.transport.abort()
            await asyncio.sleep(0.5)
            return count_alive(Impatient)

    gc.disable()
    try:
        gc.collect()
        assert asyncio.run(scene()) == 0
    finally:
        gc.enable()


def count_alive(kind: type) -> int:
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_what_nobody_needs_any_more_is_found_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tidying, "TIDY_SECONDS", 0.05)

    class Held:
        mine: Any

    async def scene() -> tuple[bool, bool]:
        task = asyncio.create_task(tidying.tidy())
        await asyncio.sleep(0.01)
        held = Held()
        held.mine = held
        seen = weakref.ref(held)
        del held
        is_there = seen() is not None
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return is_there, seen() is not None

    try:
        assert asyncio.run(scene()) == (True, False)
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
