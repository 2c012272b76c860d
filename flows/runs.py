"""What Prefect's server knows of the platform's runs, and what is put in order there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Crashed, Scheduled

AT_WORK = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
SOON = timedelta(minutes=1)
MOST = 200
DIED = "Crashed"
"""Prefect's name for the state of a run whose process ended without a word."""
CUT_SHORT = "Cut short"
QUEUED = "AwaitingConcurrencySlot"
"""Prefect's name for the state of a run that another one keeps waiting."""
TOLD_TO_END = ("termination signal", "interrupt signal", "status code: -15.", "status code: 143.")
"""What Prefect says of a run that somebody ended on purpose, as `make down` does; it did not die."""


def id_of(deployment: str) -> UUID:
    """Prefect's name of a deployment."""
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(deployment).id


def is_under_way(deployment: str, now: datetime) -> bool:
    """Whether a run of a deployment works, or is about to within a minute."""
    with get_client(sync_client=True) as client:
        found = _runs(client, [client.read_deployment_by_name(deployment).id], _in(*AT_WORK, StateType.SCHEDULED))
    return any(run.state_type in AT_WORK or _due(run) <= now + SOON for run in found)


def is_being_cancelled(run: UUID) -> bool:
    """Whether somebody has asked Prefect to cancel a run."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).state_type in {StateType.CANCELLING, StateType.CANCELLED}


def died(deployment: str, since: datetime) -> list[FlowRun]:
    """The runs of a deployment whose process ended without a word since then, as the system ends one that takes too much memory."""
    wanted = {"state": {"name": {"any_": [DIED]}}, "end_time": {"after_": since}}
    with get_client(sync_client=True) as client:
        found = _runs(client, [client.read_deployment_by_name(deployment).id], wanted)
    return [run for run in found if run.state and not any(word in (run.state.message or "") for word in TOLD_TO_END)]


def close_left_behind(deployments: list[UUID], before: datetime) -> None:
    """Mark as crashed what Prefect believes to be at work since before a moment, which frees its place. Call it when nobody is.

    What a person asked for and never began is begun again: nobody has written down yet that it was asked for.
    """
    message = "Whoever worked on this was killed; the next round goes on from where it was."
    with get_client(sync_client=True) as client:
        for run in _long_at_work(client, deployments, before):
            is_asked = run.state_type == StateType.PENDING and run.parameters.get("kind", "person") == "person"
            state: State[Any] = Scheduled() if is_asked else Crashed(name=CUT_SHORT, message=message)
            client.set_flow_run_state(run.id, state, force=True)


def are_at_work_since(deployments: list[UUID], before: datetime) -> bool:
    """Whether Prefect believes that a run has been at work since before a moment."""
    with get_client(sync_client=True) as client:
        return bool(_long_at_work(client, deployments, before))


def drop_waiting(deployments: list[UUID], now: datetime) -> None:
    """Cancel the rounds that wait for their turn: the one that begins now sees what they would have seen. A person's request stays."""
    with get_client(sync_client=True) as client:
        for run in _runs(client, deployments, _in(StateType.SCHEDULED)):
            if run.parameters.get("kind", "person") != "person" and (_due(run) <= now or run.state_name == QUEUED):
                cancelled: State[Any] = Cancelled(message="A round that began meanwhile did its work.")
                client.set_flow_run_state(run.id, cancelled, force=True)


def drop_late(deployments: list[UUID], now: datetime) -> None:
    """Cancel what a schedule should have started before `now`: one look finds everything that was missed."""
    with get_client(sync_client=True) as client:
        for run in _runs(client, deployments, _in(StateType.SCHEDULED)):
            if run.auto_scheduled and _due(run) < now:
                cancelled: State[Any] = Cancelled(message="It was missed; a later look did its work.")
                client.set_flow_run_state(run.id, cancelled, force=True)


def _long_at_work(client: SyncPrefectClient, deployments: list[UUID], before: datetime) -> list[FlowRun]:
    found = _runs(client, deployments, _in(*AT_WORK))
    return [run for run in found if run.state and run.state.timestamp < before]


def _in(*states: StateType) -> dict[str, Any]:
    return {"state": {"type": {"any_": list(states)}}}


def _runs(client: SyncPrefectClient, deployments: list[UUID], wanted: dict[str, Any]) -> list[FlowRun]:
    chosen = FlowRunFilter.model_validate({"deployment_id": {"any_": deployments}, **wanted})
    return client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=MOST)


def _due(run: FlowRun) -> datetime:
    return run.expected_start_time or datetime.max.replace(tzinfo=UTC)
