"""Rows that come from many people: one that the journal refuses for what it is must not keep the others out."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from evergreen.errors import UnfitRowError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from evergreen.journal.database import Journal

MOST_TRIES = 100
"""When the journal has refused so many parts of what was to be added and taken none, it is not these rows that are wrong."""
Row = dict[str, Any]


def add_each(journal: Journal, table: sa.Table, rows: list[Row]) -> list[tuple[Row, str]]:
    """Append rows, together where that can be done; without those that are already there.

    Returns
    -------
    list
        The rows that were refused, each with the reason.

    Raises
    ------
    UnfitRowError
        The journal refuses all of several rows: nothing was written, and it is not these rows that are wrong.
    """
    waiting, refused = deque([rows] if rows else []), list[tuple[Row, str]]()
    failed, is_any_kept = 0, False
    while waiting:
        part = waiting.popleft()
        try:
            journal.add_new(table, part)
            is_any_kept = True
        except UnfitRowError as error:
            failed += 1
            half = len(part) // 2
            if half:
                waiting += [part[:half], part[half:]]
            else:
                refused.append((part[0], str(error)))
            if len(rows) > 1 and not is_any_kept and (failed == MOST_TRIES or len(refused) == len(rows)):
                raise
    return refused
