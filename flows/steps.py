"""What all tasks of the flows share: nothing cached, and what a moment may mend is tried again."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from evergreen.errors import RegistryError

LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
P = ParamSpec("P")
R = TypeVar("R")


def step(*, timeout_seconds: int = 3_600, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A task of Evergreen's; each reads or writes files, the journal, MLflow or Prefect."""
    retrying: Any = {"retries": 2, "retry_delay_seconds": 2, "retry_condition_fn": may_pass}
    made: Callable[[Callable[P, R]], Callable[P, R]] = task(cache_policy=NO_CACHE, timeout_seconds=timeout_seconds, **retrying, **options)
    return made


async def may_pass(_: Task[Any, Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether it is worth trying again: a network or a shared disk. Wrong data, contracts, models and rights, and a full disk, stay so."""
    error = await state.aresult(raise_on_failure=False)
    if isinstance(error, OSError):
        return not isinstance(error, TimeoutError) and error.errno not in LASTING
    return isinstance(error, RegistryError) and "full" not in str(error)
