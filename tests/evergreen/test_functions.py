"""What stands for a function of somebody's own changes with its code and its arguments, and with nothing else."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from toy.contract import PROBLEM

from evergreen.functions import digest_code, name_of

DATA = """
from someones.tools import clean

def read(path, sep=","):
    return clean(path)

class Reader:
    def read(self, path):
        return path

    def __call__(self, path):
        return path
"""
TELL = """
from functools import partial
import pandas as pd
from toy.contract import PROBLEM
from toy.data import read_orders
from evergreen.functions import digest_code
class Client:
    pass
read = partial(pd.read_csv, usecols={"a", "b", "c", "d"}, converters={"a": read_orders}, dtype={"a": str}, storage={Client(): [Client()]})
source = PROBLEM.sources[0].model_copy(update={"read": read})
print(digest_code(read), PROBLEM.model_copy(update={"sources": (source, *PROBLEM.sources[1:])}).digest())
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of somebody's own, whose reader has a helper in another file."""
    folder = tmp_path / "someones"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "data.py").write_text(DATA)
    (folder / "tools.py").write_text("def clean(path):\n    return path\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in ("someones", "someones.data", "someones.tools"):
        sys.modules.pop(name, None)


WAYS: dict[str, Callable[[ModuleType], object]] = {
    "function": lambda data: data.read,
    "partial": lambda data: partial(data.read, sep=";"),
    "argument of a library's": lambda data: partial(pd.read_csv, converters={"a": data.read}),
    "method": lambda data: data.Reader().read,
    "object": lambda data: data.Reader(),
    "cached": lambda data: cache(data.read),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_in_another_file_of_the_readers_package_is_a_change_of_the_reader(package: Path, way: str):
    read = WAYS[way](importlib.import_module("someones.data"))
    before = digest_code(read)
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "tools.pyc").write_bytes(b"made by Python")
    assert digest_code(read) == before
    (package / "tools.py").write_text("def clean(path):\n    return path.upper()\n")
    assert digest_code(read) != before


def test_another_argument_is_another_reader_and_the_same_one_is_not():
    comma = partial(pd.read_csv, sep=",", parse_dates=["at"])
    assert digest_code(comma) == digest_code(partial(pd.read_csv, sep=",", parse_dates=["at"]))
    others = [partial(pd.read_csv, sep=";", parse_dates=["at"]), partial(pd.read_csv, sep=","), pd.read_csv, pd.read_json]
    assert len({digest_code(read) for read in [comma, *others]}) == 1 + len(others)


def test_of_an_installed_package_only_the_file_counts(tmp_path: Path, package: Path):
    installed = tmp_path / "site-packages"
    installed.mkdir()
    package.rename(installed / "someones")
    sys.path.insert(0, str(installed))
    try:
        read = importlib.import_module("someones.data").read
    finally:
        sys.path.remove(str(installed))
    before = digest_code(read)
    (installed / "someones" / "tools.py").write_text("\n")
    assert digest_code(read) == before
    (installed / "someones" / "data.py").write_text("\n")
    assert digest_code(read) != before


def test_a_reader_and_its_contract_have_the_same_digest_in_every_process():
    """Sets have another order in each, and functions another address."""
    tests = str(Path(__file__).parents[1])
    told = {
        subprocess.run(
            [sys.executable, "-c", TELL],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": tests},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_the_name_of_a_partial_tells_its_arguments():
    assert name_of(partial(pd.read_csv, sep=";", usecols={"b", "a"})) == ("pandas.read_csv with () [('sep', ';'), ('usecols', ['a', 'b'])]")


def test_a_contract_may_name_a_method(package: Path):
    read = importlib.import_module("someones.data").Reader().read
    problem = PROBLEM.model_copy(update={"sources": (PROBLEM.sources[0].model_copy(update={"read": read}), *PROBLEM.sources[1:])})
    before = problem.digest()
    assert before != PROBLEM.digest()
    (package / "data.py").write_text("\n")
    assert problem.digest() != before
