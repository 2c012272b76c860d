"""`kill -9` before and after every durable step from the judgement to the published predictions: running again finishes the job."""

from collections.abc import Callable

import crashing
import invariants
import pytest
from crashing import Stage
from points import POINTS

MOMENTS = [(name, point, number) for name in ("judge", "promote", "close") for point, number in POINTS[name]]


def test_every_point_of_the_way_is_killed_at_and_no_other_is_listed(stage: Callable[[str], Stage]):
    listed = {point for points in POINTS.values() for point, _ in points}
    assert set(stage("run").trace) == listed
    assert len(listed) >= 25


def test_the_way_in_stages_ends_where_the_undisturbed_one_ends(stage: Callable[[str], Stage]):
    invariants.check_same(stage("close").state, stage("run").state)


@pytest.mark.parametrize(("name", "point", "number"), MOMENTS)
def test_a_kill_repeats_one_step_at_most_and_changes_nothing_in_the_end(stage: Callable[[str], Stage], injected, name, point, number):
    injected.fault, injected.times = "kill -9 at a point", 1
    injected.repeated = crashing.kill_and_finish(stage(name), point, number)
    assert injected.repeated <= 1


@pytest.mark.parametrize(
    ("name", "point"), [("judge", "before looks and ledger and decisions"), ("promote", "begin verifying"), ("close", "begin predicting")]
)
def test_a_kill_of_the_rerun_at_the_same_point_changes_nothing_either(stage: Callable[[str], Stage], injected, name, point):
    injected.fault, injected.times = "kill -9 at a point, and again in the rerun", 2
    injected.repeated = crashing.kill_and_finish(stage(name), point, times=2)
    assert injected.repeated <= 2


def test_a_run_that_is_killed_between_two_deliveries_freezes_no_list_of_half_of_them(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "kill -9 at a point", 1
    injected.repeated = crashing.kill_and_finish(stage("run"), "after deliveries and checkups")
    assert injected.repeated == 0
