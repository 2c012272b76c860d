"""How the platform begins and ends: without events, without its processes, with a password, on a pool; and when it cannot begin."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import commands
import platforms
from commands import AHEAD, LABELLED, Home, told
from platforms import SECONDS, Platform, acted, published
from waiting import until


def test_with_every_event_lost_the_poll_does_it_and_a_kill_of_everything_is_survived(tmp_path: Path):
    home = commands.make_home(tmp_path)
    lost = {"PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false"}
    platform = platforms.platform_of(home, poll=30, **lost)
    with platforms.up(platform):
        home.deliver()
        until(lambda: acted(home), seconds=SECONDS)
        assert platform.kill() >= 6
        assert platform.processes() == []
        again = platform.evergreen("up")
        assert (again.code, again.err) == (0, "")
        until(lambda: published(home), seconds=SECONDS)
        assert acted(home) in ([("data", "data")], [("data", "data"), ("data", "cut short")])
        assert len(home.rows("versions")) == len(home.rows("decisions")) == 1
        shown = published(home)
        home.deliver(LABELLED + AHEAD, start=LABELLED)
        until(lambda: published(home) > shown, seconds=SECONDS)
        assert all(run["created_by"] is None or run["created_by"]["type"] != "AUTOMATION" for run in platform.runs())


def test_what_is_stopped_or_loses_its_supervisor_leaves_nobody_behind_and_a_password_keeps_others_out(home: Home):
    password = {"PREFECT_SERVER_API_AUTH_STRING": "team:secret", "PREFECT_API_AUTH_STRING": "team:secret"}
    with platforms.up(platforms.platform_of(home, poll=600, **password)) as platform:  # a look would only take what others wait for
        assert platform.evergreen("status").out.count(" healthy ") == 3
        stranger = Platform(home, {**platform.environment, "PREFECT_API_AUTH_STRING": "team:guess"}).evergreen("status")
        assert "prefect   not healthy (it refuses us; set PREFECT_API_AUTH_STRING" in stranger.out
        down = platform.evergreen("down")
        assert (down.code, "The platform is down." in down.out, platform.processes()) == (0, True, [])
        again = platform.evergreen("up")
        assert (again.code, again.err) == (0, "")
        (supervisor,) = platform.parts("supervisor.supervisord")
        supervisor.kill()
        until(lambda: platform.processes() == [])


def test_one_port_for_two_servers_is_refused(home: Home):
    platform = Platform(home, {"EVERGREEN_PREFECT_PORT": "5005", "EVERGREEN_MLFLOW_PORT": "5005"})
    told(platform.evergreen("up"), "Port 5005 is to be that of prefect and mlflow.", "Set EVERGREEN_PREFECT_PORT or EVERGREEN_MLFLOW_PORT")
    assert platform.processes() == []


def test_a_port_that_is_taken_is_told_with_its_setting_and_nothing_is_started(home: Home):
    platform = platforms.platform_of(home)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", int(platform.environment["EVERGREEN_MLFLOW_PORT"])))
        listener.listen()
        ended = platform.evergreen("up")
    told(ended, f"Port {platform.environment['EVERGREEN_MLFLOW_PORT']}, which mlflow is to listen on, is taken", "EVERGREEN_MLFLOW_PORT")
    assert platform.processes() == []
    assert "The platform is not up." in platform.evergreen("down").out


def test_a_platform_that_does_not_get_healthy_says_why_and_is_stopped(home: Home):
    platform = platforms.platform_of(home, PREFECT_API_DATABASE_CONNECTION_URL="nonsense")
    ended = platform.evergreen("up")
    assert ended.code == 1
    assert "prefect" in ended.err.partition(" did not get healthy. The last lines of the logs in ")[0]
    assert {line.partition(":")[0].strip() for line in ended.err.splitlines()[1:]} >= {"prefect"}
    until(lambda: platform.processes() == [])


def test_one_setting_hands_the_rounds_to_a_work_pool_and_prefects_own_worker_does_them(tmp_path: Path):
    home = commands.make_home(tmp_path)
    platform = platforms.platform_of(home, poll=60, EVERGREEN_WORK_POOL="farm")
    with platforms.up(platform), (tmp_path / "worker.log").open("wb") as log:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "EVERGREEN_"))}
        known = {**home.environment, **platform.environment, "PREFECT_API_URL": platform.api, "PREFECT_HOME": str(tmp_path / "worker")}
        words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "farm", "--type", "process"]
        worker = subprocess.Popen(words, env={**bare, **known}, cwd=tmp_path, stdout=log, stderr=log)
        home.deliver()
        until(lambda: published(home), seconds=2 * SECONDS)
        assert {run["work_pool_name"] for run in platform.runs()} == {"farm"}
        worker.send_signal(signal.SIGINT)
        worker.wait(60)
