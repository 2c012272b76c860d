"""The tables since 0.1.0 and before Alembic: looks, a person's words, alerts and signals, triggers, removals, and who works.

Evergreen made what was missing whenever it opened a journal, so a journal in the field has any of them.
"""

from functools import partial

import sqlalchemy as sa
from alembic import op

from evergreen.journal.migrations.making import make_table, numbers, texts

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make those that are missing."""
    make = partial(make_table, unless_there=True)
    prices = [sa.Column(name, sa.Float, nullable=False) for name in ("alpha", "price")]
    make("looks", *texts("look", "pair"), *prices, unique=("look",))
    make(
        "overrides",
        *texts("override", "promotion", "decision", "verdict", "reason", "person", "expires"),
        *numbers("version"),
        sa.Column("checks", sa.JSON),
        unique=("override",),
    )
    make("freezes", *texts("event", "reason", "person"), sa.Column("frozen", sa.Boolean, nullable=False), unique=("event",))
    make(
        "triggers",
        *texts("trigger", "kind", "action", "rule", "reason", "inputs", "window"),
        unique=("trigger", "action", "rule"),
    )
    make("signals", *texts("signal", "kind", "window"), sa.Column("facts", sa.JSON), unique=("signal",))
    make("alerts", *texts("cause", "kind", "text"), *numbers("after"), unique=("cause", "after"))
    make("removals", *texts("removal", "kind", "name", "reason"), unique=("removal",))
    if not sa.inspect(op.get_bind()).has_table("leases"):
        op.create_table("leases", sa.Column("lease", sa.Text, primary_key=True), *numbers("fence", "beat"), *texts("owner"))
