"""Online deployment: the server takes the champion over and shows that it answers; from one that it refuses the way leads back."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import httpx
from prefect import flow

from evergreen.errors import ModelError
from evergreen.journal import refusals
from evergreen.moves import served_by, standing
from evergreen.registry import Version
from evergreen.releases import Retreat, refuse_served, retreat
from evergreen.serving.probing import Api, NotNowError
from evergreen.workspace import Workspace, open_workspace
from flows.steps import step

TAKE_OVER_SECONDS = 30.0
SMOKE_SECONDS = 10.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Deployed:
    """What became of the champion at the server."""

    version: int
    state: Literal["serves", "away", "refused", "late"]
    reason: str = ""
    retreat: Retreat | None = None
    """Where the champion went back to, from a version that was refused."""


@flow(name="online deployment", flow_run_name="serve the champion", timeout_seconds=600, persist_result=False)
def deploy_online() -> Deployed | None:
    """See that the server answers with the champion, as training did; None where nothing is to be served over HTTP.

    A server that is not up is no failure: it follows the journal when it starts.
    """
    space = open_workspace()
    champion = standing(space.journal).champion
    if space.problem.online is None or champion is None:
        return None
    version, move = space.registry.version(champion), served_by(space.journal)
    deployed = have_it_taken_over(space, version, move)
    if deployed.state == "serves":
        deployed = smoke_test(space, version, move)
    if deployed.state != "refused":
        return deployed
    return replace(deployed, retreat=step_back(space))


@step()
def have_it_taken_over(space: Workspace, version: Version, move: str) -> Deployed:
    """Wait until the server answers with the version, or has refused it as champion by this move."""
    end = time.monotonic() + TAKE_OVER_SECONDS
    with Api(space.settings) as api:
        try:
            if api.serves(space.problem) != version.artefact:
                api.follow()
            while time.monotonic() < end:
                if api.serves(space.problem) == version.artefact:
                    return Deployed(version.number, "serves")
                if refused := space.journal.last(refusals, promotion=move):
                    return Deployed(version.number, "refused", refused["reason"])
                time.sleep(LOOK_SECONDS)
        except (httpx.HTTPError, ValueError, NotNowError) as error:
            return Deployed(version.number, "away", f"{api.url}: {error}")
    return Deployed(version.number, "late", f"after {TAKE_OVER_SECONDS:g} s the server answers with another version")


@step()
def smoke_test(space: Workspace, version: Version, move: str) -> Deployed:
    """Ask golden rows over HTTP; only what this very version answers counts against it, and whatever else comes is asked again."""
    golden = space.registry.evidence_folder(version) / "golden.parquet"
    end, why = time.monotonic() + SMOKE_SECONDS, ""
    with Api(space.settings) as api:
        while time.monotonic() < end:
            try:
                api.smoke_test(space.problem, version.number, golden)
            except ModelError as error:
                refuse_served(space.registry, version.number, str(error), move=move)
                return Deployed(version.number, "refused", str(error))
            except (NotNowError, httpx.HTTPError, ValueError) as error:
                why = str(error)
                time.sleep(LOOK_SECONDS)
            else:
                return Deployed(version.number, "serves")
    return Deployed(version.number, "late", f"golden rows were not answered within {SMOKE_SECONDS:g} s: {why}")


@step()
def step_back(space: Workspace) -> Retreat | None:
    """Go back from a champion that a server has refused."""
    return retreat(space.registry)
