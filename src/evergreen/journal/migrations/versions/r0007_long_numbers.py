"""The log of predictions may come to more rows than PostgreSQL's INTEGER can number; SQLite's has 64 bits anyway."""

from alembic import op

revision = "0007"
down_revision = "0006"
LONG = {"served": ("seq",), "shadowed": ("seq", "served"), "shadows": ("since",), "gaps": ("first", "last", "row_count")}
COUNTED = ("served", "shadowed")
"""Tables whose own numbers may grow so large: what gives them is as short as they are."""


def upgrade() -> None:
    """Have PostgreSQL write each table anew once, with numbers of 64 bits; nobody reads or writes it meanwhile."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, columns in LONG.items():
        op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER COLUMN {column} TYPE BIGINT' for column in columns)}")
    for table in COUNTED:
        op.execute(f"ALTER SEQUENCE {table}_seq_seq AS BIGINT")
