"""The poll that is the truth: events may be lost and schedules missed, but what asks for a round is found here, every few minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed

from flows.runs import drop_late, is_under_way
from flows.steps import step

if TYPE_CHECKING:
    # The runner imports this module only to know the flow, and stays small.
    from evergreen.occasions import Occasion
    from evergreen.workspace import Workspace

RETRAINING = "retraining/evergreen"


@flow(name="monitoring", flow_run_name="look for what asks for a round", timeout_seconds=1_800, persist_result=False)
def look() -> State[Any]:
    """Find what asks for a round and start one, unless one is under way or about to begin."""
    from evergreen.workspace import open_workspace

    space = open_workspace()
    drop_missed_looks()
    warn(space)
    occasion = find(space)
    if occasion is None:
        return Completed(message="There is nothing to do.")
    if is_under_way(RETRAINING, datetime.now(UTC)):
        return Completed(message=f"A round is under way already: {occasion.reason}.")
    begin(occasion)
    return Completed(message=f"Started a round: {occasion.reason}.")


@step()
def drop_missed_looks() -> None:
    """Leave out the looks that were due before this one; it sees what they would have seen."""
    if own := runtime.deployment.id:
        drop_late([UUID(own)], datetime.now(UTC))


@step()
def find(space: Workspace) -> Occasion | None:
    """Ask the journal and the landing folders; triggers that are skipped are recorded."""
    from evergreen.occasions import find_occasion

    return find_occasion(space, datetime.now(UTC))


@step()
def warn(space: Workspace) -> None:
    """Tell people what they should know, each cause once in a while."""
    from flows.alerting import tell_alerts

    tell_alerts(space, datetime.now(UTC))


@step()
def begin(occasion: Occasion) -> None:
    """Start a round in a run of its own."""
    run_deployment(RETRAINING, parameters={"kind": occasion.kind}, timeout=0, as_subflow=False)
