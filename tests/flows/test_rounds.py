"""What starts a round and what becomes of it, with a real Prefect server and no runner: nothing that was asked for is lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import workspaces
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelling, Pending, Running

from evergreen import journal as tables
from evergreen import occasions
from evergreen.errors import DataError, EvergreenError, RefusedError, RegistryError, UnreachableError
from evergreen.workspace import Workspace
from flows import cycle, deployments, monitoring, runs
from flows.health import refuse_another_home
from flows.monitoring import rounds_of, start_what_is_asked_for
from flows.retraining import retrain
from flows.wanted import wanted_by

WORKS = """
import sys
from pathlib import Path
from evergreen.journal import Journal
from evergreen.leases import single_flight
with single_flight(Journal(sys.argv[1]), Path(sys.argv[2]), seconds=float(sys.argv[3])):
    print("at work", flush=True)
    sys.stdin.read()
"""
LONG_AGO = timedelta(days=-1)


@pytest.fixture
def space(empty_space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which a delivery waits, that flows find, with its deployments known to Prefect and none of their runs left."""
    workspaces.deliver_days(empty_space, 3)
    short = empty_space.settings.model_copy(update={"lease_seconds": 10.0})
    space = Workspace(short, empty_space.problem, empty_space.journal)
    monkeypatch.setattr("evergreen.workspace.open_workspace", lambda: space)
    known = deployments.register(deployments.deployments(wanted_by(space.problem), space.settings))
    with get_client(sync_client=True) as client:
        for run in runs._runs(client, known, {}):
            client.delete_flow_run(run.id)
    return space


@contextmanager
def somebody_works(space: Workspace) -> Iterator[None]:
    """Another process works in the home."""
    words = [sys.executable, "-c", WORKS, space.settings.journal, str(space.settings.root), str(space.settings.lease_seconds)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "at work\n"
        yield
        other.stdin.close()


def actions(space: Workspace) -> list[tuple[str, str]]:
    return [(row["action"], row["rule"]) for row in space.journal.rows(tables.triggers)]


def begun(space: Workspace, kind: str) -> FlowRun:
    run = run_deployment(rounds_of(space), parameters={"kind": kind}, timeout=0, as_subflow=False)
    assert isinstance(run, FlowRun)
    return run


def at_work(run: FlowRun) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Running(), force=True)


def state_of(run: FlowRun) -> StateType | None:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run.id).state_type


def test_while_somebody_works_no_round_is_started_and_no_attempt_is_used_up(space: Workspace):
    with somebody_works(space):
        for _ in range(4):
            assert start_what_is_asked_for(space).startswith("Somebody works here already")
    assert actions(space) == []
    assert start_what_is_asked_for(space) == "Started a round: a delivery waits to be judged."
    assert start_what_is_asked_for(space) == "A round is under way already."


def test_what_a_person_asks_for_while_somebody_works_is_started_by_the_next_look(space: Workspace):
    with somebody_works(space):
        assert str(retrain.fn(kind="person").message).startswith("Left to the next poll.")
    assert actions(space) == [("ask", "person")]
    assert start_what_is_asked_for(space) == "Started a round: a person asked for it."


@pytest.mark.parametrize(
    ("error", "written"),
    [
        (UnreachableError("MLflow does not answer."), [("start", "attempt 1"), ("excuse", "attempt 1")]),
        (httpx.ConnectError("Connection refused"), [("start", "attempt 1"), ("excuse", "attempt 1")]),
        (TerminationSignal(15), [("start", "attempt 1"), ("excuse", "attempt 1")]),
        (RegistryError("The lock does not pin skops."), [("start", "attempt 1")]),
        (DataError("A column is gone."), [("start", "attempt 1")]),
    ],
    ids=["MLflow is away", "Prefect is away", "told to end", "what does not pass", "its own fault"],
)
def test_a_round_counts_as_an_attempt_unless_something_that_passes_cut_it_short(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, error: BaseException, written: list[tuple[str, str]]
):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("flows.cycle.cycle", fail)
    with pytest.raises(type(error)):
        retrain.fn(kind="data")
    assert actions(space) == written


def test_a_round_that_somebody_cancelled_in_prefect_is_not_gone_again(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    own = begun(space, "data")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(own.id, Cancelling(), force=True)
    assert runs.is_being_cancelled(own.id)
    monkeypatch.setattr("flows.retraining.is_cancelled", lambda: runs.is_being_cancelled(own.id))

    def end(*_: Any, **__: Any) -> None:
        raise TerminationSignal(15)

    monkeypatch.setattr("flows.cycle.cycle", end)
    with pytest.raises(TerminationSignal):
        retrain.fn(kind="data")
    assert actions(space) == [("start", "attempt 1"), ("skip", "given up")]
    assert occasions.find_occasion(space, datetime.now(UTC)) is None


def test_what_a_person_asked_for_and_nobody_began_is_begun_when_the_runner_is_started_again(space: Workspace):
    person, other = begun(space, "person"), begun(space, "data")
    with get_client(sync_client=True) as client:
        deployment: UUID = client.read_deployment_by_name(rounds_of(space)).id
        for run in (person, other):
            client.set_flow_run_state(run.id, Pending(), force=True)
    runs.close_left_behind([deployment], datetime.now(UTC) + timedelta(minutes=1))
    assert (state_of(person), state_of(other)) == (StateType.SCHEDULED, StateType.CRASHED)


def test_a_server_that_does_not_answer_is_no_server_without_another_homes_deployments(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(EvergreenError, match="does not tell whether"):
        refuse_another_home(space.settings)


def test_a_round_that_is_killed_counts_as_an_attempt(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[tuple[str, str]]] = []
    monkeypatch.setattr("flows.cycle.cycle", lambda *_, **__: seen.append(actions(space)))
    retrain.fn(kind="data")
    assert seen == [[("start", "attempt 1")]]


def test_a_round_that_prefect_believes_at_work_while_nobody_is_holds_up_no_other(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    lost = begun(space, "data")
    at_work(lost)
    assert start_what_is_asked_for(space) == "A round is under way already."  # it may be about to begin
    monkeypatch.setattr(monitoring, "START", LONG_AGO)
    with somebody_works(space):
        assert start_what_is_asked_for(space) == "A round is under way already."
    assert state_of(lost) == StateType.RUNNING
    assert start_what_is_asked_for(space) == "Started a round: a delivery waits to be judged."
    assert state_of(lost) == StateType.CRASHED


def test_a_round_that_begins_drops_those_that_wait_for_their_turn_but_no_persons(space: Workspace):
    waiting, person, own = begun(space, "data"), begun(space, "person"), begun(space, "data")
    at_work(own)
    with get_client(sync_client=True) as client:
        deployment: UUID = client.read_deployment_by_name(rounds_of(space)).id
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        later = client.create_flow_run_from_deployment(deployment, parameters={"kind": "schedule"}, state=scheduled(tomorrow))
    runs.drop_waiting([deployment], datetime.now(UTC))
    assert list(map(state_of, (waiting, person, own, later))) == [
        StateType.CANCELLED,
        StateType.SCHEDULED,
        StateType.RUNNING,
        StateType.SCHEDULED,
    ]


def scheduled(when: datetime) -> Any:
    from prefect.states import Scheduled

    return Scheduled(scheduled_time=when)


def test_a_home_takes_over_no_other_homes_deployments_on_a_server_that_they_share(space: Workspace):
    refuse_another_home(space.settings)
    other = space.settings.model_copy(update={"home": space.settings.root / "another"})
    with pytest.raises(RefusedError, match="has retraining/evergreen and monitoring/evergreen of another home"):
        refuse_another_home(other)
    named = other.model_copy(update={"deployment": "staging"})
    refuse_another_home(named)
    deployments.register(deployments.deployments(wanted_by(space.problem), named))
    refuse_another_home(space.settings)
    with pytest.raises(RefusedError, match="Set EVERGREEN_DEPLOYMENT to another name"):
        refuse_another_home(space.settings.model_copy(update={"deployment": "staging"}))


def test_an_arrival_in_one_home_starts_no_round_in_another(space: Workspace):
    named = space.settings.model_copy(update={"deployment": "staging"})
    here, there = (deployments.deployments(wanted_by(space.problem), settings)[0] for settings in (space.settings, named))
    (ours,), (theirs,) = ([one for one in made.triggers if deployments.ARRIVED in one.expect] for made in (here, there))
    assert ours.match.root == {"prefect.resource.id": "evergreen.landing.evergreen"}
    assert theirs.match.root == {"prefect.resource.id": "evergreen.landing.staging"}


@pytest.mark.parametrize(
    ("error", "failed"), [(RefusedError("The champion is another one by now."), []), (DataError("A column is gone."), [("skip", "failed")])]
)
def test_a_training_whose_champion_was_moved_meanwhile_is_not_one_that_failed(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, error: EvergreenError, failed: list[tuple[str, str]]
):
    def fail(*_: Any) -> None:
        raise error

    workspaces.ingest(space)
    monkeypatch.setattr(cycle, "train_and_tell", fail)
    with pytest.raises(type(error)):
        cycle.answer(space, "data", "why")
    assert actions(space) == [("retrain", "data"), *failed]


def test_a_request_that_is_answered_is_started_no_more(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def answer(*_: Any, **__: Any) -> None:
        trigger = occasions.trigger_of(space, "person", datetime.now(UTC))
        assert trigger is not None
        occasions.record_answer(space.journal, trigger)

    monkeypatch.setattr("flows.cycle.cycle", answer)
    retrain.fn(kind="person")
    assert occasions.asked(space.journal) == ""
    assert start_what_is_asked_for(space) == "Started a round: a delivery waits to be judged."
