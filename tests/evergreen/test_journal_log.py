"""The log of predictions over HTTP, on either kind of database."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import logged
import pandas as pd
import pytest
from logged import ASKED, put_decisions

from evergreen import journal as tables
from evergreen.errors import JournalError, LostError
from evergreen.journal import Journal, database, log

LATER = ASKED + timedelta(days=1)


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    journal = Journal(url)
    yield journal
    journal.close()


def test_an_empty_log_is_known_to_be_empty(journal: Journal):
    assert log.is_empty(journal)
    assert log.count(journal) == 0
    assert log.share_before(journal, LATER) is None
    put_decisions(journal, ["o1"], [1])
    assert not log.is_empty(journal)
    assert log.count(journal) == 1


def test_a_prediction_is_found_by_its_id_and_the_nearest_ids_are_named(journal: Journal):
    first, second = put_decisions(journal, ["o1", None], [1, 0])
    assert log.find(journal, second)["answer"] == '{"decision":0,"probability":0.5}'
    for wrong in (f"{second}0", f"{first[:-1]}x", first.replace("-", "")):
        with pytest.raises(JournalError, match=rf"There is no prediction '{wrong}' in the log\. The nearest: .*{second}"):
            log.find(journal, wrong)
    with pytest.raises(JournalError, match=rf"The newest: {second}, {first}\."):
        log.find(journal, "flight 7")


def test_only_what_names_its_thing_is_read_in_the_order_it_was_written(journal: Journal):
    put_decisions(journal, ["o1", None, 7], [1, 0, 0])
    put_decisions(journal, ["o1"], [0], asked=LATER)
    read = [(entity, asked, answer[:13]) for entity, asked, answer, _ in log.with_entity(journal)]
    early, late = ASKED.isoformat(), LATER.isoformat()
    assert read == [("o1", early, '{"decision":1'), ("7", early, '{"decision":0'), ("o1", late, '{"decision":0')]


def test_what_was_asked_before_goes_and_what_was_asked_then_or_later_stays(journal: Journal):
    put_decisions(journal, ["old", None], [1, 1])
    put_decisions(journal, ["edge"], [1], asked=LATER)
    share = log.share_before(journal, LATER)
    assert share is not None
    assert (share.rows, share.until) == (2, ASKED.isoformat())
    texts = [
        [row[name] or "" for name in ("prediction", "asked_at", "features", "inputs", "answer", "entity")]
        for row in journal.rows(tables.served)
    ]
    assert round(share.megabytes * 1e6) == sum(len(text) for row in texts[:2] for text in row)
    in_another_zone = LATER.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+09:00").tzinfo)
    assert log.remove_before(journal, in_another_zone, reason="by evergreen clean: old") == 2
    assert [row["entity"] for row in journal.rows(tables.served)] == ["edge"]
    (gone,) = journal.rows(tables.removals)
    assert (gone["kind"], gone["name"], gone["reason"]) == (
        "served",
        "2 predictions asked until 2026-01-05T12:00:00",
        "by evergreen clean: old",
    )
    assert log.remove_before(journal, LATER, reason="again") == 0
    assert len(journal.rows(tables.removals)) == 1


def test_a_long_log_is_emptied_part_by_part_each_with_its_row(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log, "AT_ONCE", 4)
    for day in range(3):
        put_decisions(journal, [None] * 3, [1, 0, 1], asked=ASKED + timedelta(days=day))
    put_decisions(journal, ["young"], [1], asked=ASKED + timedelta(days=9))
    assert log.remove_before(journal, ASKED + timedelta(days=5), reason="r") == 9
    assert [row["name"] for row in journal.rows(tables.removals)] == [
        "4 predictions asked until 2026-01-06T12:00:00",
        "4 predictions asked until 2026-01-07T12:00:00",
        "1 prediction asked until 2026-01-07T12:00:00",
    ]
    assert [row["entity"] for row in journal.rows(tables.served)] == ["young"]


def test_rows_that_were_written_late_go_with_those_of_their_time(journal: Journal):
    put_decisions(journal, ["new"], [1], asked=LATER)
    put_decisions(journal, ["left over from before a restart"], [1])
    assert log.remove_before(journal, LATER, reason="r") == 1
    assert [row["entity"] for row in journal.rows(tables.served)] == ["new"]


def test_the_log_goes_on_after_all_of_it_was_removed(journal: Journal):
    put_decisions(journal, ["o1"], [1])
    log.remove_before(journal, LATER, reason="r")
    put_decisions(journal, ["o2"], [1])
    log.remove_before(journal, LATER, reason="r")
    assert [row["name"][:1] for row in journal.rows(tables.removals)] == ["1", "1"]


def test_what_was_removed_from_sqlite_is_not_left_in_its_file(tmp_path: Path):
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    logged.put(journal, pd.DataFrame({"name": ["Ada Lovelace"]}), pd.DataFrame({"decision": [1]}))
    assert b"Ada Lovelace" in everything(tmp_path)
    log.remove_before(journal, LATER, reason="r")
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert b"Ada Lovelace" not in everything(tmp_path)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_removal_that_is_cut_short_has_removed_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    put_decisions(journal, ["o1"], [1])

    def fail(point: str) -> None:
        raise KeyboardInterrupt(point)

    monkeypatch.setattr(log, "reach", fail)
    with pytest.raises(KeyboardInterrupt, match="before a part of the log is removed"):
        log.remove_before(journal, LATER, reason="r")
    assert (log.count(journal), journal.rows(tables.removals)) == (1, [])


def test_who_was_taken_over_removes_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    put_decisions(journal, ["o1"], [1])
    assert journal.take("pipeline", "me", seen=None)
    with monkeypatch.context() as patched:
        patched.setitem(database._held, (str(journal.url), "pipeline"), 0)  # somebody has taken it since
        with pytest.raises(LostError, match="Another process took over"):
            log.remove_before(journal, LATER, reason="r")
    journal.give_back("pipeline")
    assert (log.count(journal), journal.rows(tables.removals)) == (1, [])
