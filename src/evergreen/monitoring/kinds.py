"""The kinds of what `signals` has about models in service; in a module of their own, for whoever only reads must not load what measures."""

from __future__ import annotations

ESTIMATE, STALENESS, FEATURES = "estimate", "staleness", "features"
PUBLISHED, SERVED = "published", "served"
"""Where predictions were given: with a partition, or over HTTP."""
REALIZED = {PUBLISHED: "realized", SERVED: "realized_served"}
"""What predictions came to, by where they were given."""
