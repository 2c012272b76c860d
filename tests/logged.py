"""Predictions over HTTP for tests: rows of the log as the server writes them, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pandas as pd

from evergreen.journal import Journal
from evergreen.serving.frames import plain_columns
from evergreen.serving.recorder import write

ASKED = datetime(2026, 1, 5, 12, 0, 0, 5, tzinfo=UTC)
_numbers = count(1)


def put(journal: Journal, rows: pd.DataFrame, said: pd.DataFrame, *, entities: list[Any] | None = None, **how: Any) -> list[str]:
    """Log that a version has answered `said` to `rows`, all in one request; returns the ids."""
    ids = [f"{'a1' * 8}-{next(_numbers):08x}" for _ in range(len(rows))]
    asked, named = how.get("asked", ASKED), entities if entities is not None else [None] * len(rows)
    write(journal, [(ids, named, asked.isoformat(), how.get("version", 1), plain_columns(rows), plain_columns(said))])
    return ids


def put_decisions(journal: Journal, entities: list[Any], decisions: list[Any], *, asked: datetime = ASKED) -> list[str]:
    """Log decisions on things of which nothing but the key matters."""
    rows = pd.DataFrame({"amount": range(len(entities))})
    return put(journal, rows, pd.DataFrame({"decision": decisions, "probability": 0.5}), entities=entities, asked=asked)
