"""Every fault at every moment, and at random ones: `make faults`. What is cut short twice is finished all the same."""

import random
from collections import Counter
from collections.abc import Callable

import crashing
import invariants
import pytest
from commands import told
from crashing import LOST, Stage
from points import POINTS

from evergreen.leases import PIPELINE

IN_ONE_TEST = 5
ALL_DONE = {"after cycles", "after alerts"}
"""Points at which a round is complete: another run finds nothing to do, and takes nothing over."""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", list(POINTS))
def test_every_passing_of_every_point_is_killed_at_and_the_rerun_too(stage: Callable[[str], Stage], injected, name: str):
    injected.fault, passed = "kill -9 at every passing of every point, and in the rerun", Counter()
    for point in stage(name).trace:
        passed[point] += 1
        kills, repeated = crashing.kill_twice_and_finish(stage(name), point, passed[point])
        injected.times += kills
        injected.repeated += repeated
        assert repeated <= kills, point


@pytest.mark.timeout(0)
def test_a_kill_at_any_moment_repeats_one_step_at_most_and_changes_nothing(stage: Callable[[str], Stage], injected, lot: int):
    injected.fault, chance = "kill -9 at a random moment", random.Random(lot)  # noqa: S311 - not a secret
    for _ in range(IN_ONE_TEST):
        way = stage("run")
        seconds = chance.uniform(0, way.seconds)
        injected.times += 1
        repeated = crashing.kill_after(way, seconds)
        injected.repeated += repeated
        assert repeated <= 1, seconds


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", list(POINTS))
def test_a_run_that_is_stopped_at_any_point_past_its_lease_changes_nothing(stage: Callable[[str], Stage], injected, name: str):
    injected.fault, way = "SIGSTOP at every point, past the lease", stage(name)
    for point in dict.fromkeys(point for point in way.trace if not crashing.is_in_a_transaction(point)):
        injected.times += 1
        with crashing.stopped_at(way, point) as stopped:
            other, _ = crashing.traced(way.home, *way.words, EVERGREEN_LEASE_SECONDS="2")
            assert (other.code, other.err) == (0, ""), (point, other)
            lease = next(row for row in way.home.rows("leases") if row["lease"] == PIPELINE)
            woken = stopped()
        if point in ALL_DONE:
            assert (lease["owner"] != "", woken.code, woken.err) == (True, 0, ""), point
        else:
            assert lease["owner"] == "", point
            told(woken, LOST)
        invariants.check_consistent(way.home)
        invariants.check_same(way.home.state(), way.state)


@pytest.mark.timeout(0)
def test_who_is_stopped_in_the_middle_of_a_write_holds_the_journal_until_somebody_ends_it(stage: Callable[[str], Stage], injected):
    injected.fault, injected.times = "SIGSTOP in a transaction of the journal", 1
    way = stage("ingest")
    with crashing.stopped_at(way, "before deliveries and checkups"):
        other, _ = crashing.traced(way.home, *way.words, EVERGREEN_LEASE_SECONDS="2")
        told(other, "database is locked")
    invariants.check_consistent(way.home)
    injected.repeated = crashing.finish(way)
