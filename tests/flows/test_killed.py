"""A run that is killed or stopped at any moment is finished by running again, as if nothing had happened."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import commands
import psutil
import pytest
from commands import Home

from evergreen.data.publishing import read_published
from evergreen.files import read_json

STOPPED = "Stopped. Nothing is lost: the same command goes on from here.\n"

MOMENTS: dict[str, Callable[[Home], object]] = {
    "a batch is stored": lambda home: any((home.var / "batches").rglob("*.parquet")),
    "half of the deliveries are judged": lambda home: len(home.rows("deliveries")) >= 5,
    "MLflow's tables are being made": lambda home: home.rows("alembic_version", "mlflow.db"),
    "MLflow knows the version": lambda home: home.rows("model_versions", "mlflow.db"),
    "the models are asked": lambda home: any(home.var.glob("evidence/*/holdout.parquet")),
    "a decision is made": lambda home: home.rows("decisions"),
    "the decision is being shown in MLflow": lambda home: any(home.var.glob("mlartifacts/*/artifacts/decision/*")),
    "a move of the champion is begun": lambda home: home.rows("promotions"),
    "predictions are being written": lambda home: any(home.var.glob("predictions/*/.*.tmp")),
    "predictions are published": lambda home: home.rows("publications"),
}


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


def check_consistent(home: Home) -> None:
    """What holds at any moment, whatever was cut short."""
    state = home.state()
    keys = [key for _, key, _ in state["versions"]]
    assert len(set(keys)) == len(keys)
    assert len(state["spent"]) == len(state["decisions"])
    for pointer in home.var.glob("predictions/*/current.json"):
        assert len(read_published(home.var, pointer.parent.name.removeprefix("dt="))) == read_json(pointer)["rows"]


@pytest.fixture(scope="module")
def killed(_server: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, list[str]]:
    """A home in which every run was killed at another moment, until one was not; and the moments that were met."""
    home, met = commands.make_home(tmp_path_factory.mktemp("killed")), []
    home.deliver()
    for moment, happened in MOMENTS.items():
        before = happened(home)
        process = home.start("run")
        if commands.wait_until(lambda happened=happened: happened(home), while_runs=process.is_alive) and not before:
            met.append(moment)
        children = offspring(process.pid)
        process.kill()
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}  # 0: it was done before its moment came
        assert still_there(children) == []
        check_consistent(home)
    return home, met


def test_a_run_killed_again_and_again_ends_where_one_that_was_left_alone_ends(killed, two_months):
    home, met = killed
    assert len(met) >= 6
    last = home.evergreen("run")
    assert (last.code, last.err) == (0, "")
    assert home.state() == two_months.after_first


def test_the_same_deliveries_in_another_home_give_the_same_predictions(killed, two_months):
    home, _ = killed
    ours, theirs = home.published(0), two_months.home.published(0)
    assert home.root != two_months.home.root
    for column in ("order_id", "decision", "probability", "model_version"):
        assert ours[column].equals(theirs[column])


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
    check_consistent(home)


def test_ctrl_c_ends_a_training_at_once_with_a_sentence_and_running_again_finishes_it(home: Home, two_months):
    home.deliver()
    process = home.start_cold("run")
    assert commands.wait_until((home.var / "mlflow.db").exists, while_runs=lambda: process.poll() is None)
    children = offspring(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, STOPPED)
    assert still_there(children) == []
    again = home.evergreen("run")
    assert (again.code, again.err) == (0, "")
    assert home.state() == two_months.after_first


def test_ctrl_c_is_heard_at_every_moment(home: Home):
    home.deliver()
    for seconds in (1.0, 2.5, 4.0, 5.5):
        process = home.start_cold("run")
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
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
