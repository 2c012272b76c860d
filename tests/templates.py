"""A small template with two versions, and forks of it, as real repositories, for the tests of the update."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GIT = shutil.which("git") or "git"
ROOT = Path(__file__).parents[1]
IDENTITY = ["-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
PROJECT = """[project]
name = "template"
version = "{version}"
description = "A template."
dependencies = [
    # The template's.
    "numpy>={numpy}",
    # YOURS: what src/problem needs.
    "flights>=1",
]
"""
LOCKING = "lock:\n\t@(cat requirements.txt; grep -o 'bikes' pyproject.toml) > .new && mv .new requirements.txt\n"
CHANGELOG = "# Changelog\n\n## [0.1.0]\n\nForks must:\n\n- know the first thing.\n"
FIRST: dict[str, str | bytes | None] = {
    "pyproject.toml": PROJECT.format(version="0.1.0", numpy=1),
    "requirements.txt": "numpy==1\nflights==1\n",
    "Makefile": LOCKING,
    "CHANGELOG.md": CHANGELOG,
    "README.md": "# Template\n",
    "src/problem/contract.py": "FLIGHTS\n",
    "src/machinery/gate.py": "first\nsecond\nthird\nfourth\nfifth\n",
    "src/machinery/old.py": "".join(f"this line is number {number}\n" for number in range(20)),
    "src/machinery/gone.py": "not needed later\n",
    "docs/picture.png": bytes(range(256)),
    "tool.sh": "echo tool\n",
}
SECOND: dict[str, str | bytes | None] = {
    "pyproject.toml": PROJECT.format(version="0.2.0", numpy=2),
    "requirements.txt": "numpy==2\nflights==1\n",
    "CHANGELOG.md": CHANGELOG.replace("## [0.1.0]", "## [0.2.0]\n\nForks must:\n\n- learn\n  the second thing;\n- rest.\n\n## [0.1.0]"),
    "README.md": "# Template, the second\n",
    "src/problem/contract.py": "FLIGHTS again\n",
    "src/machinery/gate.py": "first\nsecond\nthird of the template's\nfourth\nfifth\n",
    "src/machinery/old.py": None,
    "src/machinery/renamed.py": FIRST["src/machinery/old.py"],
    "src/machinery/gone.py": None,
    "src/machinery/new.py": "new\n",
    "docs/picture.png": bytes(reversed(range(256))),
}
OWN: dict[str, str | bytes | None] = {
    "pyproject.toml": PROJECT.format(version="0.1.0", numpy=1).replace('"flights>=1"', '"bikes>=3"').replace('"template"', '"bikes-inc"'),
    "requirements.txt": "numpy==1\nbikes\n",
    "README.md": "# Bikes\n",
    "src/problem/contract.py": "BIKES\n",
    "src/problem/stations.py": "STATIONS\n",
    "docs/ours.md": "Ours.\n",
}
"""What a fork writes over the first version."""


@dataclass(frozen=True)
class Repo:
    """A repository with a work tree."""

    root: Path

    def git(self, *words: str, given: str | None = None) -> str:
        done = subprocess.run([GIT, *IDENTITY, *words], cwd=self.root, input=given, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, files: dict[str, str | bytes | None]) -> None:
        """Write files; None removes one."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str | bytes | None], message: str = "a change", *, tag: str = "") -> str:
        """Write files and commit everything."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def status(self) -> list[str]:
        return self.git("status", "--porcelain", "--no-renames").splitlines()


def new_repo(folder: Path) -> Repo:
    """An empty repository."""
    folder.mkdir(parents=True)
    repo = Repo(folder)
    repo.git("init", "--quiet")
    return repo


def new_template(folder: Path) -> Repo:
    """The template: versions v1 and v2."""
    template = new_repo(folder)
    template.commit({"Makefile": "", "very.old": "one\n"}, "Begin")
    template.commit({**FIRST, "very.old": None}, "Release 0.1.0", tag="v1")
    template.commit(SECOND)
    (template.root / "tool.sh").chmod(0o755)
    template.commit({}, "Release 0.2.0", tag="v2")
    return template


def new_fork(folder: Path, template: Repo, *, files: dict[str, str | bytes | None] | None = None) -> Repo:
    """A fork of the first version in one commit that knows nothing of the template's history; `files` are changed besides its own."""
    fork = new_repo(folder)
    fork.commit({**FIRST, **OWN, **(files or {})}, "Our own problem")
    fork.git("remote", "add", "template", str(template.root))
    return fork


def run_update(fork: Repo, to: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Update a fork by this repository's script, in a process of its own."""
    command = [sys.executable, "-m", "deploy.update_template", f"--to={to}", *words]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, cwd=fork.root, env=surroundings, capture_output=True, text=True, timeout=120, check=False)
