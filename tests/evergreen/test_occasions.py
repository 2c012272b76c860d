from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import sqlalchemy as sa
import time_machine
import workspaces

from evergreen import attempts, occasions
from evergreen import journal as tables
from evergreen.causes import find_alerts
from evergreen.data import landing
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import DataError
from evergreen.moves import standing
from evergreen.policies import RetrainingPolicy
from evergreen.status import current_inputs, current_state
from evergreen.triggers import Decision, Kind, Trigger
from evergreen.workspace import Workspace

DAYS = 60
NIGHTLY = workspaces.changed(workspaces.PROBLEM, retraining=RetrainingPolicy(cron="30 3 * * *", cooldown=timedelta(0), per_day=9))


@pytest.fixture(scope="module", autouse=True)
def noon() -> Iterator[None]:
    """Have it be the noon to come: no test meets the hour of the schedule by the way."""
    with time_machine.travel((datetime.now(UTC) + timedelta(days=1)).replace(hour=12, minute=0), tick=True):
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A home with a champion, nothing left to do. Nobody may add to it but rows about triggers, which each test takes away."""
    space = workspaces.open_space(tmp_path_factory.mktemp("trained") / "home", problem=NIGHTLY)
    workspaces.deliver_days(space, DAYS)
    workspaces.ingest(space)
    workspaces.train(space)
    close(space)
    yield space
    space.journal.close()


def close(space: Workspace) -> None:
    """Write down a finished round, as the flow does."""
    state = current_state(space, current_inputs(space), standing(space.journal).champion)
    number = len(space.journal.rows(tables.cycles))
    space.journal.add(tables.cycles, cycle=f"round {number}", facts={"decision": None, "data": "", "state": state})


def now() -> datetime:
    return datetime.now(UTC)


def tomorrow(hour: int = 4) -> datetime:
    return (now() + timedelta(days=1)).replace(hour=hour, minute=0)


def told(space: Workspace, kind: Kind) -> list[tuple[str, str]]:
    return [(row["action"], row["rule"]) for row in space.journal.rows(tables.triggers, kind=kind)]


def signal(space: Workspace, kind: Kind, window: str, *, found: bool) -> None:
    space.journal.add(
        tables.signals,
        signal=f"{kind} {window}",
        kind=kind,
        window=window,
        facts={"found": found, "champion": standing(space.journal).champion},
    )


def test_where_nothing_has_been_delivered_there_is_nothing_to_do(empty_space: Workspace):
    empty_space.settings.landing.mkdir(parents=True)
    assert occasions.find_occasion(empty_space, now()) is None
    assert told(empty_space, "data") == []


def test_a_file_that_waits_asks_for_a_round_whatever_is_in_it(empty_space: Workspace):
    workspaces.deliver_days(empty_space, 3)
    found = occasions.find_occasion(empty_space, now())
    assert (found and found.kind, found and found.reason) == ("data", "a delivery waits to be judged")


def test_data_without_a_verdict_ask_for_a_training_until_there_is_one(space: Workspace):
    found = occasions.find_occasion(space, now())
    assert (found and found.kind, found and found.reason) == ("data", "there is something new to learn from")
    assert told(space, "data") == []  # only whoever acts on it writes it down


def test_after_a_finished_round_there_is_nothing_to_do(trained: Workspace):
    assert occasions.find_occasion(trained, now()) is None
    assert occasions.trigger_of(trained, "data", now()) is None


def test_an_hour_of_the_schedule_that_has_passed_is_answered_once_with_nothing_new(trained: Workspace):
    for _ in range(3):
        assert occasions.find_occasion(trained, tomorrow()) is None
    assert told(trained, "schedule") == [("skip", "nothing new")]
    row = trained.journal.rows(tables.triggers, kind="schedule")[0]
    assert row["window"] == tomorrow(3).replace(minute=30, second=0, microsecond=0).isoformat()
    assert occasions.find_occasion(trained, tomorrow() + timedelta(days=1)) is None
    assert told(trained, "schedule") == [("skip", "nothing new")] * 2


def test_an_hour_before_the_journal_was_made_was_nobodys_to_keep(trained: Workspace):
    began = datetime.fromisoformat(trained.journal.rows(tables.about)[0]["at"])
    assert occasions.trigger_of(trained, "schedule", began) is None


@pytest.mark.parametrize("kind", ["drift", "decay"])
def test_a_signal_is_skipped_when_nothing_new_can_be_learnt_and_counts_only_when_found(trained: Workspace, kind: Kind):
    assert occasions.trigger_of(trained, kind, now()) is None
    signal(trained, kind, "2026-03-01", found=False)
    assert occasions.trigger_of(trained, kind, now()) is None
    signal(trained, kind, "2026-03-02", found=True)
    trigger = occasions.trigger_of(trained, kind, now())
    assert trigger is not None
    assert trigger.window == "2026-03-02"
    assert occasions.state_of(trained, trigger, now()).windows == (False, True)
    assert occasions.find_occasion(trained, now()) is None
    assert told(trained, kind) == [("skip", "nothing new")]


def test_a_training_that_was_begun_and_cut_short_goes_on(space: Workspace):
    trigger = occasions.trigger_of(space, "data", now())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("retrain", "data", "new"))
    found = occasions.find_occasion(space, now())
    assert found is not None
    assert "was cut short and goes on" in found.reason


def test_a_training_that_failed_is_left_alone_until_something_changes_or_the_schedule_comes(space: Workspace):
    trigger = occasions.trigger_of(space, "data", now())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("retrain", "data", "new"))
    occasions.record_failure(space.journal, trigger, DataError("a column is gone"))
    close(space)
    assert occasions.find_occasion(space, now()) is None
    assert ("skip", "failed") in told(space, "data")
    night = occasions.find_occasion(space, tomorrow())
    assert (night and night.kind) == "schedule"
    workspaces.deliver_days(space, 2, start=6)
    workspaces.ingest(space)
    changed = occasions.find_occasion(space, now())
    assert (changed and changed.kind) == "data"


def test_a_round_that_was_killed_after_its_verdict_is_gone_to_its_end(trained: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(occasions, "current_state", lambda *_: "elsewhere")
    found = occasions.find_occasion(trained, now())
    assert (found and found.reason) == "the last round was not gone to its end"


def test_a_round_that_changes_nothing_is_started_three_times_then_the_schedule_gives_it_another_chance(space: Workspace):
    for _ in range(attempts.MOST):
        found = occasions.find_occasion(space, now())
        assert found is not None
        attempts.begin(space.journal, found)
    assert occasions.find_occasion(space, now()) is None
    assert [row["rule"] for row in space.journal.rows(tables.triggers)][-4:] == ["attempt 1", "attempt 2", "attempt 3", "given up"]
    assert occasions.find_occasion(space, now()) is None
    assert len(space.journal.rows(tables.triggers, rule="given up")) == 1
    assert occasions.find_occasion(space, tomorrow()) is not None
    workspaces.deliver_days(space, 1, start=6)
    assert occasions.find_occasion(space, now()) is not None


def tried(space: Workspace, why: str = "") -> None:
    """Go a round for what asks for one, which changes nothing; with a reason: something that passes cut it short."""
    found = occasions.current_occasion(space, now())
    assert found is not None
    name = attempts.begin(space.journal, found)
    if why:
        attempts.excuse(space.journal, found, name, why)


def test_the_first_rounds_that_were_told_to_end_do_not_count_and_are_gone_again_at_once(space: Workspace):
    for _ in range(attempts.SPARED):
        tried(space, attempts.TOLD_TO_END)
        assert occasions.find_occasion(space, now()) is not None
    for _ in range(attempts.MOST):
        assert occasions.find_occasion(space, now()) is not None
        tried(space)
    assert occasions.find_occasion(space, now()) is None


def test_rounds_that_somebody_ends_again_and_again_are_not_gone_for_ever(space: Workspace):
    for _ in range(attempts.SPARED + attempts.MOST):
        assert occasions.find_occasion(space, now()) is not None
        tried(space, attempts.TOLD_TO_END)
    assert occasions.find_occasion(space, now()) is None


def test_a_round_that_is_killed_each_time_is_not_gone_for_ever_whatever_asks_for_it(space: Workspace):
    occasions.ask(space, now())
    trigger = occasions.trigger_of(space, "data", now())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("retrain", "data", "new"))  # it goes on without any brake
    gone = []
    for _ in range(50):
        found = occasions.find_occasion(space, now())
        if found is not None:
            gone.append(found.kind)
            tried(space)
    assert gone == ["person"] * attempts.MOST + ["data"] * attempts.MOST


def test_rounds_that_met_a_server_which_is_away_do_not_count_but_wait_longer_each_time_up_to_an_hour(space: Workspace):
    for minutes in (5, 10, 20, 40, 60, 60):
        tried(space, "MLflow does not answer.")
        assert occasions.find_occasion(space, now() + timedelta(minutes=minutes - 1)) is None
        assert occasions.find_occasion(space, now() + timedelta(minutes=minutes + 1)) is not None
    assert not space.journal.rows(tables.triggers, rule="given up")


def test_a_clock_that_was_set_back_has_nothing_wait_longer_than_a_pause(space: Workspace):
    tried(space, "MLflow does not answer.")
    assert occasions.find_occasion(space, now() - timedelta(hours=2)) is not None


def test_what_a_person_asked_for_is_a_reason_until_it_is_answered_and_asked_twice_it_is_one(trained: Workspace):
    for _ in range(2):
        occasions.ask(trained, now())
    assert [row["action"] for row in trained.journal.rows(tables.triggers, kind="person")][-1:] == ["ask"]
    waiting = occasions.asked(trained.journal)
    found = occasions.find_occasion(trained, now())
    assert (found and found.kind, found and found.reason) == ("person", "a person asked for it")
    trigger = occasions.trigger_of(trained, "person", now())
    assert trigger is not None
    assert trigger.window == waiting
    occasions.record(trained.journal, trigger, Decision("skip", "nothing new", "the verdict stands"))
    assert occasions.asked(trained.journal) == ""
    assert occasions.find_occasion(trained, now()) is None
    occasions.ask(trained, now())
    assert occasions.asked(trained.journal) > waiting
    answer = occasions.trigger_of(trained, "person", now())
    assert answer is not None
    occasions.record(trained.journal, answer, Decision("skip", "nothing new", "the verdict stands"))


def test_what_a_person_asked_for_and_was_cut_short_goes_on_until_there_is_a_verdict(space: Workspace):
    occasions.ask(space, now())
    trigger = occasions.trigger_of(space, "person", now())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("retrain", "person", "a person asked for it"))
    found = occasions.find_occasion(space, now())
    assert (found and found.kind) == "person"
    assert occasions.trigger_of(space, "person", now()) == trigger
    occasions.record_failure(space.journal, trigger, DataError("a column is gone"))
    assert occasions.asked(space.journal) == ""


def test_data_that_teach_nothing_new_are_answered_by_the_earlier_verdict(space: Workspace):
    trigger = occasions.trigger_of(space, "data", now())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("retrain", "data", "new"))
    occasions.record_answer(space.journal, trigger)
    close(space)
    assert occasions.trigger_of(space, "data", now()) is None
    assert occasions.find_occasion(space, now()) is None


def test_an_hour_of_the_schedule_that_comes_too_early_is_not_lost(space: Workspace):
    trigger = occasions.trigger_of(space, "schedule", tomorrow())
    assert trigger is not None
    occasions.record(space.journal, trigger, Decision("skip", "cooldown", "not yet"))
    assert occasions.trigger_of(space, "schedule", tomorrow()) == trigger
    occasions.record(space.journal, trigger, Decision("skip", "stale", "weather"))
    assert occasions.trigger_of(space, "schedule", tomorrow()) is None


def test_what_a_person_asks_for_is_a_reason_of_its_own_each_time(trained: Workspace):
    first, second = (occasions.trigger_of(trained, "person", now()) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.key != second.key


def test_a_trigger_is_acted_upon_once_however_often_it_is_written(space: Workspace):
    trigger = Trigger("data", "inputs")
    for _ in range(3):
        occasions.record(space.journal, trigger, Decision("retrain", "data", "new"))
        occasions.record(space.journal, trigger, Decision("skip", "cooldown", "later"))
    assert told(space, "data") == [("retrain", "data"), ("skip", "cooldown")]


def test_trainings_that_began_by_themselves_are_counted_once_each_and_a_persons_are_not(space: Workspace):
    for kind, inputs, rule in (("data", "a", "data"), ("data", "a", "cut short"), ("schedule", "b", "schedule"), ("person", "c", "person")):
        occasions.record(space.journal, Trigger(kind, inputs), Decision("retrain", rule, "why"))
    assert len(occasions.state_of(space, Trigger("data", "d"), now()).begun) == 2


def test_a_held_version_can_be_judged_again_once_there_is_more_to_judge_it_on(tmp_path: Path):
    space = workspaces.open_space(
        tmp_path / "home", problem=workspaces.changed(NIGHTLY, gate=workspaces.changed(NIGHTLY.gate, min_rows=100_000))
    )
    workspaces.deliver_days(space, DAYS)
    workspaces.ingest(space)
    assert workspaces.train(space)["verdict"] == "hold"
    trigger = Trigger("data", (current_inputs(space) or ""))
    assert occasions.state_of(space, trigger, now()).held is None
    assert occasions.state_of(space, trigger, now()).is_judged
    workspaces.deliver_days(space, 2, start=DAYS)
    workspaces.ingest(space)
    take_snapshot(space.journal, space.problem)
    later = occasions.state_of(space, Trigger("data", (current_inputs(space) or "")), now())
    assert (later.held, later.is_judged) == (1, False)
    space.journal.close()


def serving(space: Workspace, *, gates: int, through: int, findings: list[dict[str, str]] | None = None) -> None:
    """Have version 1 serve, and so many gates have been asked, the last on outcomes up to the end of a day of the shop."""
    for number in range(gates):
        at = workspaces.data.START + timedelta(days=number)
        space.journal.add(tables.ledger, spend=f"s{number}", data_time=at.isoformat(), purpose="gate", alpha=NIGHTLY.gate.alpha)
    row = {"decision": "d", "training_key": "d", "inputs": "earlier", "snapshot": "s", "verdict": "promote", "champion": None}
    data_time = (workspaces.data.START + timedelta(days=through)).isoformat()
    space.journal.add(tables.decisions, **row, candidate=1, data_time=data_time, record={"findings": findings or []})
    move = {"version": 1, "champion": None, "anchor": 1, "kind": "promotion", "reason": "better", "person": "ci"}
    for state in ("intent", "done"):
        space.journal.add(tables.promotions, promotion="move", state=state, **move)


def test_new_data_and_the_schedule_begin_no_training_that_the_error_budget_has_no_room_for(space: Workspace):
    serving(space, gates=12, through=11)
    close(space)
    assert occasions.find_occasion(space, tomorrow()) is None
    assert (told(space, "data"), told(space, "schedule")) == ([("skip", "error budget")], [("skip", "error budget")])
    reason = "the error budget has no room for another candidate until outcomes reach 2027-01-05"
    assert {row["reason"] for row in space.journal.rows(tables.triggers)} == {reason}
    occasions.ask(space, now())
    asked = occasions.find_occasion(space, now())
    assert (asked and asked.kind) == "person"


def test_what_the_error_budget_has_no_room_for_is_read_once_for_the_same_data(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    serving(space, gates=12, through=11)
    close(space)
    assert occasions.find_occasion(space, now()) is None
    monkeypatch.setattr(occasions, "frame_of", lambda *_: pytest.fail("read again"))
    assert occasions.find_occasion(space, now()) is None
    assert told(space, "data") == [("skip", "error budget")]


def test_where_another_rule_stands_against_it_the_data_are_not_read_for_the_error_budget(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    serving(space, gates=12, through=11)
    close(space)
    policy = space.problem.retraining.model_copy(update={"on": ("drift", "decay")})
    space = Workspace(space.settings, space.problem.model_copy(update={"retraining": policy}), space.journal)
    monkeypatch.setattr(occasions, "frame_of", lambda *_: pytest.fail("read"))
    occasions.find_occasion(space, now())
    assert told(space, "data") == [("skip", "not wanted")]


def test_outcomes_that_reach_a_year_with_room_are_learnt_from_although_the_last_gate_left_none(space: Workspace):
    serving(space, gates=12, through=11)
    late = workspaces.data.day_of_orders(6)
    moved = late.assign(ordered_at=late["ordered_at"] + timedelta(days=360))
    workspaces.deliver_days(space, 1, start=6, without=("orders", "outcomes"))
    stock = pd.DataFrame(
        {"product": list(workspaces.data.PRODUCTS), "observed_at": moved["ordered_at"].min().floor("D"), "stock_level": 90}
    )
    workspaces.deliver(space, "stock", "late.csv", stock)
    workspaces.deliver(space, "orders", "late.csv", moved.drop(columns="returned"))
    workspaces.deliver(space, "outcomes", "late.csv", moved[["order_id", "ordered_at", "returned"]])
    workspaces.ingest(space)
    found = occasions.find_occasion(space, now())
    assert (found and found.kind) == "data"


@pytest.mark.parametrize("gates", [0, 11])
def test_where_the_error_budget_has_room_no_data_are_read_to_know_it(space: Workspace, gates: int, monkeypatch: pytest.MonkeyPatch):
    serving(space, gates=gates, through=11)
    monkeypatch.setattr(occasions, "frame_of", lambda *_: pytest.fail("read"))
    found = occasions.find_occasion(space, now())
    assert (found and found.kind) == "data"


def test_while_the_error_budget_is_full_only_a_held_version_that_it_was_paid_for_is_judged_again(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
):
    snapshot = take_snapshot(space.journal, space.problem)
    held = SimpleNamespace(number=1)
    monkeypatch.setattr(occasions.resuming, "held_version", lambda _: held)
    monkeypatch.setattr(occasions.resuming, "refuse_changed", lambda *_: None)
    serving(space, gates=12, through=11, findings=[{"check": "budget", "outcome": "hold"}])
    assert occasions._resumable(space, snapshot, full=True) is None
    assert occasions._resumable(space, snapshot, full=False) == 1


def publish(space: Workspace, days: range) -> None:
    """Have a delivery a day of each source lie in its folder, and the journal say that it was published."""
    rows = []
    for source in space.problem.sources:
        for day in days:
            path = workspaces.deliver(space, source.name, f"{day}.csv", workspaces.data.day_of_orders(0).iloc[:0])
            digest = f"{source.name} {day}"
            batch = landing.batch_path(space.settings.root, source.name, digest)
            batch.parent.mkdir(parents=True, exist_ok=True)
            batch.touch()
            words = {"rules": "r", "outcome": "published", "reason": "", "stat": landing.stat_of(path), "batch": digest, "after": 0}
            newest = f"2026-01-{day + 1:02d}T00:00:00+00:00"
            rows.append({"source": source.name, "name": path.name, "delivery": digest, "newest": newest, "warnings": [], **words})
    space.journal.add_new(tables.deliveries, rows)


@pytest.mark.parametrize(("look", "most"), [(occasions.find_occasion, 1), (find_alerts, 1 + len(NIGHTLY.sources))])
def test_one_look_reads_the_deliveries_once_however_many_there_are(
    empty_space: Workspace, look: Callable[[Workspace, datetime], object], most: int
):
    asked: list[str] = []
    sa.event.listen(empty_space.journal._engine, "before_cursor_execute", lambda *words: asked.append(words[2]))
    told = []
    for days in (range(3), range(3, 28)):
        publish(empty_space, days)
        asked.clear()
        look(empty_space, now())
        questions = [each for each in asked if "FROM deliveries" in each]
        told.append(len(questions))
        # Whoever wants the newest few of a source says so.
        assert [each for each in questions if "LIMIT" not in each] == questions[:1]
    assert told == [most, most]
