"""From the body of a request to its reply: read it by the schema, have it predicted, log it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from evergreen.policies import Task
from evergreen.serving import replies
from evergreen.serving.batching import Batcher, FullError, LateError, UnavailableError
from evergreen.serving.log import PredictionLog
from evergreen.serving.metrics import Metrics
from evergreen.serving.protocol import read_invocation
from evergreen.serving.replies import Reply
from evergreen.serving.schema import Asked, Schema
from evergreen.serving.unfit import UnfitError, one_fault
from evergreen.serving.workers import Refused

PREDICT, INVOCATIONS = "/predict", "/invocations"
NOBODY = "No version of the model is ready. Try again in a moment."
FULL = "Too many requests wait already. Try again in a moment."
UNLOGGED = "Predictions cannot be logged now, and none is made without. Try again in a moment."


class Answerer:
    """Answers what is posted to the routes that predict."""

    def __init__(self, task: Task, batcher: Batcher, log: PredictionLog, metrics: Metrics) -> None:
        self.task, self.policy = task, batcher.policy
        self.batcher, self.log, self.metrics = batcher, log, metrics
        self._ids = replies.Identifiers()
        self._nobody, self._full, self._unlogged = map(replies.try_again, (NOBODY, FULL, UNLOGGED))

    def hindrance(self) -> Reply | None:
        """Why no request can be answered now, found out before one is read; None when it can."""
        if self.batcher.worker is None:
            return self._nobody
        if self.batcher.is_full:
            return self._full
        return self._unlogged if self._must_not_answer else None

    async def answer(self, route: str, kind: str, body: bytes) -> Reply:
        """The reply to one request, `kind` being its media type."""
        read: Callable[[Schema], Asked] = partial(_read_ours, body) if route == PREDICT else partial(_read_mlflows, body, kind)
        asked_at = datetime.now(UTC)
        try:
            said = await self.batcher.answer(read)
        except (UnfitError, Refused, FullError, UnavailableError, LateError) as error:
            return self._refusal(error)
        if self._must_not_answer:  # others that came with it have filled the log
            return self._unlogged
        asked, ids = said.asked, self._ids.take(said.asked.rows)
        self.log.put((ids, asked.entities, asked_at.isoformat(), said.version, asked.columns, said.answers))
        self.metrics.count_rows(said.version, asked.rows)
        if route == INVOCATIONS:
            return replies.for_mlflow(said.answers, version=said.version, ids=ids)
        return replies.predictions(self.task, asked, said.answers, version=said.version, ids=ids)

    @property
    def _must_not_answer(self) -> bool:
        return self.policy.log == "refuse" and self.log.is_full

    def _refusal(self, error: Exception) -> Reply:
        """What is said where no prediction is made."""
        if isinstance(error, Refused):
            error = one_fault("row", "one that it cannot", f"a row that the model can answer; it said: {error}")
        if isinstance(error, UnfitError):
            return replies.unfit(error, version=self.batcher.worker.version if self.batcher.worker else None)
        if isinstance(error, LateError):
            return replies.refused(504, f"There was no answer within {self.policy.deadline.total_seconds():g} s.")
        return self._full if isinstance(error, FullError) else self._nobody


def _read_ours(body: bytes, schema: Schema) -> Asked:
    return schema.read(body)


def _read_mlflows(body: bytes, kind: str, schema: Schema) -> Asked:
    return read_invocation(schema, body, kind=kind)
