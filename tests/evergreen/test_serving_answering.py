"""What is said to a request, from its bytes to the reply, with a worker that says what the test wants."""

import asyncio
import logging
from typing import Any

import orjson
import pytest

from evergreen.columns import Column
from evergreen.limits import OnlinePolicy
from evergreen.serving.answering import Answerer
from evergreen.serving.batching import Batcher
from evergreen.serving.front import Front
from evergreen.serving.log import PredictionLog
from evergreen.serving.metrics import Metrics
from evergreen.serving.schema import Schema
from evergreen.serving.workers import Columns, Refused


class Fake:
    version = 3

    async def ask(self, columns: Columns) -> Columns:
        await asyncio.sleep(0.01)
        if 13 in columns["a"]:
            raise Refused("ValueError: 13")
        if 14 in columns["a"]:
            raise OverflowError("a defect")
        return {"decision": [1] * len(columns["a"]), "probability": [0.75] * len(columns["a"])}


def asked(*values: int, has_version: bool = True, **policy: Any) -> tuple[list[tuple[int, Any]], PredictionLog]:
    """Status and body of the replies to requests that come together, and the log."""
    log = PredictionLog("sqlite://", None, most_rows=policy.get("log_rows", 100))  # type: ignore[arg-type]

    async def scene() -> list[tuple[int, Any]]:
        batcher = Batcher(OnlinePolicy(**policy))
        if has_version:
            schema = Schema([Column("a", "integer", "int64", nullable=False)], "id", max_rows=9)
            batcher.switch(Fake(), schema)  # type: ignore[arg-type]
        front = Front(Answerer("binary", batcher, log, Metrics()), below=None)  # type: ignore[arg-type]
        task = asyncio.create_task(batcher.run())
        replies = await asyncio.gather(*(_one(front, value) for value in values))
        task.cancel()
        return replies

    return asyncio.run(scene()), log


async def _one(front: Front, value: int) -> tuple[int, Any]:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"a":%d}' % value}

    async def send(message: Any) -> None:
        said.append(message)

    await front({"type": "http", "path": "/predict", "method": "POST", "headers": []}, receive, send)
    return said[0]["status"], orjson.loads(said[1]["body"])


def test_an_answer_is_logged():
    ((status, told),), log = asked(1)
    assert (status, told["decision"], told["probability"], told["model_version"], log.waiting_rows) == (200, 1, 0.75, 3, 1)


@pytest.mark.parametrize(("policy", "statuses", "dropped"), [("drop", [200, 200, 200], 1), ("refuse", [200, 200, 503], 0)])
def test_where_none_is_to_be_made_without_a_log_none_is_for_those_that_came_together_either(policy: str, statuses: list[int], dropped: int):
    replies, log = asked(1, 2, 3, log=policy, log_rows=2)
    assert ([status for status, _ in replies], log.dropped, log.waiting_rows) == (statuses, dropped, 2)


def test_a_model_that_fails_at_a_row_is_quoted():
    ((status, told),), log = asked(13)
    assert (status, log.waiting_rows) == (422, 0)
    assert told["faults"] == [
        {"field": "row", "got": "one that it cannot", "expected": "a row that the model can answer; it said: ValueError: 13"}
    ]


def test_without_a_version_nothing_is_read():
    ((status, told),), _ = asked(1, has_version=False)
    assert (status, told["detail"]) == (503, "No version of the model is ready. Try again in a moment.")


def test_a_defect_of_ours_is_told_without_its_words_and_stands_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR):
        ((status, told),), _ = asked(14)
    assert (status, told) == (500, {"detail": "The server failed at this request."})
    assert "a defect" in caplog.text


def test_who_was_let_in_and_is_not_read_yet_counts_for_the_queue():
    async def scene() -> list[Any]:
        batcher = Batcher(OnlinePolicy(queue_rows=2))
        batcher.switch(Fake(), Schema([Column("a", "integer", "int64", nullable=False)], "id", max_rows=9))  # type: ignore[arg-type]
        log = PredictionLog("sqlite://", None, most_rows=9)  # type: ignore[arg-type]
        answerer = Answerer("binary", batcher, log, Metrics())
        front = Front(answerer, below=None)  # type: ignore[arg-type]
        task = asyncio.create_task(batcher.run())
        asked = [("/predict", "POST"), ("/other", "POST"), ("/predict", "GET"), ("/invocations", "POST")]
        scopes = [{"type": "http", "path": path, "method": method, "headers": []} for path, method in asked]
        said = []
        for scope in scopes:
            front.admit(scope)
            said.append(answerer.hindrance())
        await front(scopes[0], _body, _nowhere)
        task.cancel()
        return [*said, answerer.hindrance()]

    *free, full, after = asyncio.run(scene())
    assert (free, after) == ([None, None, None], None)
    assert full.status == 503


def test_who_has_no_key_takes_nobodys_place():
    batcher = Batcher(OnlinePolicy(queue_rows=1))
    log = PredictionLog("sqlite://", None, most_rows=9)  # type: ignore[arg-type]
    front = Front(Answerer("binary", batcher, log, Metrics()), below=None, key="secret")  # type: ignore[arg-type]
    front.admit({"path": "/predict", "method": "POST", "headers": []})
    assert not batcher.is_full
    front.admit({"path": "/predict", "method": "POST", "headers": [(b"x-api-key", b"secret")]})
    assert batcher.is_full


async def _body() -> dict[str, Any]:
    return {"type": "http.request", "body": b'{"a":1}'}


async def _nowhere(_: Any) -> None:
    pass
