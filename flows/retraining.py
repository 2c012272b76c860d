"""One round, started by the platform: by its schedule, by an event, by the poll or from Prefect's pages."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Completed

from evergreen.errors import BusyError, EvergreenError, JournalError, UnreachableError
from evergreen.triggers import Kind

if TYPE_CHECKING:
    # The runner imports this module only to know the flow, and stays small.
    from collections.abc import Iterator

    from evergreen.workspace import Workspace


@flow(name="retraining", flow_run_name="retrain: {kind}", timeout_seconds=36_000, persist_result=False)
def retrain(kind: Kind = "person") -> State[Any]:
    """Judge what was delivered, decide whether to retrain, and predict what is to come.

    `kind` is why: "schedule", "data", "drift", "decay", or "person", who is only refused what cannot be done.
    """
    from evergreen import occasions
    from evergreen.workspace import open_workspace
    from flows.cycle import cycle
    from flows.loop import DELIVERIES
    from flows.server import alone

    space = open_workspace()
    if kind == "person":
        occasions.ask(space, datetime.now(UTC))
    try:
        with alone(space):
            drop_those_that_wait()
            with attempted(space):
                cycle(DELIVERIES, kind=kind)
    except BusyError as error:
        return Completed(message=f"Left to the next poll. {error}")
    return Completed(message="The round was gone to its end.")


def drop_those_that_wait() -> None:
    """Cancel rounds that wait for this one to end, where Prefect started it."""
    from flows.runs import drop_waiting

    if own := runtime.deployment.id:
        drop_waiting([UUID(own)], datetime.now(UTC))


def is_cancelled() -> bool:
    """Whether somebody has cancelled this very run in Prefect, rather than ended its process."""
    from flows.runs import is_being_cancelled

    own = runtime.flow_run.id
    with suppress(Exception):  # a server that is away cannot tell
        return own is not None and is_being_cancelled(UUID(own))
    return False


@contextmanager
def attempted(space: Workspace) -> Iterator[None]:
    """Count the round inside among those that were gone for its reason, unless something that passes cuts it short."""
    import httpx

    from evergreen import attempts
    from evergreen.occasions import current_occasion

    occasion = current_occasion(space, datetime.now(UTC))
    if occasion is None:
        yield
        return
    name, passing = attempts.begin(space.journal, occasion), ""
    try:
        yield
    except (BusyError, JournalError, UnreachableError, httpx.TransportError) as error:  # somebody works, a database or a server is away
        passing = str(error) or type(error).__name__
        raise
    except (TerminationSignal, KeyboardInterrupt):
        passing = attempts.CANCELLED if is_cancelled() else attempts.TOLD_TO_END
        raise
    finally:
        with suppress(EvergreenError):  # the journal may be what is away
            if passing == attempts.CANCELLED:
                attempts.give_up(space.journal, occasion, passing)
            elif passing:
                attempts.excuse(space.journal, occasion, name, passing)
