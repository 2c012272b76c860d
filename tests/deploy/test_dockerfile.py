"""What goes into the image, and with what it is made."""

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def copied() -> set[str]:
    """What the Dockerfile takes from this folder; what has a star may be missing in a fork."""
    words = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    return {source.rstrip("/*") for line in words for source in line.split()[:-1]}


def is_sent(path: str) -> bool:
    """As Docker reads the file: the last pattern that fits a path, or a folder above it, decides."""
    sent = True
    for pattern in IGNORED:
        bare = pattern.removeprefix("!")
        above = [PurePosixPath(path), *PurePosixPath(path).parents]
        fits = any(one.match(bare.removeprefix("**/")) if bare.startswith("**/") else _matches(str(one), bare) for one in above)
        if fits:
            sent = pattern.startswith("!")
    return sent


def _matches(path: str, pattern: str) -> bool:
    return path != "." and re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), path) is not None


def test_what_the_dockerfile_copies_is_sent_to_the_engine():
    assert copied() == {path for path in copied() if is_sent(path)}
    assert {path for path in copied() if not (ROOT / path).exists()} <= {"LICENSE", "data/pointer"}
    assert set(re.findall(r"(\S+)\*(?= )", DOCKERFILE)) == {"LICENSE", "data/pointer"}
    assert is_sent("src/evergreen/journal/tables.py")
    assert is_sent("flows/supervisord.conf")


def test_nothing_else_is_sent():
    listing = ["git", "ls-files"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    wanted = tuple(copied())
    assert [path for path in tracked if is_sent(path) and not path.startswith(wanted)] == []
    private = (
        ".git/config",
        ".env",
        "var/journal.db",
        ".venv/bin/python",
        "secrets/api_key",
        "tests/conftest.py",
        "src/problem/__pycache__/a.pyc",
    )
    assert [path for path in private if is_sent(path)] == []


def test_the_image_has_the_locked_packages_by_hash_and_none_for_development():
    assert "requirements-dev" not in DOCKERFILE
    installs = re.findall(r"(?:uv pip|-m pip) install[^&]*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps --editable" in one for one in installs)


def test_what_builds_is_locked_in_the_versions_of_the_development():
    def pinned(file: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))

    build, development = pinned("requirements-build.txt"), pinned("requirements-dev.txt")
    assert {"hatchling", "setuptools", "uv"} <= build.keys()
    assert {name: development.get(name, version) for name, version in build.items()} == build


def test_the_image_of_python_is_the_one_that_dependabot_watches():
    watched = (ROOT / "deploy" / "base" / "Dockerfile").read_text().splitlines()[-1]
    assert f"ARG PYTHON_IMAGE={watched.removeprefix('FROM ')}\n" in DOCKERFILE, "take it over: the Dockerfile's first argument"
    entries = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert [one["directory"] for one in entries if one["package-ecosystem"] == "docker"] == ["/deploy/base"]


def test_the_image_of_python_can_be_another_one_and_is_the_same_in_all_stages():
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages == ["${PYTHON_IMAGE}", "packages", "${PYTHON_IMAGE}"]
    assert DOCKERFILE.index("ARG PYTHON_IMAGE=python:3.12-slim") < DOCKERFILE.index("FROM ")


def test_hadolint_has_nothing_to_say():
    linter = [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"]
    said = subprocess.run(linter, capture_output=True, text=True, timeout=120, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_compose_yaml_is_what_its_specification_allows():
    checker = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"]
    said = subprocess.run(checker, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stdout
