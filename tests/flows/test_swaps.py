"""Versions that take over from each other under load: nothing fails, nothing is mixed, and none comes back before its time."""

from pathlib import Path

import swapping
from loading import Answered, Reign, mixed, out_of_turn


def test_versions_take_over_from_each_other_and_no_request_notices(tmp_path: Path):
    load, reigns, _ = swapping.swap_under_load(swapping.two_versions(tmp_path / "home"), swaps=6, pause=0.5)
    assert load.statuses().keys() == {200}
    assert len(load.answers) > 300
    expected = {version: swapping.said_by(version) for version in (1, 2)}
    assert mixed(load.answers, expected) == []
    assert out_of_turn(load.answers, reigns) == []
    assert {one.version for one in load.answers} == {1, 2}


def test_the_measure_sees_a_mixture_and_a_version_that_comes_back():
    expected = {1: [0.1], 2: [0.2]}
    assert mixed([Answered(0, 1, 200, 0, 1, 0.2)], expected)
    assert not mixed([Answered(0, 1, 200, 0, 2, 0.2)], expected)
    reigns = [Reign(1, 0, until=10), Reign(2, 11)]
    assert out_of_turn([Answered(12, 13, 200, 0, 1, 0.1)], reigns)
    assert not out_of_turn([Answered(9, 12, 200, 0, 1, 0.1), Answered(12, 13, 200, 0, 2, 0.2), Answered(1, 2, 200, 0, 1)], reigns)
