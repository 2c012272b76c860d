"""Telling people what they should know: what the journal shows at the end of a round, and a run that failed."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from evergreen.causes import find_alerts
from evergreen.errors import ContractError
from evergreen.journal import Journal
from evergreen.monitoring.alerts import Alert, contract_broken, run_died, run_failed, tell
from evergreen.monitoring.channels import Channels, split_urls
from evergreen.policies import AlertPolicy
from evergreen.settings import Settings, load_settings
from evergreen.workspace import Workspace, open_workspace
from flows import account

if TYPE_CHECKING:
    from prefect import Flow, State
    from prefect.client.schemas.objects import FlowRun


def tell_alerts(space: Workspace, now: datetime) -> list[Alert]:
    """Find what holds now and tell what was not told within its cooldown; returns what was told."""
    return _tell(space, find_alerts(space, now), now)


def tell_failure(space: Workspace, name: str, error: BaseException) -> list[Alert]:
    """Tell that a run failed, where the contract wants it told; returns what was told. Raise the error again afterwards."""
    wanted = "failure" in space.problem.alerts.on
    return _tell(space, [run_failed(space.problem, name, error)] if wanted else [], datetime.now(UTC))


def tell_deaths(space: Workspace, runs: list[FlowRun], now: datetime) -> list[Alert]:
    """Tell of rounds whose process ended without a word: nobody inside them could; returns what was told."""
    wanted = runs if "failure" in space.problem.alerts.on else []
    return _tell(space, [run_died(space.problem, run.name, run.state.message or "" if run.state else "") for run in wanted[-1:]], now)


def tell_broken_contract(settings: Settings, error: ContractError) -> list[Alert]:
    """Tell that no round can be gone at all; returns what was told. The contract cannot say now whom it concerns, nor how often to tell."""
    with closing(Journal(settings.journal)) as journal:
        return tell(
            journal,
            [contract_broken(settings.problem, error)],
            channels=_channels(settings),
            cooldown=AlertPolicy().cooldown,
            now=datetime.now(UTC),
        )


def tell_failed_round(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect's hook for a round that failed: tell that it did, and what else holds now."""
    error = state.result(raise_on_failure=False)
    try:
        space = open_workspace()
    except ContractError as broken:
        tell_broken_contract(load_settings(), broken)
        return
    tell_failure(space, flow_run.name or flow.name, error if isinstance(error, BaseException) else RuntimeError(str(state.message)))
    tell_alerts(space, datetime.now(UTC))


def _tell(space: Workspace, alerts: list[Alert], now: datetime) -> list[Alert]:
    return tell(space.journal, alerts, channels=_channels(space.settings), cooldown=space.problem.alerts.cooldown, now=now)


def _channels(settings: Settings) -> Channels:
    return Channels(partial(account.done, "alert", tone="bad"), split_urls(settings.alert_urls.get_secret_value()))
