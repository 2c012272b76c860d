"""Python's own search for cycles is off in the server, so its requests must leave none."""

from __future__ import annotations

import asyncio
import gc
from contextlib import nullcontext
from typing import Any

import pytest
import uvicorn

from evergreen.columns import Column
from evergreen.limits import OnlinePolicy
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


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [(b'{"a": 1}', b"/predict", b"200"), (b'{"a": "x"}', b"/predict", b"422"), (b"{}", b"/other", b"404")],
)
def test_a_request_leaves_no_cycle_behind(body: bytes, path: bytes, status: bytes):
    said: list[bytes] = []

    async def scene() -> int:
        batcher = Batcher(OnlinePolicy())
        batcher.switch(Fake(), Schema([Column("a", "integer", "int64", nullable=False)], "id", max_rows=9))  # type: ignore[arg-type]
        log = PredictionLog("sqlite://", None, most_rows=10 * REQUESTS)  # type: ignore[arg-type]
        Ours = type("Ours", (Impatient,), {"front": Front(Answerer("binary", batcher, log, Metrics()), below=below)})
        server = uvicorn.Server(uvicorn.Config(Ours.front, http=Ours, lifespan="off", port=0, log_level="critical"))
        server.capture_signals = nullcontext  # type: ignore[method-assign]
        tasks = [asyncio.create_task(batcher.run()), asyncio.create_task(server.serve())]
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        request = b"POST %b HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (path, len(body), body)
        found = 0
        for at in range(REQUESTS + 1):
            if at == 1:  # the first one makes what all share
                gc.collect()
            writer.write(request)
            said.append((await reader.read(65_536)).split()[1])
        found = gc.collect()
        writer.close()
        server.should_exit = True
        await tasks[1]
        tasks[0].cancel()
        return found

    gc.disable()
    try:
        assert asyncio.run(scene()) < REQUESTS
    finally:
        gc.enable()
    assert said == [status] * (REQUESTS + 1)
