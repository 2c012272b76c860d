"""The processes of a version in shadow without a server: rows at which the model ends, is silent, or cannot be loaded."""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import msgpack
import pytest

from evergreen.serving import mirror
from evergreen.serving.mirror import GoneError, HungUpError, Model, Unanswered
from evergreen.serving.worker import FAILED, HINDERED, READY, Order

ORDER = Order(2, Path("model"), Path("golden"))


def work(connection: Any, _order: Order) -> None:
    """Stands for a version: it doubles, ends at a 13, and says nothing to a 17."""
    connection.send_bytes(msgpack.packb((READY, {"example": {"amount": [1]}})))
    while True:
        try:
            number, columns = msgpack.unpackb(connection.recv_bytes())
        except EOFError:
            return
        if 13 in columns["amount"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if 17 in columns["amount"]:
            time.sleep(60)
        connection.send_bytes(msgpack.packb((number, None, {"decision": [2 * value for value in columns["amount"]]})))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    monkeypatch.setattr(mirror, "work", work)
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(mirror, "MOST_DEATHS", 4)
    theirs, ours = Pipe()
    model = Model(ORDER, ours)
    assert model.start()[0] == READY
    yield model
    model.end()
    theirs.close()


def rows(*amounts: int) -> list[dict[str, Any]]:
    return [{"amount": amount} for amount in amounts]


@pytest.mark.parametrize("poison", [13, 17])
def test_only_the_row_at_which_it_ends_or_is_silent_has_no_answer(model: Model, poison: int):
    found = mirror._answers(rows(1, poison, 3, 4), model.ask)
    assert [answer for answer, _ in found] == ['{"decision":2}', None, '{"decision":6}', '{"decision":8}']
    assert found[1][1] is not None
    assert "process of the version ended" in found[1][1]


def test_one_that_ends_again_and_again_is_given_up(model: Model):
    for _ in range(4):
        with pytest.raises(Unanswered):
            model.ask(rows(13))
    with pytest.raises(GoneError, match="ended 5 times") as caught:
        model.ask(rows(13))
    assert caught.value.said == FAILED


def test_where_another_one_cannot_be_had_now_that_is_not_the_versions_fault(model: Model, monkeypatch: pytest.MonkeyPatch):
    def has_no_memory(connection: Any, _order: Order) -> None:
        connection.send_bytes(msgpack.packb((HINDERED, "MemoryError: none left")))

    monkeypatch.setattr(mirror, "work", has_no_memory)
    with pytest.raises(GoneError, match="none left") as caught:
        model.ask(rows(13))
    assert caught.value.said == HINDERED


def test_a_row_without_its_features_is_not_asked_about(model: Model):
    with pytest.raises(Unanswered, match="has no amount"):
        model.ask([{"colour": "red"}])
    assert model.ask(rows(2)) == {"decision": [4]}


def test_whoever_hangs_up_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mirror, "work", work)
    theirs, ours = Pipe()
    model = Model(ORDER, ours)
    model.start()
    theirs.send_bytes(b"")  # as good as its end, of which the forked process holds a copy here
    began = time.monotonic()
    with pytest.raises(HungUpError):
        model.ask(rows(17))
    assert time.monotonic() - began < 5
    model.end()


def test_a_version_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch):
    def fails(connection: Any, _order: Order) -> None:
        connection.send_bytes(msgpack.packb((FAILED, "its golden rows differ")))

    monkeypatch.setattr(mirror, "work", fails)
    _, ours = Pipe()
    model = Model(ORDER, ours)
    assert list(model.start()) == [FAILED, "its golden rows differ"]
    model.end()
