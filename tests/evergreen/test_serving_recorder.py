"""A prediction that the journal refuses for what it is must not keep all others out of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evergreen.errors import UnfitRowError
from evergreen.journal import Journal, served
from evergreen.serving.log import Entry, PredictionLog
from evergreen.serving.recorder import write

TRIGGER = "CREATE TRIGGER wary BEFORE INSERT ON served WHEN NEW.entity = 'bad' BEGIN SELECT RAISE(ABORT, 'no such thing'); END"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """One that refuses every prediction on the thing `bad`."""
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    with journal.writing() as connection:
        connection.exec_driver_sql(TRIGGER)
    return journal


async def empty(log: PredictionLog) -> None:
    async with asyncio.timeout(60):
        while log.waiting_rows:
            await asyncio.sleep(0.01)


def entry(*entities: str) -> Entry:
    values = list(range(len(entities)))
    ids = [f"id-{entity}-{at}" for at, entity in enumerate(entities)]
    return ids, list(entities), "2026-01-05T12:00:00+00:00", 1, {"amount": values}, {"decision": values}


def test_the_rows_beside_one_that_is_refused_are_kept(journal: Journal):
    refused = write(journal, [entry("a", "bad", "b"), entry("c"), entry("bad")])
    assert [row["entity"] for row in journal.rows(served)] == ["a", "b", "c"]
    assert [one.split()[:2] for one in refused] == [["prediction", "id-bad-1"], ["prediction", "id-bad-0"]]
    assert refused[0].endswith("refuses what it was to keep: no such thing.")


def test_where_nothing_is_taken_it_is_not_these_rows(journal: Journal):
    with pytest.raises(UnfitRowError):
        write(journal, [entry("bad", "bad"), entry("bad")])
    with pytest.raises(UnfitRowError):
        write(journal, [entry(*["bad"] * 2_000)])
    assert len(write(journal, [entry(*["bad"] * 60, "good", *["bad"] * 60)])) == 120
    assert [row["entity"] for row in journal.rows(served)] == ["good"]


def test_a_refused_row_leaves_nothing_of_its_transaction(journal: Journal):
    with pytest.raises(UnfitRowError):
        journal.add_new(served, [{"prediction": one, "entity": one, **REST} for one in ("a", "bad")])
    assert journal.rows(served) == []


REST = {"asked_at": "2026-01-05", "version": 1, "features": "f", "inputs": "{}", "answer": "{}"}


def test_what_is_refused_is_counted_as_lost_and_told(journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    log = PredictionLog(str(journal.url), tmp_path / "left", most_rows=100)

    async def scene() -> int:
        log.put(entry("a", "bad"))
        work = asyncio.create_task(log.run())
        await empty(log)
        log.put(entry("z"))
        await empty(log)
        work.cancel()
        return await log.close(seconds=10)

    assert asyncio.run(scene()) == 0
    assert (log.written, log.dropped, log.trouble) == (2, 1, "")
    assert [row["entity"] for row in journal.rows(served)] == ["a", "z"]
    assert [one.getMessage().partition(" could")[0] for one in caplog.records] == ["1 predictions are lost: prediction id-bad-1"]


def test_a_journal_that_takes_nothing_loses_nothing(journal: Journal, tmp_path: Path):
    log = PredictionLog(str(journal.url), tmp_path / "left", most_rows=100)

    async def scene() -> tuple[int, str, int]:
        work = asyncio.create_task(log.run())
        log.put(entry("bad"))  # by itself it may be the row
        await empty(log)
        log.put(entry("bad"))
        async with asyncio.timeout(60):
            while not log.trouble.endswith("no such thing."):
                await asyncio.sleep(0.01)
        before = log.waiting_rows, log.trouble
        with journal.writing() as connection:
            connection.exec_driver_sql("DROP TRIGGER wary")
        await empty(log)
        work.cancel()
        return *before, await log.close(seconds=10)

    waiting, trouble, left = asyncio.run(scene())
    assert (waiting, left, log.written, log.dropped) == (1, 0, 1, 1)
    assert "prediction id-bad-0 could not be logged" in trouble
    assert [row["entity"] for row in journal.rows(served)] == ["bad"]
