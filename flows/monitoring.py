"""The poll that is the truth: events may be lost and schedules missed, but what asks for a round is found here, every few minutes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import Flow, flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Completed

from evergreen.triggers import LOOK
from flows.runs import are_at_work_since, close_left_behind, died, drop_late, id_of, is_under_way
from flows.steps import step

if TYPE_CHECKING:
    # The runner imports this module only to know the flow, and stays small.
    from evergreen.attempts import Occasion
    from evergreen.workspace import Workspace

START = timedelta(minutes=5)
"""How long a round may take from Prefect's word to its lease."""


def tell_failed(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect's hook for a look that failed."""
    from flows.alerting import tell_failed_round

    tell_failed_round(flow, flow_run, state)


@flow(
    name="monitoring",
    flow_run_name=LOOK,
    timeout_seconds=1_800,
    persist_result=False,
    on_failure=[tell_failed],
)
def look() -> State[Any]:
    """Find what asks for a round and start one, unless one is under way or about to begin; then tell what people should know."""
    from evergreen.workspace import open_workspace

    space = open_workspace()
    drop_missed_looks()
    message = start_what_is_asked_for(space)
    warn(space)
    if not is_busy(space):
        leave_refused(space)
    expose(space)
    return Completed(message=message)


def start_what_is_asked_for(space: Workspace) -> str:
    """Start a round where there is a reason for one; says what was done."""
    close_dead(space)
    if is_under_way(rounds_of(space), datetime.now(UTC)):
        return "A round is under way already."
    if is_busy(space):
        return "Somebody works here already; a later look sees to what waits."
    occasion = find(space)
    if occasion is None:
        return "There is nothing to do."
    begin(space, occasion)
    return f"Started a round: {occasion.reason}."


def rounds_of(space: Workspace) -> str:
    """Prefect's name of the deployment that goes rounds in this home."""
    return f"retraining/{space.settings.deployment}"


def is_busy(space: Workspace) -> bool:
    """Whether somebody works in the home, be it a command in a terminal."""
    from evergreen.leases import is_at_work

    return is_at_work(space.journal, space.settings.root, seconds=space.settings.lease_seconds)


@step()
def leave_refused(space: Workspace) -> None:
    """Go back from a champion that a server has refused meanwhile; what keeps us from it now is told by the alert, and tried again."""
    from evergreen.errors import EvergreenError
    from evergreen.releases import retreat

    with suppress(EvergreenError):
        retreat(space.registry)


@step()
def close_dead(space: Workspace) -> None:
    """Close rounds that Prefect believes to be at work while nobody is, as when a worker's machine was lost: no other would ever begin."""
    before = datetime.now(UTC) - START - timedelta(seconds=space.settings.lease_seconds)
    rounds = [id_of(rounds_of(space))]
    if are_at_work_since(rounds, before) and not is_busy(space):
        close_left_behind(rounds, before)


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
    """Tell people what they should know, each cause once in a while: what the journal shows, and rounds that died without a word."""
    from flows.alerting import show_what_holds, tell_alerts, tell_deaths

    now = datetime.now(UTC)
    tell_deaths(space, died(rounds_of(space), now - space.problem.alerts.cooldown), now)
    tell_alerts(space, now)
    show_what_holds(space, now)


@step()
def expose(space: Workspace) -> None:
    """Tell Prometheus how things stand and that a look has ended, and whoever watches from outside that the loop is alive."""
    from flows.alerting import tell_prometheus, tell_watcher

    tell_prometheus(space, datetime.now(UTC), is_look=True)
    tell_watcher(space)


@step()
def begin(space: Workspace, occasion: Occasion) -> None:
    """Start a round in a run of its own."""
    run_deployment(rounds_of(space), parameters={"kind": occasion.kind}, timeout=0, as_subflow=False)
