import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from toy.contract import PROBLEM
from toy.data import START, day_of_orders
from workspaces import changed, deliver, deliver_days, ingest, with_source

from evergreen import journal as tables
from evergreen.cadence import last_due
from evergreen.causes import find_alerts
from evergreen.contract import Problem
from evergreen.errors import ContractError
from evergreen.monitoring.channels import Channels
from evergreen.monitoring.telling import Memory, tell
from evergreen.policies import AlertKind, AlertPolicy
from evergreen.report.contract import describe
from evergreen.workspace import Workspace

FIRST = START.to_pydatetime()
YEAR = timedelta(days=365)
EVERY_DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def found(space: Workspace, at: datetime | None = None, problem: Problem | None = None) -> list[Any]:
    return find_alerts(Workspace(space.settings, problem or space.problem, space.journal), at or now())


def decided(space: Workspace, version: int, verdict: str, *, data_time: datetime = FIRST) -> None:
    name = f"decision {len(space.journal.rows(tables.decisions))}"
    record = {"headline": f"Version {version} is judged.", "why": ["Too few rows.", "And more."]}
    row = {"decision": name, "training_key": name, "inputs": name, "snapshot": "s", "data_time": data_time.isoformat()}
    space.journal.add(tables.decisions, **row, verdict=verdict, candidate=version, champion=None, record=record)


def moved(space: Workspace, version: int) -> None:
    row = {"version": version, "champion": None, "anchor": version, "kind": "release", "reason": "r", "person": "ann"}
    space.journal.add(tables.promotions, promotion=f"move to {version}", state="done", **row)


def test_a_clean_replay_has_nothing_to_tell(space: Workspace):
    decided(space, 1, "promote")
    problem = with_source("stock", max_age=EVERY_DAY)
    assert found(space, problem=problem) == []


def test_before_anything_was_delivered_there_is_nothing_to_tell(empty_space: Workspace):
    assert found(empty_space, now() + YEAR) == []


def test_a_delivery_in_quarantine_is_told_until_another_takes_its_place(space: Workspace):
    orders = day_of_orders(6)[["order_id", "ordered_at", "customer_id", "product", "amount"]]
    deliver(space, "orders", "next.csv", orders.iloc[:0])
    ingest(space)
    (one,) = found(space)
    assert (one.kind, one.affected, one.command) == ("quarantine", "the shop", "evergreen ingest")
    assert one.what == "The delivery orders/next.csv is in quarantine: is empty: it has no rows. Nothing has taken its place."
    deliver(space, "orders", "next.csv", orders)
    ingest(space)
    assert found(space) == []


def test_a_source_is_late_beyond_its_age(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 2, start=2, without=("stock", "outcomes"))
    ingest(empty_space)
    (one,) = found(empty_space, problem=with_source("stock", max_age=timedelta(days=2)))
    assert (one.kind, one.command) == ("late", "evergreen status")
    assert "The source stock is late: its newest row, 2026-01-06 06:00:00+00:00, lies 2.6 days behind" in one.what
    assert "the contract allows 2.0 days." in one.what
    assert found(empty_space, problem=with_source("stock", max_age=timedelta(days=3))) == []


def test_a_source_that_never_delivered_while_others_did_is_told(empty_space: Workspace):
    deliver_days(empty_space, 2, without=("customers",))
    ingest(empty_space)
    (one,) = found(empty_space)
    assert (one.kind, one.what) == (
        "missing",
        "Nothing of the source customers has ever been published, while others have been: no model can be trained.",
    )


@pytest.mark.parametrize(("verdict", "command"), [("hold", "evergreen gate resume 2"), ("reject", "evergreen history")])
def test_the_newest_refusal_is_told_with_its_first_reason(space: Workspace, verdict: str, command: str):
    decided(space, 1, "promote")
    decided(space, 2, verdict)
    (one,) = found(space)
    assert (one.kind, one.command) == ("verdict", command)
    assert one.what == f"{verdict.upper()}: Version 2 is judged."


def test_a_refusal_is_not_told_once_a_newer_verdict_or_a_person_has_settled_it(space: Workspace):
    decided(space, 1, "hold")
    assert [one.kind for one in found(space)] == ["verdict"]
    moved(space, 1)
    assert found(space) == []
    decided(space, 2, "reject")
    assert [one.kind for one in found(space)] == ["verdict"]
    decided(space, 3, "promote")
    assert found(space) == []


def spent(space: Workspace, gates: int) -> datetime:
    """Spend what so many gates take, a week apart; returns the data time of the last."""
    at = FIRST
    for number in range(gates):
        at = FIRST + number * timedelta(days=7)
        space.journal.add(tables.ledger, spend=f"s{number}", data_time=at.isoformat(), purpose="gate", alpha=PROBLEM.gate.alpha)
    decided(space, gates, "promote", data_time=at)
    return at


def test_a_spent_error_budget_is_told_with_the_day_on_which_there_is_room_again(space: Workspace):
    spent(space, PROBLEM.gate.gates_per_year)
    (one,) = found(space)
    assert one.kind == "budget"
    day = FIRST + YEAR
    assert f"until outcomes reach {day:%Y-%m-%d}, no other candidate can be promoted" in one.what
    decided(space, 99, "promote", data_time=day - timedelta(seconds=1))
    assert [one.kind for one in found(space)] == ["budget"]
    decided(space, 100, "promote", data_time=day)
    assert found(space) == []


def test_a_budget_with_room_for_one_more_gate_is_not_told(space: Workspace):
    spent(space, PROBLEM.gate.gates_per_year - 1)
    assert found(space) == []


def test_what_first_models_took_is_no_part_of_the_year(space: Workspace):
    for number in range(30):
        space.journal.add(tables.ledger, spend=f"f{number}", data_time=START.isoformat(), purpose="first model", alpha=0.05)
    decided(space, 1, "promote")
    assert found(space) == []


def silence(space: Workspace, after: timedelta) -> list[str]:
    return [one.kind for one in found(space, now() + after) if one.kind == "silence"]


def test_two_cadences_without_a_decision_are_told(space: Workspace):
    decided(space, 1, "promote")
    assert silence(space, 2 * EVERY_DAY - timedelta(minutes=1)) == []
    (one,) = found(space, now() + 2 * EVERY_DAY + timedelta(minutes=1))
    assert (one.kind, one.command) == ("silence", "evergreen run")
    assert one.what.startswith("No gate decision for 2.0 days: the schedule is every 24.0 hours, and the last sign of life was at ")


def test_the_clock_of_silence_is_the_schedules(space: Workspace):
    hourly = changed(PROBLEM, retraining=changed(PROBLEM.retraining, cron="5 * * * *"))
    decided(space, 1, "promote")
    assert found(space, now() + timedelta(minutes=119), hourly) == []
    assert [one.kind for one in found(space, now() + timedelta(minutes=121), hourly)] == ["silence"]


def aged(space: Workspace, table: str) -> None:
    """Make the rows of a table three days older."""
    with closing(sqlite3.connect(space.settings.root / "journal.db")) as database, database:
        at = (now() - 3 * EVERY_DAY).isoformat()
        database.execute(f"UPDATE {table} SET at = ?", [at])  # noqa: S608 - the tests' own words


def test_before_the_first_decision_the_clock_starts_at_the_first_delivery(space: Workspace):
    assert found(space) == []
    aged(space, "deliveries")
    assert [one.kind for one in found(space)] == ["silence"]


@pytest.mark.parametrize("sign", ["decision", "trigger", "round"])
def test_a_decision_a_weighed_reason_and_a_finished_round_are_signs_of_life(space: Workspace, sign: str):
    aged(space, "deliveries")
    if sign == "decision":
        decided(space, 1, "promote")
    elif sign == "trigger":
        words = {"rule": "nothing new", "reason": "r", "inputs": "i", "window": "w"}
        space.journal.add(tables.triggers, trigger="t", kind="schedule", action="skip", **words)
    else:
        space.journal.add(tables.cycles, cycle="deliveries 1", facts={})
    assert found(space) == []


def signal(space: Workspace, kind: str, window: str, *, found: bool = True, champion: int | None = None) -> None:
    facts = {"found": found, "champion": champion, "sentence": "amount has moved."}
    space.journal.add(tables.signals, signal=f"{kind} {window}", kind=kind, window=window, facts=facts)


@pytest.mark.parametrize("kind", ["drift", "decay"])
def test_drift_and_decay_are_told_while_they_count_by_the_contracts_debounce(space: Workspace, kind: str):
    signal(space, kind, "2026-02-01")
    assert found(space) == []
    signal(space, kind, "2026-02-08")
    (one,) = found(space)
    said = f"{kind.capitalize()} was found in 2 of the last 2 windows: amount has moved."
    assert (one.kind, one.what, one.command) == (kind, said, "evergreen train")
    signal(space, kind, "2026-02-15", found=False)
    assert found(space) == []
    signal(space, kind, "2026-02-22", champion=7)
    assert found(space) == []


def test_rounds_that_were_gone_in_vain_are_told_until_the_schedule_gives_them_another_chance(space: Workspace):
    at = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
    hour = last_due(space.problem.retraining.cron, at).isoformat()
    row = {"trigger": "t", "kind": "data", "inputs": "", "action": "skip", "rule": "given up", "reason": "a delivery waits"}
    space.journal.add(tables.triggers, **row, window=hour)
    told = [one.what for one in find_alerts(space, at) if one.kind == "failure"]
    assert told == ["Nothing gets done: a delivery waits."]
    assert [one for one in find_alerts(space, at + timedelta(days=1)) if one.kind == "failure"] == []


def test_every_cause_is_told_once_a_day_and_what_ended_is_told_no_more(empty_space: Workspace):
    deliver_days(empty_space, 2, without=("customers",))
    deliver_days(empty_space, 2, start=2, without=("stock", "outcomes", "customers"))
    deliver(empty_space, "orders", "next.csv", day_of_orders(6).iloc[:0])
    ingest(empty_space)
    spent(empty_space, 12)
    decided(empty_space, 13, "hold")
    for kind in ("drift", "decay"):
        signal(empty_space, kind, "v")
        signal(empty_space, kind, "w")
    aged(empty_space, "deliveries")
    aged(empty_space, "decisions")
    problem = with_source("stock", max_age=EVERY_DAY)
    expected = {"quarantine", "late", "missing", "verdict", "budget", "drift", "decay", "silence"}

    def told(at: datetime) -> set[str]:
        alerts = found(empty_space, at, problem)
        return {one.kind for one in tell(Memory(empty_space.journal, empty_space.settings.root), alerts, channels=Channels(lambda _: None), cooldown=EVERY_DAY, now=at)}

    assert told(now()) == expected
    assert told(now() + timedelta(hours=23)) == set()
    assert told(now() + timedelta(hours=25)) == expected


def test_only_what_the_contract_names_is_told(space: Workspace):
    decided(space, 1, "hold")
    signal(space, "drift", "v")
    signal(space, "drift", "w")
    assert [one.kind for one in found(space)] == ["verdict", "drift"]
    assert [one.kind for one in found(space, problem=changed(PROBLEM, alerts=AlertPolicy(on=("drift",))))] == ["drift"]
    assert found(space, problem=changed(PROBLEM, alerts=AlertPolicy(on=()))) == []


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(ContractError, match=r"on.0: got 'earthquake'; expected: input should be 'quarantine'"):
        AlertPolicy(on=("earthquake",))


def test_the_contract_says_what_people_are_told_of_and_how_often():
    heading = "What people are told of"
    assert dict(describe(PROBLEM))[heading][1] == "The same cause is told again after 1 day."
    for kind in AlertKind.__args__:
        (said, _) = dict(describe(changed(PROBLEM, alerts=AlertPolicy(on=(kind,)))))[heading]
        assert said[0].isupper()
        assert said.endswith(".")
    some = AlertPolicy(on=("quarantine", "failure"), cooldown=timedelta(hours=6))
    assert dict(describe(changed(PROBLEM, alerts=some)))[heading] == [
        "A delivery in quarantine that nothing has taken the place of and a run that failed.",
        "The same cause is told again after 6 hours.",
    ]
    assert dict(describe(changed(PROBLEM, alerts=AlertPolicy(on=()))))[heading] == ["Of nothing: who wants to know must look."]
