"""The server's own copies of versions: a worker loads nothing else, and the newest one serves on when the registry is away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.candidate import is_answer
from evergreen.columns import Column, columns_of, describe
from evergreen.errors import StoreError
from evergreen.faults import reach
from evergreen.files import read_json, write_json
from evergreen.prediction import KEY
from evergreen.registry import Registry, stored_digest
from evergreen.serving.worker import Order

POINTER = "last.json"


@dataclass(frozen=True)
class Copy:
    """A version as this server has it, checked against the journal's digests when it was made."""

    order: Order
    artefact: str
    """Digest of the model."""
    columns: tuple[Column, ...]
    since: str
    """When it became champion (ISO, UTC)."""
    decision: str
    """The decision that it serves by; empty where it has none."""


class Copies:
    """The folder of the copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, registry: Registry, number: int, *, since: str, decision: str) -> Copy:
        """Copy a version out of the store, if it is what the journal says.

        Raises
        ------
        StoreError, RegistryError
            It is missing, was tampered with, or cannot be reached.
        """
        with _told():
            return self._make(registry, number, since=since, decision=decision)

    def _make(self, registry: Registry, number: int, *, since: str, decision: str) -> Copy:
        version = registry.version(number)
        described = version.facts.get("columns")
        place = self.folder / f"{number}-{version.artefact[:16]}"
        facts = {
            **{"version": number, "artefact": version.artefact, "evidence": version.evidence, "columns": described},
            **{"trusted": list(version.facts["trusted_types"]), "since": since, "decision": decision},
        }
        if not self._is_whole(place, facts):
            shutil.rmtree(place, ignore_errors=True)
            reach("before a version is copied")
            shutil.copytree(registry.folder(version), place / "model")
            reach("after half a version is copied")
            shutil.copytree(registry.evidence_folder(version), place / "evidence")
            reach("after a version is copied")
        if not self._is_whole(place, facts):
            raise StoreError(f"Version {number} changed while it was copied to {place}. Try again; is the disk sound?")
        write_json(place / "facts.json", facts)
        return self._copy(place, facts)

    def keep(self, copy: Copy, before: Copy | None) -> None:
        """Write down that a copy serves, and remove all others but the one that served before it.

        Raises
        ------
        StoreError
            It cannot be written down.
        """
        with _told():
            self._keep(copy, before)

    def _keep(self, copy: Copy, before: Copy | None) -> None:
        place = copy.order.model.parent
        facts = {"place": place.name, "since": copy.since, "decision": copy.decision}
        write_json(self.folder / POINTER, {**read_json(place / "facts.json"), **facts})
        reach("after it is written down who serves")
        spared = {place, before.order.model.parent if before else place}
        for one in self.folder.iterdir():
            if one.is_dir() and one not in spared:
                shutil.rmtree(one, ignore_errors=True)

    def last(self) -> Copy | None:
        """The copy that served last, if it still is what it was.

        Raises
        ------
        StoreError
            It is not.
        """
        with _told():
            return self._last()

    def _last(self) -> Copy | None:
        if not (self.folder / POINTER).is_file():
            return None
        facts = read_json(self.folder / POINTER)
        place = self.folder / str(facts["place"])
        if not self._is_whole(place, facts):
            raise StoreError(
                f"The copy {place} is not what it was when it was verified. Remove it, and start again when the registry is back."
            )
        return self._copy(place, facts)

    def _copy(self, place: Path, facts: dict[str, Any]) -> Copy:
        order = Order(facts["version"], place / "model", place / "evidence" / "golden.parquet", tuple(facts["trusted"]))
        return Copy(order, facts["artefact"], tuple(columns_of_version(facts, order.golden)), facts["since"], facts["decision"])

    @staticmethod
    def _is_whole(place: Path, facts: dict[str, Any]) -> bool:
        model, evidence = place / "model", place / "evidence"
        if not (model.is_dir() and evidence.is_dir()):
            return False
        return (stored_digest(model), stored_digest(evidence)) == (facts["artefact"], facts["evidence"])


@contextmanager
def _told() -> Iterator[None]:
    """A disk that is full, a folder that cannot be read, a file that somebody has edited: trouble to be told, not the end of a server."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"This server's copies cannot be used ({type(error).__name__}: {error}). Mend the folder or free some space."
        ) from None


def columns_of_version(facts: dict[str, Any], golden: Path) -> list[Column]:
    """What the features of a version looked like in training, by its facts; by its golden rows where these are older than such facts."""
    return columns_of(facts.get("columns") or _described(golden))


def _described(golden: Path) -> list[dict[str, Any]]:
    """The columns of a version that was registered before they were recorded: as its golden rows have them, and any may be missing."""
    rows = pd.read_parquet(golden)
    described = describe(rows[[name for name in rows.columns if name != KEY and not is_answer(name)]])
    return [{**one, "nullable": one["nullable"] or one["kind"] in {"number", "text"}} for one in described]
