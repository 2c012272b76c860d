import sys
from pathlib import Path

import pytest
from toy.contract import PROBLEM

from evergreen.errors import ContractError, EvergreenError
from evergreen.workspace import load_problem, open_workspace


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module `someones_contract` for the time of a test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield (tmp_path / "someones_contract.py").write_text
    sys.modules.pop("someones_contract", None)


def test_the_problem_is_found_by_module_and_name():
    assert load_problem("toy.contract:PROBLEM") is PROBLEM
    assert load_problem("toy.contract") is PROBLEM


@pytest.mark.parametrize("place", ["", ":PROBLEM", "no_such_module:PROBLEM", "toy.contract:SOLUTION"])
def test_a_place_without_a_problem_is_told(place: str):
    with pytest.raises(ContractError, match=r" cannot be imported: .*It must define a Problem"):
        load_problem(place)


def test_something_else_than_a_problem_is_told():
    with pytest.raises(ContractError, match=r"toy\.contract:timedelta is a type; expected an evergreen\.contract\.Problem"):
        load_problem("toy.contract:timedelta")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("\nPROBLEM = Problem(", "line 2: SyntaxError: '(' was never closed"),
        ("\nimport no_such_package", "line 2: ModuleNotFoundError: No module named 'no_such_package'"),
        ("PROBLEM = 1 / 0", "line 1: ZeroDivisionError: division by zero"),
        ("import json\n\nPROBLEM = json.loads('{')", "line 3: JSONDecodeError: Expecting property name enclosed"),
        ("def made():\n    raise ValueError('two\\nlines.')\n\nmade()", "line 2: ValueError: two lines"),
    ],
)
def test_whatever_the_users_module_raises_is_told_with_the_line_of_it(write_module, tmp_path: Path, source: str, told: str):
    write_module(source)
    with pytest.raises(ContractError) as error:
        load_problem("someones_contract:PROBLEM")
    message = str(error.value)
    assert message.startswith(f"someones_contract:PROBLEM cannot be imported: {tmp_path / 'someones_contract.py'}, {told}")
    assert message.endswith(". Mend it, then run again.")
    assert message.count("\n") == 0


def test_a_mistake_in_a_file_beside_the_contract_is_told_with_the_line_of_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "someones").mkdir()
    (tmp_path / "someones" / "contract.py").write_text("from someones import data\n")
    (tmp_path / "someones" / "data.py").write_text("import pandas as pd\n\nLONG = pd.DataFrame({'x': [1]})['y']\n")
    with pytest.raises(ContractError, match=r"someones/data\.py, line 3: KeyError: 'y'\. Mend it"):
        load_problem("someones.contract:PROBLEM")


def test_a_wrong_contract_is_told_by_its_own_words(write_module):
    write_module("from evergreen.contract import Problem\nPROBLEM = Problem(title='toy')\n")
    with pytest.raises(ContractError, match=r"^The contract is wrong, in Problem:\n(.*\n)*  - title: got 'toy'"):
        load_problem("someones_contract:PROBLEM")


def test_a_wrong_part_of_a_contract_is_told_without_anybodys_web_address(write_module):
    write_module("from evergreen.policies import ForwardSplit\nForwardSplit(holdout_days='30')\n")
    with pytest.raises(ContractError, match=r"holdout_days(.|\n)*'30'") as error:
        load_problem("someones_contract:PROBLEM")
    assert "http" not in str(error.value)


def test_a_workspace_opens_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EVERGREEN_PROBLEM", "toy.contract:PROBLEM")
    space = open_workspace()
    assert space.problem is PROBLEM
    assert (tmp_path / "home" / "journal.db").is_file()
    space.journal.close()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("EVERGREEN_PROBLEM", "toy.contract:PROBLEM")
    with pytest.raises(EvergreenError, match=r"The folder .*file cannot be written \(File exists\)\. Set EVERGREEN_HOME to another"):
        open_workspace()
