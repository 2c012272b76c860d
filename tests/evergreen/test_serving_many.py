"""Many requests that wait at once: how large a batch gets, and how the one that fails is found among them."""

import asyncio
from typing import Any

import pytest

from evergreen.limits import OnlinePolicy
from evergreen.serving.batching import MOST_ROWS, Batcher
from evergreen.serving.schema import Asked
from evergreen.serving.workers import Refused

BAD = 77


class Model:
    """Answers numbers with themselves, and fails at one of them."""

    version = 1

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def ask(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        self.asked.append(len(columns["x"]))
        await asyncio.sleep(0)
        if BAD in columns["x"]:
            raise Refused("no such number")
        return {"value": columns["x"]}


async def answered(model: Model, count: int) -> list[Any]:
    batcher = Batcher(OnlinePolicy(queue_rows=10_000))
    batcher.switch(model, object())
    asks = [asyncio.create_task(batcher.answer(lambda _, x=x: Asked({"x": [x]}, [None], is_single=True))) for x in range(count)]
    run = asyncio.create_task(batcher.run())
    try:
        async with asyncio.timeout(20):
            return await asyncio.gather(*asks, return_exceptions=True)
    finally:
        run.cancel()


def test_one_bad_row_among_many_is_found_by_halves_and_the_others_are_answered():
    model = Model()
    said = asyncio.run(answered(model, 200))
    assert [x for x, one in enumerate(said) if isinstance(one, Refused)] == [BAD]
    assert [one.answers["value"] for x, one in enumerate(said) if x != BAD] == [[x] for x in range(200) if x != BAD]
    assert len(model.asked) <= 20


@pytest.mark.parametrize(("count", "largest"), [(MOST_ROWS - 20, MOST_ROWS - 20), (MOST_ROWS + 200, MOST_ROWS)])
def test_what_waits_already_is_one_batch_up_to_the_most(count: int, largest: int):
    model = Model()
    asyncio.run(answered(model, count))
    assert max(model.asked) == largest
