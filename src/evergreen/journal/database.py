"""The database that holds the history: SQLite, or PostgreSQL by URL. Its complaints are told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from evergreen.errors import JournalError, LostError, UnfitRowError, what_helps
from evergreen.faults import reach
from evergreen.files import lock
from evergreen.journal import schema
from evergreen.journal.engine import connect, parse
from evergreen.journal.tables import leases, owner

WRITER = 2013
"""The number of the lock that whoever writes on PostgreSQL holds."""
_held: dict[tuple[str, str], int] = {}
"""The fencing number of each lease that this process holds, by database and name: every row that it adds is checked against it."""


class Journal:
    """The append-only history in one database (SQLite, or PostgreSQL by URL).

    Parameters
    ----------
    url
        SQLAlchemy URL; without a driver PostgreSQL's is psycopg. The tables are made at first use, and those of an earlier version brought
        up to date, by one process at a time.

    Raises
    ------
    JournalError
        The database cannot be opened, is locked, full or of another schema.
    """

    def __init__(self, url: str) -> None:
        self.url = parse(url)
        # for messages: without user, password and options
        self._name = str(sa.URL.create(self.url.drivername, host=self.url.host, port=self.url.port, database=self.url.database))
        with self._explained():
            self._engine = connect(self.url)
            try:
                if not self._is_ready():
                    self._prepare()
            except BaseException:
                self.close()
                raise

    @property
    def _sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def add(self, table: sa.Table, **values: Any) -> bool:
        """Append a row; False when one with the same unique key is already there."""
        return self.add_all([(table, values)])

    def add_all(self, rows: list[tuple[sa.Table, dict[str, Any]]]) -> bool:
        """Append all rows or, when one of them is already there, none (False).

        Raises
        ------
        LostError
            This process held a lease, and another one has taken it over: nothing was written.
        """
        now = datetime.now(UTC).isoformat()
        names = dict.fromkeys(table.name for table, _ in rows)
        with self._explained():
            try:
                with self._writing() as connection:
                    for table, values in rows:
                        connection.execute(table.insert().values(at=now, **_storable(values)))
                    self._insist(connection)
                    reach(f"before {' and '.join(names)}")
            except IntegrityError as error:
                if _is_duplicate(error):
                    return False
                raise
        reach(f"after {' and '.join(names)}")
        return True

    def add_new(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Append many rows in one transaction, without those that are already there.

        Raises
        ------
        UnfitRowError
            One of them is refused, for what it is: none was written.
        """
        now = datetime.now(UTC).isoformat()
        insert = sqlite.insert if self._sqlite else postgresql.insert
        with self._explained(), self._writing() as connection:
            try:
                connection.execute(insert(table).on_conflict_do_nothing(), [{"at": now, **_storable(row)} for row in rows])
            except (IntegrityError, DataError) as error:
                raise UnfitRowError(f"The journal {self._name} refuses what it was to keep: {_cause(error)}.") from error
            self._insist(connection)

    def rows(self, table: sa.Table, **equal: Any) -> list[dict[str, Any]]:
        """The rows with these values, oldest first."""
        with self._explained(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(_chosen(table, equal).order_by(table.c.seq)).mappings()]

    def last(self, table: sa.Table, **equal: Any) -> dict[str, Any] | None:
        """The newest of those rows."""
        with self._explained(), self._engine.connect() as connection:
            row = connection.execute(_chosen(table, equal).order_by(table.c.seq.desc()).limit(1)).mappings().first()
            return dict(row) if row else None

    def latest(self, table: sa.Table, by: str, **equal: Any) -> dict[Any, dict[str, Any]]:
        """The newest of those rows for each value of the column `by`, by that value, oldest first; one question to the database."""
        numbers = sa.select(sa.func.max(table.c.seq)).where(*_are(table, equal)).group_by(table.c[by])
        with self._explained(), self._engine.connect() as connection:
            chosen = sa.select(table).where(table.c.seq.in_(numbers)).order_by(table.c.seq)
            return {row[by]: dict(row) for row in connection.execute(chosen).mappings()}

    def newest(self, table: sa.Table, count: int, **equal: Any) -> list[dict[str, Any]]:
        """The newest so many of those rows, oldest first."""
        with self._explained(), self._engine.connect() as connection:
            chosen = _chosen(table, equal).order_by(table.c.seq.desc()).limit(count)
            return [dict(row) for row in connection.execute(chosen).mappings()][::-1]

    def count(self, table: sa.Table, *by: str, **equal: Any) -> dict[tuple[Any, ...], int]:
        """How many rows with these values there are, by what stands in some columns; the database counts them."""
        columns = [table.c[name] for name in by]
        query = sa.select(sa.func.count(), *columns).where(*_are(table, equal))
        with self._explained(), self._engine.connect() as connection:
            return {tuple(key): int(rows) for rows, *key in connection.execute(query.select_from(table).group_by(*columns))}

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

    def lease(self, name: str) -> dict[str, Any] | None:
        """Who has a lease, and what it was last seen doing; None before anybody had it."""
        with self._explained(), self._engine.connect() as connection:
            row = connection.execute(sa.select(leases).where(leases.c.lease == name)).mappings().first()
            return dict(row) if row else None

    def take(self, name: str, me: str, *, seen: dict[str, Any] | None) -> bool:
        """Take a lease that nobody has, or whose owner has not stirred since it was `seen`; False when it is another's."""
        free = leases.c.owner == ""
        still = (leases.c.fence == seen["fence"]) & (leases.c.beat == seen["beat"]) if seen else free
        change = leases.update().where(leases.c.lease == name, free | still).values(fence=leases.c.fence + 1, beat=0, owner=me)
        with self._explained():
            try:
                with self._writing() as connection:
                    if not connection.execute(change).rowcount:
                        connection.execute(leases.insert().values(lease=name, fence=1, beat=0, owner=me))
                    fence = connection.execute(sa.select(leases.c.fence).where(leases.c.lease == name)).scalar_one()
            except IntegrityError:
                return False
        _held[str(self.url), name] = fence
        return True

    def beat(self, name: str) -> bool:
        """Show that the owner of a lease, this process, lives; False when another has taken it over."""
        change = leases.update().where(leases.c.lease == name, leases.c.fence == _held[str(self.url), name])
        with self._explained(), self._writing() as connection:
            return bool(connection.execute(change.values(beat=leases.c.beat + 1)).rowcount)

    def give_back(self, name: str) -> None:
        """Let others have a lease."""
        fence = _held.pop((str(self.url), name))
        with self._explained(), self._writing() as connection:
            connection.execute(leases.update().where(leases.c.lease == name, leases.c.fence == fence).values(owner=""))

    def holds(self, name: str) -> bool:
        """Whether this process has taken a lease and not given it back."""
        return (str(self.url), name) in _held

    def insist(self) -> None:
        """See that nobody has taken over what this process holds; for whoever is about to change something outside the journal.

        Raises
        ------
        LostError
            Somebody has.
        """
        with self._explained(), self._engine.connect() as connection:
            self._insist(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for questions that `rows` cannot ask; a long answer is not held in memory as a whole."""
        with self._explained(), self._engine.connect() as connection:
            yield connection.execution_options(yield_per=10_000)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction for what `add` cannot do; refused like one of its rows when this process has lost a lease."""
        with self._explained(), self._writing() as connection:
            yield connection
            self._insist(connection)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _is_ready(self) -> bool:
        """Whether there is nothing to prepare; no lock is needed to see it."""
        if self._sqlite and not Path(str(self.url.database)).is_file():
            return False  # to ask would make an empty one
        with self._engine.connect() as connection:
            if self._sqlite and connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                return False
            return schema.is_current(connection)

    def _prepare(self) -> None:
        folder = Path(str(self.url.database)).parent
        with lock(folder / ".journal.lock", holder="the journal") if self._sqlite else nullcontext():
            if self._sqlite:
                with self._engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with self._writing() as connection:
                schema.bring_up_to_date(connection, name=self._name)

    def _insist(self, connection: sa.Connection) -> None:
        for (url, name), fence in _held.copy().items():  # another thread may take one meanwhile
            if url == str(self.url):
                found = connection.execute(sa.select(leases.c.fence, leases.c.owner).where(leases.c.lease == name)).one()
                if found.fence != fence:
                    raise LostError(
                        f"Another process took over while this one did not stir (lease {name}, number {found.fence}, ours was {fence}). "
                        "What this one was about to write was refused; the other one does it."
                    )

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction of the only writer, as every one of SQLite's is: rows become visible in the order of their `seq`."""
        with self._engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # else Python begins at the first row, and no table is a part of it
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER)))
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            cause = _cause(error)
            hint = what_helps(cause, program="Evergreen", setting="EVERGREEN_HOME")
            if "FATAL" in cause:  # PostgreSQL's word for a connection that it refuses
                hint = "Check EVERGREEN_JOURNAL_URL and the server, then run again."
            raise JournalError(f"The journal {self._name} cannot be used: {cause}. Nothing was half-written. {hint}") from error
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise JournalError(f"The journal {self._name} cannot be used: {error}. Check EVERGREEN_JOURNAL_URL and the folder.") from error


def _chosen(table: sa.Table, equal: dict[str, Any]) -> sa.Select[Any]:
    return sa.select(table).where(*_are(table, equal))


def _are(table: sa.Table, equal: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == value for column, value in equal.items()]


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL's text has no NUL; the reason why a damaged file was refused may quote one."""
    return {name: value.replace("\0", "\N{SYMBOL FOR NULL}") if isinstance(value, str) else value for name, value in values.items()}


def _cause(error: DBAPIError) -> str:
    """What the database said, in one line; of PostgreSQL's words without the statement."""
    told = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
    return "; ".join(" ".join(line.split()) for line in told.strip().splitlines()).rstrip(".?")


def _is_duplicate(error: IntegrityError) -> bool:
    """Whether a table's own unique key was hit; a clash of `seq` is a damaged database, not a row that is there already."""
    if told := getattr(error.orig, "diag", None):
        return str(told.constraint_name).endswith("_once")
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE"
