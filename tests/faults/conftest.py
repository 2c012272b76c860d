"""A toy home in its second month, cut into stages that can be gone through again and again; and the table of what was injected."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import commands
import crashing
import pytest
from commands import Home
from crashing import Stage

IN_ONE_TEST = 5


@dataclass
class Injected:
    """What a test has injected, for the table at the end."""

    fault: str = ""
    times: int = 0
    repeated: int = 0


@pytest.fixture(scope="session", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The server that all commands report to."""
    with commands.shared_server(tmp_path_factory.mktemp("prefect")):
        yield


@pytest.fixture(scope="session")
def second_month(_server: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that stays where it is; every stage begins with putting back what it was."""
    return crashing.second_month(tmp_path_factory.mktemp("second-month"))


@pytest.fixture(scope="session")
def stage(second_month: Home) -> Callable[[str], Stage]:
    """Makes the stages of the second month, each once."""

    @cache
    def made(name: str) -> Stage:
        return crashing.make_stage(second_month, name, stage=made)

    return made


@pytest.fixture(scope="session")
def after_first(second_month: Home) -> dict[str, Any]:
    """Where the first month ended, undisturbed."""
    crashing.put_back(second_month.root / "copies" / "landed", second_month)
    return second_month.state()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home, in which not even MLflow's tables are made."""
    return commands.make_home(tmp_path, bare=True)


@pytest.fixture
def injected(request: pytest.FixtureRequest) -> Iterator[Injected]:
    """Where a test says what it has injected."""
    one = Injected()
    yield one
    request.node.user_properties.append(("injected", [one.fault, one.times, one.repeated]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the long version; see `make faults`."""
    parser.addoption("--long", action="store_true", help="every fault at every moment, and the table")
    parser.addoption("--kills", type=int, default=200, help="how many kills at random moments (long version)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the long version, which takes half an hour, to `make faults`."""
    return True if collection_path.name.startswith("test_long") and not config.getoption("long", default=False) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Split the random kills into tests that two workers share."""
    if "lot" in metafunc.fixturenames:
        kills = metafunc.config.getoption("kills", default=IN_ONE_TEST)
        metafunc.parametrize("lot", range(-(-kills // IN_ONE_TEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of the long version: fault, times injected, invariants broken, steps repeated."""
    if not config.getoption("long", default=False):
        return
    failed = {report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])}
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for report in terminalreporter.stats.get("", []):
        for fault, times, repeated in [value for name, value in report.user_properties if name == "injected" and report.when == "teardown"]:
            for column, number in enumerate((times, report.nodeid in failed, repeated)):
                rows[fault][column] += number
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'fault':<60}{'injected':>10}{'broken':>10}{'repeated':>10}")
    for fault, numbers in rows.items():
        terminalreporter.write_line(f"{fault:<60}" + "".join(f"{number:>10,}" for number in numbers))
