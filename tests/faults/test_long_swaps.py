"""Swaps for the long version: a kill at every point, and more than 100,000 requests over at least 50 swaps."""

from pathlib import Path

import pytest
import swapping
from loading import mixed, out_of_turn
from swapping import POINTS

REQUESTS, SWAPS, MOST_SWAPS = 100_000, 50, 1_000
MEMORY_FROM = 10
"""By then a server has all the memory that it needs."""


@pytest.mark.timeout(0)
def test_a_kill_at_every_point_of_a_swap_is_made_good_by_the_next_server(tmp_path: Path, injected):
    injected.fault = "kill -9 of a server at every point of a swap"
    for number, point in enumerate(POINTS):
        registry = swapping.two_versions(tmp_path / f"home-{number}")
        # The first version passes all points but the last, at which there is none before it.
        swapping.killed_at(registry, point, passing=1 if point == POINTS[-1] else 2, move="the swap")
        swapping.check_serves(registry, 2)
        injected.times += 1


@pytest.mark.timeout(0)
def test_no_request_notices_that_versions_take_turns(tmp_path: Path, injected):
    injected.fault = "swap under load"
    registry, requests, swaps = swapping.two_versions(tmp_path / "home"), 0, 0
    expected = {version: swapping.said_by(version) for version in (1, 2)}
    while requests < REQUESTS or swaps < SWAPS:
        load, reigns, memory = swapping.swap_under_load(registry, swaps=SWAPS, pause=1.0, clients=16)
        assert load.statuses().keys() == {200}
        assert (mixed(load.answers, expected), out_of_turn(load.answers, reigns)) == ([], [])
        assert memory[-1] < 1.05 * memory[MEMORY_FROM]
        requests, swaps = requests + len(load.answers), swaps + SWAPS
        injected.times += SWAPS
        assert swaps < MOST_SWAPS
