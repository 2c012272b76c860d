"""The account that a command gives of what it does: a line for each thing done, and a moving one for what is being done."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status
from rich.table import Table

from evergreen.files import shown
from evergreen.quoting import revealed

if TYPE_CHECKING:
    from evergreen.contract import Problem
    from evergreen.data.landing import Found

_console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_moving: list[Status] = []
LOG = "evergreen"
"""The logger that is given every line too; on the platform Prefect hears it and shows them with the run. No console does: it has them."""
_log = logging.getLogger(LOG)
_log.setLevel(logging.INFO)
_log.propagate = False
WIDTH = 9
SIGNS = {"good": "green", "hold": "yellow", "bad": "red", "plain": "default"}


def say(text: str = "", *, style: str | None = None) -> None:
    """Print a line."""
    text = revealed(text)
    _console.print(text, style=style, markup=False)
    if text:
        _log.info(text)


def title(text: str) -> None:
    """Print what the next lines are about."""
    _console.print()
    _console.print(text, style="bold", markup=False)
    _log.info(text)


def done(step: str, text: str, *, tone: str = "plain") -> None:
    """Print what a step came to: `tone` is good, hold, bad or plain. What is quoted of the data is shown."""
    text = revealed(text)
    _console.print(f"  [bold]{step:<{WIDTH}}[/bold] [{SIGNS[tone]}]{_plain(text)}[/]")
    _log.info("%s %s", f"{step:<{WIDTH}}", text)


def table(columns: list[str], rows: list[list[str]], *, caption: str = "") -> None:
    """Print a table; all but the first column are aligned to the right."""
    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2), caption=caption or None, caption_justify="left")
    for number, column in enumerate(columns):
        drawn.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*map(_plain, row))
    _console.print(drawn)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal, while the block runs, what is being done and since when; nothing where nobody watches."""
    with _console.status(f"{_plain(text)} …") as status:
        _moving.append(status)
        try:
            yield
        finally:
            _moving.pop()


def progress(text: str) -> None:
    """Say how far the work of `working` is."""
    if _moving:
        _moving[-1].update(f"{_plain(text)} …")


def tell_leftovers(found: Found, problem: Problem) -> bool:
    """Say what lies in the landing folders and was left there, for nothing is dropped in silence; False when it can never be judged."""
    from evergreen.data.landing import why_unknown  # loads more than other commands need

    for path in found.waiting:
        done("", f"waiting: {path.parent.name}/{shown(path.name)} is still being written", tone="hold")
    for path in found.unknown:
        done("", f"unreadable: {path.parent.name}/{shown(path.name)} {why_unknown(path, problem)}", tone="hold")
    return not found.unknown


def _plain(text: str) -> str:
    return revealed(text).replace("[", "\\[")
