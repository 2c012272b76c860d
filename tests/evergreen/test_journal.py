import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from evergreen import journal as tables
from evergreen.errors import JournalError
from evergreen.journal import Journal
from evergreen.journal.tables import SCHEMA

OPENS_AND_WRITES = """
import sys
from evergreen.journal import Journal, cycles, database
journal, row = Journal(sys.argv[1]), {"cycle": "round " + sys.argv[2], "facts": {}}
sys.exit(0 if journal.add(cycles, **row) and not journal.add(cycles, **row) else 1)
"""


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'journal.db'}"


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    journal = Journal(url)
    yield journal
    journal.close()


def test_the_same_key_twice_is_added_once_and_the_first_one_stays(journal: Journal):
    assert journal.add(tables.tunings, recipe="r", tuning="t1", parameters={"depth": 3}, cost=2.5) is True
    assert journal.add(tables.tunings, recipe="r", tuning="t1", parameters={"depth": 4}, cost=1.5) is False
    assert [(row["parameters"], row["cost"]) for row in journal.rows(tables.tunings)] == [({"depth": 3}, 2.5)]


def test_several_rows_are_added_all_or_none(journal: Journal):
    first, second = (tables.cycles, {"cycle": "one", "facts": {}}), (tables.snapshots, {"snapshot": "s", "batches": {}})
    assert journal.add(*first[:1], **first[1])
    assert journal.add_all([second, first]) is False
    assert journal.rows(tables.snapshots) == []
    assert journal.add_all([second, (tables.cycles, {"cycle": "two", "facts": {}})]) is True
    assert [row["cycle"] for row in journal.rows(tables.cycles)] == ["one", "two"]


def test_rows_come_oldest_first_and_only_those_asked_for(journal: Journal):
    for name, version in (("p1", 1), ("p2", 2), ("p3", 1)):
        journal.add(tables.bars, event=name, reason="late", person="me", version=version, barred=True)
    assert [row["event"] for row in journal.rows(tables.bars)] == ["p1", "p2", "p3"]
    assert [row["event"] for row in journal.rows(tables.bars, version=1)] == ["p1", "p3"]
    assert journal.last(tables.bars, version=1)["event"] == "p3"
    assert journal.last(tables.bars, version=9) is None


def test_the_newest_row_of_each_value_comes_with_one_question(journal: Journal):
    for number, (kind, window) in enumerate([("drift", "w1"), ("drift", "w2"), ("decay", "w1"), ("drift", "w1"), ("decay", "w3")]):
        journal.add(tables.signals, signal=str(number), kind=kind, window=window, facts={"number": number})
    asked: list[str] = []
    sa.event.listen(journal._engine, "before_cursor_execute", lambda *words: asked.append(words[2]))
    found = journal.latest(tables.signals, "window", kind="drift")
    assert len(asked) == 1
    assert [(window, row["facts"]) for window, row in found.items()] == [("w2", {"number": 1}), ("w1", {"number": 3})]
    assert found["w1"] == journal.last(tables.signals, kind="drift", window="w1")
    assert {window: row["signal"] for window, row in journal.latest(tables.signals, "window").items()} == {"w2": "1", "w1": "3", "w3": "4"}
    assert journal.latest(tables.signals, "window", kind="nothing") == {}


@pytest.mark.parametrize("question", ["last", "latest"])
def test_the_newest_signals_of_a_kind_are_found_by_the_index(tmp_path: Path, question: str):
    journal = Journal(url_of(tmp_path))
    asked: list[tuple[str, tuple[str, ...]]] = []
    sa.event.listen(journal._engine, "before_cursor_execute", lambda *words: asked.append(words[2:4]))
    if question == "last":
        journal.last(tables.signals, kind="drift", window="w1")
    else:
        journal.latest(tables.signals, "window", kind="drift")
    with journal.reading() as connection:
        plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1]))
    journal.close()
    assert "signals_newest" in plan
    assert "SCAN signals" not in plan


def test_rows_come_back_as_they_were_given(journal: Journal):
    facts = {"z": [1, 2.5, 0.1 + 0.2, 1e-300, 2**60], "a": {"é": None, "no": False}, "": "'\"\\ \0 \N{SNOWMAN}"}
    decision = {"decision": "d", "training_key": "k", "inputs": "i", "verdict": "hold", "snapshot": "s", "data_time": "t"}
    journal.add(tables.decisions, **decision, candidate=3, champion=None, record=facts)
    row = journal.last(tables.decisions)
    assert (row["seq"], row["candidate"], row["champion"], row["record"]) == (1, 3, None, facts)
    assert list(row["record"]) == ["z", "a", ""]
    journal.add(tables.bars, event="e", reason="naïve", person="Zoë", version=2, barred=False)
    assert [journal.last(tables.bars)[name] for name in ("barred", "reason", "person")] == [False, "naïve", "Zoë"]
    for spend, alpha in (("tiny", 5e-324), ("third", 1 / 3)):
        journal.add(tables.ledger, spend=spend, data_time="t", purpose="gate", alpha=alpha)
        assert journal.last(tables.ledger)["alpha"] == alpha


def test_a_reason_that_quotes_a_nul_is_kept_with_its_symbol(journal: Journal):
    journal.add(tables.bars, event="e", reason="line 3: '\0'", person="me", version=1, barred=True)
    assert journal.last(tables.bars)["reason"] == "line 3: '\N{SYMBOL FOR NULL}'"


def test_a_missing_value_is_no_duplicate(journal: Journal):
    with pytest.raises(IntegrityError, match=r"cycles\.cycle|\"cycle\""):
        journal.add(tables.cycles, facts={})


def test_a_journal_belongs_to_one_problem(journal: Journal):
    journal.claim("flights")
    journal.claim("flights")
    with pytest.raises(JournalError, match=r"^The journal .* belongs to the problem 'flights', this contract is 'shop'\. Give it a home"):
        journal.claim("shop")
    assert [row["problem"] for row in journal.rows(tables.owner)] == ["flights"]


def test_a_second_opening_finds_what_the_first_one_wrote(journal: Journal, url: str):
    journal.add(tables.cycles, cycle="one", facts={"rows": 3})
    again = Journal(url)
    assert [row["facts"] for row in again.rows(tables.cycles)] == [{"rows": 3}]
    assert len(again.rows(tables.about)) == 1
    again.close()


def test_six_processes_at_first_use_all_write(url: str):
    commands = [[sys.executable, "-c", OPENS_AND_WRITES, url, str(number)] for number in range(6)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    told = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 6, told
    journal = Journal(url)
    assert len(journal.rows(tables.cycles)) == 6
    assert [row["schema_version"] for row in journal.rows(tables.about)] == [SCHEMA]
    journal.close()


def test_a_row_survives_a_power_cut_because_sqlite_syncs(tmp_path: Path):
    journal = Journal(url_of(tmp_path))
    with journal._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    journal.close()


def test_a_locked_database_is_one_clear_sentence_and_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables.engine, "LOCKED_SECONDS", 0.1)
    journal = Journal(url_of(tmp_path))
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(JournalError, match=r"cannot be used: database is locked\. .*end that process or wait, then run again\.$"):
        journal.add_all([(tables.cycles, {"cycle": "one", "facts": {}}), (tables.cycles, {"cycle": "two", "facts": {}})])
    other.rollback()
    other.close()
    assert journal.rows(tables.cycles) == []
    assert journal.add(tables.cycles, cycle="one", facts={})
    journal.close()


def test_a_database_that_is_none_is_told(tmp_path: Path):
    (tmp_path / "journal.db").write_bytes(b"this is no database, although it is long enough to look like one" * 20)
    with pytest.raises(JournalError, match=r"journal\.db cannot be used: file is not a database"):
        Journal(url_of(tmp_path))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"file/journal\.db cannot be used: .*Check EVERGREEN_JOURNAL_URL and the folder"):
        Journal(url_of(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match=r"cannot be used: .*Check"):
        Journal(url_of(tmp_path))


@pytest.mark.parametrize("url", ["", "journal.db", "postgresql:/host/name", "nonsense://host/name", "sqlite+nonsense:///x.db"])
def test_a_url_that_cannot_be_opened_is_told(url: str):
    with pytest.raises(JournalError, match=r"cannot be used: .*EVERGREEN_JOURNAL_URL"):
        Journal(url)
