"""One server: its parts put together, brought up, and ended so that nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import Gauge

from evergreen.contract import Problem
from evergreen.limits import OnlinePolicy
from evergreen.quoting import revealed
from evergreen.serving.answering import Answerer
from evergreen.serving.batching import Batcher
from evergreen.serving.champions import OpenRegistry
from evergreen.serving.copies import Copies
from evergreen.serving.following import Follower
from evergreen.serving.front import Front
from evergreen.serving.log import PredictionLog
from evergreen.serving.metrics import Metrics
from evergreen.serving.pages import make_pages
from evergreen.serving.shadowing import Shadowing
from evergreen.serving.tidying import tidy
from evergreen.settings import Settings

LOG_SECONDS = 5.0
"""For the log, when the server ends; what is left then is in a file already."""


class Service:
    """All that one server is made of.

    Parameters
    ----------
    open_registry
        Opens the journal and the registry; the server starts without them too.
    tell
        Called with each sentence that people should read.
    """

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        policy: OnlinePolicy,
        *,
        open_registry: OpenRegistry,
        tell: Callable[[str], None],
    ) -> None:
        self.settings, self.problem, self.policy, self.tell = settings, problem, policy, tell
        folder = settings.root / "serving"
        self.metrics = Metrics()
        self.batcher = Batcher(policy)
        self.log = PredictionLog(settings.journal, folder / "unlogged.msgpack", most_rows=policy.log_rows)
        self.follower = Follower(problem, self.batcher, Copies(folder), open_registry=open_registry, tell=tell)
        shadow = settings.root / "shadow"
        self.shadowing = Shadowing(shadow, settings.journal, policy, open_registry=open_registry, tell=tell)
        pages = make_pages(self, has_docs=settings.api_docs, has_metrics=not settings.metrics_port)
        key = settings.api_key.get_secret_value()
        self.front = Front(Answerer(problem.task, self.batcher, self.log, self.metrics), below=pages, key=key)
        self._count()
        self.failed = asyncio.Event()
        """A part of the server has failed."""
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def serves(self) -> int | None:
        """The version that serves; None when none does."""
        return self.batcher.worker.version if self.batcher.worker else None

    def begin(self) -> None:
        """Start everything that goes on beside the requests."""
        for work in (self.batcher.run, self.log.run, self.follower.run, self.shadowing.run, tidy):
            task = asyncio.create_task(work())
            task.add_done_callback(partial(self._ended, work.__qualname__))
            self._tasks.append(task)

    async def end(self) -> None:
        """Refuse what is new, answer what was accepted, write the log, end the worker."""
        self.front.is_draining = True
        seconds = self.policy.drain.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await self.batcher.drained()
        except TimeoutError:
            self.tell(f"After {seconds:g} s some requests had no answer; they were refused.")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.follower.close()
        await self.shadowing.close()
        try:
            left = await self.log.close(seconds=LOG_SECONDS)
        except OSError as error:
            self.tell(
                f"{self.log.waiting_rows:,} predictions could not be logged, nor written to {self.settings.root / 'serving'}: {error}."
            )
            return
        if left:
            self.tell(f"{left:,} predictions could not be logged and wait in {self.settings.root / 'serving'} for the next start.")

    def health(self) -> dict[str, Any]:
        """Whether requests are answered, and what is wrong."""
        is_ready = self.follower.is_ready and not self.front.is_draining
        troubles = [revealed(one) for one in (self.follower.trouble, self.follower.refused, self.log.trouble) if one]
        status = "unavailable" if not is_ready else "degraded" if troubles else "ready"
        return {"status": status, "model_version": self.serves, "troubles": troubles}

    def version(self) -> dict[str, Any]:
        """What serves, since when, and by which decision."""
        copy = self.follower.copy
        told: dict[str, Any] = {"model": self.problem.name, "model_version": self.serves, "shadow_version": self.shadowing.version}
        if self.shadowing.trouble:
            told["shadow_trouble"] = self.shadowing.trouble
        if copy is not None:
            told |= {
                "artefact": copy.artefact if self.serves else "",
                "champion_since": copy.since,
                "decision": copy.decision,
                "degraded": bool(self.follower.trouble),
            }
        return told

    def look(self) -> dict[str, Any]:
        """Look for a new champion now, and for a version that is to be asked in shadow."""
        self.follower.nudge()
        self.shadowing.nudge()
        return {"status": "looking"}

    def example(self) -> dict[str, Any]:
        """One row that the version that serves has answered; none where a key is wanted, for everybody may read the document."""
        worker = self.batcher.worker
        if worker is None or self.settings.api_key.get_secret_value():
            return {}
        return {name: values[0] for name, values in worker.facts["example"].items()}

    def _count(self) -> None:
        """Have each gauge ask for its value when somebody looks, on whichever port."""
        metrics, follower, log, batcher, shadowing = self.metrics, self.follower, self.log, self.batcher, self.shadowing
        values: dict[Gauge, Callable[[], float]] = {
            metrics.queue: lambda: batcher.waiting_rows,
            metrics.unlogged: lambda: log.waiting_rows,
            metrics.logged: lambda: log.written,
            metrics.dropped: lambda: log.dropped,
            metrics.batches: lambda: batcher.batches,
            metrics.faults: lambda: batcher.model_faults,
            metrics.swaps: lambda: follower.swaps,
            metrics.refusals: lambda: follower.refusals,
            metrics.deaths: lambda: follower.worker_deaths,
            metrics.version: lambda: self.serves or 0,
            metrics.ready: lambda: follower.is_ready and not self.front.is_draining,
            metrics.degraded: lambda: bool(follower.trouble or follower.refused),
            metrics.shadow: lambda: shadowing.version or 0,
            metrics.shadow_waiting: lambda: shadowing.account.get("waiting", 0),
            metrics.shadow_dropped: lambda: shadowing.account.get("dropped", 0),
        }
        for gauge, value in values.items():
            gauge.set_function(value)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        """A part has failed, which none should: whoever watches the process starts it again."""
        if not task.cancelled() and (error := task.exception()):
            self.tell(f"{name} has failed ({type(error).__name__}: {error}). The server ends; start it again.")
            self.failed.set()
