"""Fixtures that more than one file of tests uses."""

import gc
import os

# As the command does for itself: two workers, each with two threads a fit, wait for each other longer than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A forked process that asks macOS for its proxies may be killed for it (docs of urllib.request); nothing here goes through one.
os.environ.setdefault("no_proxy", "*")

from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
import workspaces

from evergreen.workspace import Workspace

# Problems that forks are tried with: they are tests of their forks, not of this one (deploy/fork_check.py).
collect_ignore = ["forks"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: the tests of the platform mostly wait. At most four, for each takes a gigabyte."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that take minutes, the platform's first, so that no worker is left alone with them in the end."""
    items.sort(key=lambda item: (item.path.parent.name == "evergreen", "platform" not in item.path.name))


def pytest_collection_finish() -> None:
    """What collecting has imported stays until the end, and is not looked through for garbage again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees where the person who runs it has pointed Evergreen, nor where an earlier test has pointed MLflow."""
    for name in os.environ:
        if name.startswith("EVERGREEN_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL server, started for the first test that asks for it."""
    with postgres.running_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a journal is kept, on either kind of database: nobody has opened it yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    server: postgres.Server = request.getfixturevalue("server")
    return server.url(server.new_database())


@pytest.fixture
def empty_space(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of the toy problem in which nothing has been delivered yet."""
    space = workspaces.open_space(tmp_path / "home")
    yield space
    space.journal.close()


@pytest.fixture
def space(empty_space: Workspace) -> Workspace:
    """A workspace of the toy problem with six days of deliveries, ingested."""
    workspaces.deliver_days(empty_space, 6)
    workspaces.ingest(empty_space)
    return empty_space
