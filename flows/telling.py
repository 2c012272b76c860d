"""What the smaller commands do and say: how things stand, what was decided, and what a person decides."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any

from evergreen import brakes, moves, promotion, releases
from evergreen import journal as tables
from evergreen.control import refresh_site
from evergreen.errors import EvergreenError, RefusedError
from evergreen.overrides import used
from evergreen.report.contract import describe
from evergreen.report.site import served_sentences, with_override, write_decision
from evergreen.report.words import counted
from evergreen.revocations import in_words, learnt_by
from evergreen.settings import load_settings
from evergreen.status import (
    freshness,
    in_quarantine,
    in_shadow_now,
    look_at_health,
    look_at_landing,
    notices,
    realized_so_far,
    served_so_far,
)
from evergreen.workspace import Workspace, load_problem, open_workspace
from flows import account, health
from flows.news import tell_health


def tell_status() -> None:
    """Say which version serves, what its predictions were worth, and how fresh the data are."""
    space = open_workspace()
    now = moves.standing(space.journal)
    serves = "No model serves yet." if now.champion is None else f"Version {now.champion} serves."
    account.say(f"{space.problem.name}: {serves}", style="bold")
    if now.champion is not None:
        account.say(f"Before it: {_version(now.previous)}. Best so far: {_version(now.anchor)}.")
    _tell_unfinished(space)
    _tell_notices(space)
    if space.settings.landing.is_dir():
        found, new = look_at_landing(space)
        if new:
            account.say("Deliveries wait to be judged. Run: evergreen ingest", style="yellow")
        account.tell_leftovers(found, space.problem)
    for row in in_quarantine(space):
        account.done("", f"quarantined: {row['source']}/{row['name']} {row['reason']}", tone="bad")
    _tell_worth(space)
    if told := in_shadow_now(space):
        account.title("In shadow")
        for sentence in told:
            account.say(f"  {sentence}")
    account.title("Newest row of each source")
    for one in freshness(space, datetime.now(UTC)):
        behind = "" if one.behind is None else f", {counted(one.behind.days, 'day')} behind {one.clock}"
        account.done(one.source, f"{one.newest or 'nothing yet'}{behind}", tone="hold" if one.is_stale else "plain")
    seen = health.look(space.settings) or health.look_elsewhere(space.settings)
    account.title("Platform" if seen else "The platform is not up. To start it: make up")
    health.tell(seen)
    if any(one.state == health.NOBODY for one in seen):
        account.say("Nobody works on rounds of this home. To start a runner on this machine: make up")


def _tell_worth(space: Workspace) -> None:
    """Say what predictions were worth; and where the data do not go together, so that nobody knows, that they do not."""
    unit, things = space.problem.business.unit, space.problem.things
    with account.working("see what predictions were worth"):
        findings = look_at_health(space, datetime.now(UTC))
        worth, served = realized_so_far(space), served_so_far(space)
    tell_health(findings)
    if worth:
        account.title(f"Published predictions, cost in {unit} per 1,000 {things}")
        rows = [[row["partition"], f"{row['version']}", f"{row['rows']:,}", *_worth(row)] for row in worth]
        account.table(["from", "version", things, "model", "rule of thumb", "no model", "saved against rule", "against no model"], rows)
    if served:
        account.title("Predictions over HTTP")
        for sentence in served_sentences(served, space.problem):
            account.say(f"  {sentence}")


def tell_site() -> None:
    """Write the control room from what is known now."""
    space = open_workspace()
    with account.working("write the pages"):
        findings = look_at_health(space, datetime.now(UTC))
        page = refresh_site(space, realized_so_far(space))
    tell_health(findings)
    account.say(f"The control room: {page}")


def tell_triggers() -> None:
    """Say every decision on whether to retrain, oldest first."""
    space = open_workspace()
    rows = space.journal.rows(tables.triggers)
    for row in rows:
        account.say(f"{row['at'][:19]}  {row['kind']:<9} {row['action']:<8} {row['rule']:<12} {row['reason']}")
    if not rows:
        account.say("Nothing has asked for a training yet.")


def tell_history() -> None:
    """Say every decision and every move of the champion, oldest first."""
    space = open_workspace()
    decided = [(row["at"], row["verdict"], row["record"]["headline"]) for row in space.journal.rows(tables.decisions)]
    moved = [
        (row["at"], row["kind"], f"version {row['version']} by {row['person']} ({row['state']}): {row['reason']}") for row in _moves(space)
    ]
    freed = [
        (row["at"], "barred" if row["barred"] else "freed", f"version {row['version']} by {row['person']}: {row['reason']}")
        for row in space.journal.rows(tables.bars)
    ]
    overruled = [
        (row["at"], "overruled", f"version {row['version']} by {row['person']} until {row['expires']:.16} UTC: {', '.join(row['checks'])}")
        for row in space.journal.rows(tables.overrides)
    ]
    stopped = [
        (row["at"], "frozen" if row["frozen"] else "unfrozen", f"by {row['person']}: {row['reason']}")
        for row in space.journal.rows(tables.freezes)
    ]
    doubted = [
        (row["at"], "taken back" if row["revoked"] else "given back", f"batch {row['batch'][:12]} by {row['person']}: {row['reason']}")
        for row in space.journal.rows(tables.revocations)
    ]
    gone = [(row["at"], "removed", f"{row['kind']} {row['name']}: {row['reason']}") for row in space.journal.rows(tables.removals)]
    for at, what, text in sorted([*decided, *moved, *overruled, *freed, *stopped, *doubted, *gone]):
        account.say(f"{at[:19]}  {what:<10} {text}")
    _tell_notices(space)
    if not decided:
        account.say("Nothing has been decided yet. Run: evergreen run")


def release(version: int, *, reason: str, person: str | None) -> None:
    """Promote a version by a person's decision: one that the gate holds, or judged PROMOTE and that does not serve (any more)."""
    space = open_workspace()
    releases.release(space.registry, version, reason=reason, person=name_of(person))
    account.say(f"Version {version} serves, released by {name_of(person)}. To publish its predictions: evergreen predict")
    refresh(space)


def override(version: int, *, reason: str, person: str | None, expires: datetime) -> None:
    """Promote a version that the gate refuses, for a time; its page, its record and MLflow show it."""
    space = open_workspace()
    word = releases.override(space.registry, version, reason=reason, person=name_of(person), expires=expires)
    account.say(f"{word.sentence}.")
    _warn_of(space, version)
    account.say("The first round after that goes back to the champion before it. To publish its predictions: evergreen predict")
    refresh(space)
    record = space.journal.rows(tables.decisions, decision=word.decision)[0]["record"]
    files = write_decision(space.settings.site, with_override(record, used(space.journal)), space.problem)
    space.registry.annotate(space.registry.version(version), record, files=files)


def go_back(*, reason: str, person: str | None) -> None:
    """Go back to the previous champion."""
    space = open_workspace()
    version = promotion.rollback(space.registry, reason=reason, person=name_of(person))
    account.say(f"Version {version} serves again. To publish its predictions: evergreen predict")
    _warn_of(space, version)
    left = moves.standing(space.journal).previous
    account.say(f"Version {left} is barred; to free it: evergreen unbar {left} --reason ...")
    refresh(space)


def free(version: int, *, reason: str, person: str | None) -> None:
    """Let a barred version be promoted again."""
    brakes.unbar(open_workspace().journal, version, reason=reason, person=name_of(person))
    account.say(f"Version {version} may be promoted again.")


def stop(*, reason: str, person: str | None) -> None:
    """Freeze promotions."""
    space = open_workspace()
    if brakes.freeze(space.journal, root=space.settings.root, reason=reason, person=name_of(person), seconds=space.settings.lease_seconds):
        account.say("Training and judging go on, and rolling back stays possible.")
    else:
        account.say("Promotions are frozen already; nothing was recorded.")
    _tell_notices(space)
    _tell_unfinished(space)
    refresh(space)


def resume(*, reason: str, person: str | None) -> None:
    """Let versions be promoted again."""
    space = open_workspace()
    if brakes.unfreeze(
        space.journal, root=space.settings.root, reason=reason, person=name_of(person), seconds=space.settings.lease_seconds
    ):
        account.say("Versions may be promoted again.")
    else:
        account.say("Promotions are not frozen; nothing was recorded.")
    _tell_notices(space)
    refresh(space)


def settle() -> None:
    """Finish what was cut short and make MLflow show what the journal says."""
    space = open_workspace()
    promotion.restore_aliases(space.registry)
    for sentence in promotion.reconcile(space.registry) or ["All is well: the aliases are where the journal says they are."]:
        account.say(sentence)


def tell_contract() -> None:
    """Say the contract in sentences."""
    for heading, sentences in describe(load_problem(load_settings().problem)):
        account.title(heading)
        for sentence in sentences:
            account.say(f"  {sentence}")


def check_contract() -> None:
    """Take a small pass through everything that the user wrote."""
    from evergreen.testing import check_problem

    space = open_workspace()
    with account.working("check the contract"):
        passed = check_problem(space)
    for sentence in passed:
        account.done("ok", sentence, tone="good")


def _tell_unfinished(space: Workspace) -> None:
    if begun := moves.unfinished(space.journal):
        one = "An" if begun["kind"] == "override" else "A"
        account.say(f"{one} {begun['kind']} to version {begun['version']} was cut short. Run: evergreen reconcile", style="yellow")


def _tell_notices(space: Workspace) -> None:
    for tone, sentence in notices(space, datetime.now(UTC)):
        account.say(sentence, style=account.SIGNS[tone])


def _warn_of(space: Workspace, version: int) -> None:
    """Say so where a person has a version serve that has learnt from what was taken back."""
    if lost := learnt_by(space.journal, version):
        account.say(f"Mind that it has learnt from {in_words(lost)}.", style="yellow")


def refresh(space: Workspace) -> None:
    """Make the pages tell it; that they cannot be written undoes nothing."""
    try:
        look_at_health(space, datetime.now(UTC))
        refresh_site(space, realized_so_far(space))
    except EvergreenError as error:
        account.say(f"The pages do not show it yet: {error}", style="yellow")


def _moves(space: Workspace) -> list[dict[str, str]]:
    return moves.history(space.journal)


def _worth(row: dict[str, Any]) -> list[str]:
    realized = row["realized"]
    if realized is None:
        return ["not known now" if row.get("lacks") else "no outcomes yet", "", "", "", ""]
    told = ("cost_per_1000", "rule_of_thumb_per_1000", "no_model_per_1000", "saved", "saved_against_no_model")
    return [f"{realized[name]:,.0f}" for name in told]


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def name_of(person: str | None) -> str:
    """Who decides: whom the command names, else whoever is logged in."""
    try:
        return person or getpass.getuser()
    except (KeyError, OSError):
        raise RefusedError("Who you are is not known here; say it with --by, for it is recorded.") from None
