"""What a model was made from, as digests; the same inputs always have the same names."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from evergreen.contract import Problem
from evergreen.errors import EvergreenError
from evergreen.files import digest_file, digest_folder, digest_text


def provenance_digests(problem: Problem, *, snapshot: str, lock: Path) -> dict[str, str]:
    """Digests of everything that goes into a training: snapshot, contract, code (the problem's package), lock.

    Raises
    ------
    EvergreenError
        The lock file is missing.
    """
    if not lock.is_file():
        raise EvergreenError(
            f"Got no lock file at {lock}; a model must record which packages made it. Run in the project's folder, or: make lock"
        )
    return {"snapshot": snapshot, "contract": problem.digest(), "code": digest_folder(problem.package), "lock": digest_file(lock)}


def training_key(digests: dict[str, str], *, content: str, seed: int, parameters: dict[str, Any]) -> str:
    """Names a training by what decides its result: the labelled rows' content, contract, code, lock, seed and parameters.

    The snapshot does not count: a new schedule without new outcomes teaches nothing.
    """
    return digest_text(
        content, digests["contract"], digests["code"], digests["lock"], str(seed), json.dumps(parameters, sort_keys=True, default=str)
    )


def locked_packages(lock: Path) -> dict[str, str]:
    """The versions that a lock file pins for this Python, by the packages' names."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = {}
    for line in lock.read_text().splitlines():
        text = re.split(r" [#\\]| --", line)[0]  # comments, hashes and the sign that the line goes on
        with suppress(InvalidRequirement):  # other kinds of locks have other lines: their digest is recorded all the same
            one = Requirement(text) if "==" in text and not text.startswith((" ", "#", "-")) else None
            if one and (one.marker is None or one.marker.evaluate()):
                found[one.name] = str(one.specifier).removeprefix("==")
    return found


def code_version(folder: Path) -> str:
    """The commit that `folder` is checked out at, with "+" behind it where files have changed; "unknown" outside a checkout.

    A container image has neither git nor a checkout: it brings the commit that it was built from in `EVERGREEN_REVISION`.
    """
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--exclude=*", "--dirty=+", "--abbrev=40"],  # noqa: S607 - git is where the person's PATH has it
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("EVERGREEN_REVISION") or "unknown"
    return found.stdout.strip()
