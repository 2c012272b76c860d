"""The moves of the champion, as the journal has them; answered without MLflow."""

from __future__ import annotations

from typing import Any

from evergreen.journal import Journal, promotions


def unfinished(journal: Journal) -> dict[str, Any] | None:
    """The move that was begun and neither done nor undone."""
    closed = {row["promotion"] for row in journal.rows(promotions) if row["state"] != "intent"}
    return next((row for row in journal.rows(promotions, state="intent") if row["promotion"] not in closed), None)


def history(journal: Journal) -> list[dict[str, Any]]:
    """All moves, oldest first, each with its latest state, the champion before it, who asked for it and why."""
    moves: dict[str, dict[str, Any]] = {}
    for row in journal.rows(promotions):
        moves[row["promotion"]] = row
    return list(moves.values())
