"""The history: append-only tables of what came in, what was decided, what was promoted and what was published.

Rows are only ever added, but for leases, which change, and the log of predictions, which may be emptied (`evergreen.journal.log`). Every
table has a unique key made of content digests, so writing the same thing again changes nothing.
"""

from evergreen.journal.database import Journal
from evergreen.journal.tables import (
    about,
    alerts,
    bars,
    cycles,
    decisions,
    deliveries,
    freezes,
    gaps,
    leases,
    ledger,
    looks,
    overrides,
    owner,
    promotions,
    publications,
    refusals,
    removals,
    served,
    shadowed,
    shadows,
    signals,
    snapshots,
    triggers,
    tunings,
    versions,
)

__all__ = [
    "Journal",
    "about",
    "alerts",
    "bars",
    "cycles",
    "decisions",
    "deliveries",
    "freezes",
    "gaps",
    "leases",
    "ledger",
    "looks",
    "overrides",
    "owner",
    "promotions",
    "publications",
    "refusals",
    "removals",
    "served",
    "shadowed",
    "shadows",
    "signals",
    "snapshots",
    "triggers",
    "tunings",
    "versions",
]
