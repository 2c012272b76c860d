"""Registered versions, and what was decided and moved earlier, for tests of who may move the champion."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from candidates import toy_candidate, toy_registry

from evergreen.journal import Journal, database, decisions, promotions
from evergreen.registry import Registry

BROKEN = 4
PASSED = {"finite": "pass", "parity": "pass", "hygiene": "pass"}


def four_versions(home: Path) -> Registry:
    """Versions 1 to 3, and version 4, which does not reproduce its golden rows."""
    registry = toy_registry(home)
    for number in (1, 2, 3):
        registry.register(toy_candidate(f"version {number}", days=7 + number))
    assert registry.register(toy_candidate("broken", golden_error=0.1)).number == BROKEN
    return registry


def before_any_move(registry: Registry) -> Registry:
    """The same registry before anything was decided or promoted."""
    with sqlite3.connect(registry.settings.root / "journal.db") as database:
        for table in ("promotions", "bars", "freezes", "overrides", "decisions"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - the tests' own words
    for alias in registry.aliases():
        registry.set_alias(alias, None)
    return registry


def given(registry: Registry, *, champion: int, previous: int | None, anchor: int, move: str = "earlier") -> None:
    """A move that was made earlier."""
    row = {"version": champion, "champion": previous, "anchor": anchor, "kind": "promotion", "reason": "earlier", "person": "ci"}
    registry.journal.add(promotions, promotion=move, state="intent", **row)
    registry.journal.add(promotions, promotion=move, state="done", **row)
    for alias, number in {"champion": champion, "previous": previous, "anchor": anchor}.items():
        registry.set_alias(alias, number)


def begun(registry: Registry, version: int, *, champion: int | None, anchor: int, kind: str = "promotion") -> None:
    """A move of which a kill left only the intent."""
    row = {"version": version, "champion": champion, "anchor": anchor, "kind": kind, "reason": "cheaper", "person": "gate"}
    registry.journal.add(promotions, promotion="cut short", state="intent", **row)


def judged(registry: Registry, version: int, verdict: str, *, champion: int | None = 1, **outcomes: str) -> dict[str, Any]:
    """A decision of the gate, with the outcomes of some checks; returns its record."""
    name = f"decision {len(registry.journal.rows(decisions))}"
    record = {
        **{"decision": name, "verdict": verdict, "headline": f"Version {version} is judged.", "rebase_anchor": True},
        "candidate": {"version": version},
        "champion": {"version": champion} if champion else None,
        "findings": [{"check": check, "outcome": outcome} for check, outcome in outcomes.items()],
    }
    row = {"decision": name, "training_key": f"version {version}", "inputs": name, "snapshot": "s", "data_time": "t"}
    registry.journal.add(decisions, **row, verdict=verdict, candidate=version, champion=champion, record=record)
    return record


@contextmanager
def under_way(journal: Journal) -> Iterator[None]:
    """Somebody else is moving the champion, and stirs."""
    assert journal.take("promotion", "elsewhere 1", seen=journal.lease("promotion"))
    name = (str(journal.url), "promotion")
    number = database._held.pop(name)  # it is not this process that works
    yield
    database._held[name] = number
    journal.give_back("promotion")
