"""The main job: rounds of deliveries, training, judgement and predictions, until nothing is new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType

from evergreen import journal as tables
from evergreen.errors import RefusedError
from evergreen.moves import standing
from evergreen.occasions import find_occasion
from evergreen.releases import waiting
from evergreen.report.words import counted
from evergreen.status import current_inputs, current_state, has_new_deliveries, is_due, look_at_landing
from evergreen.validation import import_engine
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.alerting import tell_alerts, tell_watcher
from flows.news import tell_impasse, tell_notices
from flows.own import FEED, beside_contract, told_in_a_sentence
from flows.server import alone, prefect_server

DELIVERIES = "deliveries"
"""Name of a round for whatever has been delivered; it is recorded by its number."""
COSTS = ("candidate", "champion", "rule of thumb")


def run_loop(through: str | None) -> bool:
    """Go round once for each month of the example, or once for what has been delivered where the problem has no feed.

    A round that was cut short is gone through again, and finds what it had done already; finished ones are only shown.

    Returns
    -------
    bool
        False when something in the landing folders could not be read or belongs to no source.
    """
    complete = True
    with account.working("read the contract"):
        space = open_workspace()
        feed = outside_world(space)
        rounds = rounds_to_go(space, feed, through)
    account.say(f"{space.problem.name}: {space.problem.business.question}", style="bold")
    if not rounds:
        told = ", but not every verdict carried out." if waiting(space.journal) else ", and every verdict carried out."
        account.say(f"Nothing is new: every delivery that is complete has been judged{told}")
        tell_notices(space)
        tell_impasse(space)
        find_occasion(space, datetime.now(UTC))  # an hour of the schedule that has nothing new is written down as skipped
        tell_alerts(space, datetime.now(UTC))  # whoever went the last round may have been killed before he told them
        tell_watcher(space)
        if space.settings.landing.is_dir():
            complete = account.tell_leftovers(look_at_landing(space)[0], space.problem)
    else:
        with (
            alone(space),
            prefect_server(space.settings.root) as ready,
        ):
            for name in rounds:
                complete = go_round(space, None if name == DELIVERIES else feed, name, ready) and complete
    show_rounds(space)
    return complete


def rounds_to_go(space: Workspace, feed: ModuleType | None, through: str | None) -> list[str]:
    """Names of the rounds that are not finished: months of the example, or DELIVERIES where something else is new.

    Raises
    ------
    RefusedError
        A month was asked for, and the problem has no feed.
    """
    if feed is None and through is not None:
        raise RefusedError(f"Got --through {through}, but this problem has no feed: its deliveries come from outside. Leave it out.")
    finished = {row["cycle"] for row in space.journal.rows(tables.cycles)}
    with told_in_a_sentence(space, FEED):
        months = feed.months_through(through or feed.THROUGH) if feed else []
        first = feed.last_delivered(space.settings.landing) if feed else None  # what came before it cannot be told apart any more
    ahead = [month for month in months if month not in finished and not (first and month < first)]
    return ahead or ([DELIVERIES] if is_anything_new(space) else [])


def is_anything_new(space: Workspace) -> bool:
    """Whether a delivery waits, or the last round was gone with other batches, or another contract, code, lock or champion."""
    inputs, last = current_inputs(space), space.journal.last(tables.cycles)
    state = current_state(space, inputs, standing(space.journal).champion)
    changed = inputs is None or last is None or state != last["facts"].get("state")
    return changed or has_new_deliveries(space) or is_due(space, datetime.now(UTC))


def go_round(space: Workspace, feed: ModuleType | None, name: str, ready: Callable[[], str]) -> bool:
    """Let the outside world deliver, then ingest, train, judge and predict; False when something could not be read."""
    account.title(f"{name} is over" if feed else "What has been delivered")
    with told_in_a_sentence(space, FEED):
        broken = feed.deliver_corrupted(space.settings.landing, name) if feed else []
    if feed and not broken:
        deliver(space, feed, name)
    with account.working("start Prefect"):
        from flows.cycle import cycle

        import_engine()  # the server starts in a process of its own, so there is time for it now
        ready()
    if feed and broken:
        cycle(f"{name}, first delivery", rehearsal=True)
        deliver(space, feed, name)
    return cycle(name)


def deliver(space: Workspace, feed: ModuleType, name: str | None) -> None:
    """Have the example's outside world deliver everything of that month; None: of all that a run delivers."""
    with account.working("the outside world delivers"), told_in_a_sentence(space, FEED):
        files = list(feed.deliver(space.settings.landing, name or feed.THROUGH))
    account.done("deliver", f"{counted(len(files), 'file')} arrived in the landing folders")


def show_rounds(space: Workspace) -> None:
    """Print a table of the finished rounds and where the overview is."""
    records = {row["decision"]: row["record"] for row in space.journal.rows(tables.decisions)}
    rows = []
    for finished in space.journal.rows(tables.cycles):
        if finished["facts"]["decision"] is None:
            continue  # a round in which nothing was judged
        record = records[finished["facts"]["decision"]]
        costs = {row["name"]: row["cost_per_1000"] for row in record["money"]}
        shown = [f"{costs[name]:,.0f}" if name in costs else "-" for name in COSTS]
        rows.append([finished["facts"]["data"], record["verdict"].upper(), f"{record['candidate']['version']}", *shown])
    if not rows:
        return
    account.title(
        f"Cost in {space.problem.business.unit} per 1,000 {space.problem.things}, on the newest outcomes, which no compared model had seen"
    )
    account.table(["data to", "verdict", "version", *COSTS], rows)
    account.say()
    account.say(f"Everything on one page: {space.settings.site / 'index.html'}")


def outside_world(space: Workspace) -> ModuleType | None:
    """The example's feed: the module `feed` beside the contract, where there is one."""
    return beside_contract(space, FEED)
