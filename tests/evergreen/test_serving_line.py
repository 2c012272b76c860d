"""The line between the front and its processes: what `multiprocessing` sends is heard, and the other way round, however large it is."""

import asyncio
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest
import uvloop

from evergreen.serving.line import Line

SIZES = (0, 1, 16_384, 16_385, 300_000, 3_000_000)
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def echo(theirs: Connection) -> None:
    try:
        while True:
            theirs.send_bytes(theirs.recv_bytes())
    except EOFError:
        theirs.close()


def run(loop: Callable[[], asyncio.AbstractEventLoop], ask: Callable[[Line, asyncio.Queue[bytes]], object], other: object = echo) -> None:
    async def all_of_it() -> None:
        ours, theirs = multiprocessing.Pipe()
        thread = threading.Thread(target=other, args=(theirs,))
        thread.start()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        line = await Line.over(ours, heard.put_nowait, lambda: heard.put_nowait(b"lost"))
        await asyncio.wait_for(ask(line, heard), 20)
        line.close()
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(all_of_it())


@LOOPS
def test_a_message_of_any_size_goes_and_comes_back(loop):
    async def ask(line: Line, heard: asyncio.Queue[bytes]) -> None:
        for size in SIZES:
            line.send(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
        for size in SIZES:
            assert await heard.get() == bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    run(loop, ask)


@LOOPS
def test_whoever_sends_does_not_wait_for_one_that_does_not_read(loop):
    may_read = threading.Event()

    def reads_later(theirs: Connection) -> None:
        may_read.wait(20)
        theirs.send_bytes(str(len(theirs.recv_bytes())).encode())

    async def ask(line: Line, heard: asyncio.Queue[bytes]) -> None:
        line.send(b"x" * 3_000_000)  # would never return if it waited
        await asyncio.sleep(0.05)
        may_read.set()
        assert await heard.get() == b"3000000"

    run(loop, ask, reads_later)


@LOOPS
def test_the_end_of_the_other_is_heard_once_after_what_it_has_said(loop):
    def says_and_ends(theirs: Connection) -> None:
        theirs.send_bytes(b"a")
        theirs.send_bytes(b"b")
        theirs.close()

    async def ask(line: Line, heard: asyncio.Queue[bytes]) -> None:
        assert [await heard.get() for _ in range(3)] == [b"a", b"b", b"lost"]
        line.send(b"to nobody")
        line.close()
        await asyncio.sleep(0.05)
        assert heard.empty()

    run(loop, ask, says_and_ends)
