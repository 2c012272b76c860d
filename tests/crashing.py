"""Homes that are put back to what they were, commands that are killed at a point, and what must hold whatever was cut short."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import arming
import commands
import psutil
import seedlings
from commands import Ended, Home
from invariants import check_consistent, check_same
from points import WAY

from evergreen.journal import tables

LOST = "Another process took over while this one did not stir"
BEGIN = "begin "
"""How the points are called at which an expensive step begins."""
BROKEN = "order_id,ordered_at,customer_id,product,amount\no0070-000,2026-03-16 08:00"
Trace = list[str]


@dataclass(frozen=True)
class Stage:
    """A part of the way: what the home was, the command that goes on from there, and where it comes to when nobody disturbs it."""

    home: Home
    begin: Path
    end: Path
    words: tuple[str, ...]
    trace: Trace
    state: dict[str, Any]
    seconds: float

    def restore(self) -> Home:
        """Put the home back to what it was. A home cannot be moved: what it registered is recorded by absolute path."""
        put_back(self.begin, self.home)
        return self.home


def put_back(copy: Path, home: Home) -> None:
    """Make a home what it was when it was copied."""
    for left in home.var.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    shutil.copytree(copy, home.var, dirs_exist_ok=True)


def keep(home: Home, name: str) -> Path:
    """A copy of what a home is now."""
    copy = home.root / "copies" / name
    shutil.copytree(home.var, copy)
    return copy


def second_month(root: Path) -> Home:
    """A home after a first month, in which a second one lies in the landing folders, with one delivery that is cut off."""
    home = commands.make_home(root)
    home.deliver()
    first, _ = traced(home, "run")
    assert (first.code, first.err) == (0, ""), first
    home.deliver(commands.LABELLED + commands.AHEAD, start=commands.LABELLED)
    (home.var / "landing" / "orders" / "orders-broken.csv").write_text(BROKEN)
    keep(home, "landed")
    return home


def make_stage(home: Home, name: str, *, stage: Callable[[str], Stage]) -> Stage:
    """Bring the home to where a stage begins, then measure it."""
    before, point, command = WAY[name]
    put_back(stage(before).end if before else home.root / "copies" / "landed", home)
    if point:
        stage(before).restore()
        killed_at(home, stage(before).words, point)
    return measured(home, name, command)


def kill_and_finish(stage: Stage, point: str, number: int = 1, *, times: int = 1) -> int:
    """Kill a stage at a passing of a point, once or again in the rerun, then see that running again finishes it; what was repeated."""
    stage.restore()
    traces = []
    for _ in range(times):
        traces.append(killed_at(stage.home, stage.words, point, number))
        check_consistent(stage.home)
    return finish(stage, *traces)


def kill_twice_and_finish(stage: Stage, point: str, number: int) -> tuple[int, int]:
    """Kill a stage at a passing of a point, and the rerun where it comes there again; how often it was killed, and what was repeated."""
    stage.restore()
    traces = [killed_at(stage.home, stage.words, point, number)]
    check_consistent(stage.home)
    again = stage.home.start(*stage.words, **armed(stage.home, point))
    again.join(commands.SECONDS)
    assert again.exitcode in {0, -signal.SIGKILL}, (stage.home.root / "err").read_text()
    traces.append(trace_of(stage.home))
    check_consistent(stage.home)
    return 2 if again.exitcode else 1, finish(stage, *traces)


def kill_after(stage: Stage, seconds: float) -> int:
    """Kill a stage at whatever moment it is in after so many seconds, then see that running again finishes it; what was repeated."""
    stage.restore()
    process = stage.home.start(*stage.words, **watched(stage.home))
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}, (stage.home.root / "err").read_text()
    assert commands.wait_until(seedlings.none_works, while_runs=lambda: True)
    cut_short = trace_of(stage.home)
    check_consistent(stage.home)
    return finish(stage, cut_short)


def is_in_a_transaction(point: str) -> bool:
    """Whether a process at that point holds the journal's database: nobody else can write until it goes on or ends."""
    when, _, what = point.partition(" ")
    return when == "before" and set(what.split(" and ")) <= set(tables.metadata.tables)


def measured(home: Home, name: str, *words: str) -> Stage:
    """Keep the home as it is, then go on undisturbed: the reference for those that are disturbed."""
    begin, clock = keep(home, name), time.monotonic()
    ended, trace = traced(home, *words)
    assert (ended.code, ended.err) == (0, ""), ended
    seconds = time.monotonic() - clock
    check_consistent(home)
    return Stage(home, begin, keep(home, f"{name}, done"), words, trace, home.state(), seconds)


def traced(home: Home, *words: str, **environment: str) -> tuple[Ended, Trace]:
    """Run a command to its end, and say which points it passed."""
    ended = home.evergreen(*words, **{**watched(home), **environment})
    return ended, trace_of(home)


def killed_at(home: Home, words: Iterable[str], point: str, number: int = 1) -> Trace:
    """Run a command until it is killed at a passing of a point; it must have come there."""
    process = home.start(*words, **armed(home, point, number))
    process.join(commands.SECONDS)
    trace = trace_of(home)
    assert process.exitcode == -signal.SIGKILL, (point, process.exitcode, trace, (home.root / "err").read_text())
    assert (trace[-1], trace.count(point)) == (point, number)
    return trace


@contextlib.contextmanager
def stopped_at(stage: Stage, point: str, number: int = 1) -> Iterator[Callable[[], Ended]]:
    """A command that has stopped itself at a passing of a point; the value wakes it and says how it ended. It is killed if it sleeps on."""
    home = stage.restore()
    process = home.start(*stage.words, **armed(home, point, number, signal.SIGSTOP), EVERGREEN_LEASE_SECONDS="2")
    wait_for_the_stop(process)
    trace = trace_of(home)
    assert (trace[-1], trace.count(point)) == (point, number)
    for name in ("out", "err"):
        (home.root / name).rename(home.root / f"{name} of the stopped one")  # the next command writes files of its own

    def wake_up() -> Ended:
        wake(process)
        process.join(commands.SECONDS)
        assert process.exitcode is not None, "the command did not end"
        return Ended(process.exitcode, *((home.root / f"{name} of the stopped one").read_text() for name in ("out", "err")))

    try:
        yield wake_up
    finally:
        process.kill()
        process.join()


def wait_for_the_stop(process: ForkServerProcess) -> None:
    """Wait until a process has stopped itself."""

    def has_stopped() -> bool:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)

    assert commands.wait_until(has_stopped, while_runs=process.is_alive)


def wake(process: ForkServerProcess) -> None:
    """Let a stopped process go on."""
    psutil.Process(process.pid).resume()


def armed(home: Home, point: str, number: int = 1, what: signal.Signals = signal.SIGKILL) -> dict[str, str]:
    """The environment in which a command signals itself at a passing of a point."""
    return {**watched(home), arming.POINT: point, arming.NUMBER: str(number), arming.SIGNAL: str(int(what))}


def watched(home: Home) -> dict[str, str]:
    """The environment in which a command writes down the points that it passes."""
    file = home.root / "trace"
    file.unlink(missing_ok=True)
    return {arming.TRACE: str(file)}


def trace_of(home: Home) -> Trace:
    """The points that the last command has passed so far."""
    file = home.root / "trace"
    return file.read_text().splitlines() if file.exists() else []


def finish(stage: Stage, *cut_short: Trace, **environment: str) -> int:
    """Run the same command to its end and see that it comes where the undisturbed one came; returns how many steps were repeated."""
    ended, last = traced(stage.home, *stage.words, **environment)
    assert (ended.code, ended.err) == (0, ""), ended
    assert "Traceback" not in ended.out
    check_consistent(stage.home)
    check_same(stage.home.state(), stage.state)
    return repeated([*cut_short, last], stage.trace)


def repeated(traces: Iterable[Trace], reference: Trace) -> int:
    """How many expensive steps were begun more often than without a disturbance; none may have been left out."""
    begun = Counter(point for trace in traces for point in trace if point.startswith(BEGIN))
    wanted = Counter(point for point in reference if point.startswith(BEGIN))
    assert not wanted - begun, wanted - begun
    return (begun - wanted).total()
