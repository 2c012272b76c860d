"""That what people were told of holds no longer: told once, and only where it is so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receivers import Receiver, running
from toy.data import day_of_orders
from workspaces import changed, deliver, ingest, with_source

from evergreen import journal as tables
from evergreen.causes import what_holds
from evergreen.data.checkups import name_of
from evergreen.errors import DataError
from evergreen.leases import PIPELINE
from evergreen.monitoring.alerts import RESOLVED, Alert, Holding, alert, cause_of, run_failed
from evergreen.monitoring.channels import Channels
from evergreen.monitoring.kinds import ESTIMATE, FEATURES, PUBLISHED, REALIZED, SERVED
from evergreen.monitoring.pillars import accepted, failing
from evergreen.monitoring.telling import AGAIN, LATELY, SENT, Memory, failures, resolutions, tell, tellings
from evergreen.monitoring.undecided import undecided
from evergreen.policies import AlertPolicy
from evergreen.triggers import LOOK
from evergreen.workspace import Workspace

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

MOVE = {"promotion": "m", "state": "done", "version": 1, "champion": None, "anchor": 1, "kind": "release", "reason": "r", "person": "ann"}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver()) as made:
        yield made


def now() -> datetime:
    return datetime.now(UTC)


def made(space: Workspace, kind: str, *names: str) -> Alert:
    return alert(space.problem, kind, *names, what=f"Something is wrong with {names[0]}.", command="evergreen status")


def over(
    space: Workspace, *holding: Alert, unsure: frozenset[str] = frozenset(), at: datetime | None = None, looked: datetime | None = None
) -> list[Alert]:
    return resolutions(space.journal, space.problem, Holding(list(holding), unsure), looked, at or now())


def told(space: Workspace, *alerts: Alert, urls: tuple[str, ...] = (), at: datetime | None = None) -> list[str]:
    said: list[str] = []
    memory = Memory(space.journal, space.settings.root)
    tell(memory, list(alerts), channels=Channels(said.append, urls), cooldown=space.problem.alerts.cooldown, now=at or now())
    return said


def look(space: Workspace, *, urls: tuple[str, ...] = (), at: datetime | None = None) -> list[str]:
    """What a look tells the console: all that holds, and what does no longer."""
    found = what_holds(space, at or now())
    ended = resolutions(space.journal, space.problem, found, None, at or now())
    return told(space, *failures(space.journal, space.problem, at or now()), *found.alerts, *ended, urls=urls, at=at)


def still_told(space: Workspace) -> list[Alert]:
    return failures(space.journal, space.problem, now())


def kinds(space: Workspace) -> list[str]:
    return [row["kind"] for row in space.journal.rows(tables.alerts)]


def orders(rows: int | None = None):
    return day_of_orders(6)[["order_id", "ordered_at", "customer_id", "product", "amount"]].iloc[:rows]


def test_a_delivery_that_was_corrected_is_told_to_be_resolved_once_on_the_console_and_at_every_address(
    space: Workspace, receiver: Receiver
):
    deliver(space, "orders", "next.csv", orders(0))
    ingest(space)
    (first,) = look(space, urls=(receiver.url,))
    deliver(space, "orders", "next.csv", orders())
    ingest(space)
    (second,) = look(space, urls=(receiver.url,), at=now() + 150 * MINUTE)
    begun = space.journal.rows(tables.alerts)[0]["at"]
    assert second == f"Resolved. What was told on {begun[:10]} {begun[11:16]} UTC holds no longer: {first.partition(' Affected: ')[0]}"
    assert [message["message"] for message in receiver.got] == [first, second]
    assert look(space, urls=(receiver.url,), at=now() + 200 * MINUTE) == []
    assert look(space, urls=(receiver.url,), at=now() + 25 * HOUR) == []
    assert (kinds(space), len(receiver.got)) == (["quarantine", SENT, RESOLVED, SENT], 2)


def test_what_still_holds_is_not_resolved(space: Workspace):
    deliver(space, "orders", "next.csv", orders(0))
    ingest(space)
    assert len(look(space)) == 1
    assert look(space) == []
    assert kinds(space) == ["quarantine"]


def test_a_correction_that_is_wrong_too_is_another_cause_and_resolves_nothing(space: Workspace):
    deliver(space, "orders", "next.csv", orders(0))
    ingest(space)
    look(space)
    deliver(space, "orders", "next.csv", orders().drop(columns="order_id"))
    ingest(space)
    assert [text[:12] for text in look(space)] == ["The delivery"]
    deliver(space, "orders", "next.csv", orders())
    ingest(space)
    assert [text.startswith("Resolved") for text in look(space)] == [True, True]


@pytest.mark.parametrize("kind", ["late", "stray", "health", "bias"])
def test_a_cause_that_names_all_it_is_about_is_resolved_while_others_of_its_kind_hold(space: Workspace, kind: str):
    one, other = made(space, kind, "stock"), made(space, kind, "orders")
    told(space, one, other)
    assert [each.cause for each in over(space, other)] == [one.cause]
    assert over(space, one, other) == []


@pytest.mark.parametrize("kind", ["quarantine", "missing", "revoked", "features", "estimate", "verdict", "drift", "refusal"])
def test_a_cause_that_may_go_on_as_another_is_resolved_when_nothing_of_its_kind_holds(space: Workspace, kind: str):
    one, other = made(space, kind, "stock"), made(space, kind, "orders")
    told(space, one)
    assert over(space, other) == []
    assert [each.cause for each in over(space, made(space, "late", "stock"))] == [one.cause]


def test_what_is_not_known_for_certain_is_not_resolved(space: Workspace):
    one = made(space, "late", "stock")
    told(space, one)
    assert over(space, unsure=frozenset({"late"})) == []
    assert [each.cause for each in over(space, unsure=frozenset({"missing"}))] == [one.cause]


def test_a_single_cause_that_may_hold_is_not_resolved_and_another_of_its_kind_is(space: Workspace):
    one, other = made(space, "health", "stock", "schema"), made(space, "health", "orders", "schema")
    told(space, one, other)
    assert [each.cause for each in over(space, unsure=frozenset({cause_of("health", "stock", "schema")}))] == [other.cause]


def test_a_late_source_is_not_resolved_by_a_delivery_that_nobody_has_judged(space: Workspace):
    late = Workspace(space.settings, with_source("stock", changed(space.problem, clock="wall"), max_age=DAY), space.journal)
    assert "The source stock is late" in "".join(look(late))
    deliver(late, "stock", "next.csv", day_of_orders(6).iloc[:0])
    assert what_holds(late, now()).unsure == {"late", "missing"}
    assert look(late) == []
    ingest(late)
    assert [text[:12] for text in look(late)] == ["The delivery"]


def test_while_the_landing_folder_cannot_be_read_nothing_about_deliveries_is_resolved(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    deliver(space, "orders", "next.csv", orders(0))
    ingest(space)
    look(space)

    def fail(*_: object, **__: object) -> None:
        raise DataError("The folder cannot be listed.")

    monkeypatch.setattr("evergreen.causes.find", fail)
    assert what_holds(space, now()).unsure == {"late", "missing", "quarantine", "stray"}
    assert [text[:12] for text in look(space)] == ["Nothing that"]


def test_a_run_that_failed_is_resolved_by_the_next_round_that_comes_to_its_end(space: Workspace):
    failed = run_failed(space.problem, "cycle 7", DataError("A column is gone."))
    space.journal.add(tables.cycles, cycle="before", facts={})
    told(space, failed)
    assert look(space) == []
    space.journal.add(tables.cycles, cycle="after", facts={})
    (text,) = look(space)
    assert text.endswith(" UTC holds no longer: The run cycle 7 failed: DataError: A column is gone.")
    assert look(space, at=now() + 2 * MINUTE) == []
    assert failures(space.journal, space.problem, now()) == []


def test_what_comes_back_after_it_was_resolved_is_told_at_once_and_what_comes_and_goes_stays_open(space: Workspace):
    one = made(space, "late", "stock")
    assert [len(told(space, one)), len(told(space, *over(space))), len(told(space, one))] == [1, 1, 1]
    for _ in range(5):  # three messages in a cooldown are enough
        assert told(space, *over(space)) == []
        assert told(space, one) == []
    assert kinds(space) == ["late", RESOLVED, "late"]
    tomorrow = now() + DAY
    assert [text[:8] for text in told(space, *over(space, at=tomorrow), at=tomorrow)] == ["Resolved"]


def test_the_word_of_it_is_sent_once_more_where_no_address_took_it(space: Workspace, receiver: Receiver):
    told(space, made(space, "late", "stock"), urls=(receiver.url,))
    with running(Receiver(status=500)) as refusing:
        told(space, *over(space), urls=(refusing.url,))
    assert told(space, *over(space), urls=(receiver.url,), at=now() + 5 * MINUTE) == []
    assert told(space, *over(space), urls=(receiver.url,), at=now() + 10 * MINUTE) == []
    assert kinds(space) == ["late", SENT, RESOLVED, AGAIN, SENT]
    assert [message["message"].split()[0] for message in receiver.got] == ["Something", "Resolved."]


def test_an_alert_that_no_address_took_is_not_sent_once_more_when_it_is_over(space: Workspace, receiver: Receiver):
    one = made(space, "late", "stock")
    with running(Receiver(status=500)) as refusing:
        told(space, one, urls=(refusing.url,))
    told(space, *over(space), at=now() + MINUTE)
    told(space, *over(space), urls=(receiver.url,), at=now() + 5 * MINUTE)
    assert [message["message"][:8] for message in receiver.got] == ["Resolved"]


def test_kinds_that_the_contract_does_not_want_told_any_more_end_without_a_word(space: Workspace):
    told(space, made(space, "late", "stock"))
    quiet = Workspace(space.settings, changed(space.problem, alerts=AlertPolicy(on=("failure",))), space.journal)
    assert (over(quiet), len(over(space))) == ([], 1)


def test_what_was_told_long_ago_ends_without_a_word(space: Workspace):
    told(space, made(space, "late", "stock"))
    assert len(over(space, at=now() + LATELY - MINUTE)) == 1
    assert over(space, at=now() + LATELY) == []
    slow = Workspace(space.settings, changed(space.problem, alerts=AlertPolicy(cooldown=2 * LATELY)), space.journal)
    assert len(over(slow, at=now() + LATELY)) == 1


def test_each_cause_has_the_rows_since_it_was_told_last(space: Workspace, receiver: Receiver):
    one, other = made(space, "late", "stock"), made(space, "late", "orders")
    told(space, one, other, urls=(receiver.url,))
    told(space, *over(space, other))
    assert [[row["kind"] for row in rows] for rows in tellings(space.journal)] == [[RESOLVED], ["late", SENT]]


def test_a_failure_that_comes_back_after_a_round_that_ended_is_told_and_not_resolved_by_that_round(space: Workspace):
    failed = run_failed(space.problem, "cycle deliveries", DataError("A column is gone."))
    said = [told(space, failed)]
    space.journal.add(tables.cycles, cycle="first", facts={})
    said += [told(space, *over(space)), told(space, failed)]
    space.journal.add(tables.cycles, cycle="second", facts={})
    said += [
        told(space, *over(space)),
        told(space, failed),
        told(space, failed),
        told(space, *failures(space.journal, space.problem, now())),
    ]
    assert [[text[:8] for text in each] for each in said] == [["The run "], ["Resolved"], ["The run "], [], ["The run "], [], []]
    assert over(space, at=now() + DAY + MINUTE) == []  # it fails still: no round has ended since


def test_a_look_that_failed_is_resolved_by_a_look_and_not_by_a_round(space: Workspace):
    told(space, run_failed(space.problem, LOOK, DataError("A column is gone.")))
    before = now() - MINUTE
    space.journal.add(tables.cycles, cycle="after", facts={})
    assert (over(space), over(space, looked=before)) == ([], [])
    assert len(failures(space.journal, space.problem, now())) == 1
    assert [one.kind for one in over(space, looked=now())] == [RESOLVED]


def test_of_verdicts_that_followed_each_other_the_newest_is_resolved(space: Workspace):
    verdicts = [made(space, "verdict", f"version {number}") for number in range(5)]
    told(space, *verdicts)
    assert [one.cause for one in over(space)] == [verdicts[-1].cause]
    told(space, *over(space))
    assert [one.kind for one in over(space)] == [RESOLVED]  # the same once more, for addresses that have not taken it
    assert told(space, *over(space)) == []


def test_of_deliveries_that_are_corrected_each_is_resolved(space: Workspace):
    told(space, *(made(space, "quarantine", f"{number}.csv") for number in range(3)))
    assert len(over(space)) == 3


def test_while_somebody_works_silence_is_not_over_and_nobody_waits_to_see_him_work(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    assert "silence" not in what_holds(space, now()).unsure
    monkeypatch.setattr("evergreen.causes.is_at_work", None)  # it would wait for a sign of life
    space.journal.take(PIPELINE, "another machine 1", seen=None)
    assert "silence" in what_holds(space, now()).unsure


def test_while_the_landing_folder_is_gone_no_delivery_is_resolved(space: Workspace):
    landing = space.settings.landing
    landing.rename(landing.with_name("elsewhere"))
    assert what_holds(space, now()).unsure >= {"late", "missing", "quarantine", "stray"}


def test_where_nobody_has_delivered_anything_yet_no_folder_is_missing(empty_space: Workspace):
    assert not empty_space.settings.landing.exists()
    assert "quarantine" not in what_holds(empty_space, now()).unsure


def test_data_that_are_not_well_are_not_resolved_by_a_delivery_that_is_refused(space: Workspace):
    def cell(name: str, state: str, *, outcome: str = "published") -> None:
        row = {"delivery": name, "source": "stock", "name": name, "stat": name, "rules": "r", "reason": "", "after": 0}
        known = {column.name for column in tables.deliveries.columns}
        space.journal.add(tables.deliveries, **{key: value for key, value in row.items() if key in known}, outcome=outcome)
        finding = {"pillar": "schema", "check": "columns", "state": state, "sentence": state, "column": "", "value": None}
        checkup = {"source": "stock", "name": name, "delivery": name, "facts": {"findings": [finding]}}
        space.journal.add(tables.checkups, checkup=name_of("stock", name, name, 0), **checkup)

    cell("bad.csv", "fail")
    assert [(source, pillar) for source, pillar, _ in failing(space.journal, accepted(space.journal, space.problem))] == [
        ("stock", "schema")
    ]
    cell("refused.csv", "ok", outcome="quarantined")
    assert [(source, pillar) for source, pillar, _ in failing(space.journal, accepted(space.journal, space.problem))] == [
        ("stock", "schema")
    ]
    cause = cause_of("health", "stock", "schema")
    assert cause not in what_holds(space, now()).unsure
    cell("short.csv", "unjudged")
    assert failing(space.journal, accepted(space.journal, space.problem)) == []
    assert cause in what_holds(space, now()).unsure
    cell("good.csv", "ok")
    assert (failing(space.journal, accepted(space.journal, space.problem)), cause in what_holds(space, now()).unsure) == ([], False)


@pytest.mark.parametrize(
    ("kind", "row", "facts"),
    [
        ("drift", "drift", {"champion": 1}),
        ("decay", "decay", {"champion": 1}),
        ("estimate", ESTIMATE, {"version": 1}),
        (cause_of("bias", "1", PUBLISHED), REALIZED[PUBLISHED], {"version": 1, "rows": 3}),
        (cause_of("bias", "1", SERVED), REALIZED[SERVED], {"version": 1, "rows": 3}),
    ],
)
def test_what_rests_on_a_window_that_is_not_judged_yet_is_not_over(space: Workspace, kind: str, row: str, facts: dict[str, Any]):
    space.journal.add(tables.promotions, **MOVE)
    unsure = []
    for number, is_judged in enumerate((True, False, True)):
        window = f"2026-0{number + 1}-01T00:00:00+00:00"
        judged = facts | {"is_judged": is_judged, "found": False, "bias": None, "interval": None}
        space.journal.add(tables.signals, signal=f"{number}", kind=row, window=window, facts=judged)
        unsure.append(kind in undecided(space.journal, [], now()))
    assert unsure == [False, True, False]


@pytest.mark.parametrize(("low", "is_open"), [(None, True), (0.5, False)])
def test_features_of_which_too_few_were_compared_lately_are_not_over(space: Workspace, low: float | None, is_open: bool):
    space.journal.add(
        tables.promotions, promotion="move", state="done", version=1, champion=None, anchor=1, kind="release", reason="r", person="a"
    )
    space.journal.add(tables.signals, signal="s", kind=FEATURES, window=now().isoformat(), facts={"low": low})
    assert ("features" in undecided(space.journal, [], now())) is is_open
    assert "features" not in undecided(space.journal, [], now() + 8 * DAY)
