"""The commands that keep a home in order: back it up, restore it, remove what is not needed any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Into = Annotated[Path | None, typer.Argument(help="The archive to write, *.zip; in the working directory unless you say where.")]
IfAny = Annotated[bool, typer.Option("--if-any", help="Where there is no home yet, say so and end well.")]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it; without, nothing is removed and it is only told.")]
From = Annotated[Path, typer.Argument(help="An archive that `evergreen backup` wrote.")]


@app.command()
def site() -> None:
    """Write the control room anew, and say where it is."""
    from flows.telling import tell_site

    tell_site()


@app.command()
def backup(file: Into = None, if_any: IfAny = False) -> None:
    """Write the whole home into one archive and read it back; others may go on working meanwhile."""
    from evergreen.backups import DATABASES, back_up
    from evergreen.settings import load_settings
    from evergreen.workspace import load_problem
    from flows import account

    settings, now = load_settings(), datetime.now(UTC)
    if if_any and not (settings.root / DATABASES[0]).is_file():
        account.say(f"There is nothing to back up yet in {settings.root}.")
        return
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


@app.command()
def clean(yes: Yes = False) -> None:
    """Tell what is old and needed by nothing, and with --yes remove it."""
    from collections import defaultdict

    from evergreen import retention
    from evergreen.workspace import open_workspace
    from flows import account

    space, now = open_workspace(), datetime.now(UTC)
    with account.working("clean" if yes else "look for what is not needed any more"):
        found = retention.clean(space, now=now) if yes else retention.find_removable(space, now=now)
    groups: dict[str, list[retention.Removal]] = defaultdict(list)
    for one in found:
        groups[one.kind].append(one)
    settings = space.settings
    kept = f"the candidates of the last {settings.keep_decisions} decisions, and whatever is younger than {settings.keep_days:g} days"
    if not found:
        account.say(f"There is nothing to remove. Spared are {kept}.")
        return
    sums = {kind: (sum(one.things for one in some), sum(one.megabytes for one in some)) for kind, some in groups.items()}
    rows = [[kind, f"{things:,}", f"{megabytes:,.1f}", retention.WHY[kind]] for kind, (things, megabytes) in sums.items()]
    account.table(["what", "how many", "MB", "why"], rows)
    total = sum(one.megabytes for one in found)
    if yes:
        account.say(f"Removed: {total:,.1f} MB. Spared were {kept}.")
    else:
        account.say(f"Nothing was removed. To remove these {total:,.1f} MB: evergreen clean --yes")
