"""What a version is asked in shadow, and what it said: questions to the journal that may concern millions of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from evergreen.journal.database import Journal
from evergreen.journal.tables import gaps, served, shadowed, shadows

LACKING, WANTED = "The row has no ", ", which the version in shadow wants."
"""So begins and ends the fault of a row without features that the version wants; one of the model's own begins with its error's name."""


@dataclass(frozen=True)
class Asked:
    """A prediction that was served, and that a version in shadow is asked about."""

    number: int
    """`seq` in `served`."""
    inputs: str
    """The features, as JSON."""


@dataclass(frozen=True)
class Account:
    """What became of the predictions in the log that were served while a version was in shadow: each is in one of the four."""

    scored: int
    failed: int
    """The model had no answer, or the row does not have its features."""
    dropped: int
    """Too many waited."""
    waiting: int
    """They are asked about next; of a version that is in shadow no more: it had ended before they were."""

    @property
    def mirrored(self) -> int:
        """All of them."""
        return self.scored + self.failed + self.dropped + self.waiting


@dataclass(frozen=True)
class Faults:
    """Where a version in shadow had no answer, by whose doing."""

    failed: int
    """Rows at which the model itself failed."""
    newest: str
    """Why it did the last time; empty where it never did."""
    lacking: int
    """Rows without features that it wants: the log has what the version that served wanted. That says nothing of the model."""
    lacks: tuple[str, ...]
    """Names of these features."""


class Pair(NamedTuple):
    """One prediction that was served, and what the version in shadow said of the same row."""

    entity: str | None
    asked_at: str
    version: int
    """Which version served."""
    answer: str
    """What it said, as JSON."""
    shadow: str
    """What the other one said, as JSON."""


def newest_served(journal: Journal) -> int:
    """Number of the newest row of the log; 0 where it is empty."""
    with journal.reading() as connection:
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(served.c.seq), 0))).scalar_one())


def position(journal: Journal, shadow: int, *, since: int) -> int:
    """Up to which row of the log a version in shadow has come; `since` is where it began."""
    with journal.reading() as connection:
        answered = sa.select(sa.func.max(shadowed.c.served)).where(shadowed.c.shadow == shadow)
        skipped = sa.select(sa.func.max(gaps.c.last)).where(gaps.c.shadow == shadow)
        return max(since, *(connection.execute(query).scalar() or 0 for query in (answered, skipped)))


def next_rows(journal: Journal, after: int, *, most: int) -> list[Asked]:
    """The next rows of the log, in the order in which they were written."""
    columns = served.c.seq, served.c.inputs
    query = sa.select(*columns).where(served.c.seq > after).order_by(served.c.seq).limit(most)
    with journal.reading() as connection:
        return [Asked(number, inputs) for number, inputs in connection.execute(query)]


def count_waiting(journal: Journal, after: int) -> int:
    """How many rows of the log come after one."""
    with journal.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(served.c.seq > after)).scalar_one())


def skip(journal: Journal, shadow: int, after: int, *, keep: int) -> tuple[int, int]:
    """Leave out all rows of the log after one but the newest `keep`; the number of the last that is left out, and how many are."""
    with journal.reading() as connection:
        query = sa.select(served.c.seq).where(served.c.seq > after).order_by(served.c.seq.desc()).offset(keep).limit(1)
        last = int(connection.execute(query).scalar_one())
        out = sa.select(sa.func.count()).where(served.c.seq > after, served.c.seq <= last)
        left_out = int(connection.execute(out).scalar_one())
    journal.add(gaps, shadow=shadow, first=after + 1, last=last, row_count=left_out)
    return last, left_out


def account(journal: Journal, shadow: int, *, since: int) -> Account:
    """What became of the predictions that were served since a version is in shadow and until it was no more; removed ones are in none."""
    until = _end(journal, shadow)
    said = shadowed.alias()
    mine = served.outerjoin(said, (said.c.served == served.c.seq) & (said.c.shadow == shadow))
    left_out = sa.exists().where(gaps.c.shadow == shadow, served.c.seq.between(gaps.c.first, gaps.c.last)) & said.c.seq.is_(None)
    dropped = sa.func.coalesce(sa.func.sum(sa.case((left_out, 1), else_=0)), 0)
    # In one question, so that a row which is answered meanwhile is not seen in two places.
    query = sa.select(sa.func.count(served.c.seq), sa.func.count(said.c.answer), sa.func.count(said.c.fault), dropped)
    query = query.select_from(mine).where(served.c.seq > since)
    with journal.reading() as connection:
        found = connection.execute(query if until is None else query.where(served.c.seq <= until)).one()
    total, scored, failed, out = map(int, found)
    return Account(scored, failed, out, waiting=total - scored - failed - out)


def lacking(names: list[str]) -> str:
    """The fault of a row without features that the version in shadow wants; `faults` tells it from the model's own."""
    return f"{LACKING}{', '.join(names)}{WANTED}"


def faults(journal: Journal, shadow: int) -> Faults:
    """How often there was no answer, and why."""
    query = sa.select(shadowed.c.fault).where(shadowed.c.shadow == shadow, shadowed.c.fault.is_not(None))
    is_lacking = sa.func.substr(shadowed.c.fault, 1, len(LACKING)) == LACKING
    own, count = query.where(~is_lacking), sa.func.count()
    rows = query.where(is_lacking).add_columns(count).group_by(shadowed.c.fault).order_by(shadowed.c.fault)
    with journal.reading() as connection:
        failed = int(connection.execute(own.with_only_columns(count)).scalar_one())
        newest = str(connection.execute(own.order_by(shadowed.c.served.desc()).limit(1)).scalar() or "")
        told = {str(fault): int(count) for fault, count in connection.execute(rows)}
    names = (name for fault in told for name in fault.removeprefix(LACKING).removesuffix(WANTED).split(", "))
    return Faults(failed, newest, sum(told.values()), tuple(dict.fromkeys(names)))


def pairs(journal: Journal, shadow: int) -> Iterator[Pair]:
    """What was served beside what was said in shadow, in the order in which it was served."""
    query = (
        sa.select(served.c.entity, served.c.asked_at, served.c.version, served.c.answer, shadowed.c.answer)
        .join_from(shadowed, served, shadowed.c.served == served.c.seq)
        .where(shadowed.c.shadow == shadow, shadowed.c.answer.is_not(None))
        .order_by(served.c.seq)
    )
    with journal.reading() as connection:
        for row in connection.execute(query):
            yield Pair._make(row)


def _end(journal: Journal, shadow: int) -> int | None:
    """Number of the newest row of the log when a version ceased to be in shadow; None while it is."""
    query = sa.select(shadows.c.since).where(shadows.c.seq > shadow).order_by(shadows.c.seq).limit(1)
    with journal.reading() as connection:
        return connection.execute(query).scalar()
