"""One zip of a folder's files with a manifest of their digests: written, opened, checked, unpacked.

A file's name in the zip has `%`, the backslash and whatever cannot be shown escaped as in `%25`, so that any name that the system allows
comes back byte by byte; archives without the manifest's `names` were written before that, and have names as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_to_bytes

from evergreen.errors import StoreError

FORMAT = 1
MANIFEST = "manifest.json"
NAMES = "percent"
"""How names are escaped, as the manifest says it."""
ESCAPED = {"%", "\\"}
COMPRESSED = {".parquet", ".png", ".gz", ".zip", ".skops"}
BLOCK = 1 << 20


def write(file: Path, paths: Mapping[str, Path], facts: Mapping[str, Any]) -> None:
    """Write a zip of files, each by the name that it has in it; one that is gone meanwhile is left out."""
    files: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, path in paths.items():
            _add(archive, escaped(name), path, files)
        about = {"format": FORMAT, "names": NAMES, **facts, "files": files}
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(about, indent=1))


def escaped(name: str) -> str:
    """A name as it stands in an archive; `unescaped` has the way back.

    >>> escaped(os.fsdecode(b"landing/gr" + bytes([0xFC]) + b"n 100%.csv"))
    'landing/gr%FCn 100%25.csv'
    """
    return "".join(one if one.isprintable() and one not in ESCAPED else quote(os.fsencode(one)) for one in name)


def unescaped(name: str) -> str:
    """The name of a file that stands as `name` in an archive."""
    return os.fsdecode(unquote_to_bytes(name))


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """An archive and its manifest, once all its names have been found to be those of plain files below a folder.

    Raises
    ------
    StoreError
        It is not there, damaged, or holds something else.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise StoreError(f"{file} is a backup of format {manifest['format']}; expected {FORMAT}. Use the Evergreen that wrote it.")
            _check_names(file, archive, manifest)
            yield archive, manifest
    except FileNotFoundError:
        raise StoreError(f"There is no {file}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise StoreError(f"{file} is no whole backup ({error}). Nothing was restored; use another one.") from None


def unpack(archive: zipfile.ZipFile, manifest: Mapping[str, Any], folder: Path | None) -> None:
    """Read every file and hold it against the manifest; with a folder, write it there.

    Raises
    ------
    StoreError
        One is not what was backed up.
    """
    for name, facts in manifest["files"].items():
        if folder is None:
            found = _read(archive, name, facts["bytes"], None)
        else:
            path = folder / _named(name, manifest)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                found = _read(archive, name, facts["bytes"], out)
                os.fsync(out.fileno())
            os.utime(path, ns=(facts["mtime_ns"], facts["mtime_ns"]))  # by it a delivery is known to be judged without being read
        if found != facts["sha256"]:
            raise StoreError(
                f"{name} in {archive.filename} is damaged: it is not what was backed up. Nothing was restored; use another one."
            )


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


def _named(name: str, manifest: Mapping[str, Any]) -> str:
    return unescaped(name) if manifest.get("names") == NAMES else name


def _stands(name: str, manifest: Mapping[str, Any]) -> str:
    return escaped(name) if manifest.get("names") == NAMES else name


def _check_names(file: Path, archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> None:
    files = manifest["files"]
    found = [info for info in archive.infolist() if info.filename != MANIFEST]
    for info in found:
        name, kind = _named(info.filename, manifest), stat.S_IFMT(info.external_attr >> 16)
        path, is_plain = PurePosixPath(name), kind in (0, stat.S_IFREG) and not info.is_dir()
        is_inside = not path.is_absolute() and ".." not in path.parts and str(path) == name and "\\" not in info.filename
        if not is_plain or not is_inside or _stands(name, manifest) != info.filename:
            raise StoreError(f"{file} holds {info.filename!r}, which is no plain file below a home. Nothing was restored.")
    names = [info.filename for info in found]
    if sorted(names) != sorted(files):
        strange = sorted(set(names) ^ set(files)) or sorted(name for name in files if names.count(name) > 1)
        raise StoreError(f"{file} does not hold what its manifest says: {', '.join(strange[:3])}. Nothing was restored; use another one.")


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
