"""Predictions over HTTP for tests: rows of the log as the server writes them, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import pandas as pd

from evergreen.journal import Journal, shadowed
from evergreen.journal.mirror import next_rows, position
from evergreen.serving.frames import plain_columns
from evergreen.serving.recorder import write
from evergreen.shadows import newest

ASKED = datetime(2026, 1, 5, 12, 0, 0, 5, tzinfo=UTC)
_numbers = count(1)


def put(journal: Journal, rows: pd.DataFrame, said: pd.DataFrame, *, entities: list[Any] | None = None, **how: Any) -> list[str]:
    """Log that a version has answered `said` to `rows`, all in one request; returns the ids."""
    ids = [f"{'a1' * 8}-{next(_numbers):08x}" for _ in range(len(rows))]
    asked, named = how.get("asked", ASKED), entities if entities is not None else [None] * len(rows)
    write(journal, [(ids, named, asked.isoformat(), how.get("version", 1), plain_columns(rows), plain_columns(said))])
    return ids


def put_decisions(journal: Journal, entities: list[Any], decisions: list[Any], *, asked: datetime = ASKED, version: int = 1) -> list[str]:
    """Log decisions on things of which nothing but the key matters."""
    rows = pd.DataFrame({"amount": range(len(entities))})
    said = pd.DataFrame({"decision": decisions, "probability": 0.5})
    return put(journal, rows, said, entities=entities, asked=asked, version=version)


def put_shadowed(journal: Journal, answers: list[dict[str, Any] | str]) -> None:
    """Log what the version in shadow says of the next rows of the log: an answer, or in a word why there is none."""
    shadow = newest(journal)
    assert shadow is not None
    rows = next_rows(journal, position(journal, shadow.number, since=shadow.since), most=len(answers))
    assert len(rows) == len(answers)
    said = [(None, one) if isinstance(one, str) else (orjson.dumps(one).decode(), None) for one in answers]
    told = [
        {"shadow": shadow.number, "served": row.number, "answer": one, "fault": why} for row, (one, why) in zip(rows, said, strict=True)
    ]
    journal.add_new(shadowed, told)
