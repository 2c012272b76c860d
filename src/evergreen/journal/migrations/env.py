"""What Alembic runs its revisions in: the connection, and the transaction, of whoever opens the journal. Alembic alone reads this file."""

from alembic import context

from evergreen.faults import reach
from evergreen.journal.tables import REVISIONS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=REVISIONS,
    on_version_apply=lambda step, **_: reach(f"journal.revision.{step.up_revision_id}"),
)
context.run_migrations()
