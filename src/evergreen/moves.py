"""The moves of the champion, as the journal has them; answered without MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evergreen.journal import Journal, promotions


@dataclass(frozen=True)
class Standing:
    """Which version serves, which one to roll back to, and the best champion so far."""

    champion: int | None = None
    previous: int | None = None
    anchor: int | None = None


def standing(journal: Journal) -> Standing:
    """What the journal says; answered without MLflow."""
    done = journal.last(promotions, state="done")
    return Standing(done["version"], done["champion"], done["anchor"]) if done else Standing()


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


def served_by(journal: Journal) -> str:
    """The move by which the champion serves; empty without a champion."""
    done = journal.last(promotions, state="done")
    return str(done["promotion"]) if done else ""
