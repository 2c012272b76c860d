"""What people read when MLflow, or the database below it, cannot be used."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from candidates import toy_candidate, toy_registry

from evergreen.errors import RegistryError
from evergreen.registry import Registry

TESTS = Path(__file__).parent.parent
OPEN = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
import sqlalchemy as sa
from candidates import toy_registry
from evergreen.errors import RegistryError
sa.event.listen(sa.Engine, "do_connect", lambda *given: given[-1].update(timeout=0.1))  # not SQLite's 5 s
try:
    toy_registry(Path(sys.argv[2])).aliases()
except RegistryError as error:
    print(error)
"""
NOISE = ("SELECT", "INSERT", "sqlalche.me", "EVERGREEN_MLFLOW_URI", "sqlite3.")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry whose store has been made and opened."""
    registry = toy_registry(tmp_path / "var")
    registry.aliases()
    return registry


@contextmanager
def every_connection(pragma: str) -> Iterator[None]:
    """MLflow tells SQLite to wait 20 s for a lock, each time before it uses a connection; here it tells it something else."""

    def instead(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return pragma if "busy_timeout = 20000" in statement else statement, parameters

    sa.event.listen(sa.Engine, "before_cursor_execute", instead, retval=True)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", instead)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process is in the middle of a write."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def open_elsewhere(home: Path) -> tuple[str, str]:
    """What a process that opens the store prints, and what it leaves on the error stream."""
    done = subprocess.run([sys.executable, "-c", OPEN, TESTS, home], capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr


def test_a_locked_store_is_one_sentence_that_says_to_wait(registry: Registry):
    wait = every_connection("PRAGMA busy_timeout = 100")
    with locked(registry.settings.root / "mlflow.db"), wait, pytest.raises(RegistryError) as caught:
        registry.aliases()
    assert str(caught.value) == (
        f"MLflow's database {registry.settings.mlflow} cannot be used: database is locked. "
        "Another process is writing to it; end that process or wait, then run again."
    )
    assert registry.aliases() == {}


def test_a_store_that_is_locked_when_it_is_opened_says_so_without_a_traceback(registry: Registry):
    with locked(registry.settings.root / "mlflow.db"):
        said, noise = open_elsewhere(registry.settings.root)
    assert "cannot be used: database is locked. Another process is writing to it;" in said
    assert not any(word in said for word in NOISE)
    assert noise == ""


def test_a_full_disk_is_one_sentence_that_says_to_free_space_and_running_again_finishes(registry: Registry):
    large = replace(toy_candidate(), parameters={f"parameter_{i}": "x" * 5_000 for i in range(50)})
    full = every_connection("PRAGMA max_page_count = 1")  # which means: as large as it is, and no larger
    with (
        full,
        pytest.raises(RegistryError, match=r"cannot be used: database or disk is full\. Free some space, then run again\.$") as caught,
    ):
        registry.register(large)
    assert not any(word in str(caught.value) for word in NOISE)
    with every_connection("PRAGMA max_page_count = 1000000"):
        assert registry.register(large).number == 1


def test_a_store_of_another_schema_is_one_sentence_with_the_command(registry: Registry):
    with closing(sqlite3.connect(registry.settings.root / "mlflow.db")) as database, database:
        (needed,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
    uri = registry.settings.mlflow
    assert open_elsewhere(registry.settings.root) == (
        f"MLflow's database {uri} is of another schema (0a8213491aaa) than the installed MLflow needs ({needed}): back it up, then run "
        f"`mlflow db upgrade {uri}`; if a newer MLflow made it, install that one instead.",
        "",
    )


def test_an_unreachable_server_is_explained_soon_and_without_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_MLFLOW_URI", "http://me:secret@127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(RegistryError, match="cannot be used") as caught:
        toy_registry(tmp_path / "var").aliases()
    assert time.monotonic() - started < 60
    assert "secret" not in str(caught.value)
