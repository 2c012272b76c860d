"""What keeps a version from being loaded: itself, or the machine."""

from __future__ import annotations

import asyncio
from multiprocessing import Pipe
from pathlib import Path

import msgpack
import pytest

from evergreen.errors import EvergreenError, ModelError
from evergreen.serving import worker
from evergreen.serving.worker import FAILED, HINDERED, Order
from evergreen.serving.workers import HinderedError, Worker

ORDER = Order(7, Path("model"), Path("golden.parquet"))


@pytest.mark.parametrize(
    ("error", "said", "why"),
    [
        (ModelError("its golden rows differ"), FAILED, "its golden rows differ"),
        (KeyError("amount"), FAILED, "KeyError: ⟦'amount'⟧"),
        (OSError(24, "Too many open files"), HINDERED, "OSError: [Errno 24] Too many open files"),
        (MemoryError("of 3 GiB"), HINDERED, "MemoryError: of 3 GiB"),
    ],
)
def test_only_what_the_version_does_wrong_is_held_against_it(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, why: str):
    def fails(_: Order) -> None:
        raise error

    monkeypatch.setattr(worker, "_prepare", fails)
    monkeypatch.setattr(worker, "end_with_parent", lambda: None)
    ours, theirs = Pipe()
    worker.work(theirs, ORDER)
    assert msgpack.unpackb(ours.recv_bytes()) == [said, why]


@pytest.mark.parametrize(
    ("golden", "kind", "told"),
    [
        ("is no table", ModelError, "ArrowInvalid"),
        (None, HinderedError, "Version 7 could not be loaded now: FileNotFoundError"),
    ],
)
def test_a_version_that_cannot_be_loaded_now_may_be_tried_again(tmp_path: Path, golden: str | None, kind: type[EvergreenError], told: str):
    file = tmp_path / "golden.parquet"
    if golden is not None:
        file.write_text(golden)

    async def scene() -> None:
        await Worker.start(Order(7, tmp_path, file), seconds=60)

    with pytest.raises(kind, match=told) as caught:
        asyncio.run(scene())
    assert type(caught.value) is kind
