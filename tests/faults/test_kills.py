"""`kill -9` before and after every durable step from the landing folder to the registered version: running again finishes the job."""

from collections.abc import Callable

import commands
import crashing
import invariants
import pytest
from commands import Home
from crashing import Stage
from points import POINTS

MOMENTS = [(name, point, number) for name in ("ingest", "train") for point, number in POINTS[name]]


@pytest.mark.parametrize(("name", "point", "number"), MOMENTS)
def test_a_kill_repeats_one_step_at_most_and_changes_nothing_in_the_end(stage: Callable[[str], Stage], injected, name, point, number):
    injected.fault, injected.times = "kill -9 at a point", 1
    injected.repeated = crashing.kill_and_finish(stage(name), point, number)
    assert injected.repeated <= 1


@pytest.mark.parametrize(("name", "point"), [("ingest", "before deliveries and checkups"), ("train", "before MLflow's version")])
def test_a_kill_of_the_rerun_at_the_same_point_changes_nothing_either(stage: Callable[[str], Stage], injected, name, point):
    injected.fault, injected.times = "kill -9 at a point, and again in the rerun", 2
    injected.repeated = crashing.kill_and_finish(stage(name), point, times=2)
    assert injected.repeated <= 2


def test_a_home_that_is_killed_again_and_again_while_it_is_made_is_as_good_as_another(home: Home, injected, after_first):
    injected.fault, opened = "kill -9 while a home is made", ["journal.upgraded", "before owner", "after owner"]
    home.deliver()
    for point in opened:
        crashing.killed_at(home, ["run"], point)
        invariants.check_consistent(home)
    process = home.start("run", **crashing.watched(home))
    assert commands.wait_until(lambda: any(home.var.glob(".mlflow.db.*")), while_runs=process.is_alive)
    process.kill()
    process.join()
    invariants.check_consistent(home)
    injected.times = len(opened) + 1
    ended, _ = crashing.traced(home, "run")
    assert (ended.code, ended.err) == (0, "")
    invariants.check_same(home.state(), after_first)
