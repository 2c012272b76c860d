"""Sees that something has arrived in the landing folders and says so at once, as an event; a hint only, for the poll looks there too."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from evergreen.files import is_unfinished

LOOK_SECONDS = 2.0
Sight = frozenset[tuple[str, int, int]]


def watch(landing: Path, arrived: Callable[[], object], ended: threading.Event) -> None:
    """Look every two seconds, until `ended`; call `arrived` when what lies there has changed and holds still again."""
    told = last = see(landing)
    while not ended.wait(LOOK_SECONDS):
        now = see(landing)
        if now == last and now != told:
            told = now
            if now:
                arrived()
        last = now


def see(landing: Path) -> Sight:
    """Name, size and time of change of every file that is not being written."""
    return frozenset(_files(landing, landing))


def _files(folder: Path, landing: Path) -> Iterator[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_unfinished(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(Path(entry.path), landing)
                else:
                    stat = entry.stat()
                    yield entry.path, stat.st_size, stat.st_mtime_ns
    except OSError:
        return  # gone meanwhile, or not there yet
