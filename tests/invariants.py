"""What holds in a home at any moment, whatever was cut short; and what two homes that have come to the same share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from commands import Home

from evergreen.data.publishing import read_published
from evergreen.files import read_json
from evergreen.registry import stored_digest


def check_same(state: dict[str, Any], reference: dict[str, Any]) -> None:
    """See that two homes have come to the same, part by part."""
    for part, value in reference.items():
        assert state[part] == value, f"{part}: {state[part]} instead of {value}"


def check_consistent(home: Home) -> None:
    """What holds at any moment, whatever was cut short."""
    for database in ("journal.db", "mlflow.db"):
        assert query(home, database, "PRAGMA integrity_check") in ([("ok",)], [])
    _check_versions(home)
    _check_champion(home)
    decided = query(home, "journal.db", "SELECT candidate FROM decisions")
    assert len(query(home, "journal.db", "SELECT seq FROM ledger")) == len(decided)
    for batch in home.var.glob("batches/*/*.parquet"):
        assert hashlib.sha256(batch.read_bytes()).hexdigest() == batch.stem
    for pointer in home.var.glob("predictions/*/current.json"):
        assert len(read_published(home.var, pointer.parent.name.removeprefix("dt="))) == read_json(pointer)["rows"]
    for file in visible(home):
        _check_whole(file)


def visible(home: Home) -> Iterator[Path]:
    """Every file of ours under its final name: not what others deliver, nor what MLflow and Prefect write as they like."""
    for file in home.var.rglob("*"):
        parts = file.relative_to(home.var).parts
        theirs = parts[0] in {"landing", "mlartifacts", "prefect"} or "delivered" in parts
        if file.is_file() and not theirs and not any(part.startswith(".") for part in parts):
            yield file


def query(home: Home, database: str, sql: str) -> list[tuple[Any, ...]]:
    """What a database says, opened as the next command opens it: what a killed one had not committed is gone, be it the tables."""
    file = home.var / database
    if not file.exists():
        return []
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def _check_versions(home: Home) -> None:
    """One version for each training, in MLflow and in the journal; what the journal has is stored as it says."""
    shown = query(home, "mlflow.db", "SELECT value, version FROM model_version_tags WHERE key = 'training_key'")
    known = query(home, "journal.db", "SELECT training_key, version, artefact, facts FROM versions")
    assert len({key for key, _ in shown}) == len(shown)
    assert len({key for key, *_ in known}) == len(known)
    for _, version, artefact, facts in known:
        folder = Path(json.loads(facts)["model_uri"].removeprefix("file://"))
        assert stored_digest(folder) == artefact, version


def _check_champion(home: Home) -> None:
    """MLflow's champion is the journal's; while a move is under way it may be the new one already."""
    moves = query(home, "journal.db", "SELECT promotion, state, version FROM promotions ORDER BY seq")
    closed = {move for move, state, _ in moves if state != "intent"}
    serves = [version for _, state, version in moves if state == "done"][-1:]
    under_way = [version for move, _, version in moves if move not in closed]
    assert len(under_way) <= 1
    shown = [version for (version,) in query(home, "mlflow.db", "SELECT version FROM registered_model_aliases WHERE alias = 'champion'")]
    assert shown in ((serves, under_way) if under_way else (serves,)), (shown, serves, under_way)


def _check_whole(file: Path) -> None:
    if file.suffix == ".json":
        json.loads(file.read_text())
    elif file.suffix == ".parquet":
        pd.read_parquet(file)
    elif file.suffix == ".html":
        assert file.read_text().rstrip().endswith("</html>"), file
