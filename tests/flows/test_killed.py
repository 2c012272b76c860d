"""A run that is killed leaves nobody behind, and one that a person stops says so and is finished by running again."""

import os
import signal
import time
from pathlib import Path

import commands
import invariants
import psutil
from commands import Home
from waiting import PATIENCE

STOPPED = "Stopped. Nothing is lost: the same command goes on from here.\n"


def offspring(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def still_there(processes: list[psutil.Process], *, seconds: float = 60) -> list[psutil.Process]:
    """Those that have not ended a while later; one that only waits for the system to take note of its end has ended."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_nobody_is_left_behind_when_the_installed_command_is_killed(home: Home):
    home.deliver()
    process = home.start_cold("run")

    def has_helpers() -> bool:
        return {"prefect", "evergreen.predictor"} <= {word for child in offspring(process.pid) for word in words_of(child)}

    assert commands.wait_until(has_helpers, while_runs=lambda: process.poll() is None)
    children = offspring(process.pid)
    process.kill()
    process.communicate()
    assert still_there(children) == []
    invariants.check_consistent(home)


def test_ctrl_c_ends_a_training_at_once_with_a_sentence_and_running_again_finishes_it(bare_home: Home, two_months):
    bare_home.deliver()
    process = bare_home.start_cold("run")
    assert commands.wait_until((bare_home.var / "mlflow.db").exists, while_runs=lambda: process.poll() is None)
    children = offspring(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, STOPPED)
    assert still_there(children) == []
    again = bare_home.evergreen("run")
    assert (again.code, again.err) == (0, "")
    assert bare_home.state() == two_months.after_first


def test_ctrl_c_is_heard_at_every_moment(home: Home):
    home.deliver()
    for seconds in (1.0, 2.5, 4.0, 5.5):
        process = home.start_cold("run")
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) in {(130, STOPPED), (0, "")}, seconds
        if process.returncode == 0:  # it was done before
            break


def test_ctrl_c_while_the_contract_is_read_is_the_same_sentence(tmp_path: Path):
    slow = "import time\nimport pathlib\npathlib.Path(__file__).with_name('reading').touch()\ntime.sleep(60)\n"
    home = commands.make_home(tmp_path, problem="slow:PROBLEM", contract=slow)
    process = home.start("status")
    assert commands.wait_until((tmp_path / "contracts" / "reading").exists, while_runs=process.is_alive)
    os.kill(process.pid, signal.SIGINT)
    ended = home.ended(process)
    assert (ended.code, ended.err) == (130, STOPPED)
