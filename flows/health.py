"""What the platform consists of, and how each part of it is."""

from __future__ import annotations

import base64
import os
import socket
import sys
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from evergreen.errors import EvergreenError, RefusedError, without_passwords
from evergreen.files import digest_text
from evergreen.settings import Settings, load_settings
from flows import account

ANSWER_SECONDS = 2.0
FLOWS = ("retraining", "monitoring")
"""The flows that Prefect works on by itself."""
OK, ABSENT = 200, 404
UNANSWERED = (OSError, xmlrpc.client.Error, HTTPException, ExpatError)
"""What it looks like when no supervisor answers, or one that is about to stop."""
ELSEWHERE = "elsewhere"
NOBODY = "none that works for this home has been heard of within the last minute"
REFUSED = "it refuses us; set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect's cloud"


@dataclass(frozen=True)
class Part:
    """One process of the platform."""

    name: str
    what: str
    address: str
    """Where people look at it; empty for the runner."""
    health: str
    """What answers when it is healthy; for the runner Prefect's word on its deployments."""
    port: int | None
    """None for the runner, and for a server of a team's, which is not started here."""


@dataclass(frozen=True)
class Health:
    """How a part is."""

    part: Part
    state: str
    """supervisord's word: RUNNING, STARTING, BACKOFF, FATAL, STOPPED; ELSEWHERE for what is not started here; REFUSED; NOBODY."""
    is_healthy: bool


def parts(settings: Settings) -> list[Part]:
    """What the platform consists of, under these settings."""
    elsewhere = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    api = elsewhere or f"http://127.0.0.1:{settings.prefect_port}/api"
    prefect, mlflow = api.removesuffix("/api"), settings.mlflow_uri or f"http://127.0.0.1:{settings.mlflow_port}"
    of_mlflow = f"{mlflow}/health" if mlflow.startswith("http") else ""
    return [
        Part("prefect", "runs, schedules, events", prefect, f"{api}/health", None if elsewhere else settings.prefect_port),
        Part("mlflow", "experiments, models", mlflow, of_mlflow, None if settings.mlflow_uri else settings.mlflow_port),
        Part("runner", "works on what Prefect schedules", "", api, None),
    ]


def served(settings: Settings) -> list[Part]:
    """The API as a part, where the contract wants predictions over HTTP; no part where it does not, and where others run the API."""
    from evergreen.workspace import load_problem

    if settings.api_url or load_problem(settings.problem).online is None:
        return []
    return [Part("api", "predictions over HTTP: /docs", settings.api, f"{settings.api}/health/live", settings.api_port)]


def look(settings: Settings) -> list[Health]:
    """How each part is, asked now; empty when the platform is not up."""
    with supervisor(settings) as line:
        if line is None:
            return []
        try:
            states = {one["name"]: one["statename"] for one in line.supervisor.getAllProcessInfo()}
        except UNANSWERED:
            return []
    return [_health(settings, part, states.get(part.name, "STOPPED")) for part in (*parts(settings), *served(settings))]


def look_elsewhere(settings: Settings) -> list[Health]:
    """How each part is where none is started here, as in a container beside theirs; empty where nothing says where they are."""
    prefect, mlflow, runner = parts(settings)
    if prefect.port is not None:
        return []
    api = [Part("api", "predictions over HTTP", settings.api, f"{settings.api}/health/live", None)] if settings.api_url else []
    others = [prefect, *([mlflow] if mlflow.port is None else []), *api]
    found, ours = _deployments(settings, runner.health) or [], tag_of(settings)
    works = _serves(settings, runner.health) and all(ours in one.get("tags", []) for one in found)
    return [*(_health(settings, part, ELSEWHERE) for part in others), Health(runner, ELSEWHERE if works else NOBODY, works)]


def tell(health: list[Health]) -> None:
    """Say how each part is and where."""
    for one in health:
        state = "healthy" if one.is_healthy else f"not healthy ({one.state.lower() if one.state.isupper() else one.state})"
        tone = "good" if one.is_healthy else "bad"
        account.done(one.part.name, f"{state:<10} {without_passwords(one.part.address):<24} {one.part.what}", tone=tone)


@contextmanager
def supervisor(settings: Settings) -> Iterator[Any]:
    """The line to the platform's supervisor; None when it is not up, and when it is about to stop: then it refuses every call."""
    from supervisor.xmlrpc import SupervisorTransport

    path = socket_of(settings)
    if not _is_our_own(path):
        yield None
        return
    with closing(SupervisorTransport(None, None, f"unix://{path}")) as transport:
        line = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            line.supervisor.getState()
        except UNANSWERED:
            yield None
            return
        yield line


def connection(settings: Settings) -> socket.socket | None:
    """A connection to the platform's supervisor, up or about to stop; None when there is none."""
    path, made = socket_of(settings), socket.socket(socket.AF_UNIX)
    try:
        if _is_our_own(path):
            made.connect(str(path))
            return made
    except OSError:  # one that was killed leaves its socket behind, and nobody listens there
        pass
    made.close()
    return None


def is_closed(held: socket.socket, *, seconds: float) -> bool:
    """Wait until whoever is at the other end has closed the connection; the system does so when his process ends, however it ends."""
    held.settimeout(seconds)
    try:
        return held.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def socket_of(settings: Settings) -> Path:
    """Where the supervisor listens: not in the home, for the path of such a socket has at most 100 characters, nor where TMPDIR says."""
    return Path("/tmp") / f"evergreen-{digest_text(str(settings.root))[:12]}.sock"  # noqa: S108 - its owner is looked at first


def _is_our_own(path: Path) -> bool:
    """Whether the socket is there and ours: it is in a folder that everybody may write to."""
    return path.exists() and path.lstat().st_uid == os.getuid()


def _health(settings: Settings, part: Part, state: str) -> Health:
    works = state in {"RUNNING", "STARTING"}
    if part.name == "runner":
        return Health(part, state, works and _serves(settings, part.health))
    if part.port is None:
        state = ELSEWHERE
    elif not works:
        return Health(part, state, is_healthy=False)
    if part.name == "prefect":
        knows_us = _answer(f"{part.health.removesuffix('/health')}/admin/version", _credentials()) not in {401, 403}
        return Health(part, state if knows_us else REFUSED, knows_us and _answer(part.health, _credentials()) == OK)
    return Health(part, state, not part.health or _answer(part.health) == OK)


def _answer(address: str, headers: dict[str, str] | None = None) -> int:
    """The status code of an answer; 0 for none."""
    import httpx

    try:
        return httpx.get(address, headers=headers, timeout=ANSWER_SECONDS).status_code
    except (httpx.HTTPError, httpx.InvalidURL):
        return 0


def prefect_answers(settings: Settings) -> bool:
    """Whether the Prefect server does what it is asked, at this moment."""
    return _answer(parts(settings)[0].health, _credentials()) == OK


def tag_of(settings: Settings) -> str:
    """The tag by which a home's deployments are told from another's."""
    return f"home {digest_text(without_passwords(settings.journal), str(settings.root))[:12]}"


def refuse_another_home(settings: Settings) -> None:
    """See to it that the deployments on the Prefect server are this home's, or not there yet.

    Raises
    ------
    RefusedError
        They are another home's, which would lose its schedule and its rounds to this one.
    EvergreenError
        The server does not say.
    """
    api = parts(settings)[-1].health
    found = _deployments(settings, api)
    if found is None:
        raise EvergreenError(f"The Prefect server at {api} does not tell whether these deployments are another home's. Is it up?")
    others = {tag for one in found for tag in one.get("tags", []) if tag.startswith("home ")} - {tag_of(settings)}
    if others:
        names = " and ".join(f"{flow}/{settings.deployment}" for flow in FLOWS)
        raise RefusedError(
            f"The Prefect server at {api} has {names} of another home, which this one would take over. Set EVERGREEN_DEPLOYMENT to another "
            f"name; or, where this is that home in another place, delete them first (prefect deployment delete)."
        )


def _serves(settings: Settings, api: str) -> bool:
    """Whether Prefect knows the deployments, and has heard of the runner within the last minute (a pool's workers come and go)."""
    found = _deployments(settings, api) or []
    return len(found) == len(FLOWS) and all(settings.work_pool or one.get("status") == "READY" for one in found)


def _deployments(settings: Settings, api: str) -> list[dict[str, Any]] | None:
    """What Prefect knows of this name's deployments; None when it does not say."""
    import httpx

    try:
        addresses = [f"{api}/deployments/name/{flow}/{settings.deployment}" for flow in FLOWS]
        found = [httpx.get(address, headers=_credentials(), timeout=ANSWER_SECONDS) for address in addresses]
        if any(one.status_code not in {OK, ABSENT} for one in found):
            return None
        return [dict(one.json()) for one in found if one.status_code == OK]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError):
        return None


def _credentials() -> dict[str, str]:
    """How Prefect's own client makes itself known, which takes a second and a half to import: by a key, or by a server's password."""
    if password := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def main() -> int:
    """`python -m flows.health`: whether the runner works on what Prefect schedules, by Prefect's word; a container's health check."""
    settings = load_settings()
    return 0 if _serves(settings, parts(settings)[-1].health) else 1


if __name__ == "__main__":
    sys.exit(main())
