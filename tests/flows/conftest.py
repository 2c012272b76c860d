"""Fixtures for the tests of the application: one private Prefect server for them all, and homes to run the command in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import commands
import pytest


@dataclass(frozen=True)
class TwoMonths:
    """The loop, gone round by the installed command, and once more after the next month has arrived."""

    home: commands.Home
    first: commands.Ended
    after_first: dict[str, Any]
    again: commands.Ended
    second: commands.Ended


LOADED = """
import sys
from flows.cli import main
sys.argv[0] = "evergreen"
try:
    main()
finally:
    print("loaded:", *sorted({"prefect", "mlflow", "great_expectations", "sklearn", "pandas"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture(scope="session", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server that all commands but the cold ones report to."""
    with commands.shared_server(tmp_path_factory.mktemp("prefect")):
        yield


@pytest.fixture
def home(tmp_path: Path) -> commands.Home:
    """An empty home for the toy problem."""
    return commands.make_home(tmp_path)


@pytest.fixture
def bare_home(tmp_path: Path) -> commands.Home:
    """An empty home in which not even MLflow's tables are made."""
    return commands.make_home(tmp_path, bare=True)


@pytest.fixture(scope="session")
def two_months(_server: None, tmp_path_factory: pytest.TempPathFactory) -> TwoMonths:
    """Two rounds of the toy problem, never interrupted. Nobody may change anything in its home."""
    home = commands.make_home(tmp_path_factory.mktemp("two-months"))
    home.deliver()
    first, reached = home.evergreen_cold("run"), home.state()
    again = home.python(LOADED, "run")
    home.deliver(commands.LABELLED + commands.AHEAD, start=commands.LABELLED)
    return TwoMonths(home, first, reached, again, home.evergreen("run"))
