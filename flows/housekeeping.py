"""The commands that keep a home in order: back it up, restore it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Into = Annotated[Path | None, typer.Argument(help="The archive to write, *.zip; in the working directory unless you say where.")]
From = Annotated[Path, typer.Argument(help="An archive that `evergreen backup` wrote.")]


@app.command()
def backup(file: Into = None) -> None:
    """Write the whole home into one archive and read it back; others may go on working meanwhile."""
    from evergreen.backups import back_up
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem
    from flows import account

    settings, now = load_settings(), datetime.now(UTC)
    problem = load_problem(settings.problem).name
    with account.working("back up"):
        made = back_up(settings, problem, file or Path(f"evergreen-{problem}-{now:%Y%m%dT%H%M%SZ}.zip"), now=now)
    account.say(f"{made.files:,} files, {made.megabytes:,.1f} MB, are in {made.path}; it was read back and is whole.")
    account.say(f"To restore it: move {settings.root} away, then: evergreen restore {made.path}")


@app.command()
def restore(file: From) -> None:
    """Make the home out of an archive; an existing one is never overwritten."""
    from evergreen.backups import restore as unpack
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem
    from flows import account

    settings = load_settings()
    with account.working("restore"):
        made = unpack(settings, load_problem(settings.problem).name, file)
    account.say(f"{made.files:,} files, {made.megabytes:,.1f} MB, are in {settings.root} again. Next: evergreen status")
