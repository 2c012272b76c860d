"""Swaps between two versions: under load, and with a server that is killed at a named point of one."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from pathlib import Path

import psutil
from candidates import toy_candidate, toy_registry, toy_rows
from loading import Load, Reign
from moves import given
from serving import Served, served
from toy.contract import PROBLEM
from waiting import PATIENCE, until

from evergreen.candidate import predicted
from evergreen.files import read_json
from evergreen.journal import refusals
from evergreen.journal import served as log
from evergreen.registry import Registry, stored_digest

POINTS = (
    "before a version is copied",
    "after half a version is copied",
    "after a version is copied",
    "before a version takes over",
    "after a version takes over",
    "after it is written down who serves",
    "after the version before it has ended",
)
ARMED = """
import os, signal, sys
from evergreen import faults
passed = []
def at(point):
    passed.append(point)
    print("passed", point, flush=True)
    if point == sys.argv[1] and passed.count(point) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
faults.arm(at)
from flows.serve import main
sys.exit(main())
"""
ROWS = toy_rows(range(20, 22))[list(PROBLEM.features)]
ASKED = json.loads(ROWS.to_json(orient="records"))


def two_versions(home: Path) -> Registry:
    """Versions 1 and 2; version 1 serves."""
    registry = toy_registry(home)
    for number in (1, 2):
        registry.register(toy_candidate(f"version {number}", days=7 + number))
    given(registry, champion=1, previous=None, anchor=1)
    return registry


def said_by(version: int) -> list[float]:
    """What a version says of the rows, in this process."""
    model = toy_candidate(f"version {version}", days=7 + version).estimator
    return [float(one) for one in predicted(model, ROWS)["probability"]]


def killed_at(registry: Registry, point: str, *, passing: int, move: str) -> None:
    """Kill a server at a point of the swap from version 1 to 2; all its processes are gone when this returns."""
    with served(registry.settings.root, program=("-c", ARMED, point, str(passing))) as server:
        server.ready(version=1)
        assert server.ask("/predict", ASKED).status == 200
        until(lambda: registry.journal.last(log))
        family = server.workers
        given(registry, champion=2, previous=1, anchor=1, move=move)
        with contextlib.suppress(OSError):  # it may be gone before it has answered
            server.ask("/follow", method="POST")
        assert until(server.process.poll) == -signal.SIGKILL
        assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []


def check_serves(registry: Registry, version: int) -> None:
    """A new server serves that version as training had it, from a whole copy, and has refused nobody."""
    with served(registry.settings.root) as server:
        assert server.ready(version=version)["status"] == "ready"
        told = server.ask("/predict", ASKED).told
        assert told["model_version"] == version
        pairs = zip(told["predictions"], said_by(version), strict=True)
        assert max(abs(one["probability"] - expected) for one, expected in pairs) <= 1e-9
        assert server.end()[::2] == (0, "")
    assert registry.journal.rows(refusals) == []
    folder = registry.settings.root / "serving"
    pointer = read_json(folder / "last.json")
    assert pointer["version"] == version
    assert stored_digest(folder / pointer["place"] / "model") == registry.version(version).artefact
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"last.json", pointer["place"]}


def swap(registry: Registry, server: Served, version: int, reigns: list[Reign]) -> float:
    """Make a version champion and wait until it serves; how long it took."""
    begun = time.monotonic()
    if reigns:
        reigns[-1].until = begun
    given(registry, champion=version, previous=3 - version, anchor=1, move=f"swap {len(reigns)}")
    server.ask("/follow", method="POST")
    until(lambda: server.ask("/version").told["model_version"] == version)
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
