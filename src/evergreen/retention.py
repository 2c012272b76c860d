"""What a home need not keep: old things that no alias, no recent decision, no version a person may want, and no figure rests on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen import journal as tables
from evergreen import shadows
from evergreen.backups import backup_lock
from evergreen.brakes import one_move_at_a_time
from evergreen.data.checkups import profile_path
from evergreen.data.landing import active
from evergreen.data.publishing import POINTER
from evergreen.errors import StoreError
from evergreen.faults import reach
from evergreen.files import digest_text, read_json
from evergreen.gate.finding import Verdict
from evergreen.journal import log
from evergreen.leases import single_flight
from evergreen.provenance import provenance_digests
from evergreen.registry import cache_name, local_folder
from evergreen.revocations import taken_back
from evergreen.status import in_quarantine
from evergreen.workspace import Workspace

LEFT_BEHIND = timedelta(days=1)
"""A file that no row names and that has lain still for so long belongs to a run that was killed."""
WHY = {
    "model": "refused or never judged, long ago",
    "evidence": "what a version said of a holdout that is long decided on",
    "prediction": "later predictions say all that it said",
    "batch": "another delivery took its place, and no kept version was made from it",
    "quarantine": "the refused file; another delivery took its place, and its page stays",
    "temporary": "left behind by a run that was killed",
    "cache": "the copy of a model that nobody needs here",
    "log": "an old log",
    log.KIND: "predictions over HTTP, asked long ago, whose outcomes have had their time",
}


@dataclass(frozen=True)
class Removal:
    """Something that may go."""

    kind: str
    """One of WHY."""
    paths: tuple[Path, ...]
    megabytes: float
    name: str = ""
    """Of a version or a prediction file: what the journal names and must know to be gone. Of the log: from when on it stays."""
    things: int = 1
    """How many rows of the log; of all else one at a time."""


@dataclass(frozen=True)
class _Home:
    """What all rules look at."""

    space: Workspace
    now: datetime
    versions: list[dict[str, Any]]
    """The journal's rows of the versions that are kept."""

    @property
    def root(self) -> Path:
        return self.space.settings.root

    def is_old(self, row: dict[str, Any]) -> bool:
        return _is_old(self.space, row, self.now)

    def is_still(self, path: Path, age: timedelta = LEFT_BEHIND) -> bool:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC) < self.now - age


def find_removable(space: Workspace, *, now: datetime) -> list[Removal]:
    """What the settings `keep_decisions` and `keep_days` let go; a thing goes only when neither spares it and nothing rests on it."""
    numbers = kept_versions(space, now=now)
    home = _Home(space, now, [row for row in space.journal.rows(tables.versions) if row["version"] in numbers])
    rules = (_models, _evidence, _predictions, _batches, _quarantined, _temporary, _cached, _logs, _served)
    return list(chain.from_iterable(rule(home) for rule in rules))


def clean(space: Workspace, *, now: datetime) -> list[Removal]:
    """Remove it, while no other command works in this home and no champion is moved. Killed in between, it goes on when done again.

    Raises
    ------
    BusyError
        Another command, a backup or a move is under way; nothing was removed.
    """
    root = space.settings.root
    alone = single_flight(space.journal, root, seconds=space.settings.lease_seconds)
    with alone, backup_lock(root), one_move_at_a_time(space.journal, root, seconds=space.settings.lease_seconds):
        found = find_removable(space, now=now)
        for one in found:
            _remove(space, one)
    return found


def kept_versions(space: Workspace, *, now: datetime) -> set[int]:
    """Versions that may be needed: in shadow, that served or may be gone back to, that a person may release or judge again, recent ones."""
    journal = space.journal
    decided, rows = journal.rows(tables.decisions), journal.rows(tables.versions)
    moved = {row[name] for row in journal.rows(tables.promotions) for name in ("version", "champion", "anchor")}
    recent = {row["candidate"] for row in decided[-space.settings.keep_decisions :]}
    young = {row["candidate"] for row in decided if not _is_old(space, row, now)}
    young |= {row["version"] for row in rows if not _is_old(space, row, now)}
    verdicts = {row["candidate"]: row["verdict"] for row in decided}
    passed = {version for version, verdict in verdicts.items() if verdict == Verdict.PROMOTE}
    held = {row["version"] for row in rows if verdicts.get(row["version"]) == Verdict.HOLD and _is_resumable(space, row)}
    in_shadow = {wish.version for wish in (shadows.wanted(journal),) if wish}
    return {row["version"] for row in rows} & (moved | recent | young | passed | held | in_shadow)


def _is_old(space: Workspace, row: dict[str, Any], now: datetime) -> bool:
    return datetime.fromisoformat(row["at"]) < now - timedelta(days=space.settings.keep_days)


def _is_resumable(space: Workspace, row: dict[str, Any]) -> bool:
    """Whether contract, code and lock are still those that the version was trained with."""
    then = row["facts"]["provenance"]
    today = provenance_digests(space.problem, snapshot=row["snapshot"], lock=space.settings.lock)
    return all(today[name] == then[name] for name in ("contract", "code", "lock"))


def _removal(kind: str, *paths: Path, name: str = "") -> Iterator[Removal]:
    """One removal of those paths that are there; none when none is."""
    there = tuple(path for path in paths if path.exists() or path.is_symlink())
    if there:
        files = chain.from_iterable(path.rglob("*") if path.is_dir() else (path,) for path in there)
        yield Removal(kind, there, sum(file.lstat().st_size for file in files if file.is_file()) / 1e6, name)


def _models(home: _Home) -> Iterator[Removal]:
    """Models and their evidence, where MLflow keeps them in the home; what a server keeps is its own."""
    kept = {row["version"] for row in home.versions}
    for row in home.space.journal.rows(tables.versions):
        folders = [local_folder(row["facts"][uri]) for uri in ("model_uri", "evidence_uri")]
        ours = [folder for folder in folders if folder and folder.is_relative_to(home.root / "mlartifacts")]
        if row["version"] not in kept:
            yield from _removal("model", *ours, name=str(row["version"]))


def _evidence(home: _Home) -> Iterator[Removal]:
    kept = {row["training_key"][:16] for row in home.versions}
    days = timedelta(days=home.space.settings.keep_days)
    for folder in sorted((home.root / "evidence").glob("[!.]*")):
        if folder.name not in kept and home.is_still(folder, max(days, LEFT_BEHIND)):
            yield from _removal("evidence", folder)


def _predictions(home: _Home) -> Iterator[Removal]:
    """Files whose every key later publications predict again, and files that were never published."""
    root, key, seen, judged = home.root, home.space.problem.key, pd.Index([]), set()
    rows = home.space.journal.rows(tables.publications)
    for row in reversed(rows):
        path = root / row["path"]
        if row["path"] in judged or not path.exists():
            continue
        judged.add(row["path"])
        try:
            keys = pd.Index(pd.read_parquet(path, columns=[key])[key])
        except (OSError, ValueError):
            continue  # damaged: whoever needs it says so
        if home.is_old(row) and not _is_pointed_at(path) and keys.isin(seen).all():
            yield from _removal("prediction", path, name=row["path"])
        else:
            seen = seen.append(keys).unique()
    named = {row["path"] for row in rows}
    for path in sorted(root.glob("predictions/dt=*/[!.]*.parquet")):
        if path.relative_to(root).as_posix() not in named and not _is_pointed_at(path) and home.is_still(path):
            yield from _removal("temporary", path)


def _is_pointed_at(path: Path) -> bool:
    """Whether the pointer beside it names it; one that cannot be read may name it."""
    try:
        return bool(read_json(path.parent / POINTER)["path"] == path.name)
    except (StoreError, KeyError, TypeError):
        return True


def _batches(home: _Home) -> Iterator[Removal]:
    journal = home.space.journal
    rows = {(row["source"], row["batch"]): row for row in journal.rows(tables.deliveries, outcome="published")}
    needed = {(source, row["batch"]) for source in {source for source, _ in rows} for row in active(journal, source)}
    gone = taken_back(journal)
    needed |= {known for known in rows if known[1] in gone}  # whoever gives one back needs it, and the lineage leads to it
    recent = journal.rows(tables.decisions)[-home.space.settings.keep_decisions :]
    names = {row["snapshot"] for row in (*home.versions, *recent)}
    for snapshot in journal.rows(tables.snapshots):
        if snapshot["snapshot"] in names or not home.is_old(snapshot):
            needed |= {(source, batch) for source, batches in snapshot["batches"].items() for batch in batches}
    for path in sorted((home.root / "batches").glob("*/[!.]*.parquet")):
        known = (path.parent.name, path.stem)
        row = rows.get(known)
        if known not in needed and (home.is_old(row) if row else home.is_still(path)):
            yield from _removal("batch", path, profile_path(home.root, *known))
    for path in sorted((home.root / "profiles").glob("*/[!.]*.json")):
        if not (home.root / "batches" / path.parent.name / f"{path.stem}.parquet").exists() and home.is_still(path):
            yield from _removal("temporary", path)


def _quarantined(home: _Home) -> Iterator[Removal]:
    """The delivered files of cells that wait for nobody; reason and page stay, for other pages lead to them."""
    waiting = {(row["source"], row["delivery"][:16]) for row in in_quarantine(home.space)}
    last = {(row["source"], row["delivery"][:16]): row for row in home.space.journal.rows(tables.deliveries)}
    for cell in sorted((home.root / "quarantine").glob("*/[!.]*")):
        known = (cell.parent.name, cell.name)
        row = last.get(known)
        if known not in waiting and (home.is_old(row) if row else home.is_still(cell)):
            yield from _removal("quarantine", cell / "delivered")


def _temporary(home: _Home) -> Iterator[Removal]:
    """What is written under a hidden name first, and keeps it when its writer is killed; the landing folders are not ours."""
    for name in ("backtest", "batches", "evidence", "predictions", "profiles", "proposals", "quarantine", "site", "cache", "metrics"):
        for path in sorted((home.root / name).rglob(".*")):
            hidden = [part for part in path.relative_to(home.root).parts if part.startswith(".")]
            if len(hidden) == 1 and not path.name.endswith(".lock") and home.is_still(path):
                yield from _removal("temporary", path)
    for path in sorted(home.root.glob(".*.tmp")):
        if home.is_still(path):
            yield from _removal("temporary", path)


def _cached(home: _Home) -> Iterator[Removal]:
    kept = {cache_name(row["facts"][uri]) for row in home.versions for uri in ("model_uri", "evidence_uri")}
    for folder in sorted((home.root / "cache").glob("[!.]*")):
        if folder.name not in kept and home.is_still(folder):
            yield from _removal("cache", folder)


def _logs(home: _Home) -> Iterator[Removal]:
    for name in ("prefect", "logs"):
        for path in sorted((home.root / name).rglob("*.log*")):
            if path.is_file() and home.is_still(path, timedelta(days=home.space.settings.keep_days)):
                yield from _removal("log", path)


def _served(home: _Home) -> Iterator[Removal]:
    end = needed_since(home.space, now=home.now)
    if end and (share := log.share_before(home.space.journal, end)):
        yield Removal(log.KIND, (), share.megabytes, end.isoformat(), share.rows)


def needed_since(space: Workspace, *, now: datetime) -> datetime | None:
    """Whatever was asked before goes from the log of what is predicted over HTTP; None while nothing may go.

    It is older than `keep_days`, and the newest outcomes are of its time: a prediction is made `prediction_lead` before an event whose
    outcome is known `label_delay` after it. How far outcomes reach is when their newest delivery was judged here or, by the clock on the
    wall, the newest time in them, if that is earlier. Where outcomes have stopped to arrive nothing more goes: they may still come.
    """
    source = space.problem.source(space.problem.target.source)
    gone = taken_back(space.journal)
    rows = [row for row in space.journal.rows(tables.deliveries, source=source.name, outcome="published") if row["batch"] not in gone]
    if not rows:
        return None
    until = datetime.fromisoformat(rows[-1]["at"])
    if space.problem.clock == "wall" and source.time is not None:
        known = [pd.Timestamp(row["newest"]).to_pydatetime() for row in rows if row["newest"]]
        until = min([until, max(known)] if known else [until])
    wait = space.problem.target.label_delay + space.problem.prediction_lead
    return min(now - timedelta(days=space.settings.keep_days), until - wait)


def _remove(space: Workspace, one: Removal) -> None:
    """First the words, then the files: what is half removed is known to be removed, and found again by the next clean-up."""
    if one.kind == log.KIND:
        log.remove_before(space.journal, datetime.fromisoformat(one.name), reason=f"by evergreen clean: {WHY[one.kind]}")
        return
    if one.name:
        words = {"kind": one.kind, "name": one.name, "reason": f"by evergreen clean: {WHY[one.kind]}"}
        space.journal.add(tables.removals, removal=digest_text("removal", one.kind, one.name), **words)
    if one.kind == "model":
        registry = space.registry
        registry.tag(registry.version(int(one.name)), removed=f"by evergreen clean: {WHY[one.kind]}")
    reach(f"clean: before a {one.kind} is removed")
    for path in one.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        reach(f"clean: between the files of a {one.kind}")
