"""The kinds of what `signals` has about models in service; in a module of their own, for whoever only reads must not load what measures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

ESTIMATE, STALENESS, FEATURES = "estimate", "staleness", "features"
PUBLISHED, SERVED = "published", "served"
"""Where predictions were given: with a partition, or over HTTP."""
REALIZED = {PUBLISHED: "realized", SERVED: "realized_served"}
"""What predictions came to, by where they were given."""
SERVED_LATELY = timedelta(days=7)
"""Served features are held against the data for so long: what was mended before is over."""


def of_version(facts: dict[str, Any] | None, version: int | None) -> dict[str, Any] | None:
    """What a version's own predictions came to, of the facts of a realized window; None where none of them has an outcome.

    While versions follow each other, a window has rows of several.
    """
    if not facts or not facts["rows"]:
        return None
    several = facts.get("by_version") or {}
    if several:
        return several.get(str(version))
    return facts if facts["version"] == version else None
