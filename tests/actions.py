"""What GitHub Actions would run, run here: a machine for each job, a `gh` that keeps releases in a folder, a `docker` that is none."""

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from commands import TESTS, Home

ROOT = Path(__file__).parents[1]
REPOSITORY = "someone/flights"
GH = f"""#!{sys.executable}
# Releases are folders, their assets files. What gh is told to fail at stands in FAIL.
import os, shutil, sys
from pathlib import Path

root, words = Path(os.environ["RELEASES"]), sys.argv[1:]
with (root.parent / "calls").open("a") as calls:
    calls.write(" ".join(words[:2]) + chr(10))
if " ".join(words[:2]) in os.environ.get("FAIL", "").split(","):
    sys.exit("gh: could not connect")
options = dict(zip(words, words[1:]))
if words[0] == "api":
    assert words[2] == "repos/{REPOSITORY}/releases", words
    if options["--jq"] == ".[].tag_name":
        print(*sorted(one.name for one in root.iterdir()), sep=chr(10))
    else:
        assert 'select(.state == "uploaded")' in options["--jq"], words
        print(*sorted(one.name for one in (root / "evergreen-state").glob("*")), sep=chr(10))
else:
    assert options["--repo"] == "{REPOSITORY}", words
    folder = root / words[2]
    if words[:2] == ["release", "create"]:
        folder.mkdir()
        shutil.copy(words[-1], folder)
    elif words[:2] == ["release", "upload"]:
        shutil.copy(words[-1], folder)
    elif words[:2] == ["release", "download"]:
        shutil.copy(folder / options["--pattern"], options["--output"])
    elif words[:2] == ["release", "delete-asset"]:
        (folder / words[3]).unlink()
    else:
        sys.exit(f"gh: unknown command {{words}}")
"""
DOCKER = f"""#!{sys.executable}
# `docker run`: folders of the host are where they are, the working directory is the project's.
import os, subprocess, sys

words = sys.argv[1:]
assert words[0] == "run", words
mounts, at = {{}}, 1
while words[at] != "evergreen:latest":
    if words[at] == "--volume":
        source, _, inside = words[at + 1].partition(":")
        mounts[inside] = source
    if words[at] == "--env" and "=" in words[at + 1]:
        name, _, value = words[at + 1].partition("=")
        os.environ[name] = value
    at += 1
assert {{"--read-only", "--init"}} <= set(words[:at])
def placed(text):
    for inside, source in mounts.items():
        if text == inside or text.startswith(inside + "/"):
            return source + text[len(inside):]
    return text
os.environ["EVERGREEN_HOME"] = placed(os.environ["EVERGREEN_HOME"])
sys.exit(subprocess.run([placed(word) for word in words[at + 1 :]]).returncode)
"""


@dataclass
class Runner:
    """One of GitHub's machines: a clone, a folder for what is passing, files that steps write their outputs and summary to."""

    root: Path
    number: int
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def clone(self) -> Path:
        return self.root / f"clone-{self.number}"

    @property
    def summary(self) -> str:
        file = self.root / f"summary-{self.number}"
        return file.read_text() if file.exists() else ""

    def step(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a step's script as Actions does, and read what it has put out."""
        out = self.root / f"output-{self.number}"
        told = {
            **{"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": str(self.number), "GITHUB_RUN_ATTEMPT": "1", "GITHUB_ACTOR": "ann"},
            **{"GITHUB_OUTPUT": str(out), "GITHUB_STEP_SUMMARY": str(self.root / f"summary-{self.number}"), "IMAGE": "evergreen:latest"},
            # The same place each time, as on GitHub; nothing is there when a job begins.
            **{"RUNNER_TEMP": str(self.root / "temp"), "RELEASES": str(self.root / "releases")},
            "PATH": os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
            **self._problem(),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.clone,
            env=told | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        lines = out.read_text().splitlines() if out.exists() else []
        self.outputs = dict(line.split("=", 1) for line in lines)
        return done

    def _problem(self) -> dict[str, str]:
        """The toy problem in the place of the flights."""
        home = Home(self.root)
        kept = ("EVERGREEN_PROBLEM", "EVERGREEN_EXPECTATIONS", "EVERGREEN_LOCK", "EVERGREEN_SETTLE_SECONDS")
        return {
            **{name: home.environment[name] for name in kept},
            "PYTHONPATH": os.pathsep.join(map(str, [self.clone / "src", self.clone, TESTS])),
            "HOME": str(self.root),
        }


def make_runner(root: Path, number: int) -> Runner:
    """A machine with a fresh clone of this project, as it stands here, and nothing of the machine before."""
    runner = Runner(root, number)
    files = subprocess.run(["git", "ls-files", "-z", "deploy", "src", "flows", "data"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        copy = runner.clone / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
        copy.chmod((ROOT / name).stat().st_mode)
    shutil.rmtree(root / "temp", ignore_errors=True)
    return runner


def put_program(place: Path, source: str) -> None:
    """A program of this name and source."""
    place.parent.mkdir(exist_ok=True)
    place.write_text(source)
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
