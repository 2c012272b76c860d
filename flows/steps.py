"""What all tasks of the flows share: nothing cached, and what a moment may mend is tried again."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from evergreen.errors import UnreachableError

PASSING = {errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE}
P = ParamSpec("P")
R = TypeVar("R")


def step(*, timeout_seconds: int = 3_600, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A task of Evergreen's; each reads or writes files, the journal, MLflow or Prefect."""
    retrying: Any = {"retries": 2, "retry_delay_seconds": 2, "retry_condition_fn": may_pass}
    made: Callable[[Callable[P, R]], Callable[P, R]] = task(cache_policy=NO_CACHE, timeout_seconds=timeout_seconds, **retrying, **options)
    return made


async def may_pass(_: Task[Any, Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether it is worth trying again: a server that is away, a shared disk that stumbles. Everything else stays as it is."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, UnreachableError) or (isinstance(error, OSError) and error.errno in PASSING)
