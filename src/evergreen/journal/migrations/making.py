"""How a revision makes a table. Revisions say what a table was; `tables.py` says what it is, so they take nothing from it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def make_table(name: str, *columns: sa.Column[Any], unique: tuple[str, ...], unless_there: bool = False) -> None:
    """Make a table with its number `seq`, its time `at` and its unique key; `unless_there` leaves one that exists as it is.

    Only the revisions of the time before Alembic have tables that may be there.
    """
    if unless_there and sa.inspect(op.get_bind()).has_table(name):
        return
    first = sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True)
    op.create_table(name, first, *columns, *texts("at"), sa.UniqueConstraint(*unique, name=f"{name}_once"))


def texts(*names: str) -> list[sa.Column[Any]]:
    """Columns of text that is never missing."""
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def numbers(*names: str) -> list[sa.Column[Any]]:
    """Columns of whole numbers that are never missing."""
    return [sa.Column(name, sa.Integer, nullable=False) for name in names]
