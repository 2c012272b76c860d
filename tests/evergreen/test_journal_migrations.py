"""A journal of an earlier version becomes one of this version: every row stays, whatever happens on the way."""

import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from evergreen.errors import JournalError
from evergreen.journal import Journal, migrations
from evergreen.journal.engine import connect, parse
from evergreen.journal.tables import REVISIONS, SCHEMA, cycles, gaps, metadata, served, shadowed, shadows

ROOT = Path(__file__).parents[2]
FIRST_RELEASE = {"about", "owner", "deliveries", "snapshots", "versions", "decisions", "ledger", "promotions", "bars", "tunings"} | {
    "publications",
    "cycles",
}
SINCE = {"looks", "overrides", "freezes", "triggers", "signals", "alerts", "removals", "leases"}
"""Made when they were missing, before there was Alembic."""
LATER = {"served", "refusals", "shadows", "shadowed", "gaps", "checkups", "revocations"}
OPENS = "import sys; from evergreen.journal import Journal; Journal(sys.argv[1]).close()"
OPENS_AND_IS_KILLED = """
import os, signal, sys
from evergreen import faults
from evergreen.journal import Journal
faults.arm(lambda point: point == sys.argv[2] and os.kill(os.getpid(), signal.SIGKILL))
Journal(sys.argv[1])
"""
OPENS_AND_SAYS_WHAT_IT_LOADED = """
import logging, sys
from evergreen.journal import Journal
Journal(sys.argv[1]).close()
print("alembic" in sys.modules, logging.root.handlers, logging.root.level, logging.getLogger("alembic").level)
"""
COLUMNS = """
SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
SEQUENCES = "SELECT sequence_name, data_type, maximum_value FROM information_schema.sequences"
INDEX = "signals_newest"
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
)


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = connect(parse(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def opened(url: str) -> None:
    Journal(url).close()


def python(code: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def differences(url: str, expected: sa.MetaData = metadata) -> list[Any]:
    """What Alembic would change to have a database's tables be those of `tables.py`."""
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": REVISIONS})
        return list(compare_metadata(context, expected))


def described(url: str) -> set[tuple[Any, ...]]:
    """The tables in the database's own words, without Alembic's."""
    with connected(url) as connection:
        if connection.dialect.name == "sqlite":
            found = connection.exec_driver_sql("SELECT tbl_name, type, name, sql FROM sqlite_master").all()
        else:
            found = [row for asked in (COLUMNS, CONSTRAINTS, INDEXES, SEQUENCES) for row in connection.exec_driver_sql(asked)]
    return {tuple(" ".join(each.split()) if isinstance(each, str) else each for each in row) for row in found if row[0] != REVISIONS}


def kept(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as the database has it; without Alembic's, and without when the journal got which schema."""
    with connected(url) as connection:
        names = set(sa.inspect(connection).get_table_names()) - {REVISIONS, "about"}
        return {name: [tuple(map(str, row)) for row in connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1"))] for name in names}  # noqa: S608 - our own names


def schemas(url: str) -> list[int]:
    with connected(url) as connection:
        return list(connection.execute(sa.text("SELECT schema_version FROM about ORDER BY seq")).scalars())


def make(url: str, names: set[str], *, schema: int | None = 1) -> None:
    """The tables as Evergreen made them before Alembic."""
    with connected(url) as connection:
        metadata.create_all(connection, tables=[metadata.tables[name] for name in names])
        connection.execute(sa.text(f"DROP INDEX IF EXISTS {INDEX}"))
        if schema is not None:
            connection.execute(metadata.tables["about"].insert().values(schema_version=schema, at="2026-11-24"))


@pytest.fixture
def old(url: str) -> str:
    """A journal that 0.1.0 has written."""
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    dump = (ROOT / "tests" / "journals" / f"0.1.0-{kind}.sql").read_text()
    if kind == "sqlite":
        with closing(sqlite3.connect(sa.make_url(url).database)) as connection:
            connection.executescript(dump)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(dump)
    return url


@pytest.fixture
def today(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> set[tuple[Any, ...]]:
    """What the tables of `tables.py` look like in a database of the same kind."""
    beside = f"sqlite:///{tmp_path / 'beside.db'}"
    if not url.startswith("sqlite"):
        server = request.getfixturevalue("server")
        beside = server.url(server.new_database())
    with connected(beside) as connection:
        metadata.create_all(connection)
    return described(beside)


def test_a_journal_of_the_first_release_keeps_every_row_and_still_knows_them(old: str):
    before = kept(old)
    assert {name for name, rows in before.items() if rows} == FIRST_RELEASE - {"about"}
    with closing(Journal(old)) as journal:
        assert kept(old) == before | {name: [] for name in SINCE | LATER}
        for name in before:
            table = metadata.tables[name]
            for row in journal.rows(table):
                again = {column: value for column, value in row.items() if column not in {"seq", "at"}}
                assert journal.add(table, **again) is False
        assert kept(old) == before | {name: [] for name in SINCE | LATER}
        assert journal.rows(metadata.tables["decisions"])[1]["record"]["said"] == "naïve"
        assert journal.add(cycles, cycle="2024-03", facts={}) is True
        assert [row["cycle"] for row in journal.rows(cycles)] == ["2024-02", "2024-03"]


def test_the_first_release_had_the_tables_of_the_first_revision(old: str):
    with connected(old) as connection:
        assert set(sa.inspect(connection).get_table_names()) == FIRST_RELEASE


def test_a_new_journal_and_one_of_the_first_release_have_the_tables_of_today(url: str, today: set[tuple[Any, ...]]):
    opened(url)
    assert differences(url) == []
    assert described(url) == today


def test_a_journal_of_the_first_release_gets_the_tables_of_today(old: str, today: set[tuple[Any, ...]]):
    assert described(old) < today
    opened(old)
    assert differences(old) == []
    assert described(old) == today


@pytest.mark.parametrize("more", [{"looks"}, {"looks", "overrides", "freezes"}, SINCE - {"alerts"}, SINCE], ids=len)
def test_a_journal_that_got_some_of_the_later_tables_gets_the_others(url: str, more: set[str], today: set[tuple[Any, ...]]):
    make(url, FIRST_RELEASE | more)
    with connected(url) as connection:
        connection.execute(metadata.tables["looks"].insert().values(look="l", pair="p", alpha=0.1, price=0.2, at="then"))
    opened(url)
    assert differences(url) == []
    assert described(url) == today
    assert kept(url)["looks"] == [("1", "l", "p", "0.1", "0.2", "then")]


def test_a_journal_whose_making_was_cut_short_is_finished(url: str, today: set[tuple[Any, ...]]):
    make(url, {"about", "alerts", "bars"}, schema=None)
    opened(url)
    assert described(url) == today


CHANGES: dict[str, Callable[[sa.MetaData], object]] = {
    "a table": lambda changed: sa.Table("strange", changed, sa.Column("seq", sa.Integer, primary_key=True)),
    "a column": lambda changed: changed.tables["looks"].append_column(sa.Column("weight", sa.Float)),
    "another type": lambda changed: setattr(changed.tables["looks"].c.alpha, "type", sa.Text()),
    "what may be missing": lambda changed: setattr(changed.tables["looks"].c.alpha, "nullable", True),
    "another key": lambda changed: changed.tables["looks"].append_constraint(sa.UniqueConstraint("pair", name="looks_pair")),
    "another index": lambda changed: sa.Index("looks_pair", changed.tables["looks"].c.pair),
    "an index less": lambda changed: changed.tables["signals"].indexes.clear(),
    "a table less": lambda changed: changed.remove(changed.tables["looks"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_tables_that_no_revision_makes_are_noticed(url: str, change: str):
    opened(url)
    changed = sa.MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(changed)
    assert differences(url, changed) == []
    CHANGES[change](changed)
    assert differences(url, changed) != []


def test_what_served_predictions_came_to_gets_a_kind_of_its_own_and_signals_an_index(url: str, today: set[tuple[Any, ...]]):
    opened(url)
    facts = [{"origin": "served", "cost": 1}, {"origin": "published", "cost": 2}, {"origin": "served", "cost": 3}]
    kinds = ["realized", "realized", "estimate"]
    with connected(url) as connection:
        for number, (kind, told) in enumerate(zip(kinds, facts, strict=True)):
            row = {"signal": f"{number}", "kind": kind, "window": "w", "facts": told, "at": "2026-11-24"}
            connection.execute(metadata.tables["signals"].insert().values(**row))
        connection.execute(sa.text(f"UPDATE {REVISIONS} SET version_num = '0005'"))  # noqa: S608 - our own name
        connection.execute(sa.text("UPDATE about SET schema_version = 5"))
        connection.execute(sa.text(f"DROP INDEX {INDEX}"))
    assert described(url) < today
    opened(url)
    assert described(url) == today
    with connected(url) as connection:
        signals = metadata.tables["signals"]
        found = connection.execute(sa.select(signals.c.kind, signals.c.facts).order_by(signals.c.seq)).all()
    assert [tuple(row) for row in found] == list(zip(["realized_served", "realized", "estimate"], facts, strict=True))


def test_a_log_with_short_numbers_gets_long_ones_and_goes_on_where_it_was(url: str, today: set[tuple[Any, ...]]):
    config = Config()
    config.set_main_option("script_location", "evergreen.journal:migrations")
    words = {"asked_at": "then", "features": "f", "inputs": "{}", "answer": "{}", "version": 1, "at": "then"}
    end = 2**31 - 1
    with connected(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        for number in (1, end):
            connection.execute(served.insert().values(seq=number, prediction=f"p{number}", **words))
        connection.execute(shadows.insert().values(version=2, since=1, after=0, reason="a try", at="then"))
        connection.execute(shadowed.insert().values(shadow=1, served=end, answer="{}", at="then"))
        connection.execute(gaps.insert().values(shadow=1, first=2, last=3, row_count=2, at="then"))
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT setval('served_seq_seq', {end})"))
    before = kept(url)
    with closing(Journal(url)) as journal:
        assert kept(url) == before
        assert differences(url) == []
        assert described(url) == today
        assert journal.add(served, prediction="next", **{name: value for name, value in words.items() if name != "at"})
        assert [row["seq"] for row in journal.rows(served)] == [1, end, end + 1]


def test_the_number_of_the_schema_is_that_of_the_newest_revision():
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    found = [script.revision for script in scripts.walk_revisions()]
    assert found == [f"{number:04}" for number in range(SCHEMA, 0, -1)]
    assert scripts.get_current_head() == f"{SCHEMA:04}"


@pytest.mark.parametrize(("found", "told"), [("0099", "99"), ("a1b2c3", "a1b2c3")])
def test_a_journal_of_a_newer_revision_is_refused_and_left_alone(url: str, found: str, told: str):
    opened(url)
    with connected(url) as connection:
        connection.execute(sa.text(f"UPDATE {REVISIONS} SET version_num = '{found}'"))  # noqa: S608 - our own words
    before = described(url)
    with pytest.raises(
        JournalError, match=rf"has schema {told}, this version of Evergreen needs {SCHEMA}\. Use the Evergreen that wrote it"
    ) as error:
        Journal(url)
    assert "open:ses" not in str(error.value)
    assert described(url) == before
    assert schemas(url) == [SCHEMA]


def test_a_journal_from_before_alembic_with_a_schema_that_never_was_is_refused_and_left_alone(url: str):
    make(url, FIRST_RELEASE, schema=99)
    before = described(url)
    with pytest.raises(JournalError, match=rf"has schema 99, this version of Evergreen needs {SCHEMA}\. Use the Evergreen"):
        Journal(url)
    assert described(url) == before


def test_an_evergreen_from_before_alembic_finds_that_the_schema_is_not_its_own(old: str, tmp_path: Path):
    assert schemas(old) == [1]
    opened(old)
    opened(old)
    assert schemas(old) == [1, SCHEMA]
    new = f"sqlite:///{tmp_path / 'new.db'}"
    opened(new)
    assert schemas(new) == [SCHEMA]


def test_six_processes_that_open_an_old_journal_at_once_all_succeed(old: str, today: set[tuple[Any, ...]]):
    before = kept(old)
    running = [python(OPENS, old) for _ in range(6)]
    told = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 6, told
    assert told == [("", "")] * 6
    assert described(old) == today
    assert schemas(old) == [1, SCHEMA]
    assert kept(old) == before | {name: [] for name in SINCE | LATER}


def test_two_threads_with_a_new_journal_each_do_not_meet(tmp_path: Path):
    urls = [f"sqlite:///{tmp_path / str(number) / 'journal.db'}" for number in range(4)]
    threads = [Thread(target=opened, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [differences(url) for url in urls] == [[]] * 4


@pytest.mark.parametrize("point", ["journal.revision.0001", "journal.revision.0002", "journal.revision.0007", "journal.upgraded"])
@pytest.mark.parametrize("kind", ["an old one", "a new one"])
def test_a_process_that_is_killed_in_the_middle_leaves_what_was_there(
    request: pytest.FixtureRequest, url: str, point: str, kind: str, today: set[tuple[Any, ...]]
):
    if kind == "an old one":
        request.getfixturevalue("old")
    before = described(url), kept(url)
    killed = python(OPENS_AND_IS_KILLED, url, point)
    _, told = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, told
    assert (described(url), kept(url)) == before
    with connected(url) as connection:
        assert not sa.inspect(connection).has_table(REVISIONS)
    opened(url)
    assert described(url) == today
    assert {name: rows for name, rows in kept(url).items() if rows} == {name: rows for name, rows in before[1].items() if rows}


def test_alembic_is_silent_and_is_not_asked_where_nothing_is_to_be_done(url: str):
    for loaded in (True, False):
        process = python(OPENS_AND_SAYS_WHAT_IT_LOADED, url)
        assert process.communicate() == (f"{loaded} [] 30 0\n", "")


def test_a_database_with_mlflows_tables_is_shared_with_them(url: str):
    with connected(url) as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('534353b11cbc')"))
    opened(url)
    opened(url)
    with connected(url) as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == ["534353b11cbc"]


def test_the_wheel_has_the_revisions(tmp_path: Path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); {OPENS}; import evergreen; print(evergreen.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, url], capture_output=True, text=True, check=False, timeout=120, env={**os.environ}
    )
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'installed' / 'evergreen' / '__init__.py'}\n", "")
    assert differences(url) == []
