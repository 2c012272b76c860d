"""`make image` builds the container image; `make image-check` also sees that it does what docs/containers.md says of it."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.engines import HOME, Container, build, find_engine, megabytes, new_home, settings_of, started
from deploy.trial_problem import TrialProblem, trial_problem

LIMIT, BASE = 1_100, 150
"""Megabytes: what the image may have in all, and what python:3.12-slim comes to at most; another base is not held against it."""
RUN_SECONDS, SHORT_SECONDS, READY_SECONDS, STOP_SECONDS = 1_800.0, 120.0, 120.0, 45.0
ANOTHER = "23456:23456"
"""An account that the image does not know."""
TOOLS = ("pip", "pip3", "uv", "gcc", "cc", "g++", "make", "git", "curl")
MODULES = ("pip", "setuptools", "ensurepip", "uv", "hatchling", "pytest")
CHAMPION = """
from mlflow import MlflowClient
from evergreen.workspace import open_workspace
space = open_workspace()
version = space.registry.aliases()["champion"]
found = MlflowClient(space.settings.mlflow).get_model_version(space.problem.name, str(version))
print(version, found.tags["commit"])
"""
"""Says which version serves, and what it was made from."""


def main() -> None:
    """Build; with --check look at one thing after the other, and end with 1 at the first that is not so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", default="evergreen:latest")
    parser.add_argument("--base", default="", help="the image of Python that it is built on; the Dockerfile's own by default")
    parser.add_argument("--check", action="store_true", help="see that it does what it should")
    parser.add_argument("--built", action="store_true", help="it is there already, and was built from this checkout")
    options = parser.parse_args()
    engine, revision = find_engine(), said_of_git("describe", "--always", "--exclude=*", "--dirty=+", "--abbrev=40")
    tag = f"localhost/{options.tag}" if engine == "buildah" else options.tag
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    if not options.built:
        source = f"{os.environ.get('GITHUB_SERVER_URL', '')}/{os.environ.get('GITHUB_REPOSITORY', '')}".strip("/") or "unknown"
        arguments = {"VERSION": version, "REVISION": revision, "SOURCE": source}
        build(engine, tag, arguments | ({"PYTHON_IMAGE": options.base} if options.base else {}))
    if options.check:
        check(engine, tag, options.base, {"revision": revision, "version": version})
    say(f"{tag} of {revision}{' does what it should' if options.check else ' is built'}, {megabytes(engine, tag):,.0f} MB")


def said_of_git(*words: str) -> str:
    """What git says of this checkout; "unknown" outside one."""
    command = ["git", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SHORT_SECONDS, check=False)
    return done.stdout.strip() or "unknown"


def check(engine: str, tag: str, base: str, made_of: dict[str, str]) -> None:
    """All of it, as the image's own account and as one that it does not know; `made_of` is its revision and its version."""
    settings = settings_of(engine, tag)
    check_settings(settings, made_of)
    check_size(megabytes(engine, tag), megabytes(engine, base) if base else 0.0)
    for user in (settings["User"], ANOTHER):
        with new_home(engine, tag) as home, trial_problem() as trial:
            container = Container(home, user)
            check_contents(engine, tag, container)
            check_secrets(engine, tag, container)
            check_loop_and_api(engine, tag, with_trial(engine, tag, container, trial), made_of["revision"])


def check_settings(settings: dict[str, Any], made_of: dict[str, str]) -> None:
    """User, health check, signal and labels."""
    insist(bool(re.fullmatch(r"[1-9]\d*:[1-9]\d*", settings["User"])), f"the user is a number and not root: {settings['User']}")
    insist(bool(settings.get("Healthcheck")), "it has a health check")
    insist(settings.get("StopSignal") == "SIGTERM", "SIGTERM ends it")
    insist(HOME in (settings.get("Volumes") or {}), f"{HOME} is a volume")
    labels = {name.rpartition(".")[2]: value for name, value in settings["Labels"].items() if name.startswith("org.opencontainers.image.")}
    named = {"title", "description", "licenses", "version", "revision", "source"}
    insist(named <= labels.keys() and all(labels.values()), f"its labels are those of OCI: {', '.join(sorted(labels))}")
    for name, value in made_of.items():
        insist(labels[name] == value, f"its {name} is {value}: {labels[name]}")


def check_size(whole: float, base: float) -> None:
    """Within the limit, whatever it is built on."""
    ours = f", of which the base {base:,.0f} MB" if base else ""
    insist(whole - base + (BASE if base else 0) <= LIMIT, f"on python:3.12-slim it stays under {LIMIT:,} MB: {whole:,.0f} MB{ours}")


def check_contents(engine: str, tag: str, container: Container) -> None:
    """No tools that build, and nothing to write to but what must be."""
    user = container.user
    code, said = run(engine, tag, container, "sh", "-c", f"for one in {' '.join(TOOLS)}; do command -v $one; done; id -u")
    insist((code, said.split()) == (0, [user.partition(":")[0]]), f"{user} finds none of {', '.join(TOOLS)}: {said.split()}")
    for python in ("python", "$(readlink -f /opt/evergreen/bin/python)"):
        words = f"import importlib.util as u; print([m for m in {MODULES} if u.find_spec(m)])"
        code, said = run(engine, tag, container, "sh", "-c", f'{python} -c "{words}"')
        whose = "the image's Python" if python == "python" else "the base's Python"
        insist((code, said.strip()) == (0, "[]"), f"{whose} finds none of {', '.join(MODULES)}: {said.strip()}")
    places = f"/ /app /opt/evergreen /usr /etc /var /tmp {HOME}"
    trial = f"for one in {places}; do touch $one/.mark 2>/dev/null && echo $one && rm $one/.mark; done; true"
    code, said = run(engine, tag, container, "sh", "-c", trial)
    insist((code, said.split()) == (0, ["/tmp", HOME]), f"{user} may write to /tmp and {HOME} only: {said.split()}")


def check_secrets(engine: str, tag: str, container: Container) -> None:
    """A secret comes from a file, and is not told where it cannot be taken."""
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "key")
        file.write_text(f"{secret}\n")
        Path(folder).chmod(0o755)
        file.chmod(0o444)
        name = "EVERGREEN_API_KEY_FILE"
        given = Container(container.home, container.user, {name: "/run/secrets/key"}, {"key": file})
        code, said = run(engine, tag, given, "sh", "-c", 'printf %s "$EVERGREEN_API_KEY" | sha256sum')
        insist((code, said.split()[:1]) == (0, [hashlib.sha256(secret.encode()).hexdigest()]), "a secret is taken from its file")
        beside = "unset EVERGREEN_API_KEY; EVERGREEN_API_KEY_FILE=/run/secrets/key evergreen contract show"
        code, said = run(engine, tag, given, "sh", "-c", beside)
        insist(code == 0, "so does a command that passes the entrypoint by, as `docker exec` does", or_else=said)
        twice = Container(container.home, container.user, {name: "/run/secrets/key", "EVERGREEN_API_KEY": "other"}, {"key": file})
        for refused in (twice, Container(container.home, container.user, {name: "/run/secrets/absent"})):
            code, said = run(engine, tag, refused, "env")
            insist(code == 1 and name in said and secret not in said, f"it is refused otherwise: {said.strip()}")


def with_trial(engine: str, tag: str, container: Container, trial: TrialProblem) -> Container:
    """A container for the problem that the loop is tried on, with its data; the image's own problem is imported first, whichever it is."""
    code, said = run(engine, tag, container, "evergreen", "contract", "show")
    insist(code == 0, "its own problem is read in it: evergreen contract show", or_else=said)
    tried = replace(container, environment=trial.environment, folders=trial.folders)
    if trial.deliver:
        code, said = run(engine, tag, tried, "python", "-c", trial.deliver)
        insist(code == 0, "data arrive for the trial", or_else=said)
    say(f"      the loop is tried on {trial.name}")
    return tried


def check_loop_and_api(engine: str, tag: str, container: Container, revision: str) -> None:
    """The whole loop, then the API on the home that it left."""
    began = time.monotonic()
    code, said = run(engine, tag, container, "evergreen", "run", seconds=RUN_SECONDS)
    insist(code == 0, f"evergreen run as {container.user}, {time.monotonic() - began:.0f} s", or_else=said)
    code, said = run(engine, tag, container, "python", "-c", CHAMPION)
    insist(code == 0, "the journal and MLflow are read", or_else=said)
    champion, commit = said.split()[-2:]
    insist(commit == revision, f"its models are of the commit that it was built from: {commit}")
    port = free_port()
    served = replace(container, environment={**container.environment, "EVERGREEN_API_PORT": str(port)}, port=port)
    with started(engine, tag, served) as process:
        ready = wait_until_ready(process, port)
        asked = ask(port, "/openapi.json")["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        answer = ask(port, "/predict", asked["one row"]["value"])
        insist(str(answer["model_version"]) == champion, f"version {champion} answers after {ready:.0f} s: {json.dumps(answer)}")
        began = time.monotonic()
        process.terminate()
        try:
            said, _ = process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            insist(False, f"SIGTERM ends it within {STOP_SECONDS:.0f} s")
        insist(
            process.returncode == 0, f"SIGTERM ends it with 0 after {time.monotonic() - began:.1f} s: {process.returncode}", or_else=said
        )


def wait_until_ready(process: subprocess.Popen[str], port: int) -> float:
    """Wait until the API answers; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < READY_SECONDS and process.poll() is None:
        try:
            ask(port, "/health/ready")
            return time.monotonic() - began
        except OSError:
            time.sleep(0.2)
    process.terminate()
    insist(False, f"the API is ready within {READY_SECONDS:.0f} s", or_else=process.communicate(timeout=STOP_SECONDS)[0])
    return 0.0


def run(engine: str, tag: str, container: Container, *words: str, seconds: float = SHORT_SECONDS) -> tuple[int, str]:
    """Run a command in the image to its end: its exit code and all that it said."""
    with started(engine, tag, container, *words) as process:
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said


def ask(port: int, path: str, body: Any = None) -> Any:
    """Ask the API."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def insist(holds: bool, sentence: str, *, or_else: str = "") -> None:
    """Tell what holds; end the process where it does not."""
    say(f"{'ok  ' if holds else 'FAIL'}  {sentence}")
    if not holds:
        sys.exit(or_else[-4_000:] or 1)


def say(sentence: str) -> None:
    """Print at once: building takes minutes."""
    print(sentence, flush=True)


if __name__ == "__main__":
    main()
