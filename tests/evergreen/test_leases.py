import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from postgres import Server

from evergreen.errors import BusyError, LostError
from evergreen.files import lock
from evergreen.journal import Journal, cycles, snapshots
from evergreen.leases import is_at_work, single_flight, unless_alone

SECONDS = 2.0
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    server: Server = request.getfixturevalue("server")
    return server.url(server.new_database())


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    journal = Journal(url)
    yield journal
    journal.close()


def work(url: str, root: Path, name: str) -> None:
    """Another process: it takes the lease, says so, and when it is told to it writes a row and says what came of it."""
    journal = Journal(url)
    try:
        with single_flight(journal, root, seconds=SECONDS):
            (root / f"{name} works").touch()
            while not (root / f"{name} writes").exists():
                time.sleep(0.01)
            journal.add(cycles, cycle=name, facts={})
    except BusyError as error:
        (root / f"{name} says").write_text(f"{type(error).__name__} {error}")


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Callable[[str], BaseProcess]]:
    started = []

    def begin(name: str, root: Path = tmp_path) -> BaseProcess:
        process = SPAWN.Process(target=work, args=(url, root, name))
        process.start()
        started.append(process)
        seen(root / f"{name} works")
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def seen(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def written(journal: Journal) -> list[str]:
    return [row["cycle"] for row in journal.rows(cycles)]


def test_who_finds_another_at_work_is_told_so_and_by_whom(journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]):
    other = start("first")
    with (
        pytest.raises(BusyError, match=rf"Another evergreen command works here \(.* {other.pid}\)\. Wait"),
        single_flight(journal, tmp_path, seconds=SECONDS),
    ):
        pytest.fail("two at once")
    (tmp_path / "first writes").touch()
    other.join()
    assert written(journal) == ["first"]
    with single_flight(journal, tmp_path, seconds=SECONDS):
        journal.add(cycles, cycle="second", facts={})
    assert written(journal) == ["first", "second"]


def test_the_lease_of_a_killed_process_is_free_at_once(journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]):
    other = start("first")
    other.kill()
    other.join()
    began = time.monotonic()
    with single_flight(journal, tmp_path, seconds=60):
        assert time.monotonic() - began < 10


def test_somebody_is_at_work_while_his_heart_beats_and_not_once_he_is_stopped_or_dead(
    journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]
):
    assert not is_at_work(journal, tmp_path, seconds=SECONDS)
    process = start("one")
    assert is_at_work(journal, tmp_path, seconds=SECONDS)
    os.kill(process.pid or 0, signal.SIGSTOP)
    assert not is_at_work(journal, tmp_path, seconds=SECONDS)
    os.kill(process.pid or 0, signal.SIGCONT)
    assert is_at_work(journal, tmp_path, seconds=SECONDS)
    process.kill()
    process.join()
    began = time.monotonic()
    assert not is_at_work(journal, tmp_path, seconds=60)
    assert time.monotonic() - began < 30


def test_a_process_that_was_stopped_past_its_lease_is_taken_over_and_what_it_writes_then_is_refused(
    journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]
):
    other = start("first")
    os.kill(other.pid or 0, signal.SIGSTOP)
    with single_flight(journal, tmp_path, seconds=SECONDS):
        (tmp_path / "first writes").touch()
        os.kill(other.pid or 0, signal.SIGCONT)
        other.join()
        journal.add(cycles, cycle="second", facts={})
    assert written(journal) == ["second"]
    assert (tmp_path / "first says").read_text().startswith("LostError Another process took over while this one did not stir")


def test_a_process_that_was_stopped_for_a_moment_goes_on(journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]):
    other = start("first")
    os.kill(other.pid or 0, signal.SIGSTOP)
    time.sleep(SECONDS / 4)
    os.kill(other.pid or 0, signal.SIGCONT)
    with pytest.raises(BusyError), single_flight(journal, tmp_path, seconds=SECONDS):
        pytest.fail("two at once")
    (tmp_path / "first writes").touch()
    other.join()
    assert written(journal) == ["first"]


def test_an_owner_on_another_machine_is_gone_once_its_heart_has_stopped(
    journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]
):
    (tmp_path / "elsewhere").mkdir()
    other = start("first", tmp_path / "elsewhere")  # a home of its own: neither lock nor process can be seen from here
    with pytest.raises(BusyError), single_flight(journal, tmp_path, seconds=SECONDS):
        pytest.fail("two at once")
    other.kill()
    other.join()
    began = time.monotonic()
    with single_flight(journal, tmp_path, seconds=SECONDS):
        assert time.monotonic() - began >= SECONDS


def test_entering_again_in_the_same_process_changes_nothing_and_keeps_the_lease(journal: Journal, url: str, tmp_path: Path):
    again = Journal(url)
    with single_flight(journal, tmp_path, seconds=SECONDS):
        before = journal.lease("pipeline")
        with single_flight(again, tmp_path, seconds=SECONDS):
            pass
        after = journal.lease("pipeline")
        assert before is not None
        assert after is not None
        assert (before["fence"], before["owner"]) == (after["fence"], after["owner"])
        assert after["owner"]
    again.close()


def test_whoever_changes_something_outside_the_journal_can_ask_whether_it_still_may(journal: Journal, url: str, tmp_path: Path):
    with pytest.raises(LostError, match=r"lease pipeline, number 2, ours was 1"):
        work_and_be_taken_over(journal, url, tmp_path)


def work_and_be_taken_over(journal: Journal, url: str, root: Path) -> None:
    with single_flight(journal, root, seconds=60):  # at its end it is told once more
        journal.insist()
        seen_now = journal.lease("pipeline")
        beside = Journal(url)
        assert not beside.take("pipeline", "another 1", seen={**(seen_now or {}), "beat": -1})
        held = dict(_held())
        assert beside.take("pipeline", "another 1", seen=journal.lease("pipeline"))
        _held().update(held)  # it is this very process that played the other one
        with pytest.raises(LostError, match=r"lease pipeline, number 2, ours was 1"):
            journal.insist()
        beside.close()


def test_who_has_patience_waits_for_the_other_one_to_end(journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]):
    start("first")
    with pytest.raises(BusyError, match=r"busy with a pipeline since .* Wait"), single_flight(journal, tmp_path, seconds=60, patience=0.3):
        pytest.fail("two at once")
    (tmp_path / "first writes").touch()
    with single_flight(journal, tmp_path, seconds=60, patience=60):
        assert written(journal) == ["first"]


def test_who_has_patience_takes_over_from_one_that_is_stopped(journal: Journal, tmp_path: Path, start: Callable[[str], BaseProcess]):
    other = start("first")
    os.kill(other.pid or 0, signal.SIGSTOP)
    began = time.monotonic()
    with single_flight(journal, tmp_path, seconds=SECONDS, patience=60):
        assert SECONDS <= time.monotonic() - began < 30
        (tmp_path / "first writes").touch()
        os.kill(other.pid or 0, signal.SIGCONT)
        other.join()
    assert written(journal) == []


def test_a_lock_of_one_that_was_taken_over_does_not_hold_up_who_works_alone(journal: Journal, tmp_path: Path):
    path = tmp_path / ".gate.lock"
    with lock(path, holder="the test"):
        with pytest.raises(BusyError, match="busy with the gate"), unless_alone(journal, path, holder="the gate", seconds=0.1):
            pytest.fail("two at once")
        with single_flight(journal, tmp_path, seconds=60), unless_alone(journal, path, holder="the gate", seconds=0.1):
            pass


def _held() -> dict[tuple[str, str], int]:
    from evergreen.journal import database

    return database._held


def test_leases_come_and_go_in_one_thread_while_another_writes(tmp_path: Path):
    journal, done = Journal(f"sqlite:///{tmp_path / 'journal.db'}"), threading.Event()
    held = [f"lease {number}" for number in range(20)]
    for name in held:
        assert journal.take(name, "me", seen=None)

    def come_and_go() -> None:
        other = Journal(f"sqlite:///{tmp_path / 'other.db'}")
        for _ in range(40):
            assert other.take("promotion", "me", seen=None)
            time.sleep(0.002)
            other.give_back("promotion")
        other.close()
        done.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    number = 0
    while not done.is_set():
        journal.add(snapshots, snapshot=str(number), batches={})
        number += 1
    thread.join()
    assert len(journal.rows(snapshots)) == number > 0
    for name in held:
        journal.give_back(name)
    journal.close()
