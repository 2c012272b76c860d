"""The log of what was predicted over HTTP, which may have millions of rows: what is asked of it, and how it is emptied.

With what a version in shadow said of its rows it is the only table besides `leases` that loses rows (docs/decisions/0014).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evergreen.errors import JournalError
from evergreen.faults import reach
from evergreen.files import digest_text
from evergreen.journal.database import Journal
from evergreen.journal.tables import removals, served, shadows

KIND = "served"
"""What `removals` calls rows of the log."""
AT_ONCE = 50_000
"""So many rows are removed in one transaction: whoever wants to write waits for a second or two, not for a minute."""

ORPHANS = "DELETE FROM shadowed WHERE NOT EXISTS (SELECT 1 FROM served WHERE served.seq = shadowed.served)"
"""Whoever asks in shadow may have written down an answer to a row that was removed meanwhile: it goes with the next ones."""


@dataclass(frozen=True)
class Share:
    """A part of the log."""

    rows: int
    megabytes: float
    """Of the texts in it."""
    until: str
    """When the last of them was asked (ISO, UTC)."""


def is_empty(journal: Journal) -> bool:
    """Whether nothing was served, or all of it has been removed."""
    with journal.reading() as connection:
        return connection.execute(served.select().with_only_columns(served.c.seq).limit(1)).first() is None


def count(journal: Journal) -> int:
    """How many predictions are in the log."""
    with journal.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM served").scalar_one())


@dataclass(frozen=True)
class Answered:
    """What a version has in the log."""

    version: int
    rows: int
    since: str
    until: str
    """When the first and the last of them were asked (ISO, UTC)."""


def by_version(journal: Journal) -> tuple[Answered, ...]:
    """How many predictions of each version are in the log, and since when; the database counts them."""
    query = "SELECT version, count(*), min(asked_at), max(asked_at) FROM served GROUP BY version ORDER BY version"
    with journal.reading() as connection:
        return tuple(Answered(*row) for row in connection.exec_driver_sql(query))


def beginning_with(journal: Journal, text: str, *, most: int) -> list[str]:
    """The first ids that begin so, by the index."""
    column = served.c.prediction
    query = served.select().with_only_columns(column).where(column >= text, column.startswith(text, autoescape=True)).order_by(column)
    with journal.reading() as connection:
        return [row.prediction for row in connection.execute(query.limit(most))]


def find(journal: Journal, prediction: str) -> dict[str, Any]:
    """The row of a prediction.

    Raises
    ------
    JournalError
        There is none; names those whose ids are nearest, or the newest.
    """
    if rows := journal.rows(served, prediction=prediction):
        return rows[0]
    near = like(journal, prediction)
    newest = _some(journal, served.select().order_by(served.c.seq.desc()))
    told = f"The nearest: {', '.join(near)}." if near else f"The newest: {', '.join(newest)}." if newest else "Nothing is in the log."
    gone = journal.last(removals, kind=KIND)
    why = f" Others were removed: {gone['name']}, {gone['reason']}." if gone else ""
    raise JournalError(f"There is no prediction {prediction!r} in the log. {told}{why} An answer over HTTP names its id, prediction_id.")


def with_entity(journal: Journal) -> Iterator[tuple[str, str, str, int]]:
    """Entity, time asked, answer (JSON) and version of each prediction that names what it is about, in the order they were written."""
    with journal.reading() as connection:
        # As plain text: SQLAlchemy's own statement makes a million rows take three times as long.
        for row in connection.exec_driver_sql("SELECT entity, asked_at, answer, version FROM served WHERE entity IS NOT NULL ORDER BY seq"):
            yield row._t


def newest(journal: Journal, *, most: int) -> list[dict[str, Any]]:
    """The newest rows that name what they are about, at most so many, newest first."""
    chosen = served.select().where(served.c.entity.is_not(None)).order_by(served.c.seq.desc()).limit(most)
    with journal.reading() as connection:
        return [dict(row) for row in connection.execute(chosen).mappings()]


def share_before(journal: Journal, end: datetime) -> Share | None:
    """What was asked before `end`; None when nothing was."""
    texts = "length(prediction) + length(asked_at) + length(features) + length(inputs) + length(answer) + coalesce(length(entity), 0)"
    query = f"SELECT count(*), sum({texts}), max(asked_at) FROM served WHERE asked_at < "  # noqa: S608 - nothing of it comes from outside
    with journal.reading() as connection:
        rows, size, until = connection.exec_driver_sql(f"{query}'{_moment(end)}'").one()
    return Share(rows, float(size) / 1e6, until) if rows else None


def remove_before(journal: Journal, end: datetime, *, reason: str) -> int:
    """Remove what was asked before `end`, so many rows at a time, each time with a row in `removals` that says how many until when.

    What was said of these rows in shadow goes with them.
    """
    gone, old = 0, served.c.asked_at < _moment(end)
    numbers = served.select().with_only_columns(served.c.seq).where(old).order_by(served.c.seq)
    ends = served.select().with_only_columns(served.c.prediction, served.c.asked_at).order_by(served.c.asked_at.desc())
    while True:
        with journal.writing() as connection:
            if journal.url.get_backend_name() == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")  # else the inputs stay in the file until something overwrites them
            last = connection.execute(numbers.offset(AT_ONCE - 1).limit(1)).scalar()
            part = old if last is None else old & (served.c.seq <= last)
            newest = connection.execute(ends.where(part).limit(1)).first()
            if newest is None:
                return gone
            before = _newest(connection)
            taken = connection.execute(served.delete().where(part)).rowcount
            connection.exec_driver_sql(ORPHANS if last is None else f"{ORPHANS} AND served <= {int(last)}")
            if (now := _newest(connection)) < before and journal.url.get_backend_name() == "sqlite":
                _begin_again(connection, now)
            name = f"{taken:,} prediction{'' if taken == 1 else 's'} asked until {newest.asked_at:.19}"
            row = {"removal": digest_text("removal", KIND, newest.prediction), "kind": KIND, "name": name, "reason": reason}
            connection.execute(removals.insert().values(at=datetime.now(UTC).isoformat(), **row))
            reach("clean: before a part of the log is removed")
        reach("clean: after a part of the log is removed")
        gone += taken


def _newest(connection: Any) -> int:
    return int(connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM served").scalar_one())


def _begin_again(connection: Any, newest: int) -> None:
    """Have the version in shadow begin anew: SQLite gives the numbers of the newest rows, if they go, to the next ones."""
    row = connection.execute(shadows.select().order_by(shadows.c.seq.desc()).limit(1)).mappings().first()
    if row is not None and row["version"] is not None:
        words = {"version": row["version"], "reason": row["reason"], "at": datetime.now(UTC).isoformat()}
        connection.execute(shadows.insert().values(since=newest, after=row["seq"], **words))


def _moment(time: datetime) -> str:
    """A time as `asked_at` has it: texts in one zone, so their order is that of the times."""
    return time.astimezone(UTC).isoformat()


def like(journal: Journal, prediction: str) -> list[str]:
    """The ids that begin as this one does: its neighbours in order, by the index."""
    column = served.c.prediction
    after = _some(journal, served.select().where(column >= prediction).order_by(column))
    before = _some(journal, served.select().where(column < prediction).order_by(column.desc()))
    from difflib import get_close_matches

    return get_close_matches(prediction, [*after, *before], n=3, cutoff=0.7)


def _some(journal: Journal, query: Any) -> list[str]:
    with journal.reading() as connection:
        return [row.prediction for row in connection.execute(query.with_only_columns(served.c.seq, served.c.prediction).limit(3))]
