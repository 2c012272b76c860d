"""One turn of continuous training from a command: for cron, for a CI job, for a person; no platform has to be up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from evergreen import journal as tables
from evergreen import occasions
from evergreen.errors import EvergreenError, RefusedError
from evergreen.files import write_bytes
from evergreen.journal.tables import metadata
from evergreen.report.summary import summarize
from evergreen.report.words import counted
from evergreen.status import look_at_landing
from evergreen.triggers import KINDS, Kind
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.alerting import tell_alerts, tell_fetch, tell_watcher
from flows.loop import DELIVERIES
from flows.news import tell_impasse, tell_notices
from flows.own import FETCH, beside_contract, told_in_a_sentence
from flows.server import alone, prefect_server
from flows.telling import name_of

SUMMARY, OUTCOME, BEGUN = "summary.md", "outcome.json", ".begun"


def take(*, reason: str | None, person: str | None, report: Path | None) -> bool:
    """Go one round if anything asks for it, as the platform's poll would; with a reason, a person asks.

    Parameters
    ----------
    report
        A folder that gets `summary.md`, what was done in Markdown, `outcome.json`: `verdict`, `version`, `champion`, whether all
        that was delivered could be read (`complete`), and whether anything was written down (`changed`); and `site`, a copy of the pages.

    Returns
    -------
    bool
        False when something in the landing folders could not be read or belongs to no source.
    """
    space = open_workspace()
    before = _newest(space)
    if reason is not None:
        occasions.ask(space, datetime.now(UTC), why=f"{name_of(person)} asked for it: {reason}")
    complete = False
    try:
        complete = _go_if_asked_for(space)
    finally:  # a round that fails is told of too: what it has judged, and what asked for it
        if report is not None:
            _report(space, before, report, complete=complete)
    return complete


def _go_if_asked_for(space: Workspace) -> bool:
    now = datetime.now(UTC)
    if (occasion := occasions.find_occasion(space, now)) is not None:
        account.say(f"{space.problem.name}: a round, for {occasion.reason}", style="bold")
        return _go(space, occasion.kind)
    account.say("Nothing asks for a round. What was decided, and why: evergreen triggers")
    tell_notices(space)
    tell_impasse(space)
    tell_alerts(space, now)
    tell_watcher(space)
    return not space.settings.landing.is_dir() or account.tell_leftovers(look_at_landing(space)[0], space.problem)


def _go(space: Workspace, kind: Kind) -> bool:
    with alone(space), prefect_server(space.settings.root) as ready:
        with account.working("start Prefect"):
            ready()
        from flows.cycle import cycle
        from flows.retraining import attempted

        with attempted(space):
            return bool(cycle(DELIVERIES, kind=kind))


def explain() -> None:
    """Say of each kind of trigger what would be made of it now, and by which rule; nothing is done and nothing written down."""
    space = open_workspace()
    now = datetime.now(UTC)
    told = {trigger.kind: decision for trigger, decision in occasions.weigh(space, KINDS, now)}
    for kind in KINDS:
        if kind == "person" and not occasions.asked(space.journal):
            account.done(kind, "nobody asks", tone="plain")
        elif kind in told:
            account.done(kind, f"{told[kind].action}, {told[kind].rule}: {told[kind].reason}")
        else:
            account.done(kind, "nothing of that kind", tone="plain")
    if space.settings.landing.is_dir() and look_at_landing(space)[1]:
        account.say("A delivery waits to be judged, which a round begins with; what it teaches is not known before.")


def fetch_deliveries(pointer: str | None) -> None:
    """Call the problem's `fetch(landing, pointer)`, and say what it brought; that it fails is told as an alert.

    Parameters
    ----------
    pointer
        What is to be had; None: what stands in the file of the setting `pointer`.

    Raises
    ------
    RefusedError
        The module has no such function, it fails, or nobody says what is to be had.
    """
    space = open_workspace()
    try:
        _fetch(space, pointer)
    except EvergreenError as error:
        tell_fetch(space, error)
        raise
    with suppress(EvergreenError):  # the files are there; whoever needs the journal for them tells that it is away
        tell_fetch(space)


def _fetch(space: Workspace, pointer: str | None) -> None:
    module = beside_contract(space, FETCH)
    if module is None:
        account.say(f"This problem has no fetch.py: its deliveries are put into {space.settings.landing} by others.")
        return
    if not callable(getattr(module, "fetch", None)):
        raise RefusedError(f"{module.__file__} has no function fetch(landing: Path, pointer: str) that returns the files it wrote. Add it.")
    file = space.settings.pointer
    if pointer is None:
        if not file.is_file():
            raise RefusedError(f"Got no file {file}, which says what to fetch. Make it, set EVERGREEN_POINTER, or say --pointer.")
        pointer = file.read_text().strip()
    with account.working("fetch deliveries"), told_in_a_sentence(space, FETCH):
        brought = module.fetch(space.settings.landing, pointer)
    if not isinstance(brought, Iterable):
        got = type(brought).__name__
        raise RefusedError(
            f"fetch of {module.__file__} returned {got}; expected the files it wrote, a list of paths. Mend it, then run again."
        )
    files = list(brought)
    account.done("fetch", f"{counted(len(files), 'file')} arrived in {space.settings.landing} (pointer {pointer})")


def _newest(space: Workspace) -> dict[str, int]:
    """The newest row of each of the journal's tables."""
    counted = [table for table in metadata.sorted_tables if "seq" in table.c]  # all but the lease, which is one row
    return {table.name: (space.journal.last(table) or {"seq": 0})["seq"] for table in counted}


def _report(space: Workspace, before: dict[str, int], folder: Path, *, complete: bool) -> None:
    told = (tables.deliveries, tables.triggers, tables.decisions)
    deliveries, triggers, decisions = ([row for row in space.journal.rows(one) if row["seq"] > before[one.name]] for one in told)
    record = decisions[-1]["record"] if decisions else None
    folder.mkdir(parents=True, exist_ok=True)
    outcome = {
        "verdict": record["verdict"].upper() if record else None,
        "version": record["candidate"]["version"] if record else None,
        "champion": record["champion"]["version"] if record and record["champion"] else None,
        "complete": complete,
        "changed": _newest(space) != before or _is_told_since(space, folder / BEGUN),
    }
    write_bytes(folder / SUMMARY, summarize(record, deliveries=deliveries, triggers=triggers).encode())
    write_bytes(folder / OUTCOME, f"{json.dumps(outcome)}\n".encode())
    (folder / BEGUN).unlink(missing_ok=True)  # the next report may be of no turn
    _copy_site(space.settings.site, folder / "site")


def _is_told_since(space: Workspace, begun: Path) -> bool:
    """Whether anything was told since a turn began, which is when this file was written: by its fetch, before this command."""
    if not begun.is_file():
        return False
    last = space.journal.last(tables.alerts)
    return last is not None and datetime.fromisoformat(last["at"]).timestamp() >= int(begun.stat().st_mtime)


def _copy_site(site: Path, into: Path) -> None:
    """Copy the pages in the place of an earlier copy; not where one folder lies in the other: it would be lost, or never end."""
    site, into = site.resolve(), into.resolve()
    if site.is_relative_to(into) or into.is_relative_to(site):
        return
    shutil.rmtree(into, ignore_errors=True)
    if site.is_dir():
        shutil.copytree(site, into, ignore=shutil.ignore_patterns(".*"))  # hidden is what is being written
