"""What starts a round and what becomes of it, with a real Prefect server and no runner: nothing that was asked for is lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import workspaces
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import TerminationSignal
from prefect.states import Running

from evergreen import journal as tables
from evergreen import occasions
from evergreen.errors import DataError, RegistryError
from evergreen.workspace import Workspace
from flows import deployments, monitoring, runs
from flows.monitoring import RETRAINING, start_what_is_asked_for
from flows.retraining import retrain

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
    short = empty_space.settings.model_copy(update={"lease_seconds": 2.0})
    space = Workspace(short, empty_space.problem, empty_space.journal)
    monkeypatch.setattr("evergreen.workspace.open_workspace", lambda: space)
    known = deployments.register(deployments.deployments(space.problem, space.settings))
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


def begun(kind: str) -> FlowRun:
    run = run_deployment(RETRAINING, parameters={"kind": kind}, timeout=0, as_subflow=False)
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
        (RegistryError("MLflow does not answer."), [("start", "attempt 1"), ("excuse", "attempt 1")]),
        (TerminationSignal(15), [("start", "attempt 1"), ("excuse", "attempt 1")]),
        (DataError("A column is gone."), [("start", "attempt 1")]),
    ],
    ids=["a server is away", "told to end", "its own fault"],
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


def test_a_round_that_is_killed_counts_as_an_attempt(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[tuple[str, str]]] = []
    monkeypatch.setattr("flows.cycle.cycle", lambda *_, **__: seen.append(actions(space)))
    retrain.fn(kind="data")
    assert seen == [[("start", "attempt 1")]]


def test_a_round_that_prefect_believes_at_work_while_nobody_is_holds_up_no_other(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    lost = begun("data")
    at_work(lost)
    assert start_what_is_asked_for(space) == "A round is under way already."  # it may be about to begin
    monkeypatch.setattr(monitoring, "START", LONG_AGO)
    with somebody_works(space):
        assert start_what_is_asked_for(space) == "A round is under way already."
    assert state_of(lost) == StateType.RUNNING
    assert start_what_is_asked_for(space) == "Started a round: a delivery waits to be judged."
    assert state_of(lost) == StateType.CRASHED


def test_a_round_that_begins_drops_those_that_wait_for_their_turn_but_no_persons(space: Workspace):
    waiting, person, own = begun("data"), begun("person"), begun("data")
    at_work(own)
    with get_client(sync_client=True) as client:
        deployment: UUID = client.read_deployment_by_name(RETRAINING).id
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


def test_a_request_that_is_answered_is_started_no_more(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def answer(*_: Any, **__: Any) -> None:
        trigger = occasions.trigger_of(space, "person", datetime.now(UTC))
        assert trigger is not None
        occasions.record_answer(space.journal, trigger)

    monkeypatch.setattr("flows.cycle.cycle", answer)
    retrain.fn(kind="person")
    assert occasions.asked(space.journal) == ""
    assert start_what_is_asked_for(space) == "Started a round: a delivery waits to be judged."
