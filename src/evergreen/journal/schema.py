"""Which revision a journal's tables have, and how they get the newest one. Alembic is imported only where there is something to do."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock

import sqlalchemy as sa

from evergreen.errors import JournalError
from evergreen.faults import reach
from evergreen.journal.tables import REVISIONS, SCHEMA, about

HEAD = f"{SCHEMA:04}"
BEFORE_ALEMBIC = 1
"""What `about` says of every journal that has no revision yet."""
_alembic = Lock()
"""Alembic keeps what it works on in its own modules: two threads with two journals would meet there."""


def is_current(connection: sa.Connection) -> bool:
    """Whether the tables have the newest revision that this code knows."""
    return _revision(connection) == HEAD


def bring_up_to_date(connection: sa.Connection, *, name: str) -> None:
    """Give a database the revisions that it lacks, all or none: in the transaction of `connection`, which must be the only writer.

    A journal from before there were revisions keeps what it has.

    Raises
    ------
    JournalError
        It is of a schema that this code does not know; `name` is what the message calls it.
    """
    found = _revision(connection)
    if found == HEAD:
        return  # somebody else did it while we waited
    if found is None:
        told = connection.execute(sa.select(sa.func.max(about.c.schema_version))).scalar() if _has(connection, about.name) else None
        known = told in {None, BEFORE_ALEMBIC}
    else:
        told = int(found) if found.isdecimal() else found
        known = found in {f"{number:04}" for number in range(1, SCHEMA)}
    if not known:
        raise JournalError(
            f"The journal {name} has schema {told}, this version of Evergreen needs {SCHEMA}. "
            "Use the Evergreen that wrote it, or point EVERGREEN_JOURNAL_URL to another database."
        )
    _upgrade(connection)
    # An Evergreen from before Alembic reads this row only, and refuses a journal whose tables it does not know.
    connection.execute(about.insert().values(schema_version=SCHEMA, at=datetime.now(UTC).isoformat()))
    reach("journal.upgraded")


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "evergreen.journal:migrations")
    with _alembic:
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    """The number that Alembic wrote down; None where it has never been."""
    if not _has(connection, REVISIONS):
        return None
    found: str | None = connection.execute(sa.select(sa.table(REVISIONS, sa.column("version_num")).c.version_num)).scalar()
    return found


def _has(connection: sa.Connection, table: str) -> bool:
    return sa.inspect(connection).has_table(table)
