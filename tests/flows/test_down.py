"""Stopping the platform, with a supervisor of its own kind: what is told to stop has ended when the command comes back."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from waiting import PATIENCE, until

from evergreen.errors import EvergreenError
from evergreen.settings import OF_THE_PLATFORM, load_settings
from flows import health, platform

SLOW = """
[supervisord]
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid

[unix_http_server]
file = {socket}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:slow]
command = sh -c "trap '' TERM; touch {folder}/trapped; while true; do sleep 0.1; done"
stopwaitsecs = {seconds}
"""


def answers() -> int:
    """The supervisor's process; 0 when it does not answer."""
    with health.supervisor(load_settings()) as line, suppress(*health.UNANSWERED):  # it may begin to stop between two questions
        return line.supervisor.getPID() if line else 0
    return 0


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], psutil.Process]]:
    """Starts the supervisor of a home whose only process stops after so many seconds, and not before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    started: list[psutil.Process] = []

    def start(seconds: int) -> psutil.Process:
        config, logs = tmp_path / "slow.conf", tmp_path / "logs"
        logs.mkdir()
        config.write_text(SLOW.format(folder=logs, socket=health.socket_of(load_settings()), seconds=seconds))
        subprocess.run([sys.executable, "-m", "supervisor.supervisord", "-c", str(config)], check=True)
        started.append(psutil.Process(until(answers)))
        until((logs / "trapped").exists)  # sooner it still ends when it is told
        return started[0]

    yield start
    for process in [one for parent in started if parent.is_running() for one in (*parent.children(recursive=True), parent)]:
        process.kill()


def test_down_comes_back_when_the_last_process_has_ended_and_an_up_meanwhile_waits_for_that(slow: Callable[[int], psutil.Process]):
    supervisor = slow(3)
    (part,) = supervisor.children()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(platform.down)
        until(lambda: not answers())
        assert supervisor.is_running()
        assert health.look(load_settings()) == []
        assert not platform._is_up(load_settings())  # what `up` waits for
        assert not lives(part)
        first.result(PATIENCE)
        assert not lives(supervisor)
    assert health.connection(load_settings()) is None


def test_a_platform_that_is_up_is_left_alone_by_up(slow: Callable[[int], psutil.Process]):
    supervisor = slow(1)
    assert platform._is_up(load_settings())
    assert answers() == supervisor.pid


def test_down_twice_at_once_waits_twice(slow: Callable[[int], psutil.Process]):
    (part,) = slow(3).children()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(platform.down)
        until(lambda: not answers())
        platform.down()
        assert not lives(part)
        first.result(PATIENCE)


def test_a_platform_that_does_not_stop_in_time_is_told(slow: Callable[[int], psutil.Process], monkeypatch: pytest.MonkeyPatch):
    supervisor = slow(60)
    monkeypatch.setattr(platform, "STOP_SECONDS", 1.0)
    with pytest.raises(EvergreenError, match=r"was told to stop 1 s ago, and has not\. .* kill -9 \$\(cat .*/logs/supervisord\.pid\)"):
        platform.down()
    assert supervisor.is_running()


def test_down_waits_longer_than_all_parts_may_take_to_stop():
    config = ConfigParser(interpolation=None)
    config.read(platform.CONFIG)
    parts = [config[name] for name in config.sections() if name.startswith("program:")]
    assert len(parts) == 4
    assert sum(part.getint("stopwaitsecs", fallback=10) for part in parts) < platform.STOP_SECONDS


def test_what_the_platform_puts_into_its_environment_is_no_misspelt_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    ours = {name: value for name, value in platform._environment(load_settings()).items() if name.startswith("EVERGREEN_")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    assert set(ours) > OF_THE_PLATFORM
    assert load_settings().root == tmp_path
