"""What was found of each delivery's health, and batches that a person has taken back."""

import sqlalchemy as sa

from evergreen.journal.migrations.making import make_table, numbers, texts

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the two tables."""
    make_table("checkups", *texts("checkup", "source", "name", "delivery"), sa.Column("facts", sa.JSON), unique=("checkup",))
    revoked = sa.Column("revoked", sa.Boolean, nullable=False)
    make_table("revocations", *texts("batch", "reason", "person"), revoked, *numbers("after"), unique=("batch", "after"))
