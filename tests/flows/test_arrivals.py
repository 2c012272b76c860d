import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import arrivals


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """When somebody who watches the landing folder was told that something has arrived."""
    monkeypatch.setattr(arrivals, "LOOK_SECONDS", 0.1)
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "old.csv").write_text("a\n")
    times, ended = list[float](), threading.Event()
    watcher = threading.Thread(target=arrivals.watch, args=(tmp_path, lambda: times.append(time.monotonic()), ended))
    watcher.start()
    time.sleep(0.3)
    yield times
    ended.set()
    watcher.join()


def test_what_was_there_before_is_no_arrival(told: list[float]):
    time.sleep(0.3)
    assert told == []


def test_a_file_is_told_once_when_it_holds_still(told: list[float], tmp_path: Path):
    file = tmp_path / "orders" / "new.csv"
    for _ in range(8):
        with file.open("a") as growing:
            growing.write("a\n")
        time.sleep(0.06)
    done = time.monotonic()
    time.sleep(0.6)
    assert len(told) == 1
    assert told[0] > done


def test_what_is_hidden_or_named_as_unfinished_is_not_told_until_it_has_its_name(told: list[float], tmp_path: Path):
    part = tmp_path / "orders" / "new.csv.part"
    part.write_text("a\n")
    (tmp_path / "orders" / ".new.csv").write_text("a\n")
    time.sleep(0.4)
    assert told == []
    part.rename(tmp_path / "orders" / "new.csv")
    time.sleep(0.5)
    assert len(told) == 1


def test_a_correction_under_the_same_name_is_an_arrival_and_so_is_a_folder_that_comes_later(told: list[float], tmp_path: Path):
    (tmp_path / "orders" / "old.csv").write_text("corrected\n")
    time.sleep(0.5)
    assert len(told) == 1
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "new.csv").write_text("a\n")
    time.sleep(0.5)
    assert len(told) == 2


def test_a_landing_folder_that_is_not_there_is_empty(tmp_path: Path):
    assert arrivals.see(tmp_path / "nowhere") == frozenset()
