import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from toy.contract import PROBLEM
from toy.data import START, day_of_orders
from workspaces import changed, deliver, deliver_days, ingest, with_source

from evergreen import attempts, occasions
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
ROW = {"version": 1, "champion": None, "anchor": 1, "kind": "release", "reason": "r", "person": "ann"}


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
    space.journal.add(tables.promotions, promotion=f"move to {version}", state="done", **{**ROW, "version": version, "anchor": version})


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
    assert one.what == (
        "The delivery orders/next.csv is in quarantine: is empty: it has no rows. Nothing has taken its place: put a corrected file there "
        "under the same name, or remove it from the landing folder."
    )
    deliver(space, "orders", "next.csv", orders)
    ingest(space)
    assert found(space) == []


def test_a_delivery_in_quarantine_whose_file_has_left_the_landing_folder_waits_for_nobody(space: Workspace):
    deliver(space, "orders", "next.csv", day_of_orders(6).iloc[:0])
    junk = space.settings.landing / "stock" / "Thumbs.db"
    junk.write_bytes(b"\0")
    ingest(space)
    assert [one.what.split()[2] for one in found(space)] == ["orders/next.csv", "stock/Thumbs.db"]
    junk.unlink()
    assert [one.what.split()[2] for one in found(space)] == ["orders/next.csv"]
    (space.settings.landing / "orders" / "next.csv").unlink()
    assert found(space) == []


def stray(space: Workspace, at: datetime | None = None) -> list[str]:
    told = found(space, at)
    assert {one.command for one in told if one.kind == "stray"} <= {"evergreen status"}
    return [one.what for one in told if one.kind == "stray"]


def test_what_lies_in_a_folder_of_no_source_is_told_until_it_is_gone(space: Workspace):
    wrong = space.settings.landing / "Orders"
    wrong.mkdir()
    (wrong / "next.csv").write_text("order_id\n1\n")
    assert stray(space) == [
        "Orders in the landing folder waits in vain. It belongs to no source of the contract: move what it holds into the folder of one "
        "(orders, stock, customers, outcomes), or remove it."
    ]
    (wrong / "next.csv").unlink()
    wrong.rmdir()
    assert stray(space) == []


def test_a_folder_within_a_sources_folder_and_a_name_that_cannot_be_printed_are_told(space: Workspace):
    (space.settings.landing / "orders" / "2026").mkdir()
    (space.settings.landing / "orders" / "a\nb.csv").touch()
    folder, name = stray(space)
    assert folder == (
        "orders/2026 in the landing folder waits in vain. "
        "It is no file, and only files are judged: deliver what it holds as files, or remove it."
    )
    assert name.startswith(
        r"orders/a\nb.csv in the landing folder waits in vain. It has a name with a sign that cannot be shown: deliver it"
    )


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        *((name, True) for name in ("next.csv.part", ".next.csv.Xy12Z", "next.csv.tmp")),
        *((name, False) for name in (".DS_Store", ".gitkeep", "._next.csv", ".nfs0001")),
    ],
)
def test_a_copy_that_was_not_finished_is_told_after_a_day(space: Workspace, name: str, is_told: bool):
    (space.settings.landing / "orders" / name).write_text("order_id\n")
    late = "It has been named as unfinished for more than a day: have it delivered to its end, or remove it."
    assert stray(space, now() + EVERY_DAY - timedelta(minutes=1)) == []
    told = [f"orders/{name} in the landing folder waits in vain. {late}"] if is_told else []
    assert stray(space, now() + EVERY_DAY + timedelta(minutes=1)) == told


def test_a_new_file_that_cannot_be_opened_is_told_and_one_that_was_judged_before_is_not(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    deliver(space, "orders", "locked.csv", day_of_orders(6))
    assert stray(space) == []
    monkeypatch.setattr("os.access", lambda *_: False)
    assert stray(space) == ["orders/locked.csv in the landing folder waits in vain. It cannot be opened: check its permissions."]


def test_a_landing_folder_that_cannot_be_listed_is_told_and_what_is_in_quarantine_too(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    deliver(space, "orders", "next.csv", day_of_orders(6).iloc[:0])
    ingest(space)
    decided(space, 1, "hold")

    def refused(self: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    told = found(space)
    assert [one.kind for one in told] == ["stray", "quarantine", "verdict"]
    assert told[0].what.startswith("Nothing that is delivered can be judged: ")
    assert told[0].what.endswith("cannot be listed (Permission denied). Check its permissions, then run again.")


def test_a_source_is_late_beyond_its_age(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 2, start=2, without=("stock", "outcomes"))
    ingest(empty_space)
    (one,) = found(empty_space, problem=with_source("stock", max_age=timedelta(days=2)))
    assert (one.kind, one.command) == ("late", "evergreen status")
    assert "The source stock is late: its newest row, 2026-01-06 06:00:00+00:00, lies 2.6 days behind" in one.what
    assert "the contract allows 2.0 days." in one.what
    assert found(empty_space, problem=with_source("stock", max_age=timedelta(days=3))) == []


def test_a_source_is_neither_late_nor_missing_while_what_it_delivered_has_not_been_judged(empty_space: Workspace):
    deliver_days(empty_space, 2)
    deliver_days(empty_space, 2, start=2, without=("stock", "outcomes"))
    ingest(empty_space)
    problem = with_source("stock", max_age=timedelta(days=2))
    assert [one.kind for one in found(empty_space, problem=problem)] == ["late"]
    deliver(empty_space, "stock", "late.csv", day_of_orders(6))
    assert found(empty_space, problem=problem) == []
    (empty_space.settings.landing / "stock" / "late.csv").unlink()
    assert [one.kind for one in found(empty_space, problem=problem)] == ["late"]


def test_a_source_that_never_delivered_while_others_did_is_told(empty_space: Workspace):
    deliver_days(empty_space, 2, without=("customers",))
    ingest(empty_space)
    (one,) = found(empty_space)
    assert (one.kind, one.what) == (
        "missing",
        "Nothing of the source customers has ever been published, while others have been: no model can be trained.",
    )
    deliver(empty_space, "customers", "first.csv", day_of_orders(6))
    assert found(empty_space) == []


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


def last_sign(space: Workspace, at: datetime) -> None:
    """Have the last sign of life be a decision of that moment."""
    decided(space, 1, "promote")
    with closing(sqlite3.connect(space.settings.root / "journal.db")) as database, database:
        for table in ("deliveries", "decisions"):
            database.execute(f"UPDATE {table} SET at = ?", [at.isoformat()])  # noqa: S608 - the tests' own words


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def scheduled(cron: str) -> Problem:
    return changed(PROBLEM, retraining=changed(PROBLEM.retraining, cron=cron))


def test_a_loop_that_missed_two_hours_of_its_schedule_is_told(space: Workspace):
    last_sign(space, on("2026-03-02 03:31"))
    (one,) = found(space, on("2026-03-04 12:00"), scheduled("30 3 * * *"))
    assert (one.kind, one.command) == ("silence", "evergreen run")
    assert one.what == (
        "No sign of life for 2.4 days, since 2026-03-02 03:31 UTC: the schedule's hours 2026-03-03 03:30 and 2026-03-04 03:30 (UTC) "
        "passed, and nothing was judged or weighed."
    )


@pytest.mark.parametrize(
    ("cron", "last", "told_after"),
    [
        ("30 3 * * *", "2026-03-02 03:31", "2026-03-04 09:30"),
        ("5 * * * *", "2026-03-02 12:06", "2026-03-02 14:20"),
        pytest.param("30 3 * * 1-5", "2026-03-06 03:31", "2026-03-10 09:30", id="over a weekend"),
        pytest.param("30 3 * * 1-5", "2026-03-05 03:31", "2026-03-09 21:30", id="since Thursday"),
        pytest.param("30 3 * * 1-5", "2026-03-02 03:31", "2026-03-04 09:30", id="since Monday"),
        pytest.param("0 3 1,2 * *", "2026-03-02 03:01", "2026-04-02 09:00", id="twice at the beginning of a month"),
    ],
)
def test_silence_is_told_when_the_second_hour_and_a_quarter_of_the_time_between_have_passed(
    space: Workspace, cron: str, last: str, told_after: str
):
    last_sign(space, on(last))
    assert found(space, on(told_after), scheduled(cron)) == []
    assert [one.kind for one in found(space, on(told_after) + timedelta(minutes=1), scheduled(cron))] == ["silence"]


def test_a_platform_that_looks_seldom_is_given_three_looks(space: Workspace):
    last_sign(space, on("2026-03-02 12:06"))
    patient = Workspace(space.settings.model_copy(update={"poll_seconds": 3_600.0}), space.problem, space.journal)
    assert found(patient, on("2026-03-02 17:05"), scheduled("5 * * * *")) == []
    assert [one.kind for one in found(patient, on("2026-03-02 17:06"), scheduled("5 * * * *"))] == ["silence"]


def test_there_is_no_silence_while_somebody_works(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    last_sign(space, on("2026-03-02 12:06"))
    assert [one.kind for one in found(space, on("2026-03-02 16:00"), scheduled("5 * * * *"))] == ["silence"]
    monkeypatch.setattr("evergreen.causes.is_at_work", lambda *_, **__: True)
    assert found(space, on("2026-03-02 16:00"), scheduled("5 * * * *")) == []


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


def signal(
    space: Workspace, kind: str, window: str, *, found: bool = True, champion: int | None = None, sentence: str = "amount has moved."
) -> None:
    facts = {"found": found, "champion": champion, "sentence": sentence}
    space.journal.add(tables.signals, signal=f"{kind} {window} {champion}", kind=kind, window=window, facts=facts)


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


@pytest.mark.parametrize("kind", ["drift", "decay"])
def test_drift_that_goes_on_is_one_cause_whatever_windows_and_corrections_come(space: Workspace, kind: str):
    signal(space, kind, "2026-02-01")
    signal(space, kind, "2026-02-08")
    causes = [one.cause for one in found(space)]
    signal(space, kind, "2026-02-15")
    causes += [one.cause for one in found(space)]
    assert len(causes) == 2
    assert len(set(causes)) == 1


@pytest.mark.parametrize("kind", ["drift", "decay"])
def test_after_a_rollback_the_drift_of_the_version_that_serves_is_told(space: Workspace, kind: str):
    for version, said in ((1, "amount has moved."), (2, "region has moved.")):
        moved(space, version)
        for window in ("2026-02-01", "2026-02-08"):
            signal(space, kind, window, champion=version, sentence=said)
    (second,) = found(space)
    assert second.what.endswith("region has moved.")
    space.journal.add(tables.promotions, promotion="back", state="done", **{**ROW, "version": 1, "kind": "rollback"})
    (first,) = found(space)
    assert first.what.endswith("amount has moved.")
    assert first.cause != second.cause


def failures(space: Workspace, at: datetime) -> list[str]:
    return [one.what for one in found(space, at) if one.kind == "failure"]


def gone_in_vain(space: Workspace, at: datetime) -> None:
    """Three rounds for a file that nobody can judge."""
    for _ in range(attempts.MOST):
        occasion = occasions.find_occasion(space, at)
        assert occasion is not None
        attempts.begin(space.journal, occasion)
        assert failures(space, at) == []
    assert occasions.find_occasion(space, at) is None


def test_rounds_that_were_gone_in_vain_are_told_until_the_schedule_gives_them_another_chance(empty_space: Workspace):
    at = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
    deliver(empty_space, "orders", "next.csv", day_of_orders(6))
    gone_in_vain(empty_space, at)
    (told,) = failures(empty_space, at)
    assert told.startswith("Nothing gets done: a delivery waits to be judged; 3 rounds for it changed nothing")
    assert failures(empty_space, last_due(empty_space.problem.retraining.cron, at) + timedelta(days=1)) == []


def test_rounds_that_were_gone_in_vain_are_not_told_once_what_they_were_gone_for_is_settled_or_another_is_tried(empty_space: Workspace):
    at = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
    path = deliver(empty_space, "orders", "next.csv", day_of_orders(6))
    gone_in_vain(empty_space, at)
    assert len(failures(empty_space, at)) == 1
    other = deliver(empty_space, "orders", "other.csv", day_of_orders(7))
    assert failures(empty_space, at) == []
    other.unlink()
    assert len(failures(empty_space, at)) == 1
    path.unlink()
    assert failures(empty_space, at) == []


def test_rounds_that_are_gone_in_vain_hour_after_hour_are_one_cause(empty_space: Workspace):
    deliver(empty_space, "orders", "next.csv", day_of_orders(6))
    causes = []
    for hour in (12, 36):
        at = datetime(2026, 6, 2, tzinfo=UTC) + timedelta(hours=hour)
        gone_in_vain(empty_space, at)
        causes += [one.cause for one in found(empty_space, at) if one.kind == "failure"]
    assert len(causes) == 2
    assert len(set(causes)) == 1


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
        return {
            one.kind
            for one in tell(
                Memory(empty_space.journal, empty_space.settings.root),
                alerts,
                channels=Channels(lambda _: None),
                cooldown=EVERY_DAY,
                now=at,
            )
        }

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


@pytest.mark.parametrize(("kind", "origin"), [("realized", "published"), ("realized_served", "served")])
def test_only_the_newest_measurement_of_the_newest_window_is_told_of(space: Workspace, kind: str, origin: str):
    moved(space, 1)

    def measured(window: str, low: float) -> None:
        bias = {"estimate": low + 0.1, "low": low, "high": low + 0.2}
        facts = {"origin": origin, "version": 1, "is_judged": True, "rows": 1_000, "bias": bias, "predicted": 0.4, "observed": 0.2}
        space.journal.add(tables.signals, signal=f"{window} {low}", kind=kind, window=window, facts=facts | {"spread": 0.2})

    measured("2026-03-01", 0.3)
    (one,) = found(space)
    assert f"({origin}, window 2026-03-01)" in one.what
    measured("2026-02-01", -0.1)  # an older window, measured later
    assert len(found(space)) == 1
    measured("2026-03-01", -0.1)
    assert found(space) == []


def test_a_rare_outcome_that_happens_not_to_come_is_no_bias(space: Workspace):
    moved(space, 1)
    bias = {"estimate": 0.01, "low": 0.009, "high": 0.011}
    facts = {"origin": "published", "version": 1, "is_judged": True, "bias": bias, "predicted": 0.01, "observed": 0.0, "spread": 0.0}
    space.journal.add(tables.signals, signal="few", kind="realized", window="2026-02-01", facts=facts | {"rows": 200})
    assert found(space) == []
    space.journal.add(tables.signals, signal="many", kind="realized", window="2026-03-01", facts=facts | {"rows": 20_000})
    assert [one.kind for one in found(space)] == ["bias"]


@pytest.mark.parametrize(("low", "high", "is_told"), [(0.11, 0.3, True), (-0.3, -0.11, True), (0.09, 0.3, False), (-0.3, -0.09, False)])
def test_what_is_alarming_of_predictions_in_service_is_told_unless_the_contract_leaves_it_out(
    space: Workspace, low: float, high: float, is_told: bool
):
    moved(space, 1)
    bias = {"estimate": (low + high) / 2, "low": low, "high": high}
    facts = {"origin": "published", "version": 1, "is_judged": True, "rows": 1_000, "bias": bias}
    facts |= {"predicted": 0.4, "observed": 0.2, "spread": 0.2}
    space.journal.add(tables.signals, signal="realized", kind="realized", window="2026-02-01", facts=facts)
    assert [one.kind for one in found(space)] == ["bias"] * is_told
    assert found(space, problem=changed(alerts=AlertPolicy(on=("drift",)))) == []
