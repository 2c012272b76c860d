"""The main job: rounds of deliveries, training, judgement and predictions, until nothing is new."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from evergreen import journal as tables
from evergreen.files import lock
from evergreen.status import current_inputs, has_new_deliveries
from evergreen.validation import import_engine
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.server import prefect_server

DELIVERIES = "deliveries"
"""Name of a round for whatever has been delivered; it is recorded by its inputs."""
COSTS = ("candidate", "champion", "rule of thumb")


def run_loop(through: str | None) -> None:
    """Go round once for each month of the example, or once for what has been delivered where the problem has no feed.

    A round that was cut short is gone through again, and finds what it had done already; finished ones are only shown.
    """
    with account.working("read the contract"):
        space = open_workspace()
        feed = outside_world(space)
        finished = {row["cycle"] for row in space.journal.rows(tables.cycles)}
        months = feed.months_through(through or feed.THROUGH) if feed else []
        rounds = [month for month in months if month not in finished] or ([DELIVERIES] if is_anything_new(space) else [])
    account.say(f"{space.problem.name}: {space.problem.business.question}", style="bold")
    if not rounds:
        account.say("Nothing is new: every delivery has been judged, and every verdict carried out.")
    else:
        with (
            lock(space.settings.root / ".command.lock", holder="an evergreen command", seconds=1),
            prefect_server(space.settings.root) as ready,
        ):
            for name in rounds:
                go_round(space, None if name == DELIVERIES else feed, name, ready)
    show_rounds(space)


def is_anything_new(space: Workspace) -> bool:
    """Whether a delivery waits, or a round has not been gone with the published ones, today's contract, code and lock."""
    inputs = current_inputs(space)
    done = {row["facts"]["inputs"] for row in space.journal.rows(tables.cycles)}
    return inputs is None or inputs not in done or has_new_deliveries(space)


def go_round(space: Workspace, feed: ModuleType | None, name: str, ready: Callable[[], str]) -> None:
    """Let the outside world deliver, then ingest, train, judge and predict."""
    account.title(f"{name} is over" if feed else "What has been delivered")
    landing = space.settings.landing
    broken = feed.deliver_corrupted(landing, name) if feed else []
    if feed and not broken:
        deliver(feed, landing, name)
    with account.working("start Prefect"):
        from flows.cycle import cycle

        import_engine()  # the server starts in a process of its own, so there is time for it now
        ready()
    if feed and broken:
        cycle(f"{name}, first delivery", rehearsal=True)
        deliver(feed, landing, name)
    cycle(name)


def deliver(feed: ModuleType, landing: Any, name: str) -> None:
    """Have the example's outside world deliver everything of that month."""
    with account.working("the outside world delivers"):
        files = feed.deliver(landing, name)
    account.done("deliver", f"{len(files)} files arrived in the landing folders")


def show_rounds(space: Workspace) -> None:
    """Print a table of the finished rounds and where the overview is."""
    records = {row["decision"]: row["record"] for row in space.journal.rows(tables.decisions)}
    rows = []
    for finished in space.journal.rows(tables.cycles):
        record = records[finished["facts"]["decision"]]
        costs = {row["name"]: row["cost_per_1000"] for row in record["money"]}
        shown = [f"{costs[name]:,.0f}" if name in costs else "-" for name in COSTS]
        rows.append([finished["facts"]["data"], record["verdict"].upper(), f"{record['candidate']['version']}", *shown])
    if not rows:
        return
    account.title(
        f"Cost in {space.problem.business.unit} per 1,000 {space.problem.things}, on the newest outcomes, which no compared model had seen"
    )
    account.table(["data", "verdict", "version", *COSTS], rows)
    account.say()
    account.say(f"Everything on one page: {space.settings.site / 'index.html'}")


def outside_world(space: Workspace) -> ModuleType | None:
    """The example's feed: the module `feed` beside the contract, where there is one."""
    package = space.settings.problem.partition(":")[0].rpartition(".")[0]
    if not package:
        return None
    try:
        return importlib.import_module(f"{package}.feed")
    except ModuleNotFoundError as error:
        if error.name == f"{package}.feed":
            return None
        raise
