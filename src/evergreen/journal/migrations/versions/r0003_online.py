"""What is predicted over HTTP, and versions that a server would not serve."""

import sqlalchemy as sa

from evergreen.journal.migrations.making import make_table, numbers, texts

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make both tables."""
    make_table(
        "served",
        *texts("prediction", "asked_at", "features", "inputs", "answer"),
        *numbers("version"),
        sa.Column("entity", sa.Text, nullable=True),
        unique=("prediction",),
    )
    make_table("refusals", *texts("refusal", "promotion", "reason"), *numbers("version"), unique=("refusal",))
