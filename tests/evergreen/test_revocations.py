"""A person takes a batch back: what counts then, what is refused, and how it comes back."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deliveries import GAUGE, NOW, House, read_gauge, rows
from moves import under_way
from toy.data import day_of_orders
from workspaces import deliver, deliver_days, ingest, open_space

from evergreen import brakes, revocations, triggers
from evergreen import journal as tables
from evergreen.causes import find_alerts
from evergreen.data import batches
from evergreen.data.snapshots import take_snapshot
from evergreen.errors import BusyError, DataError, RefusedError
from evergreen.journal import Journal
from evergreen.monitoring.signals import measure
from evergreen.occasions import find_occasion, state_of
from evergreen.policies import Source
from evergreen.retention import find_removable, needed_since
from evergreen.status import current_inputs, freshness, notices, realized_so_far
from evergreen.triggers import Trigger
from evergreen.workspace import Workspace

WORDS = {"reason": "wrong unit", "person": "Ada"}
AT_ONCE = """
import sys
from pathlib import Path
from evergreen import revocations
from evergreen.journal import Journal
root = Path(sys.argv[1])
done = revocations.revoke(Journal(f"sqlite:///{root / 'journal.db'}"), sys.argv[2], root=root, words={"reason": "r", "person": "p"})
print(done)
"""


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def why_refused() -> str:
    return f"was taken back by Ada on {today()}: wrong unit"


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.journal.close()


def batch_of(house: House, name: str) -> str:
    return house.journal.rows(tables.deliveries, name=name, outcome="published")[-1]["batch"]


def revoke(house: House, batch: str) -> bool:
    return revocations.revoke(house.journal, batch, root=house.root, words=WORDS)


def restore(house: House, batch: str) -> bool:
    return revocations.restore(house.journal, batch, root=house.root, words={"reason": "it was right", "person": "Grace"})


def published(house: House, *contents: str, name: str = "a.csv") -> list[str]:
    """Batches that were published one after the other under a name."""
    made = []
    for content in contents:
        house.deliver(name, content)
        house.ingest()
        made.append(batch_of(house, name))
    return made


def test_what_was_taken_back_does_not_count_and_what_it_had_replaced_does_not_come_back(house: House):
    first, second = published(house, rows(1, 2), rows(3, 4))
    assert house.levels() == [[3, 4]]
    assert revoke(house, second)
    assert house.levels() == []
    assert first not in revocations.taken_back(house.journal)


def test_a_newer_delivery_under_the_name_counts_and_giving_back_the_older_one_changes_nothing(house: House):
    (first,) = published(house, rows(1, 2))
    revoke(house, first)
    published(house, rows(5, 6))
    assert house.levels() == [[5, 6]]
    assert restore(house, first)
    assert house.levels() == [[5, 6]]
    assert house.ingest() == []


def test_what_is_given_back_counts_again(house: House):
    (first,) = published(house, rows(1, 2))
    revoke(house, first)
    assert restore(house, first)
    assert house.levels() == [[1, 2]]
    assert revocations.taken_back(house.journal) == {}
    assert revocations.marked(house.journal) == {first}


def test_the_file_that_lies_there_still_is_neither_new_nor_judged_anew(house: House):
    (first,) = published(house, rows(1, 2))
    house.deliver("copy.csv", rows(1, 2))
    assert [one.outcome for one in house.ingest()] == ["duplicate"]
    revoke(house, first)
    assert house.look() == []
    os.utime(house.root / "landing" / "gauge" / "a.csv", (1, 1))
    assert house.look() == []
    (house.root / "batches" / "gauge" / f"{first}.parquet").unlink()
    assert house.look() == []  # nobody needs it before it is given back
    restore(house, first)
    assert [one.name for one in house.look()] == ["a.csv"]
    assert [one.outcome for one in house.ingest()] == ["published"]
    assert house.levels() == [[1, 2]]


def test_the_same_content_under_another_name_is_refused_with_a_page_and_a_way_out(house: House):
    (first,) = published(house, rows(1, 2))
    revoke(house, first)
    house.deliver("copy.csv", rows(1, 2))
    (judged,) = house.ingest()
    assert (judged.outcome, judged.reason, judged.rows) == ("quarantined", why_refused(), 2)
    assert judged.page is not None
    page = judged.page.read_text()
    assert f"The delivery {why_refused()}" in page
    assert f"<code>evergreen batch restore {first[:12]} --reason ...</code>" in page
    assert "expectations/gauge.json" not in page
    assert house.look() == []
    house.suite.write_text(house.suite.read_text().replace("100", "99"))  # other rules do not mend it
    assert [one.outcome for one in house.ingest()] == ["quarantined"]
    assert house.look() == []
    restore(house, first)
    assert [one.name for one in house.look()] == ["copy.csv"]
    assert [(one.outcome, one.reason) for one in house.ingest()] == [("duplicate", "has the same content as a.csv")]


def test_other_bytes_that_make_the_same_batch_are_refused(house: House):
    (first,) = published(house, rows(1, 2, 3))
    revoke(house, first)
    header, *lines = rows(1, 2, 3).splitlines(keepends=True)
    house.deliver("b.csv", header + "".join(reversed(lines)))
    (judged,) = house.ingest()
    assert (judged.outcome, judged.reason) == ("quarantined", why_refused())
    assert house.journal.last(tables.deliveries)["batch"] == first
    restore(house, first)
    assert [one.outcome for one in house.ingest()] == ["published"]
    assert len(house.levels()) == 2


def test_the_same_bytes_are_refused_although_another_reader_makes_another_batch_of_them(house: House):
    (first,) = published(house, rows(1, 2))
    revoke(house, first)
    house.deliver("copy.csv", rows(1, 2))
    halved = Source(**{**dict(GAUGE), "read": lambda path: read_gauge(path).assign(level=0.5)})
    (delivery,) = house.look()
    judged = batches.ingest_one(delivery, halved, intake=house.intake, now=NOW)
    assert (judged.outcome, judged.reason) == ("quarantined", why_refused())


def test_a_file_that_changes_back_to_what_was_taken_back_is_refused_and_displaces_nothing(house: House):
    first, _ = published(house, rows(1, 2), rows(3, 4))
    revoke(house, first)
    assert house.levels() == [[3, 4]]
    house.deliver("a.csv", rows(1, 2))
    assert [one.reason for one in house.ingest()] == [why_refused()]
    assert house.levels() == [[3, 4]]
    restore(house, first)
    assert [one.outcome for one in house.ingest()] == ["published"]  # as the folder has it
    assert house.levels() == [[1, 2]]


def test_the_content_of_a_duplicate_is_refused_once_its_twin_was_replaced(house: House):
    (first,) = published(house, rows(1, 2))
    house.deliver("copy.csv", rows(1, 2))
    house.ingest()
    revoke(house, first)
    published(house, rows(5, 6))
    assert [(one.name, one.reason) for one in house.ingest()] == [("copy.csv", why_refused())]
    assert house.levels() == [[5, 6]]


def test_taking_back_twice_and_giving_back_twice_record_nothing(house: House):
    (first,) = published(house, rows(1, 2))
    assert not restore(house, first)
    assert revoke(house, first)
    assert not revoke(house, first)
    assert restore(house, first)
    assert not restore(house, first)
    assert revoke(house, first)
    told = house.journal.rows(tables.revocations)
    assert [(row["revoked"], row["after"]) for row in told] == [(True, 0), (False, told[0]["seq"]), (True, told[1]["seq"])]


def test_of_several_processes_at_once_one_records_it(house: House):
    (first,) = published(house, rows(1, 2))
    command = [sys.executable, "-c", AT_ONCE, str(house.root), first]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(one.communicate(timeout=60)[0].strip() for one in running) == ["False", "False", "True"]
    assert len(house.journal.rows(tables.revocations)) == 1


def test_a_row_that_another_machine_was_first_to_write_is_not_written_again(house: House, monkeypatch: pytest.MonkeyPatch):
    (first,) = published(house, rows(1, 2))
    revoke(house, first)
    monkeypatch.setattr(Journal, "last", lambda *_, **__: None)  # what it saw before
    assert not revoke(house, first)
    assert len(house.journal.rows(tables.revocations)) == 1


def test_a_batch_is_named_by_the_first_signs_of_its_digest(house: House):
    with pytest.raises(RefusedError, match=r"Got 'abcdef', which names no published batch.*Nothing has been published yet\."):
        revocations.published_batch(house.journal, "abcdef")
    (first,) = published(house, rows(1, 2))
    assert revocations.published_batch(house.journal, first)["name"] == "a.csv"
    assert revocations.published_batch(house.journal, first[:6].upper())["batch"] == first
    with pytest.raises(RefusedError, match=rf"expected 6 or more of the first signs.*Some are {first[:12]} \(gauge/a.csv\)"):
        revocations.published_batch(house.journal, first[:5])
    with pytest.raises(RefusedError, match=rf"names no published batch.*{first[:12]}"):
        revocations.published_batch(house.journal, first[:11] + "x")
    row = {name: value for name, value in house.journal.last(tables.deliveries).items() if name not in {"seq", "at"}}
    house.journal.add(tables.deliveries, **row | {"name": "b.csv", "batch": first[:8] + "0" * 56})
    with pytest.raises(RefusedError, match=rf"several batches.*They are {first[:12]} \(gauge/a.csv\); {first[:8]}0000 \(gauge/b.csv\)"):
        revocations.published_batch(house.journal, first[:8])


def taken(space: Workspace, source: str, name: str) -> str:
    row = space.journal.rows(tables.deliveries, source=source, name=name, outcome="published")[-1]
    assert revocations.revoke(space.journal, row["batch"], root=space.settings.root, words=WORDS)
    return row["batch"]


def test_a_source_of_which_nothing_counts_any_more_is_told_in_a_sentence_everywhere(space: Workspace):
    assert current_inputs(space) is not None
    name = space.journal.rows(tables.deliveries, source="stock")[0]["name"]
    batch = taken(space, "stock", name)
    why = (
        f"Nothing counts of stock any more: the batch {batch[:12]} {why_refused()}. "
        f"Deliver a corrected file under the same name, or give it back: evergreen batch restore {batch[:12]} --reason ..."
    )
    with pytest.raises(DataError) as refused:
        take_snapshot(space.journal, space.problem)
    assert str(refused.value) == why
    assert current_inputs(space) is None
    assert realized_so_far(space) == measure(space) == []
    now = datetime.now(UTC)
    assert [one.newest for one in freshness(space, now) if one.source == "stock"] == [None]
    assert ("bad", why) in notices(space, now)
    (alert,) = find_alerts(space, now)
    assert (alert.kind, alert.what, alert.command) == ("missing", f"No model can be trained. {why}", "evergreen batch list stock")
    trigger = Trigger("schedule", "", "2026-01-01")
    decision = triggers.decide(trigger, space.problem.retraining, state_of(space, trigger, now))
    assert (decision.action, decision.reason) == ("skip", "all that counted of stock was taken back")
    deliver_days(space, 2, start=6, without=("orders", "outcomes"))
    ingest(space)
    assert current_inputs(space) is not None
    assert [sentence for _, sentence in notices(space, now)] == []


def test_other_inputs_are_an_occasion_and_the_old_ones_again_are_the_old_ones(space: Workspace):
    deliver(space, "orders", "next.csv", day_of_orders(6)[["order_id", "ordered_at", "customer_id", "product", "amount"]])
    ingest(space)
    before = current_inputs(space)
    batch = taken(space, "orders", "next.csv")
    assert current_inputs(space) not in {before, None}
    occasion = find_occasion(space, datetime.now(UTC))
    assert occasion is not None
    assert (occasion.kind, occasion.inputs) == ("data", current_inputs(space))
    assert revocations.restore(space.journal, batch, root=space.settings.root, words=WORDS)
    assert current_inputs(space) == before


def test_a_clean_up_keeps_what_was_taken_back_and_waits_for_the_outcomes_that_are_to_come(space: Workspace):
    later = datetime.now(UTC) + timedelta(days=200)
    deliver(space, "orders", "next.csv", day_of_orders(6)[["order_id", "ordered_at", "customer_id", "product", "amount"]])
    ingest(space)
    gone = taken(space, "orders", "next.csv")
    deliver(space, "orders", "next.csv", day_of_orders(7)[["order_id", "ordered_at", "customer_id", "product", "amount"]])
    ingest(space)
    removable = lambda: {path.stem for one in find_removable(space, now=later) if one.kind == "batch" for path in one.paths}  # noqa: E731
    assert gone not in removable()
    revocations.restore(space.journal, gone, root=space.settings.root, words=WORDS)
    assert gone in removable()
    assert needed_since(space, now=later) is not None
    taken(space, "outcomes", space.journal.rows(tables.deliveries, source="outcomes")[0]["name"])
    assert needed_since(space, now=later) is None


def test_other_sources_are_not_touched(tmp_path: Path):
    space = open_space(tmp_path / "home")
    deliver_days(space, 3)
    ingest(space)
    taken(space, "customers", "customers-all.csv")
    assert [row["name"] for row in batches.active(space.journal, "orders")] == ["orders-0000-0002.csv"]
    assert batches.active(space.journal, "customers") == []
    space.journal.close()


def test_taking_back_waits_for_the_move_of_the_champion_that_is_under_way(house: House, monkeypatch: pytest.MonkeyPatch):
    (first,) = published(house, rows(1, 2))
    monkeypatch.setattr(brakes, "WAIT_SECONDS", 0.2)
    with under_way(house.journal), pytest.raises(BusyError, match="busy with a promotion"):
        revoke(house, first)
    assert house.journal.rows(tables.revocations) == []
