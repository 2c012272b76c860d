"""`kill -9` of the server while one version takes over from another: the next server serves the champion, from a whole copy."""

import pytest
import swapping
from swapping import POINTS


@pytest.mark.parametrize("point", ["after half a version is copied", "after a version takes over"])
def test_a_server_that_is_killed_in_a_swap_leaves_the_next_one_to_finish_it(tmp_path, injected, point: str):
    injected.fault, injected.times = "kill -9 of a server at a point of a swap", 1
    assert point in POINTS
    registry = swapping.two_versions(tmp_path / "home")
    swapping.killed_at(registry, point, passing=2, move="the swap")
    swapping.check_serves(registry, 2)
