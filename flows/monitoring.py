"""The poll that is the truth: events may be lost and schedules missed, but what asks for a round is found here, every few minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.states import Completed

from evergreen.occasions import Occasion, find_occasion
from evergreen.workspace import Workspace, open_workspace
from flows.steps import step

RETRAINING = "retraining/evergreen"
AT_WORK = {StateType.RUNNING, StateType.PENDING, StateType.CANCELLING}
SOON = timedelta(minutes=1)


@flow(name="monitoring", flow_run_name="look for what asks for a round", timeout_seconds=1_800, persist_result=False)
def look() -> State[None]:
    """Find what asks for a round and start one, unless one is under way or about to begin."""
    space = open_workspace()
    occasion = find(space)
    if occasion is None:
        return Completed(message="There is nothing to do.")
    if under_way():
        return Completed(message=f"{occasion.reason}; a round is under way already.")
    begin(occasion)
    return Completed(message=f"Started a round: {occasion.reason}.")


@step()
def find(space: Workspace) -> Occasion | None:
    """Ask the journal and the landing folders; triggers that are skipped are recorded."""
    return find_occasion(space, datetime.now(UTC))


@step()
def under_way() -> bool:
    """Whether a round works, or is about to."""
    with get_client(sync_client=True) as client:
        wanted = {
            "deployment_id": {"any_": [client.read_deployment_by_name(RETRAINING).id]},
            "state": {"type": {"any_": [*AT_WORK, StateType.SCHEDULED]}},
        }
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(wanted), sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200
        )
    return any(_is_near(run, datetime.now(UTC)) for run in runs)


@step()
def begin(occasion: Occasion) -> None:
    """Start a round in a run of its own."""
    run_deployment(RETRAINING, parameters={"kind": occasion.kind}, timeout=0, as_subflow=False)


def _is_near(run: FlowRun, now: datetime) -> bool:
    return run.state_type in AT_WORK or (run.expected_start_time is not None and run.expected_start_time <= now + SOON)
