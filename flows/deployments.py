"""What Prefect runs by itself: the round, by schedule and by event, and the poll. `python -m flows.deployments` serves both."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Any, cast
from uuid import UUID

from prefect import serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger, emit_event
from prefect.exceptions import ObjectAlreadyExists
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from evergreen.errors import EvergreenError
from evergreen.quoting import revealed
from evergreen.settings import Settings, load_settings
from evergreen.triggers import Kind
from flows.arrivals import watch
from flows.health import prefect_answers, tag_of
from flows.monitoring import look
from flows.retraining import retrain
from flows.runs import close_left_behind, drop_late
from flows.wanted import Wanted, ask_contract

START_SECONDS = 60.0
ARRIVED = "evergreen.delivery.arrived"
EVENTS: dict[str, Kind] = {
    ARRIVED: "data",
    "evergreen.data.published": "data",
    "evergreen.drift.found": "drift",
    "evergreen.decay.found": "decay",
    "evergreen.retraining.asked": "person",
}
"""Events that start a round, and why it is gone then. Anybody may emit them."""
ONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""One round at a time; another one waits for its turn, and finds then that there is nothing left to do."""
ONE_OR_NONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
"""One look at a time; another one meanwhile would see the same."""
RUNS = 2
"""How many flow runs the platform itself works on at once: a round, and the poll."""


def deployments(wanted: Wanted, settings: Settings) -> list[RunnerDeployment]:
    """The round and the poll, as the contract's retraining policy has them."""
    schedule: list[Schedule] = [Cron(wanted.cron, timezone="UTC", parameters={"kind": "schedule"})] if wanted.cron else []
    pool: dict[str, Any] = {"work_pool_name": settings.work_pool} if settings.work_pool else {}
    name, tags = settings.deployment, [wanted.problem, tag_of(settings)]
    rounds = retrain.to_deployment(
        name,
        schedules=schedule,
        triggers=[_on(event, kind, settings) for event, kind in EVENTS.items()],
        concurrency_limit=ONE,
        description=f"{wanted.question} Judge what was delivered, decide whether to retrain, predict what is to come.",
        tags=tags,
        entrypoint_type=EntrypointType.MODULE_PATH,
        **pool,
    )
    poll = look.to_deployment(
        name,
        schedules=[Interval(timedelta(seconds=settings.poll_seconds))],
        concurrency_limit=ONE_OR_NONE,
        description="Find what asks for a round, whatever events say, and start one.",
        tags=tags,
        entrypoint_type=EntrypointType.MODULE_PATH,
        **pool,
    )
    return [cast(RunnerDeployment, one) for one in (rounds, poll)]  # a coroutine only where a loop runs


def _on(event: str, kind: Kind, settings: Settings) -> DeploymentEventTrigger:
    match: dict[str, Any] = {"match": _landing(settings)} if event == ARRIVED else {}  # what others emit may concern every home
    return DeploymentEventTrigger(name=event, expect={event}, parameters={"kind": kind}, **match)


def _landing(settings: Settings) -> dict[str, str]:
    return {"prefect.resource.id": f"evergreen.landing.{settings.deployment}"}


def register(made: list[RunnerDeployment], *, image: str = "") -> list[UUID]:
    """Make both known to the Prefect server, in the place of what it knew of them; nothing is run by that."""
    return [cast(UUID, one.apply(image=image or None)) for one in made]


def make_pool(settings: Settings) -> None:
    """Make the work pool that the settings name, unless there is one of that name: of containers where they name an image."""
    kind = "docker" if settings.work_image else "process"
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=settings.work_pool, type=kind))


def tell_arrival(settings: Settings) -> None:
    """Emit the event that something has arrived."""
    emit_event(ARRIVED, resource=_landing(settings))


def wait_for_prefect(settings: Settings) -> None:
    """Wait until Prefect answers: its server is started at the same time as whoever works for it. Ends the process when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not prefect_answers(settings):
        if time.monotonic() > deadline:
            sys.exit(f"Prefect's server does not answer since {START_SECONDS:.0f} s. It is tried again.")
        time.sleep(0.5)


def main() -> None:
    """Serve both until told to stop, and take the first look at once."""
    settings = load_settings()
    try:
        wanted = ask_contract()
    except EvergreenError as error:
        sys.exit(revealed(str(error)))
    wait_for_prefect(settings)
    if settings.work_pool:
        make_pool(settings)
    made = deployments(wanted, settings)
    known = register(made, image=settings.work_image)
    if not settings.work_pool:  # the workers of a pool may be at work
        close_left_behind(known, datetime.now(UTC))
    drop_late(known, datetime.now(UTC))
    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(known[-1])
    seen = Thread(target=watch, args=(settings.landing, partial(tell_arrival, settings), Event()), daemon=True)
    seen.start()
    if settings.work_pool:
        seen.join()  # workers of the pool do the rest
    serve(*made, pause_on_shutdown=False, print_starting_message=False, limit=RUNS)


if __name__ == "__main__":
    main()
