"""Whether the API answers golden rows of the champion as training did: asked after the server, not the model, was changed."""

from __future__ import annotations

import time

import httpx

from evergreen.errors import EvergreenError
from evergreen.moves import standing
from evergreen.serving.probing import Api, NotNowError
from evergreen.workspace import open_workspace
from flows import account

LOOK_SECONDS = 0.5


def tell_smoke(*, seconds: float) -> None:
    """Ask until the champion answers, and say so. Nothing is promoted, barred or written down by it.

    Raises
    ------
    ModelError
        It gives other answers than training did.
    EvergreenError
        It does not answer in time.
    """
    space = open_workspace()
    if space.problem.online is None:
        account.say("This contract wants no predictions over HTTP, so there is nothing to ask.")
        return
    champion = standing(space.journal).champion
    if champion is None:
        account.say("No model serves yet, so there are no golden rows to ask.")
        return
    version = space.registry.version(champion)
    golden = space.registry.evidence_folder(version) / "golden.parquet"
    end, why = time.monotonic() + seconds, "it serves another version"
    with account.working("ask golden rows"), Api(space.settings) as api:
        while time.monotonic() < end:
            try:
                if api.serves(space.problem) == version.artefact:
                    api.smoke_test(space.problem, version.number, golden)
                    account.say(f"{api.url}: version {champion} answers its golden rows as training did.")
                    return
            except (NotNowError, httpx.HTTPError, ValueError) as error:
                why = str(error)
            time.sleep(LOOK_SECONDS)
    raise EvergreenError(f"{space.settings.api} did not answer with version {champion} within {seconds:g} s: {why}. Read the server's log.")
