"""`kill -9` before and after every durable step from the landing folder to the registered version: running again finishes the job."""

from collections.abc import Callable

import crashing
import pytest
from crashing import Stage
from points import POINTS

MOMENTS = [(name, point, number) for name in ("ingest", "train") for point, number in POINTS[name]]


@pytest.mark.parametrize(("name", "point", "number"), MOMENTS)
def test_a_kill_repeats_one_step_at_most_and_changes_nothing_in_the_end(stage: Callable[[str], Stage], injected, name, point, number):
    injected.fault, injected.times = "kill -9 at a point", 1
    injected.repeated = crashing.kill_and_finish(stage(name), point, number)
    assert injected.repeated <= 1


@pytest.mark.parametrize(("name", "point"), [("ingest", "before deliveries"), ("train", "before MLflow's version")])
def test_a_kill_of_the_rerun_at_the_same_point_changes_nothing_either(stage: Callable[[str], Stage], injected, name, point):
    injected.fault, injected.times = "kill -9 at a point, and again in the rerun", 2
    injected.repeated = crashing.kill_and_finish(stage(name), point, times=2)
    assert injected.repeated <= 2
