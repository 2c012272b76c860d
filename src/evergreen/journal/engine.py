"""How a journal's database is connected to: SQLite that survives a power cut, PostgreSQL that is not waited for without end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from evergreen.errors import JournalError

LOCKED_SECONDS = 60.0
ANSWER_SECONDS = 10
"""How long a server may take to answer; a firewall that drops what it is sent never does."""


def parse(url: str) -> sa.URL:
    """The parts of a journal's URL; without a driver PostgreSQL's is psycopg.

    Raises
    ------
    JournalError
        It is none.
    """
    found: sa.URL | None = None
    with suppress(SQLAlchemyError, ValueError):
        found = sa.make_url(url)
    # Nothing of it is repeated: an @ behind the first one makes host or database a part of the password.
    if found is None or (found.host and "@" in f"{found.host}{found.database}"):
        raise JournalError(
            "The journal's URL cannot be used: expected sqlite:////folder/journal.db or postgresql://user:password@host/database, "
            "with @ and % in a password written as %40 and %25. Correct EVERGREEN_JOURNAL_URL."
        )
    return found.set(drivername="postgresql+psycopg") if found.drivername in {"postgres", "postgresql"} else found


def connect(url: sa.URL) -> sa.Engine:
    """What makes connections to a database."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": LOCKED_SECONDS})
        sa.event.listen(engine, "connect", _durable_sqlite)
        return engine
    # What the URL says goes first. Between two rounds of a loop the server may restart: an idle connection is tried before it is used.
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": ANSWER_SECONDS}
    engine = sa.create_engine(url, connect_args=patience, pool_pre_ping=True)
    sa.event.listen(engine, "connect", _patient_postgresql)
    return engine


def _durable_sqlite(connection: Any, _: Any) -> None:
    """What is committed survives a power cut, not only a killed process."""
    connection.execute("PRAGMA synchronous=FULL")


def _patient_postgresql(connection: Any, _: Any) -> None:
    """Wait for another writer as long as on SQLite, not for ever."""
    connection.execute(f"SET lock_timeout = {int(LOCKED_SECONDS * 1000)}")
    connection.commit()
