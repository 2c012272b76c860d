"""One round, started by the platform: by its schedule, by an event, by the poll or from Prefect's pages."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from evergreen.errors import BusyError
from evergreen.triggers import Kind


@flow(name="retraining", flow_run_name="retrain: {kind}", timeout_seconds=36_000, persist_result=False)
def retrain(kind: Kind = "person") -> State[None]:
    """Judge what was delivered, decide whether to retrain, and predict what is to come.

    `kind` is why: "schedule", "data", "drift", "decay", or "person", who is only refused what cannot be done.
    """
    # The runner imports this module only to know the flow, and stays small.
    from evergreen.workspace import open_workspace
    from flows.cycle import cycle
    from flows.loop import DELIVERIES
    from flows.server import alone

    space = open_workspace()
    try:
        with alone(space):
            cycle(DELIVERIES, kind=kind)
    except BusyError as error:
        return Completed(message=f"Left to the next poll. {error}")
    return Completed(message="The round was gone to its end.")
