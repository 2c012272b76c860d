"""Where the deliveries come from when nobody puts them into the landing folders: `evergreen fetch` calls this."""

from __future__ import annotations

from pathlib import Path

from problem.feed import deliver


def fetch(landing: Path, pointer: str) -> list[Path]:
    """Bring everything that has arrived once the month `pointer`, such as 2013-08, is over; returns the files that it wrote.

    In a real problem the pointer may be a date, a version of a table or a digest, and this downloads what it names.
    """
    return deliver(landing, pointer)
