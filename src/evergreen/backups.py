"""One archive of a home, and the home out of it again: whole and checked, or not at all.

An archive is a zip of the home's files with a manifest of their digests. Not in it are `cache/` and `prefect/`, on which nothing depends,
locks, and files that are being written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from evergreen.brakes import one_move_at_a_time
from evergreen.errors import RefusedError, StoreError
from evergreen.faults import reach
from evergreen.files import atomic_path, lock
from evergreen.journal import Journal
from evergreen.settings import Settings

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES = ("journal.db", "mlflow.db")
LEFT_OUT = ("cache", "prefect")
COMPRESSED = {".parquet", ".png", ".gz", ".zip", ".skops"}
BLOCK = 1 << 20


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

    The databases are copied first, while no version is being registered and no champion moved. Files are written before the row that
    names them, so all that the copies name is there to be copied after them.

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
        copies = _copy_databases(settings, Path(scratch))
        facts = {"format": FORMAT, "problem": problem, "home": str(root), "made_at": now.isoformat(timespec="seconds")}
        _write(temporary, root, copies, facts | {"journal_schema": _schema(copies[0])})
        with _opened(temporary) as (archive, manifest):
            _unpack(archive, manifest, None)
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
    with lock(root.parent / f".{root.name}.restore.lock", holder="a restore", seconds=1), _opened(file) as (archive, manifest):
        _refuse_wrong(file, manifest, problem=problem, root=root)
        shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
        try:
            _unpack(archive, manifest, beside)
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


def _copy_databases(settings: Settings, scratch: Path) -> list[Path]:
    """The journal first: a version that MLflow's copy has and the journal's has not is found again, as after a kill between the two."""
    root, copies, journal = settings.root, [], Journal(settings.journal)
    with closing(journal), one_move_at_a_time(journal, root, seconds=settings.lease_seconds):
        for name in DATABASES:
            if (root / name).is_file():
                copies.append(scratch / name)
                _copy_database(root / name, scratch / name)
    with closing(sqlite3.connect(copies[0])) as database, database:
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


def _write(file: Path, root: Path, copies: list[Path], facts: dict[str, Any]) -> None:
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for copy in copies:
            _add(archive, copy.name, copy, files)
        for path in _kept(root):
            _add(archive, path.relative_to(root).as_posix(), path, files)
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps({**facts, "files": files}, indent=1))


def _kept(root: Path) -> Iterator[Path]:
    """The files of the home that an archive holds; a link is read as what it leads to."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_kept(root, here / name) and os.path.realpath(here / name) not in seen)
        yield from (here / name for name in sorted(names) if _is_kept(root, here / name))


def _is_kept(root: Path, path: Path) -> bool:
    first, *more = path.relative_to(root).parts
    if more and first == "mlartifacts":
        return True  # a model's digest counts every file of it
    is_database = not more and first.startswith(DATABASES)
    return not (is_database or first in LEFT_OUT or path.name.startswith("."))


def _add(archive: zipfile.ZipFile, name: str, path: Path, files: dict[str, dict[str, Any]]) -> None:
    info, total, size = zipfile.ZipInfo(name), hashlib.sha256(), 0
    info.compress_type = zipfile.ZIP_STORED if path.suffix in COMPRESSED else zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # it was there for a moment only
    with file, archive.open(info, "w", force_zip64=True) as out:
        changed = os.fstat(file.fileno()).st_mtime_ns
        while block := file.read(BLOCK):
            total.update(block)
            size += len(block)
            out.write(block)
    files[name] = {"sha256": total.hexdigest(), "bytes": size, "mtime_ns": changed}


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """An archive and its manifest, once all its names have been found to be those of plain files below the home."""
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise StoreError(f"{file} is a backup of format {manifest['format']}; expected {FORMAT}. Use the Evergreen that wrote it.")
            _check_names(file, archive, manifest["files"])
            yield archive, manifest
    except FileNotFoundError:
        raise StoreError(f"There is no {file}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise StoreError(f"{file} is no whole backup ({error}). Nothing was restored; use another one.") from None


def _check_names(file: Path, archive: zipfile.ZipFile, files: dict[str, Any]) -> None:
    found = [info for info in archive.infolist() if info.filename != MANIFEST]
    for info in found:
        path, kind = PurePosixPath(info.filename), stat.S_IFMT(info.external_attr >> 16)
        is_plain = kind in (0, stat.S_IFREG) and not info.is_dir()
        if not is_plain or path.is_absolute() or ".." in path.parts or "\\" in info.filename or str(path) != info.filename:
            raise StoreError(f"{file} holds {info.filename!r}, which is no plain file below a home. Nothing was restored.")
    names = [info.filename for info in found]
    if sorted(names) != sorted(files):
        strange = sorted(set(names) ^ set(files)) or sorted(name for name in files if names.count(name) > 1)
        raise StoreError(f"{file} does not hold what its manifest says: {', '.join(strange[:3])}. Nothing was restored; use another one.")


def _unpack(archive: zipfile.ZipFile, manifest: dict[str, Any], folder: Path | None) -> None:
    """Read every file and hold it against the manifest; with a folder, write it there."""
    for name, facts in manifest["files"].items():
        if folder is None:
            found = _read(archive, name, facts["bytes"], None)
        else:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                found = _read(archive, name, facts["bytes"], out)
                os.fsync(out.fileno())
            os.utime(path, ns=(facts["mtime_ns"], facts["mtime_ns"]))  # by it a delivery is known to be judged without being read
        if found != facts["sha256"]:
            raise StoreError(
                f"{name} in {archive.filename} is damaged: it is not what was backed up. Nothing was restored; use another one."
            )


def _read(archive: zipfile.ZipFile, name: str, size: int, out: BinaryIO | None) -> str:
    """The digest of a file, of which at most one byte more than it should have is read."""
    total, left = hashlib.sha256(), size + 1
    with archive.open(name) as file:
        while left and (block := file.read(min(BLOCK, left))):
            total.update(block)
            left -= len(block)
            if out:
                out.write(block)
    return total.hexdigest()


def _told(file: Path, manifest: dict[str, Any]) -> Archive:
    sizes = [facts["bytes"] for facts in manifest["files"].values()]
    return Archive(file, len(sizes), sum(sizes) / 1e6)
