"""Durable files: a reader sees the old content or the new, never a part; and digests, by which everything is named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evergreen.errors import BusyError, StoreError

UNFINISHED = (".part", ".tmp", ".crdownload")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:60]}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as readable JSON, atomically. Not-a-number is refused: JSON has none."""
    return write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote.

    Raises
    ------
    StoreError
        The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise StoreError(f"{path} is missing. It was written by an earlier run; restore it from a backup, or run again.") from None
    except ValueError as error:
        raise StoreError(f"{path} is not JSON ({error}). Remove it and run again.") from None


def shown(name: str) -> str:
    r"""A file's name as it can be printed, stored and sent: what is no text, or would move the cursor, is escaped.

    >>> shown(os.fsdecode(b"gr" + bytes([0xFC, 0x0A])) + "é.csv")
    'gr\\xfc\\né.csv'
    """
    return "".join(one if one.isprintable() else _escape(one) for one in name)


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is one that somebody still writes: hidden, or named as browsers and copying tools name a part of one."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def digest_bytes(*parts: bytes) -> str:
    """sha256 over the parts, each preceded by its length so that no two lists of parts look alike."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def digest_text(*parts: str) -> str:
    """sha256 over texts; the key of most things in the journal."""
    return digest_bytes(*(part.encode() for part in parts))


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(folder: Path, keep: Callable[[Path], bool] = lambda _: True) -> str:
    """sha256 over names and bytes of all files below `folder`; Python's bytecode does not count, for loading writes it."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts and keep(p))
    return digest_text(*(f"{path.relative_to(folder).as_posix()} {digest_file(path)}" for path in paths))


@contextmanager
def lock(path: Path, *, holder: str, seconds: float = 60.0) -> Iterator[None]:
    """Hold an exclusive lock between processes; the system frees it when a process dies.

    Raises
    ------
    BusyError
        Somebody else held it for `seconds`.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=seconds):
            yield
    except Timeout:
        raise BusyError(
            f"Another process is busy with {holder} (lock {path}) since more than {seconds:.0f} s. Wait for it to end, then run again."
        ) from None


def _escape(sign: str) -> str:
    """One that stands for a byte which is no text is shown as that byte."""
    return ascii(chr(ord(sign) - 0xDC00) if 0xDC80 <= ord(sign) <= 0xDCFF else sign)[1:-1]  # noqa: PLR2004 (PEP 383)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
