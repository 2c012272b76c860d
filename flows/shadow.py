"""What `evergreen shadow` does: a version is asked about all that is served, and what it would have said is compared."""

from __future__ import annotations

import httpx

from evergreen import journal as tables
from evergreen import shadows
from evergreen.errors import ContractError, RefusedError
from evergreen.journal import mirror
from evergreen.moves import standing
from evergreen.report.shadow import account_sentences, shadow_sentences
from evergreen.serving.probing import Api
from evergreen.status import shadow_so_far
from evergreen.workspace import Workspace, open_workspace
from flows import account


def begin(version: int, *, person: str) -> None:
    """Have a version asked in shadow from now on.

    Raises
    ------
    RefusedError
        It is not registered, or it serves.
    ContractError
        Nothing is served over HTTP.
    """
    space = open_workspace()
    _refuse_without_api(space)
    known = [row["version"] for row in space.journal.rows(tables.versions)]
    if version not in known:
        there = ", ".join(map(str, known[-10:])) or "none yet"
        raise RefusedError(f"There is no version {version}; registered (the newest last): {there}.")
    if gone := space.journal.last(tables.removals, kind="model", name=str(version)):
        raise RefusedError(f"Version {version} was removed ({gone['reason']}); there is nothing to ask.")
    champion = standing(space.journal).champion
    if version == champion:
        raise RefusedError(f"Version {version} serves. In shadow is asked who does not.")
    serves = "whoever becomes champion" if champion is None else f"version {champion}"
    before = shadows.wanted(space.journal)
    shadows.begin(space.journal, version, reason=f"Asked for by {person}.")
    if before is not None and before.version != version:
        account.say(f"Version {before.version} is not asked any more.")
    account.say(f"Version {version} is asked in shadow of {serves}, from now on. How it does: evergreen shadow")
    if (fault := _absent(space)) is not None:
        account.say(f"No server answers at {space.settings.api} ({fault}); it begins when one serves this home (make up, or make serve).")


def end(*, person: str) -> None:
    """Have none asked any more."""
    space = open_workspace()
    now = shadows.wanted(space.journal)
    if now is None:
        account.say("No version is in shadow; nothing was recorded.")
        return
    shadows.end(space.journal, reason=f"Ended by {person}.", number=now.number)
    account.say(f"Version {now.version} is not asked in shadow any more. What it said stays: evergreen shadow")


def tell() -> None:
    """Say which version is or was in shadow, and how it does."""
    space = open_workspace()
    _refuse_without_api(space)
    shadow = shadows.newest(space.journal)
    if shadow is None:
        account.say("No version was ever in shadow. To ask one about all that is served: evergreen shadow VERSION")
        return
    with account.working("compare what was said"):
        seen = shadow_so_far(space)
    if seen is None:  # nothing has been ingested here
        now = mirror.account(space.journal, shadow.number, since=shadow.since)
        first, *others = account_sentences(shadow, now, ended=shadows.ended(space.journal))
    else:
        first, *others = shadow_sentences(seen, space.problem)
    account.say(first, style="bold")
    for sentence in others:
        account.say(sentence)
    if shadow.until is None and (trouble := _trouble(space)):
        account.done("trouble", trouble, tone="bad")


def _refuse_without_api(space: Workspace) -> None:
    if space.problem.online is None:
        raise ContractError("The contract has no `online`, so nothing is served that a version could be asked about. See docs/serving.md.")


def _absent(space: Workspace) -> str | None:
    """Why no server of this problem can be asked; None where one answers."""
    try:
        with Api(space.settings) as api:
            api.follow()
    except httpx.HTTPError as error:
        return type(error).__name__
    return None


def _trouble(space: Workspace) -> str:
    """Why nothing is asked now, where a server can be asked and says so."""
    try:
        with Api(space.settings) as api:
            return api.shadow_trouble()
    except httpx.HTTPError as error:
        return f"no server answers at {space.settings.api} ({type(error).__name__}), and nothing is asked meanwhile"
