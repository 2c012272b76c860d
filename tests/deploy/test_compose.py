"""compose.yaml, read as an engine would read it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from evergreen.settings import PREFIX, Settings
from flows.cli import app
from flows.platform import _environment

ROOT = Path(__file__).parents[2]
COMPOSITION = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSITION["services"]
OURS = {name for name, service in SERVICES.items() if "EVERGREEN_IMAGE" in service["image"]}
ENTRYPOINT = (ROOT / "deploy" / "entrypoint").read_text()
IMAGE = dict(re.findall(r"\b([A-Z_]+)=(\S+)", (ROOT / "Dockerfile").read_text()))
each = pytest.mark.parametrize("name", SERVICES)


def is_one_shot(service: dict[str, Any]) -> bool:
    return bool(service["restart"] == "no")


def networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", []))


@each
def test_no_service_may_take_more_than_its_share(name: str):
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@each
def test_a_service_writes_to_its_volume_and_to_memory_only_and_holds_no_privilege(name: str):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp:")  # noqa: S108 - of the container
    assert name in OURS or service["user"] not in {"root", "0", "0:0"}  # the image's own account is not root


@each
def test_a_service_that_stays_is_watched_and_started_again(name: str):
    service = SERVICES[name]
    if is_one_shot(service):
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["init"] is True
        assert service["healthcheck"]["test"][0] == "CMD"


@each
def test_whoever_needs_another_one_waits_until_it_is_healthy(name: str):
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        awaited = "service_completed_successfully" if is_one_shot(SERVICES[other]) else "service_healthy"
        assert wanted == {"condition": awaited}, other


@each
def test_whoever_is_spoken_to_is_waited_for(name: str):
    values = " ".join(map(str, SERVICES[name].get("environment", {}).values()))
    spoken_to = {other for other in SERVICES if f"//{other}:" in values}
    assert spoken_to - {"api"} <= SERVICES[name].get("depends_on", {}).keys()  # a round does without the API
    assert all(networks(name) & networks(other) for other in spoken_to)


@each
def test_what_is_published_is_published_on_this_machine_only(name: str):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))
    assert not SERVICES[name].get("ports") or "default" in networks(name)


@each
def test_images_have_a_version(name: str):
    assert name in OURS or re.fullmatch(r"[\w/]+:v?\d+\.\d[\d.]*", SERVICES[name]["image"])


@each
def test_no_secret_stands_in_the_environment(name: str):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|KEY|AUTH|CONNECTION_URL|JOURNAL_URL|STORE_URI|ALERT", variable):
            assert variable.endswith("_FILE"), variable
            assert value.startswith("/run/secrets/"), variable
        assert not re.search(r"://[^/]*:[^/]*@", str(value)), variable


@each
def test_a_secret_is_given_to_those_who_use_it_and_to_nobody_else(name: str):
    service = SERVICES[name]
    files = " ".join([*map(str, service.get("environment", {}).values()), *map(str, service.get("command", []))])
    used = set(re.findall(r"/run/secrets/(\w+)", files))
    if name == "postgres":
        used |= {f"{one}_password" for one in ("journal", "mlflow", "prefect")}  # deploy/databases.sh
    assert set(service.get("secrets", [])) == used
    assert used <= COMPOSITION["secrets"].keys()


def test_secrets_are_files_that_git_does_not_see():
    assert all(one["file"] == f"${{EVERGREEN_SECRETS:-secrets}}/{name}" for name, one in COMPOSITION["secrets"].items())


def test_only_mlflow_reaches_the_object_store():
    assert [name for name in SERVICES if name != "store" and "store" in networks(name)] == ["mlflow"]
    assert COMPOSITION["networks"]["store"] == {"internal": True}


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_entrypoint_knows_every_file_that_it_is_given(name: str):
    given = [variable for variable in SERVICES[name].get("environment", {}) if variable.endswith("_FILE")]
    unknown = [one for one in given if not re.search(rf"\b{one.removesuffix('_FILE')}\b", ENTRYPOINT)]
    assert unknown == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_is_named_after_evergreen_is_a_setting(name: str):
    given = {one.removesuffix("_FILE") for one in SERVICES[name].get("environment", {}) if one.startswith(PREFIX)}
    assert given <= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}


def test_the_commands_are_there():
    words = {name: SERVICES[name]["command"] for name in OURS}
    known = get_command(app).commands  # type: ignore[attr-defined]
    for name, command in words.items():
        match command:
            case ["evergreen", one, *_]:
                assert one in known, name
            case ["python", "-m", module, *_]:
                asked = subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, capture_output=True, timeout=60, check=False)
                assert asked.returncode == 0, name
            case [program, *_]:
                assert program in {"prefect", "mkdir"}, name


def test_the_services_find_what_the_platforms_processes_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever is not an address, a folder or a setting: no word to anybody outside, and no look more often than needed."""
    for variable in list(os.environ):
        monkeypatch.delenv(variable)
    on_one_machine = _environment(Settings(home=tmp_path))
    here = {
        name: value
        for name, value in on_one_machine.items()
        if not name.startswith(PREFIX) and name not in {"PREFECT_API_URL", "PREFECT_HOME"}
    }
    for service in ("prefect", "mlflow", "runner", "api"):
        there = {**IMAGE, **SERVICES[service]["environment"]}
        assert {name: there.get(name) for name in here} == here, service
