"""A team's servers: journal, MLflow and Prefect on PostgreSQL, by nothing but their URLs, come to what files come to."""

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commands import SECONDS, Home, make_home, told
from postgres import Server
from psycopg.rows import dict_row
from servers import JOBLESS, PROGRAMS, serving, surroundings

# Prefect searches names by an index of the extension pg_trgm. The tests' PostgreSQL comes without extensions, so it is told that it has
# this one. The index can be declared, and must be gone before there is a name to write into it.
INSTEAD_OF_TRGM = """
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT pg_nextoid('pg_extension', 'oid', 'pg_extension_oid_index'), 'pg_trgm', 10, 2200, false, '0';
CREATE FUNCTION of_value(text, internal, internal) RETURNS internal LANGUAGE internal AS 'ginarrayextract';
CREATE FUNCTION of_query(text, internal, int2, internal, internal, internal, internal) RETURNS internal
    LANGUAGE internal AS 'ginqueryarrayextract';
CREATE FUNCTION fits(internal, int2, text, int4, internal, internal, internal, internal) RETURNS bool
    LANGUAGE internal AS 'ginarrayconsistent';
CREATE OPERATOR CLASS gin_trgm_ops FOR TYPE text USING gin AS
    FUNCTION 2 of_value(text, internal, internal),
    FUNCTION 3 of_query(text, internal, int2, internal, internal, internal, internal),
    FUNCTION 4 fits(internal, int2, text, int4, internal, internal, internal, internal)
"""


@dataclass(frozen=True)
class ServedHome(Home):
    """A home whose journal and MLflow's tables are databases of a server."""

    server: Server = field(kw_only=True)
    journal: str = field(kw_only=True)
    mlflow: str = field(kw_only=True)

    def rows(self, table: str, database: str = "journal.db") -> list[dict[str, Any]]:
        name = self.journal if database == "journal.db" else self.mlflow
        with self.server.connect(name) as connection:
            connection.adapters.register_loader("json", psycopg.types.string.TextLoader)  # as SQLite has it
            return connection.cursor(row_factory=dict_row).execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - our own words


@dataclass(frozen=True)
class Databases:
    """A server, its database that has Prefect's tables, and the home that has files instead, with its rounds done."""

    server: Server
    prefect: str
    files: Home

    def served(self, root: Path) -> ServedHome:
        """A home for the same deliveries, with empty databases."""
        home, server = make_home(root, bare=True), self.server
        home.deliver()
        return ServedHome(home.root, home.problem, home.path, server=server, journal=server.new_database(), mlflow=server.new_database())


@pytest.fixture(scope="module")
def databases(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    prefect, files = server.new_database(), make_home(tmp_path_factory.mktemp("files"))
    files.deliver()
    with server.connect(prefect) as connection:
        connection.execute(INSTEAD_OF_TRGM)
    url = server.url(prefect, driver="postgresql+asyncpg")
    where = surroundings(PREFECT_HOME=str(files.root), PREFECT_API_DATABASE_CONNECTION_URL=url)
    making = [PROGRAMS / "prefect", "server", "database", "upgrade", "-y"]
    with subprocess.Popen(making, env=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        ended = files.evergreen("run")
        said, _ = process.communicate()
    assert (process.returncode, ended.code) == (0, 0), (said, ended)
    with server.connect(prefect) as connection:
        for (name,) in connection.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'").fetchall():
            connection.execute(f"DROP INDEX {name}")
    return Databases(server, prefect, files)


def test_a_run_with_all_three_on_postgresql_comes_to_what_files_come_to(databases: Databases, tmp_path: Path):
    server, home = databases.server, databases.served(tmp_path)
    tables = ["--backend-store-uri", server.url(home.mlflow, driver="postgresql+psycopg")]
    files = ["--artifacts-destination", str(home.var / "mlartifacts")]
    settings = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": server.url(databases.prefect, driver="postgresql+asyncpg"),
    }
    with (
        serving(tmp_path / "mlflow.log", PROGRAMS / "mlflow", "server", *tables, *files, "--workers", "1", **JOBLESS) as mlflow,
        serving(tmp_path / "prefect.log", PROGRAMS / "prefect", "server", "start", "--no-ui", **settings) as prefect,
    ):
        where = {"EVERGREEN_MLFLOW_URI": mlflow("/health"), "PREFECT_API_URL": prefect("/api/health") + "/api"}
        process = home.start_cold("run", EVERGREEN_JOURNAL_URL=server.url(home.journal), **where)
        said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    assert home.state() == databases.files.state()
    assert [row["source"].partition(":")[0] for row in home.rows("model_versions", "mlflow.db")] == ["mlflow-artifacts"]
    with server.connect(databases.prefect) as connection:
        done = connection.execute("SELECT state_type::text FROM flow_run").fetchall()
    assert len(done) > 1
    assert set(done) == {("COMPLETED",)}
    assert list(home.var.glob("*.db")) == []
    assert not (home.var / "prefect").exists()


def test_mlflows_database_is_reached_by_the_same_kind_of_url_without_a_server(databases: Databases, tmp_path: Path):
    home = databases.served(tmp_path)
    where = {"EVERGREEN_JOURNAL_URL": databases.server.url(home.journal), "EVERGREEN_MLFLOW_URI": databases.server.url(home.mlflow)}
    ended = home.evergreen("run", **where)
    assert ended.code == 0, ended
    assert home.state() == databases.files.state()
    assert list(home.var.glob("*.db")) == []
    assert not (Path.cwd() / "mlruns").exists()


@pytest.mark.parametrize(("database", "cause"), [("nowhere", "does not exist"), (None, "Connection refused")])
def test_an_mlflow_database_that_is_not_there_is_told_at_once(home: Home, server: Server, database: str | None, cause: str):
    url = server.url(database) if database else "postgresql://ann:open%3Ases@127.0.0.1:9/mlflow"
    started = time.monotonic()
    ended = home.evergreen("reconcile", EVERGREEN_MLFLOW_URI=url)
    assert time.monotonic() - started < 60
    told(ended, "MLflow at postgresql+psycopg://ann:***@127.0.0.1", cause, "Check EVERGREEN_MLFLOW_URI")
    assert "ses" not in ended.err


@pytest.mark.parametrize("password", ["open:ses%", "ses@me"])
def test_a_password_that_mlflows_url_cannot_hold_is_not_repeated(home: Home, password: str):
    ended = home.evergreen("reconcile", EVERGREEN_MLFLOW_URI=f"postgresql://ann:{password}@127.0.0.1:9/mlflow")
    told(ended, "with @ and % in a password written as %40 and %25. Correct EVERGREEN_MLFLOW_URI.")
    assert "ses" not in ended.err
