import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deliveries
import pytest
from deliveries import NOW, PROBLEM, House, rows
from file_names import needs_any_bytes

from evergreen.data import landing
from evergreen.errors import DataError


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.journal.close()


def look(house: House, **changes):
    return landing.find(house.root / "landing", PROBLEM, **({"settle_seconds": 0, "now": NOW} | changes))


def test_a_missing_landing_folder_is_told_in_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match=r"There is no landing folder .*nowhere\. Make it"):
        landing.find(tmp_path / "nowhere", PROBLEM, settle_seconds=0, now=NOW)


def test_deliveries_come_in_the_order_of_sources_and_names_whatever_came_first(house: House):
    for name in ("c.csv", "a.csv", "b.csv"):
        house.deliver(name, rows(1, 2))
    assert [delivery.name for delivery in look(house).ready] == ["a.csv", "b.csv", "c.csv"]


@pytest.mark.parametrize("name", [".hidden.csv", "a.csv.part", "a.csv.tmp", "a.csv.crdownload", "A.CSV.PART"])
def test_a_file_named_as_unfinished_waits(house: House, name: str):
    path = house.deliver(name, rows(1, 2))
    assert look(house) == landing.Found((), (path,), ())


def test_a_file_that_changed_a_moment_ago_waits_and_an_hour_later_is_ready(house: House):
    path = house.deliver("a.csv", rows(1, 2))
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert look(house, settle_seconds=5, now=changed + timedelta(seconds=4)).waiting == (path,)
    assert [delivery.path for delivery in look(house, settle_seconds=5, now=changed + timedelta(hours=1)).ready] == [path]


def test_what_holds_still_between_two_looks_is_ready_even_with_a_clock_ahead(house: House):
    path = house.deliver("a.csv", rows(1, 2))
    old = house.deliver("b.csv", rows(1, 2))
    ahead = time.time() + 3600
    os.utime(path, (ahead, ahead))
    os.utime(old, (0, 0))
    found = landing.find_settled(house.root / "landing", PROBLEM, settle_seconds=0.05, now=datetime.now(UTC))
    assert [delivery.path for delivery in found.ready] == [path, old]
    assert found.waiting == ()


def test_a_file_that_grows_between_two_looks_waits(house: House):
    path = house.deliver("a.csv", rows(1, 2))
    writer = threading.Timer(0.1, lambda: house.deliver("a.csv", rows(1, 2, 3)))
    writer.start()
    found = landing.find_settled(house.root / "landing", PROBLEM, settle_seconds=0.5, now=datetime.now(UTC))
    writer.join()
    assert (found.ready, found.waiting) == ((), (path,))


def test_what_belongs_to_no_source_is_reported(house: House):
    top = house.root / "landing"
    (top / "meter").mkdir()
    (top / "meter" / "a.csv").write_text(rows(1, 2))
    (top / "stray.csv").write_text(rows(1, 2))
    (top / "gauge" / "folder").mkdir()
    (top / "gauge" / "broken.csv").symlink_to(top / "not there")
    names = [str(path.relative_to(top)) for path in look(house).unknown]
    assert names == ["meter", "stray.csv", "gauge/broken.csv", "gauge/folder"]


@pytest.mark.parametrize("name", [pytest.param(b"gr\xfcn.csv", marks=needs_any_bytes), b"two\nlines.csv", b"\x1b[31mred.csv"])
def test_a_file_whose_name_cannot_be_shown_is_reported_and_kept_as_it_is_called(house: House, name: bytes):
    path = house.deliver(os.fsdecode(name), rows(1, 2))
    house.deliver("a\\b.csv", rows(1, 3))
    found = look(house)
    assert ([delivery.name for delivery in found.ready], found.unknown) == (["a\\b.csv"], (path,))
    assert os.fsencode(found.unknown[0].name) == name


def test_what_is_judged_is_skipped_without_being_read(house: House, monkeypatch: pytest.MonkeyPatch):
    house.deliver("a.csv", rows(1, 2))
    house.ingest()
    monkeypatch.setattr(landing, "digest_file", lambda path: pytest.fail(f"{path} was read"))
    assert house.look() == []


def test_a_touched_file_with_the_same_content_is_still_judged(house: House):
    path = house.deliver("a.csv", rows(1, 2))
    house.ingest()
    os.utime(path, (1, 1))
    assert house.look() == []
    path.write_text(rows(1, 3))
    assert [delivery.name for delivery in house.look()] == ["a.csv"]


def test_an_edited_suite_reopens_what_is_quarantined_and_nothing_else(house: House):
    house.deliver("good.csv", rows(1, 2))
    house.deliver("high.csv", rows(1, 200))
    assert [judged.outcome for judged in house.ingest()] == ["published", "quarantined"]
    assert house.look() == []
    wider = deliveries.expectation("column_values_to_be_between", column="level", min_value=0, max_value=300)
    deliveries.write_suite(house.suite, wider)
    assert [delivery.name for delivery in house.look()] == ["high.csv"]
    assert [judged.outcome for judged in house.ingest()] == ["published"]
    assert house.levels() == [[1, 2], [1, 200]]
