"""One archive of a home, and the home out of it again: whole and checked, or not at all.

Not in an archive are `backtest/`, `cache/` and `prefect/`, on which nothing depends, `profiles/`, which are made anew, locks, and files
that are being written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evergreen.archives import opened, unpack, write
from evergreen.brakes import one_move_at_a_time
from evergreen.data.publishing import POINTER
from evergreen.errors import RefusedError, StoreError
from evergreen.faults import reach
from evergreen.files import atomic_path, lock
from evergreen.journal import Journal
from evergreen.settings import Settings

DATABASES = ("journal.db", "mlflow.db")
LEFT_OUT = ("backtest", "cache", "prefect", "profiles")
POINTERS = f"predictions/*/{POINTER}"


@dataclass(frozen=True)
class Archive:
    """What an archive holds."""

    path: Path
    files: int
    megabytes: float
    """Of the files, not of the archive."""


def backup_lock(root: Path) -> AbstractContextManager[None]:
    """The lock of whoever copies a home's files, or removes some of them."""
    return lock(root / ".backup.lock", holder="a backup or a clean-up", seconds=1)


def back_up(settings: Settings, problem: str, file: Path, *, now: datetime) -> Archive:
    """Write the home into one archive, read it back, and only then give it its name; others may go on working meanwhile.

    The databases are copied first, and the pointers to published predictions after them, while no champion is moved. Files are written
    before the row or the pointer that names them, and the home's files are listed last, so all that the copies name is among them.

    Raises
    ------
    RefusedError
        Journal or MLflow are not in the home, there is no home, or the archive would lie in it.
    StoreError
        A database is damaged, or what was written cannot be read back.
    """
    _refuse_elsewhere(settings)
    root = settings.root
    if not (root / DATABASES[0]).is_file():
        raise RefusedError(f"There is nothing to back up: {root} has no {DATABASES[0]}. Is EVERGREEN_HOME right?")
    if file.suffix != ".zip" or file.resolve().is_relative_to(root):
        raise RefusedError(f"Got {file}; expected a file named *.zip outside of the home {root}, which it would be lost with.")
    with backup_lock(root), atomic_path(file) as temporary, TemporaryDirectory(dir=file.parent, prefix=".backup-") as scratch:
        copies = _copy_what_names(settings, Path(scratch))
        facts = {"problem": problem, "home": str(root), "made_at": now.isoformat(timespec="seconds")}
        kept = {path.relative_to(root).as_posix(): path for path in _kept(root)}
        write(temporary, copies | kept, facts | {"journal_schema": _schema(copies[DATABASES[0]])})
        with opened(temporary) as (archive, manifest):
            unpack(archive, manifest, None)
        reach("backup: before the archive has its name")
    return _told(file, manifest)


def restore(settings: Settings, problem: str, file: Path) -> Archive:
    """Make the home out of an archive: beside it at first, and when every file is there and what it was, under its name.

    Raises
    ------
    RefusedError
        There is a home already, the archive is another problem's or another home's, or journal or MLflow are elsewhere.
    StoreError
        The archive is damaged, or holds what no backup holds; nothing was restored.
    """
    _refuse_elsewhere(settings)
    root = settings.root
    root.parent.mkdir(parents=True, exist_ok=True)
    beside = root.parent / f".{root.name}.restoring"
    with lock(root.parent / f".{root.name}.restore.lock", holder="a restore", seconds=1), opened(file) as (archive, manifest):
        _refuse_wrong(file, manifest, problem=problem, root=root)
        shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
        try:
            unpack(archive, manifest, beside)
            for name in DATABASES:
                if (beside / name).exists():
                    _check_database(beside / name)
            reach("restore: before the home has its name")
            beside.rename(root)  # takes the place of an empty folder, and of no other
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return _told(file, manifest)


def _refuse_elsewhere(settings: Settings) -> None:
    """An archive of the home alone would not bring back what stands in a server."""
    databases = {"journal": settings.journal, "MLflow": settings.mlflow}
    cures = {
        "journal": "Use its own tools (pg_dump, pg_restore), and copy the home's files after that.",
        "MLflow": "Back up its database and its artifact store with their own tools, and copy the home's files after that.",
    }
    for (what, url), name in zip(databases.items(), DATABASES, strict=True):
        if url != f"sqlite:///{settings.root / name}":
            raise RefusedError(f"The {what} is not in the home {settings.root}, so an archive of the home would lack it. {cures[what]}")


def _refuse_wrong(file: Path, manifest: dict[str, Any], *, problem: str, root: Path) -> None:
    if manifest["problem"] != problem:
        raise RefusedError(
            f"{file} is a backup of the problem {manifest['problem']!r}, this contract is {problem!r}. Nothing was restored."
        )
    if manifest["home"] != str(root):
        raise RefusedError(
            f"{file} is a backup of the home {manifest['home']}, this one is {root}. Models are recorded by absolute path, so it can only "
            f"be restored there: set EVERGREEN_HOME={manifest['home']}. Nothing was restored."
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise RefusedError(f"There is something in {root} already, and nothing is overwritten. Move it away, then restore again.")


def _copy_what_names(settings: Settings, scratch: Path) -> dict[str, Path]:
    """The databases and the pointers, by their names in the home.

    The journal first: a version that is registered meanwhile is in MLflow's copy alone, and is found again as after a kill between the two.
    """
    root, copies, journal = settings.root, {}, Journal(settings.journal)
    with closing(journal), one_move_at_a_time(journal, root, seconds=settings.lease_seconds):
        for name in DATABASES:
            if (root / name).is_file():
                copies[name] = scratch / name
                _copy_database(root / name, scratch / name)
        for pointer in root.glob(POINTERS):
            name = pointer.relative_to(root).as_posix()
            copies[name] = scratch / name
            copies[name].parent.mkdir(parents=True)
            shutil.copy2(pointer, copies[name])
    with closing(sqlite3.connect(scratch / DATABASES[0])) as database, database:
        database.execute("UPDATE leases SET owner = ''")  # where it is restored nobody works yet
    return copies


def _copy_database(source: Path, copy: Path) -> None:
    """Copy a database that others may be writing to, through SQLite's own backup."""
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied: {error}. Nothing was backed up.") from None
    _check_database(copy)


def _check_database(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file)) as database:
            found = [row[0] for row in database.execute("PRAGMA quick_check")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise StoreError(f"The database {file.name} is damaged: {found[0]}. Use an earlier backup.")


def _schema(journal: Path) -> int:
    with closing(sqlite3.connect(journal)) as database:
        return int(database.execute("SELECT max(schema_version) FROM about").fetchone()[0])


def _kept(root: Path) -> Iterator[Path]:
    """The files of the home that an archive holds besides the copies; a link is read as what it leads to, a pipe is no file."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_kept(root, here / name) and os.path.realpath(here / name) not in seen)
        yield from (here / name for name in sorted(names) if _is_kept(root, here / name) and (here / name).is_file())


def _is_kept(root: Path, path: Path) -> bool:
    first, *more = path.relative_to(root).parts
    if more and first == "mlartifacts":
        return True  # a model's digest counts every file of it
    is_database = not more and first.startswith(DATABASES)
    is_copied = is_database or (first == "predictions" and more[1:] == [POINTER])
    return not (is_copied or first in LEFT_OUT or path.name.startswith("."))


def _told(file: Path, manifest: dict[str, Any]) -> Archive:
    sizes = [facts["bytes"] for facts in manifest["files"].values()]
    return Archive(file, len(sizes), sum(sizes) / 1e6)
