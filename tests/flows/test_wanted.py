"""What the runner of the deployments learns of the contract, without carrying what the contract brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evergreen.errors import EvergreenError
from evergreen.policies import RetrainingPolicy
from flows.wanted import Wanted, ask_contract, wanted_by
from problem.contract import PROBLEM

LIGHT = """
import sys
import flows.deployments
print(*sorted({"pandas", "sklearn", "numpy", "mlflow", "sqlalchemy", "great_expectations", "problem"} & set(sys.modules)))
"""


def test_the_contracts_wishes_are_read_by_another_process():
    found = ask_contract()
    assert found == wanted_by(PROBLEM)
    assert found == Wanted(PROBLEM.name, PROBLEM.business.question, PROBLEM.retraining.cron)


def test_a_contract_without_a_schedule_has_no_cron():
    silent = PROBLEM.model_copy(update={"retraining": RetrainingPolicy(on=("data",))})
    assert wanted_by(silent).cron is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("import sys; sys.exit(0)", "It could not be read: exit code 0, and not a word."),
        ("import os; os._exit(9)", "It could not be read: exit code 9, and not a word."),
        ("1 / 0", "division by zero"),
        ("PROBLEM = 3", "is a int; expected"),
        ("import nowhere", "No module named 'nowhere'"),
    ],
)
def test_a_contract_that_cannot_be_read_is_told_in_its_own_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, told: str
):
    (tmp_path / "broken.py").write_text(f"{written}\n")
    monkeypatch.setenv("EVERGREEN_PROBLEM", "broken:PROBLEM")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EvergreenError, match=told) as caught:
        ask_contract()
    assert "Traceback" not in str(caught.value)


def test_whoever_serves_the_deployments_carries_neither_the_problem_nor_its_libraries():
    ended = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert ended.stdout.split() == []


def test_a_contract_that_prints_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    prints = "import atexit\nfrom problem.contract import PROBLEM\nprint('hello', end='')\natexit.register(print, 'and good bye')\n"
    (tmp_path / "talkative.py").write_text(prints)
    monkeypatch.setenv("EVERGREEN_PROBLEM", "talkative:PROBLEM")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask_contract() == wanted_by(PROBLEM)
