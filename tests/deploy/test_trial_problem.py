"""What `make image-check` goes round on where a fork has put its own problem in the example's place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from actions import ROOT

from deploy import trial_problem as trials


@pytest.fixture
def in_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(trials, "EXAMPLE", Path("src/problem/no_feed.py"))


def test_the_example_is_tried_where_it_is_there_and_needs_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(trials, "EXAMPLE", Path("src/evergreen/__init__.py"))
    with trials.trial_problem() as trial:
        assert (trial.name, trial.environment, trial.folders, trial.deliver) == ("the example", {}, {}, "")


@pytest.mark.usefixtures("in_a_fork")
def test_in_a_fork_the_toy_shop_delivers_and_its_contract_with_an_api_is_read(tmp_path: Path):
    with trials.trial_problem() as trial:
        folder = trial.folders[trials.THERE]
        inside = {name: value.replace(trials.THERE, str(folder)) for name, value in trial.environment.items()}
        environment = {"PATH": os.environ["PATH"], "EVERGREEN_HOME": str(tmp_path), **inside}
        subprocess.run([sys.executable, "-c", trial.deliver], env=environment, cwd=tmp_path, timeout=60, check=True)
        words = [Path(sys.executable).with_name("evergreen"), "contract", "show"]
        shown = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
        suites = {file.stem for file in (folder / "expectations").iterdir()}
    found = {source.name: len(list(source.iterdir())) for source in (tmp_path / "landing").iterdir()}
    assert found == {"customers": 1, "orders": 4, "stock": 4, "outcomes": 3}  # the newest ten days have no outcomes yet
    assert suites == {*found, "training_data"}
    assert "Which orders will be returned?" in shown
    assert not folder.exists()


@pytest.mark.usefixtures("in_a_fork")
def test_whoever_the_containers_account_is_may_read_it():
    before = os.umask(0o077)
    try:
        with trials.trial_problem() as trial:
            folder = trial.folders[trials.THERE]
            modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}
    finally:
        os.umask(before)
    assert modes == {(True, 0o755), (False, 0o644)}
