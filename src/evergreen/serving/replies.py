"""What is sent back: answers in the forms that people and MLflow's clients read, and refusals that say what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson

from evergreen.candidate import DECISION, PROBABILITY
from evergreen.policies import Task
from evergreen.serving.schema import Asked
from evergreen.serving.unfit import UnfitError

Headers = list[tuple[bytes, bytes]]
JSON = b"application/json"
RETRY_SECONDS = 1


class Reply:
    """A whole HTTP answer."""

    __slots__ = ("_whole", "body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Headers | None = None, *, kind: bytes = JSON) -> None:
        self.status = status
        self.body = body
        self.headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *(headers or ())]
        self._whole = b""

    @property
    def whole(self) -> bytes:
        """All of it as it is sent, for one that is sent again and again without a server's help."""
        if not self._whole:
            line = b"HTTP/1.1 %d %s\r\n" % (self.status, HTTPStatus(self.status).phrase.encode())
            self._whole = b"".join([line, *(b"%s: %s\r\n" % header for header in self.headers), b"\r\n", self.body])
        return self._whole


class Identifiers:
    """Makes the ids of predictions: a random part for the process, and a number that grows."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()
        self._numbers = count(1)

    def take(self, rows: int) -> list[str]:
        """So many new ones."""
        return [f"{self._prefix}-{next(self._numbers):08x}" for _ in range(rows)]


def predictions(task: Task, asked: Asked, answers: dict[str, list[Any]], *, version: int, ids: Sequence[str]) -> Reply:
    """Our own form: an object for one row, and for a list of rows an object with a list."""
    rows = [_told(task, answers, at) | {"prediction_id": ids[at]} for at in range(asked.rows)]
    told = {**rows[0], "model_version": version} if asked.is_single else {"predictions": rows, "model_version": version}
    return Reply(200, orjson.dumps(told))


def for_mlflow(answers: dict[str, list[Any]], *, version: int, ids: Sequence[str]) -> Reply:
    """MLflow's form: what its own `predict` returns; version and ids stand beside it."""
    told = {"predictions": answers[DECISION], "model_version": version, "prediction_ids": ids}
    return Reply(200, orjson.dumps(told))


def refused(status: int, what: str, *, headers: Headers | None = None, **more: Any) -> Reply:
    """A refusal with one sentence for people, and facts for programs."""
    return Reply(status, orjson.dumps({"detail": what, **more}, default=str), headers)


def unfit(error: UnfitError, *, version: int | None) -> Reply:
    """All that is wrong with a request, for the version that it was read for."""
    listed = len(error.faults)
    if error.has_more:
        what = f"More than {listed} things are wrong with this request, of which {listed} are listed; nothing was predicted."
    elif listed > 1:
        what = f"{listed} things are wrong with this request; nothing was predicted."
    else:
        what = "The request cannot be answered as it is."
    return refused(422, what, faults=error.faults, model_version=version)


def try_again(what: str) -> Reply:
    """Not now."""
    return refused(503, what, headers=[(b"retry-after", b"%d" % RETRY_SECONDS)])


def _told(task: Task, answers: dict[str, list[Any]], at: int) -> dict[str, Any]:
    """One row's answer under the names that fit the task."""
    if task == "regression":
        return {"value": answers[DECISION][at]}
    told = {DECISION: answers[DECISION][at]}
    if PROBABILITY in answers:
        told[PROBABILITY] = answers[PROBABILITY][at]
    classes = {name.removeprefix(f"{PROBABILITY}_"): values[at] for name, values in answers.items() if name.startswith(f"{PROBABILITY}_")}
    return told | ({"probabilities": classes} if classes else {})
