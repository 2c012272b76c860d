"""What becomes of requests that wait: a real event loop, and a worker that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from evergreen.columns import Column
from evergreen.limits import OnlinePolicy
from evergreen.serving.batching import MOST_ROWS, Batcher, FullError, LateError, UnavailableError
from evergreen.serving.schema import Asked, Schema
from evergreen.serving.unfit import UnfitError
from evergreen.serving.workers import Columns, DiedError, Refused

A = Schema([Column("a", "integer", "int64", nullable=False)], "id", max_rows=1_000)
B = Schema([Column("a", "text", "str", nullable=False)], "id", max_rows=1_000)


class Fake:
    """A worker that answers with what it is asked; it fails at 13, and does not answer before it is let."""

    def __init__(self, version: int = 1, *, is_let: bool = True) -> None:
        self.version = version
        self.asked: list[list[Any]] = []
        self.let = asyncio.Event()
        self.killed = False
        self.during: Callable[[], None] = lambda: None
        if is_let:
            self.let.set()

    async def ask(self, columns: Columns) -> Columns:
        self.asked.append(columns["a"])
        await self.let.wait()
        self.during()
        if self.killed:
            raise DiedError
        if 13 in columns["a"]:
            raise Refused("13")
        if 14 in columns["a"]:
            raise OverflowError("no worker was asked")
        return {"decision": list(columns["a"])}

    def kill(self) -> None:
        self.killed = True
        self.let.set()


@asynccontextmanager
async def batching(worker: Fake | None, *, schema: Schema = A, **policy: Any) -> AsyncIterator[Batcher]:
    batcher = Batcher(OnlinePolicy(**{"deadline": timedelta(seconds=20), **policy}))
    batcher.switch(worker, schema)  # type: ignore[arg-type]
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher
        assert not task.done(), "the batcher has ended"
    finally:
        task.cancel()


def rows(*values: Any) -> Callable[[Schema], Asked]:
    body = b"[%s]" % b",".join(b'{"a":%s}' % str(value).encode() for value in values)
    return lambda schema: schema.read(body)


async def said(batcher: Batcher, *values: Any) -> Any:
    """The answers, or the kind of the refusal."""
    try:
        answered = await batcher.answer(rows(*values))
    except Exception as error:
        return type(error)
    return answered.version, answered.answers["decision"]


async def all_said(batcher: Batcher, *requests: tuple[Any, ...]) -> list[Any]:
    return await asyncio.gather(*(said(batcher, *one) for one in requests))


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def test_requests_that_come_together_are_one_batch_and_each_gets_its_own_rows():
    async def scene() -> None:
        worker = Fake()
        async with batching(worker) as batcher:
            assert await all_said(batcher, (1,), (2, 3), (4,)) == [(1, [1]), (1, [2, 3]), (1, [4])]
            assert worker.asked == [[1, 2, 3, 4]]

    asyncio.run(scene())


def test_a_batch_has_no_more_rows_than_it_may_and_a_large_request_is_one_of_its_own():
    async def scene() -> None:
        worker = Fake()
        async with batching(worker) as batcher:
            await all_said(batcher, (1,), tuple(range(100, 100 + MOST_ROWS)), (2,), (3,))
            assert [len(one) for one in worker.asked] == [1, MOST_ROWS, 2]

    asyncio.run(scene())


def test_only_the_request_at_which_the_model_fails_is_refused():
    async def scene() -> None:
        worker = Fake()
        async with batching(worker) as batcher:
            assert await all_said(batcher, (1,), (2, 13), (3,)) == [(1, [1]), Refused, (1, [3])]
            assert batcher.model_faults == 1

    asyncio.run(scene())


def test_a_request_that_cannot_even_be_sent_ends_neither_the_batcher_nor_what_comes_after():
    async def scene() -> None:
        async with batching(Fake()) as batcher:
            assert await said(batcher, 14) is OverflowError
            assert await said(batcher, 1) == (1, [1])

    asyncio.run(scene())


def test_where_each_is_asked_alone_the_version_that_has_taken_over_reads_the_request_itself():
    async def scene() -> None:
        first, second = Fake(), Fake(2)
        async with batching(first) as batcher:
            first.during = lambda: batcher.switch(second, B)  # type: ignore[arg-type]
            assert await all_said(batcher, (1,), (13,)) == [UnfitError, UnfitError]
            assert second.asked == []

    asyncio.run(scene())


def test_where_each_is_asked_alone_those_that_wait_are_told_in_time():
    async def scene() -> None:
        worker = Fake()
        async with batching(worker, deadline=timedelta(milliseconds=150)) as batcher:
            worker.during = worker.let.clear
            waiting = [asyncio.create_task(said(batcher, value)) for value in (13, 1, 2)]
            assert await asyncio.wait_for(asyncio.gather(*waiting), 0.6) == [LateError] * 3
            assert worker.asked == [[13, 1, 2], [13]]

    asyncio.run(scene())


def test_a_request_that_waits_while_a_version_with_other_columns_takes_over_is_read_again():
    async def scene() -> None:
        first, second = Fake(is_let=False), Fake(2)
        async with batching(first) as batcher:
            early = asyncio.create_task(said(batcher, 1))
            await until(lambda: first.asked)
            waiting = [asyncio.create_task(said(batcher, value)) for value in (2, 3)]
            await until(lambda: batcher.waiting_rows == 2)
            batcher.switch(second, B)  # type: ignore[arg-type]
            late = asyncio.create_task(said(batcher, '"x"'))
            first.let.set()
            assert await asyncio.gather(early, *waiting, late) == [(1, [1]), UnfitError, UnfitError, (2, ["x"])]
            assert second.asked == [["x"]]

    asyncio.run(scene())


def test_a_version_with_the_same_columns_answers_what_has_waited_for_the_one_before():
    async def scene() -> None:
        first, second = Fake(is_let=False), Fake(2)
        async with batching(first) as batcher:
            early = asyncio.create_task(said(batcher, 1))
            await until(lambda: first.asked)
            waiting = asyncio.create_task(said(batcher, 2))
            await until(lambda: batcher.waiting_rows)
            batcher.switch(second, Schema(A.columns, "id", max_rows=1_000))  # type: ignore[arg-type]
            first.let.set()
            assert await asyncio.gather(early, waiting) == [(1, [1]), (2, [2])]

    asyncio.run(scene())


@pytest.mark.parametrize(("asked", "expected"), [(7, (1, [0] * 7)), (8, FullError)])
def test_a_request_that_would_make_more_rows_wait_than_may_is_refused(asked: int, expected: Any):
    async def scene() -> None:
        worker = Fake(is_let=False)
        async with batching(worker, queue_rows=10) as batcher:
            tasks = [asyncio.create_task(said(batcher, 1))]
            await until(lambda: worker.asked)
            tasks.append(asyncio.create_task(said(batcher, 1, 2, 3)))
            await until(lambda: batcher.waiting_rows == 3)
            late = asyncio.create_task(said(batcher, *[0] * asked))
            await asyncio.sleep(0.02)
            worker.let.set()
            assert await late == expected
            await asyncio.gather(*tasks)

    asyncio.run(scene())


def test_the_queue_is_full_at_its_limit_and_not_before():
    async def scene() -> None:
        worker = Fake(is_let=False)
        async with batching(worker, queue_rows=2) as batcher:
            tasks = [asyncio.create_task(said(batcher, 1))]
            await until(lambda: worker.asked)
            for full in (False, True):
                tasks.append(asyncio.create_task(said(batcher, 1)))
                await asyncio.sleep(0.02)
                assert batcher.is_full is full
            worker.let.set()
            await asyncio.gather(*tasks)
            assert not batcher.is_full

    asyncio.run(scene())


def test_an_answer_that_does_not_come_in_time_is_not_waited_for():
    async def scene() -> None:
        worker = Fake(is_let=False)
        async with batching(worker, deadline=timedelta(milliseconds=100)) as batcher:
            first = asyncio.create_task(said(batcher, 1))
            await until(lambda: worker.asked)
            assert await all_said(batcher, (2,), (3,)) == [LateError] * 2
            assert await first is LateError
            assert not worker.killed
            worker.let.set()
            assert await said(batcher, 4) == (1, [4])
            assert worker.asked == [[1], [4]]  # what was too late is not computed any more

    asyncio.run(scene())


def test_a_worker_that_is_stuck_is_ended_and_not_the_one_that_has_taken_over_meanwhile():
    async def scene() -> None:
        stuck, second = Fake(is_let=False), Fake(2)
        async with batching(stuck, deadline=timedelta(milliseconds=40)) as batcher:
            first = asyncio.create_task(said(batcher, 1))
            await until(lambda: stuck.asked)
            batcher.switch(second, A)  # type: ignore[arg-type]
            assert await first is LateError
            await until(lambda: stuck.killed)
            assert await said(batcher, 2) == (2, [2])
            assert not second.killed

    asyncio.run(scene())


def test_where_no_version_is_left_whoever_waits_and_whoever_comes_is_told():
    async def scene() -> None:
        worker = Fake(is_let=False)
        async with batching(worker) as batcher:
            early = asyncio.create_task(said(batcher, 1))
            await until(lambda: worker.asked)
            waiting = asyncio.create_task(said(batcher, 2))
            await until(lambda: batcher.waiting_rows)
            batcher.switch(None, None)
            worker.kill()
            assert await asyncio.gather(early, waiting) == [UnavailableError] * 2
            assert (await said(batcher, 3), batcher.waiting_rows) == (UnavailableError, 0)

    asyncio.run(scene())


def test_whoever_is_being_answered_when_the_batcher_ends_is_told():
    async def scene() -> None:
        worker = Fake(is_let=False)
        batcher = Batcher(OnlinePolicy())
        batcher.switch(worker, A)  # type: ignore[arg-type]
        task = asyncio.create_task(batcher.run())
        waiting = asyncio.create_task(said(batcher, 1))
        await until(lambda: worker.asked)
        task.cancel()
        assert await asyncio.wait_for(waiting, 2) is UnavailableError

    asyncio.run(scene())


def test_what_is_drained_has_nothing_waiting_and_nothing_under_way():
    async def scene() -> None:
        worker = Fake(is_let=False)
        async with batching(worker) as batcher:
            task = asyncio.create_task(said(batcher, 1))
            await until(lambda: worker.asked)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(batcher.drained(), 0.05)
            worker.let.set()
            await asyncio.wait_for(batcher.drained(), 2)
            assert await task == (1, [1])

    asyncio.run(scene())
