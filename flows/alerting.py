"""Telling people what they should know: what the journal shows at the end of a round, and a run that failed."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evergreen import journal as tables
from evergreen.causes import what_holds
from evergreen.control import freshen_site
from evergreen.data.batches import Judged
from evergreen.errors import ContractError, EvergreenError
from evergreen.journal import Journal
from evergreen.monitoring.alerts import FETCH, GOOD_NEWS, Alert, contract_broken, run_died, run_failed
from evergreen.monitoring.channels import Channels, split_urls
from evergreen.monitoring.heartbeat import beat
from evergreen.monitoring.telling import Memory, failures, fetches_over, resolutions, tell
from evergreen.policies import AlertPolicy
from evergreen.settings import Settings, load_settings
from evergreen.status import look_at_health
from evergreen.workspace import Workspace, load_problem, open_workspace
from flows import account
from flows.news import tell_deliveries, tell_health

if TYPE_CHECKING:
    from prefect import Flow, State
    from prefect.client.schemas.objects import FlowRun


def tell_alerts(space: Workspace, now: datetime) -> list[Alert]:
    """Find what holds now, and what does no longer, and tell what was not told yet, failures that no address took too; returns it."""
    from evergreen.monitoring.exposition import looked_at

    found = what_holds(space, now)
    over = resolutions(space.journal, space.problem, found, looked_at(space.settings), now)
    return _tell(space, [*failures(space.journal, space.problem, now), *found.alerts, *over], now)


def tell_ingested(space: Workspace, judged: list[Judged]) -> None:
    """Say what became of deliveries that no round was gone for, and how the accepted data are now; the control room shows it too."""
    tell_deliveries(space, judged)
    tell_health(look_at_health(space, datetime.now(UTC)))
    show_what_holds(space, datetime.now(UTC))


def show_what_holds(space: Workspace, now: datetime) -> None:
    """Have the control room show what holds now; that it cannot be written hides nothing."""
    try:
        freshen_site(space, now)
    except (EvergreenError, OSError, ValueError) as error:
        account.done("site", f"the control room does not show it yet: {error}", tone="hold")


def tell_prometheus(space: Workspace, now: datetime, *, is_look: bool = False) -> None:
    """Write down for Prometheus how things stand; a folder that cannot be written is told, and stops nothing."""
    from evergreen.monitoring.exposition import expose

    try:
        expose(space, now, is_look=is_look)
    except OSError as error:
        told = f"{space.settings.metrics} cannot be written ({error.strerror}): Prometheus is told nothing new"
        account.done("metrics", told, tone="bad")


def tell_watcher(space: Workspace) -> None:
    """Give a sign of life to whoever watches from outside; one that does not take it is told, and stops nothing."""
    if fault := beat(space.settings.heartbeat_url.get_secret_value()):
        account.done("heartbeat", f"{fault}. As long as it is so, nobody outside knows that the loop is alive.", tone="hold")


def tell_failure(space: Workspace, name: str, error: BaseException) -> list[Alert]:
    """Tell that a run failed, where the contract wants it told; returns what was told. Raise the error again afterwards."""
    wanted = "failure" in space.problem.alerts.on
    return _tell(space, [run_failed(space.problem, name, error)] if wanted else [], datetime.now(UTC))


def tell_fetch(space: Workspace, error: EvergreenError | None = None) -> list[Alert]:
    """Tell that deliveries could not be fetched, or, without an error, that they can be again; returns what was told."""
    if error is None:
        return _tell(space, fetches_over(space.journal, space.problem), datetime.now(UTC))
    try:
        told = tell_failure(space, FETCH, error)
        show_what_holds(space, datetime.now(UTC))
    except EvergreenError as fault:
        return tell_without_journal(space.settings, FETCH, error, fault)
    return told


def tell_deaths(space: Workspace, runs: list[FlowRun], now: datetime) -> list[Alert]:
    """Tell of rounds whose process ended without a word, unless it was told since: nobody inside them could; returns what was told."""
    wanted = runs if "failure" in space.problem.alerts.on else []
    found = [(run, run_died(space.problem, run.name, run.state.message or "" if run.state else "")) for run in wanted[-1:]]
    return _tell(space, [one for run, one in found if not _is_told_since(space, one, run.end_time)], now)


def _is_told_since(space: Workspace, one: Alert, moment: datetime | None) -> bool:
    """Whether people were told of a cause, or that it is over, after a moment; whoever finds it for a while tells it no more then."""
    row = space.journal.last(tables.alerts, cause=one.cause)
    return row is not None and moment is not None and datetime.fromisoformat(row["at"]) >= moment


def tell_broken_contract(settings: Settings, error: ContractError) -> list[Alert]:
    """Tell that no round can be gone at all; returns what was told. The contract cannot say now whom it concerns, nor how often to tell."""
    memory = Memory(None, settings.root)
    try:
        memory.journal = Journal(settings.journal)
    except Exception as fault:  # whatever keeps the journal from being opened
        memory.fault = str(fault)
    with closing(memory.journal) if memory.journal else nullcontext():
        told = [contract_broken(settings.problem, error)]
        return tell(memory, told, channels=_channels(settings), cooldown=AlertPolicy().cooldown, now=datetime.now(UTC))


def tell_without_journal(settings: Settings, name: str, error: BaseException, fault: Exception) -> list[Alert]:
    """Tell that a run failed while the journal cannot be opened, for a `fault` that is told too; returns what was told."""
    problem = load_problem(settings.problem)
    wanted = [run_failed(problem, name, error)] if "failure" in problem.alerts.on else []
    memory = Memory(None, settings.root, str(fault))
    return tell(memory, wanted, channels=_channels(settings), cooldown=problem.alerts.cooldown, now=datetime.now(UTC))


def tell_failed_round(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect's hook for a round that failed: tell that it did, and what else holds now."""
    result = state.result(raise_on_failure=False)
    name, error = flow_run.name or flow.name, result if isinstance(result, BaseException) else RuntimeError(str(state.message))
    try:
        space = open_workspace()
    except ContractError as broken:
        tell_broken_contract(load_settings(), broken)
    except Exception as fault:  # whatever keeps the journal from being opened
        tell_without_journal(load_settings(), name, error, fault)
    else:
        tell_failure(space, name, error)
        tell_alerts(space, datetime.now(UTC))
        show_what_holds(space, datetime.now(UTC))


def _tell(space: Workspace, alerts: list[Alert], now: datetime) -> list[Alert]:
    memory = Memory(space.journal, space.settings.root)
    return tell(memory, alerts, channels=_channels(space.settings), cooldown=space.problem.alerts.cooldown, now=now)


def _channels(settings: Settings) -> Channels:
    return Channels(_show, split_urls(settings.alert_urls.get_secret_value()))


def _show(text: str) -> None:
    """Print an alert, whatever characters it has and whatever the console lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        account.done("alert", shown, tone="good" if shown.startswith(GOOD_NEWS) else "bad")
    except Exception:  # what looks like the end of a style that nothing began
        account.say(f"  alert     {shown}", style="red")
