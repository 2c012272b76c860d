"""What the journal tells of a version in shadow, and that it stays true when the log of predictions is emptied."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from logged import ASKED, put_decisions, put_shadowed

from evergreen import journal as tables
from evergreen import shadows
from evergreen.journal import Journal, log, mirror
from evergreen.journal.mirror import Account, Faults
from evergreen.shadows import Shadow

LATER = ASKED + timedelta(days=1)
YES, NO = {"decision": 1, "probability": 0.9}, {"decision": 0, "probability": 0.1}


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    opened = Journal(url)
    yield opened
    opened.close()


def wish(journal: Journal) -> Shadow:
    found = shadows.newest(journal)
    assert found is not None
    return found


def account(journal: Journal) -> Account:
    now = wish(journal)
    return mirror.account(journal, now.number, since=now.since)


def decisions_said(journal: Journal) -> list[tuple[str | None, str]]:
    return [(pair.entity, pair.shadow) for pair in mirror.pairs(journal, wish(journal).number)]


def test_every_prediction_that_was_served_since_is_in_one_of_the_four(journal: Journal):
    put_decisions(journal, ["before"], [1])
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, [f"o{at}" for at in range(10)], [1] * 10)
    put_shadowed(journal, [YES, "no such colour", NO])
    assert account(journal) == Account(scored=2, failed=1, dropped=0, waiting=7)
    now = wish(journal)
    mirror.skip(journal, now.number, mirror.position(journal, now.number, since=now.since), keep=3)
    assert account(journal) == Account(scored=2, failed=1, dropped=4, waiting=3)
    put_shadowed(journal, [YES])
    assert account(journal) == Account(scored=3, failed=1, dropped=4, waiting=2)
    assert account(journal).mirrored == 10


def test_what_is_served_after_it_has_ended_does_not_wait_for_it(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, ["o1", "o2", "o3"], [1, 1, 1])
    put_shadowed(journal, [YES])
    shadows.end(journal, reason="enough")
    assert account(journal) == Account(scored=1, failed=0, dropped=0, waiting=2)
    put_decisions(journal, ["o4", "o5"], [1, 1])
    assert account(journal) == Account(scored=1, failed=0, dropped=0, waiting=2)
    put_shadowed(journal, [YES, YES, YES])  # the server had not seen yet that it has ended; what it did beyond that does not count
    assert account(journal) == Account(scored=3, failed=0, dropped=0, waiting=0)


def test_the_newest_fault_is_told(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    assert mirror.faults(journal, wish(journal).number) == Faults(0, "", 0, ())
    put_decisions(journal, ["o1", "o2", "o3"], [1, 1, 1])
    put_shadowed(journal, ["first", "second", YES])
    assert mirror.faults(journal, wish(journal).number) == Faults(2, "second", 0, ())
    shadows.begin(journal, 3, reason="another")
    assert mirror.faults(journal, wish(journal).number) == Faults(0, "", 0, ())


def test_a_row_that_has_not_all_features_is_told_from_a_failure_of_the_model(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, [f"o{at}" for at in range(6)], [1] * 6)
    own = "ValueError: The row has no colour, which the version in shadow wants."
    rows = [mirror.lacking(["colour"]), own, mirror.lacking(["colour", "size"]), mirror.lacking(["colour"]), YES, mirror.lacking(["size"])]
    put_shadowed(journal, rows)
    assert mirror.faults(journal, wish(journal).number) == Faults(failed=1, newest=own, lacking=4, lacks=("colour", "size"))
    assert account(journal) == Account(scored=1, failed=5, dropped=0, waiting=0)


def test_pairs_come_in_the_order_in_which_they_were_served(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, ["late"], [1], asked=LATER)
    put_decisions(journal, ["early", None], [0, 1])
    put_shadowed(journal, [NO, "a fault", YES])
    pairs = list(mirror.pairs(journal, wish(journal).number))
    assert [(pair.entity, pair.asked_at, pair.version) for pair in pairs] == [
        ("late", LATER.isoformat(), 1),
        (None, ASKED.isoformat(), 1),
    ]
    assert [(pair.answer, pair.shadow) for pair in pairs] == [
        ('{"decision":1,"probability":0.5}', '{"decision":0,"probability":0.1}'),
        ('{"decision":1,"probability":0.5}', '{"decision":1,"probability":0.9}'),
    ]


def test_what_was_said_in_shadow_of_removed_rows_goes_with_them_and_the_account_adds_up(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, [f"old{at}" for at in range(6)], [1] * 6)
    put_shadowed(journal, [YES, "a fault"])
    now = wish(journal)
    put_decisions(journal, [f"new{at}" for at in range(6)], [1] * 6, asked=LATER)
    mirror.skip(journal, now.number, 2, keep=3)  # four of the old and three of the new
    put_shadowed(journal, [NO])
    assert account(journal) == Account(scored=2, failed=1, dropped=7, waiting=2)
    assert log.remove_before(journal, LATER, reason="r") == 6
    assert [row["served"] for row in journal.rows(tables.shadowed)] == [10]
    assert account(journal) == Account(scored=1, failed=0, dropped=3, waiting=2)
    assert account(journal).mirrored == log.count(journal) == 6
    assert decisions_said(journal) == [("new3", '{"decision":0,"probability":0.1}')]
    assert wish(journal) == now


def test_an_answer_that_came_after_its_row_had_gone_goes_with_the_next_rows(journal: Journal):
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, ["o1", "o2"], [1, 1])
    put_decisions(journal, ["o3", "o4"], [1, 1], asked=LATER)
    put_shadowed(journal, [YES])
    log.remove_before(journal, LATER, reason="r")
    journal.add(tables.shadowed, shadow=wish(journal).number, served=2, answer="{}", fault=None)
    log.remove_before(journal, LATER + timedelta(seconds=1), reason="r")
    assert journal.rows(tables.shadowed) == []


def test_a_version_in_shadow_goes_on_when_the_whole_log_was_removed(journal: Journal):
    """SQLite gives the removed numbers to the next rows, also those of before it began."""
    put_decisions(journal, ["before"] * 9, [1] * 9)
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, ["o1", "o2", "o3"], [1, 1, 1])
    put_shadowed(journal, [YES, YES, YES])
    log.remove_before(journal, LATER, reason="r")
    assert (wish(journal).version, wish(journal).reason) == (2, "a try")
    put_decisions(journal, ["o4"], [0], asked=LATER)
    assert account(journal) == Account(scored=0, failed=0, dropped=0, waiting=1)
    put_shadowed(journal, [NO])
    assert decisions_said(journal) == [("o4", '{"decision":0,"probability":0.1}')]
    shadows.end(journal, reason="enough")
    log.remove_before(journal, LATER + timedelta(days=1), reason="r")
    assert shadows.wanted(journal) is None


def test_a_log_that_has_come_to_more_rows_than_32_bits_can_number_goes_on(journal: Journal):
    put_decisions(journal, ["o1"], [1])
    shadows.begin(journal, 2, reason="a try")
    put_decisions(journal, ["o2"], [1])
    put_shadowed(journal, [YES])
    long = 3 * 2**31
    with journal.writing() as connection:  # as if so many had been written and removed
        connection.execute(tables.served.update().where(tables.served.c.entity == "o2").values(seq=long))
        connection.execute(tables.shadowed.update().values(seq=long, served=long))
        if connection.dialect.name == "postgresql":
            for name in ("served", "shadowed"):
                connection.exec_driver_sql(f"SELECT setval('{name}_seq_seq', {long})")
    put_decisions(journal, [f"n{at}" for at in range(5)], [1] * 5)
    assert mirror.newest_served(journal) == long + 5
    put_shadowed(journal, [NO])
    now = wish(journal)
    assert mirror.skip(journal, now.number, mirror.position(journal, now.number, since=now.since), keep=2) == (long + 3, 2)
    assert account(journal) == Account(scored=2, failed=0, dropped=2, waiting=2)
    assert [entity for entity, _ in decisions_said(journal)] == ["o2", "n0"]
    shadows.end(journal, reason="enough")
    shadows.begin(journal, 3, reason="another try")
    assert wish(journal).since == long + 5
    assert log.remove_before(journal, LATER, reason="old") == 7
    assert journal.rows(tables.shadowed) == []
