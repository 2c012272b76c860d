"""The history: append-only tables of what came in, what was decided, what was promoted and what was published.

Rows are only ever added. Every table has a unique key made of content digests, so writing the same thing again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from evergreen.errors import JournalError
from evergreen.files import lock

SCHEMA = 1
LOCKED_SECONDS = 30.0
_metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any], unique: tuple[str, ...]) -> sa.Table:
    first = sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True)
    return sa.Table(name, _metadata, first, *columns, _text("at"), sa.UniqueConstraint(*unique, name=f"{name}_once"))


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)


def _maybe(name: str, kind: Any = sa.Text) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


about = _table("about", sa.Column("schema_version", sa.Integer, nullable=False), unique=("schema_version",))
owner = _table("owner", sa.Column("slot", sa.Integer, nullable=False), _text("problem"), unique=("slot",))
"""The problem that this journal belongs to; one row."""
deliveries = _table(
    "deliveries",
    *map(_text, ("source", "name", "delivery", "rules", "outcome", "reason", "stat")),
    *(_maybe("batch"), _maybe("newest"), sa.Column("row_count", sa.Integer), sa.Column("warnings", sa.JSON)),
    sa.Column("after", sa.Integer, nullable=False),
    unique=("source", "name", "delivery", "rules", "after"),
)
"""One judged file. `delivery`: sha256 of its bytes; `rules`: digest of what judged it; `outcome`: published, quarantined or duplicate;
`stat`: size and time of change; `batch`: sha256 of the published parquet; `newest`: newest time in it; `after`: `seq` of the row
before it for the same source and name (0: the first), so that a file that changes back is a delivery of its own."""
snapshots = _table("snapshots", _text("snapshot"), sa.Column("batches", sa.JSON), unique=("snapshot",))
versions = _table(
    "versions",
    *map(_text, ("training_key", "run_id", "snapshot", "artefact", "evidence")),
    *(sa.Column("version", sa.Integer, nullable=False), sa.Column("facts", sa.JSON)),
    unique=("training_key",),
)
"""One registered model. `artefact`: digest of the model's folder; `evidence`: digest of its golden and training rows."""
decisions = _table(
    "decisions",
    *map(_text, ("decision", "training_key", "inputs", "verdict", "snapshot", "data_time")),
    *(sa.Column("candidate", sa.Integer), _maybe("champion", sa.Integer), sa.Column("record", sa.JSON)),
    unique=("decision",),
)
ledger = _table("ledger", *map(_text, ("spend", "data_time", "purpose")), sa.Column("alpha", sa.Float, nullable=False), unique=("spend",))
promotions = _table(
    "promotions",
    *map(_text, ("promotion", "state", "kind", "reason", "person")),
    *(sa.Column("version", sa.Integer, nullable=False), _maybe("champion", sa.Integer), _maybe("anchor", sa.Integer)),
    unique=("promotion", "state"),
)
"""Moves of the aliases: first a row with state "intent", then "done" or "undone". `kind`: promotion, release, rollback."""
bars = _table(
    "bars",
    *map(_text, ("event", "reason", "person")),
    *(sa.Column("version", sa.Integer, nullable=False), sa.Column("barred", sa.Boolean, nullable=False)),
    unique=("event",),
)
tunings = _table(
    "tunings", *map(_text, ("recipe", "tuning")), sa.Column("parameters", sa.JSON), sa.Column("cost", sa.Float), unique=("tuning",)
)
"""Parameters that a search found. `recipe`: digest of the code and the contract that they are parameters of."""
publications = _table(
    "publications",
    *map(_text, ("publication", "partition", "snapshot", "path", "content")),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("version", "row_count", "after")),
    unique=("partition", "publication", "after"),
)
"""What the pointer of a partition was moved to; `after`: `seq` of the row before it for that partition (0: the first)."""
cycles = _table("cycles", _text("cycle"), sa.Column("facts", sa.JSON), unique=("cycle",))
"""Finished rounds of the loop, so that a killed loop goes on where it was."""


class Journal:
    """The append-only history in one database (SQLite, or PostgreSQL by URL).

    Parameters
    ----------
    url
        SQLAlchemy URL. The tables are made at first use, by one process at a time.

    Raises
    ------
    JournalError
        The database cannot be opened, is locked, full or of another schema.
    """

    def __init__(self, url: str) -> None:
        self._name = url.rpartition("@")[2]  # for messages, without a password
        with self._explained():
            self.url = sa.engine.make_url(url)
            self._engine = sa.create_engine(self.url, connect_args={"timeout": LOCKED_SECONDS} if self._sqlite else {})
            if self._sqlite:
                sa.event.listen(self._engine, "connect", _durable_sqlite)
                folder = Path(str(self.url.database)).parent
                with lock(folder / ".journal.lock", holder="the journal"):
                    self._prepare()
            else:
                self._prepare()

    @property
    def _sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def add(self, table: sa.Table, **values: Any) -> bool:
        """Append a row; False when one with the same unique key is already there."""
        return self.add_all([(table, values)])

    def add_all(self, rows: list[tuple[sa.Table, dict[str, Any]]]) -> bool:
        """Append all rows or, when one of them is already there, none (False)."""
        now = datetime.now(UTC).isoformat()
        with self._explained():
            try:
                with self._engine.begin() as connection:
                    for table, values in rows:
                        connection.execute(table.insert().values(at=now, **values))
            except IntegrityError as error:
                if _is_duplicate(error):
                    return False
                raise
        return True

    def rows(self, table: sa.Table, **equal: Any) -> list[dict[str, Any]]:
        """The rows with these values, oldest first."""
        query = sa.select(table).order_by(table.c.seq)
        for column, value in equal.items():
            query = query.where(table.c[column] == value)
        with self._explained(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def last(self, table: sa.Table, **equal: Any) -> dict[str, Any] | None:
        """The newest of those rows."""
        rows = self.rows(table, **equal)
        return rows[-1] if rows else None

    def claim(self, problem: str) -> None:
        """Make the journal belong to a problem.

        Raises
        ------
        JournalError
            It belongs to another one: its versions and decisions would be taken for this one's.
        """
        self.add(owner, slot=1, problem=problem)
        found = self.rows(owner)[0]["problem"]
        if found != problem:
            raise JournalError(
                f"The journal {self._name} belongs to the problem {found!r}, this contract is {problem!r}. "
                "Give it a home of its own with EVERGREEN_HOME, or move the old home away."
            )

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _prepare(self) -> None:
        if self._sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with self._engine.begin() as connection:
            if not self._sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(2013)"))
            _metadata.create_all(connection)
            found = connection.execute(sa.select(about.c.schema_version)).scalars().all()
            if not found:
                connection.execute(about.insert().values(schema_version=SCHEMA, at=datetime.now(UTC).isoformat()))
            elif max(found) != SCHEMA:
                raise JournalError(
                    f"The journal {self._name} has schema {max(found)}, this version of Evergreen needs {SCHEMA}. "
                    "Use the Evergreen that wrote it, or point EVERGREEN_JOURNAL_URL to another database."
                )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            cause = str(error.orig).strip()
            hints = {
                "locked": "Another process is writing to it; end that process or wait, then run again.",
                "full": "Free some space, then run again.",
                "no such": "Another version of Evergreen wrote it: use that one, or another EVERGREEN_HOME.",
            }
            hint = next(
                (text for word, text in hints.items() if word in cause),
                "Check that it can be reached and written, then run again.",
            )
            raise JournalError(f"The journal {self._name} cannot be used: {cause}. Nothing was half-written. {hint}") from error
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise JournalError(f"The journal {self._name} cannot be used: {error}. Check EVERGREEN_JOURNAL_URL and the folder.") from error


def _durable_sqlite(connection: Any, _: Any) -> None:
    """What is committed survives a power cut, not only a killed process."""
    connection.execute("PRAGMA synchronous=FULL")


def _is_duplicate(error: IntegrityError) -> bool:
    return "unique" in str(error.orig).lower()
