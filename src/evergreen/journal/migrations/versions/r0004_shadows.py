"""Versions that are asked in shadow, and what they said."""

import sqlalchemy as sa

from evergreen.journal.migrations.making import make_table, numbers, texts

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the three tables."""
    optional = [sa.Column(name, sa.Text, nullable=True) for name in ("answer", "fault")]
    make_table("shadows", sa.Column("version", sa.Integer, nullable=True), *numbers("since", "after"), *texts("reason"), unique=("after",))
    make_table("shadowed", *numbers("shadow", "served"), *optional, unique=("shadow", "served"))
    make_table("gaps", *numbers("shadow", "first", "last", "row_count"), unique=("shadow", "first"))
