"""What served predictions came to has a kind of its own, and an index leads to the newest of a kind and window."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the index, and rename the kind of those rows; everything else of them stays."""
    op.create_index("signals_newest", "signals", ["kind", "window", "seq"])
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT seq, facts FROM signals WHERE kind = 'realized'"))
    told = [(seq, json.loads(facts) if isinstance(facts, str) else facts) for seq, facts in found]
    served = [{"seq": seq} for seq, facts in told if (facts or {}).get("origin") == "served"]
    if served:
        connection.execute(sa.text("UPDATE signals SET kind = 'realized_served' WHERE seq = :seq"), served)
