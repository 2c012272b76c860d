import time
from collections.abc import Iterator
from threading import Thread
from urllib.parse import quote

import postgres
import psycopg
import pytest
from postgres import PASSWORD, Server
from sqlalchemy.exc import IntegrityError

from evergreen import journal as tables
from evergreen.errors import JournalError
from evergreen.journal import Journal

ONE, TWO = {"cycle": "one", "facts": {}}, {"cycle": "two", "facts": {}}
SNAPSHOT = {"snapshot": "s", "batches": {}}


@pytest.fixture
def database(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def journal(server: Server, database: str) -> Iterator[Journal]:
    journal = Journal(server.url(database))
    yield journal
    journal.close()


@pytest.fixture
def beside(server: Server, database: str) -> Iterator[psycopg.Connection]:
    """Another connection to the journal's database."""
    with server.connect(database) as connection:
        yield connection


def told(error: pytest.ExceptionInfo[JournalError], *parts: str) -> None:
    """See that it is one line that has these parts and not the password."""
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert len(message.splitlines()) == 1
    assert PASSWORD not in message
    assert quote(PASSWORD, safe="") not in message


@pytest.mark.parametrize("driver", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_with_or_without_a_driver_is_reached_through_psycopg(server: Server, database: str, driver: str):
    journal = Journal(server.url(database, driver=driver))
    assert journal.url.get_driver_name() == "psycopg"
    assert journal.add(tables.cycles, **ONE)
    journal.close()


def test_a_wrong_password_is_told(server: Server, database: str):
    with pytest.raises(JournalError) as error:
        Journal(server.url(database, password=PASSWORD[::-1]))
    told(
        error,
        f"127.0.0.1:{server.port}/{database} cannot be used: ",
        'password authentication failed for user "ann". ',
        "EVERGREEN_JOURNAL",
    )
    assert PASSWORD[::-1] not in str(error.value)


def test_a_database_that_is_not_there_is_told(server: Server):
    with pytest.raises(JournalError) as error:
        Journal(server.url("nowhere"))
    told(error, "/nowhere cannot be used: connection failed: ", 'database "nowhere" does not exist. ', "EVERGREEN_JOURNAL_URL")


def test_an_account_that_may_make_no_tables_is_told(server: Server, database: str, beside: psycopg.Connection):
    beside.execute(f"CREATE ROLE {database}_reader LOGIN PASSWORD '{PASSWORD}'")
    with pytest.raises(JournalError) as error:
        Journal(server.url(database).replace("//ann:", f"//{database}_reader:"))
    told(error, f"/{database} cannot be used: permission denied for schema public. Nothing was half-written.")


def test_options_of_the_url_are_used_and_a_wrong_one_is_told(server: Server, database: str):
    with pytest.raises(JournalError) as error:
        Journal(server.url(database) + "?sslmode=require&connect_timeout=3")
    told(error, "server does not support SSL, but SSL was required")
    with pytest.raises(JournalError) as error:
        Journal(server.url(database) + "?sslmod=require")
    told(error, 'invalid connection option "sslmod"')


def test_a_server_that_stops_is_told_by_the_open_journal_and_by_the_next():
    with postgres.running_server() as server:
        url = server.url(server.new_database())
        journal = Journal(url)
        assert journal.add(tables.cycles, **ONE)
    for ask in (lambda: journal.add(tables.cycles, **TWO), lambda: journal.rows(tables.cycles), lambda: Journal(url)):
        with pytest.raises(JournalError) as error:
            ask()
        told(error, f"127.0.0.1:{server.port}/", "Connection refused", "Check that it can be reached and written, then run again.")
    journal.close()


def test_a_connection_that_was_cut_off_between_two_writes_is_made_anew(journal: Journal, beside: psycopg.Connection):
    journal.add(tables.cycles, **ONE)
    cut = beside.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert cut.fetchall() == [(True,)]
    assert journal.add(tables.cycles, **TWO)
    assert len(journal.rows(tables.cycles)) == 2


def test_a_locked_table_is_one_clear_sentence_and_nothing_is_half_written(
    server: Server, database: str, beside: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tables.engine, "LOCKED_SECONDS", 0.1)
    journal = Journal(server.url(database))
    with beside.transaction():
        beside.execute("LOCK TABLE cycles IN SHARE MODE")
        with pytest.raises(
            JournalError, match=r"lock timeout.*\. Nothing was half-written\. Another process is writing to it; end that"
        ) as error:
            journal.add_all([(tables.snapshots, SNAPSHOT), (tables.cycles, ONE)])
    told(error)
    assert journal.rows(tables.snapshots) == []
    assert journal.add_all([(tables.snapshots, SNAPSHOT), (tables.cycles, ONE)])
    journal.close()


def test_rows_become_visible_in_their_order_since_writers_wait_for_each_other(
    server: Server, database: str, journal: Journal, beside: psycopg.Connection
):
    second = Journal(server.url(database))
    late = Thread(target=second.add, args=(tables.cycles,), kwargs=TWO)
    with journal._writing() as connection:
        connection.execute(tables.cycles.insert().values(at="now", **ONE))
        late.start()
        deadline = time.monotonic() + 30
        while not beside.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall():
            assert late.is_alive(), "the second writer did not wait"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert second.rows(tables.cycles) == []
    late.join()
    assert [(row["seq"], row["cycle"]) for row in second.rows(tables.cycles)] == [(1, "one"), (2, "two")]
    second.close()


def test_numbers_that_were_set_back_are_no_duplicate(journal: Journal, beside: psycopg.Connection):
    journal.add(tables.cycles, **ONE)
    beside.execute("ALTER SEQUENCE cycles_seq_seq RESTART")
    with pytest.raises(IntegrityError, match="cycles_pkey"):
        journal.add(tables.cycles, **TWO)


@pytest.mark.parametrize("password", ["ses@me", "ses@me:secret", "me:ses@me/secret"])
def test_a_password_that_a_url_cannot_hold_is_not_repeated(password: str):
    with pytest.raises(
        JournalError, match=r"with @ and % in a password written as %40 and %25\. Correct EVERGREEN_JOURNAL_URL\.$"
    ) as error:
        Journal(f"postgresql://ann:{password}@127.0.0.1/evergreen")
    assert not any(part in str(error.value) for part in ("ses", "me:", "secret"))
