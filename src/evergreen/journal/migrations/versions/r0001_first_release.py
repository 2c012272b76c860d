"""The tables of Evergreen 0.1.0. Its journals have them all, those whose making was cut short some of them."""

from functools import partial

import sqlalchemy as sa

from evergreen.journal.migrations.making import make_table, numbers, texts

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make those that are missing."""
    make = partial(make_table, unless_there=True)
    make("about", *numbers("schema_version"), unique=("schema_version",))
    make("owner", *numbers("slot"), *texts("problem"), unique=("slot",))
    make(
        "deliveries",
        *texts("source", "name", "delivery", "rules", "outcome", "reason", "stat"),
        sa.Column("batch", sa.Text),
        sa.Column("newest", sa.Text),
        sa.Column("row_count", sa.Integer),
        sa.Column("warnings", sa.JSON),
        *numbers("after"),
        unique=("source", "name", "delivery", "rules", "after"),
    )
    make("snapshots", *texts("snapshot"), sa.Column("batches", sa.JSON), unique=("snapshot",))
    make(
        "versions",
        *texts("training_key", "run_id", "snapshot", "artefact", "evidence"),
        *numbers("version"),
        sa.Column("facts", sa.JSON),
        unique=("training_key",),
    )
    make(
        "decisions",
        *texts("decision", "training_key", "inputs", "verdict", "snapshot", "data_time"),
        sa.Column("candidate", sa.Integer),
        sa.Column("champion", sa.Integer),
        sa.Column("record", sa.JSON),
        unique=("decision",),
    )
    make("ledger", *texts("spend", "data_time", "purpose"), sa.Column("alpha", sa.Float, nullable=False), unique=("spend",))
    _make_moves_and_results()


def _make_moves_and_results() -> None:
    make = partial(make_table, unless_there=True)
    make(
        "promotions",
        *texts("promotion", "state", "kind", "reason", "person"),
        *numbers("version"),
        sa.Column("champion", sa.Integer),
        sa.Column("anchor", sa.Integer),
        unique=("promotion", "state"),
    )
    barred = sa.Column("barred", sa.Boolean, nullable=False)
    make("bars", *texts("event", "reason", "person"), *numbers("version"), barred, unique=("event",))
    make("tunings", *texts("recipe", "tuning"), sa.Column("parameters", sa.JSON), sa.Column("cost", sa.Float), unique=("tuning",))
    make(
        "publications",
        *texts("publication", "partition", "snapshot", "path", "content"),
        *numbers("version", "row_count", "after"),
        unique=("partition", "publication", "after"),
    )
    make("cycles", *texts("cycle"), sa.Column("facts", sa.JSON), unique=("cycle",))
