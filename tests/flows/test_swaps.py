"""Versions that take over from each other under load: nothing fails, nothing is mixed, and none comes back before its time."""

import json
import time
from pathlib import Path

import psutil
import pytest
from candidates import toy_candidate, toy_rows
from loading import Load, Reign, mixed, out_of_turn
from moves import four_versions, given
from serving import Served, served, until
from toy.contract import PROBLEM

from evergreen.candidate import predicted
from evergreen.registry import Registry

ROWS = toy_rows(range(20, 22))[list(PROBLEM.features)]
ASKED = json.loads(ROWS.to_json(orient="records"))


def said_by(version: int) -> list[float]:
    model = toy_candidate(f"version {version}", days=7 + version).estimator
    return [float(one) for one in predicted(model, ROWS)["probability"]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return four_versions(tmp_path_factory.mktemp("versions") / "home")


def swap(registry: Registry, server: Served, version: int, reigns: list[Reign]) -> float:
    """Make a version champion and wait until it serves; how long it took."""
    begun = time.monotonic()
    if reigns:
        reigns[-1].until = begun
    given(registry, champion=version, previous=3 - version, anchor=1, move=f"swap {len(reigns)}")
    server.ask("/follow", method="POST")
    until(lambda: server.ask("/version").told["model_version"] == version, seconds=20)
    reigns.append(Reign(version, time.monotonic()))
    return time.monotonic() - begun


def swap_under_load(registry: Registry, *, swaps: int, pause: float, clients: int = 4) -> tuple[Load, list[Reign], list[float]]:
    """Have two versions take turns; the load, which served when, and the memory (bytes) of all processes after each swap."""
    reigns: list[Reign] = []
    memory: list[float] = []
    given(registry, champion=1, previous=None, anchor=1, move="before all")
    with served(registry.settings.root) as server:
        server.ready()
        reigns.append(Reign(1, time.monotonic()))
        with Load(server.port, ASKED, clients=clients) as load:
            for number in range(swaps):
                time.sleep(pause)
                swap(registry, server, 2 - number % 2, reigns)
                memory.append(sum(memory_of(one) for one in family(server)))
        assert f"evergreen_swaps {swaps + 1:.1f}" in server.ask("/metrics").body.decode()
        code, _, err = server.end()
        assert (code, err) == (0, "")
    return load, reigns, memory


def family(server: Served) -> list[psutil.Process]:
    front = psutil.Process(server.process.pid)
    return [front, *front.children(recursive=True)]


def memory_of(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss)
    except psutil.NoSuchProcess:
        return 0.0


def test_versions_take_over_from_each_other_and_no_request_notices(registry: Registry):
    load, reigns, _ = swap_under_load(registry, swaps=6, pause=0.5)
    assert load.statuses().keys() == {200}
    assert len(load.answers) > 300
    expected = {version: said_by(version) for version in (1, 2)}
    assert mixed(load.answers, expected) == []
    assert out_of_turn(load.answers, reigns) == []
    assert {one.version for one in load.answers} == {1, 2}


def test_the_measure_sees_a_mixture_and_a_version_that_comes_back(tmp_path: Path):
    from loading import Answered

    expected = {1: [0.1], 2: [0.2]}
    assert mixed([Answered(0, 1, 200, 0, 1, 0.2)], expected)
    assert not mixed([Answered(0, 1, 200, 0, 2, 0.2)], expected)
    reigns = [Reign(1, 0, until=10), Reign(2, 11)]
    assert out_of_turn([Answered(12, 13, 200, 0, 1, 0.1)], reigns)
    assert not out_of_turn([Answered(9, 12, 200, 0, 1, 0.1), Answered(12, 13, 200, 0, 2, 0.2), Answered(1, 2, 200, 0, 1)], reigns)
