"""A run is stopped for longer than its lease, another one takes over, then the first one wakes: it changes nothing any more."""

from collections.abc import Callable

import crashing
import invariants
import pytest
from commands import told
from crashing import LOST, Stage

MOMENTS = [
    ("ingest", "after a batch is stored"),
    ("train", "after MLflow's run"),
    ("train", "before MLflow's version"),
    ("train", "after MLflow's version"),
    ("judge", "begin asking the models"),
    ("judge", "after looks and ledger and decisions"),
    ("promote", "after promotions"),
    ("promote", "begin verifying"),
    ("promote", "after alias previous, moving"),
    ("promote", "after alias champion, moving"),
    ("close", "after predictions are written"),
    ("close", "after the pointer has moved"),
]


@pytest.mark.parametrize(("name", "point"), MOMENTS)
def test_who_wakes_after_another_took_over_says_so_and_changes_nothing(stage: Callable[[str], Stage], injected, name: str, point: str):
    injected.fault, injected.times = "stopped past its lease", 1
    way = stage(name)
    with crashing.stopped_at(way, point) as stopped:
        other, _ = crashing.traced(way.home, *way.words, EVERGREEN_LEASE_SECONDS="2")
        assert (other.code, other.err) == (0, ""), other
        invariants.check_same(way.home.state(), way.state)
        woken = stopped()
    told(woken, LOST)
    invariants.check_consistent(way.home)
    invariants.check_same(way.home.state(), way.state)
