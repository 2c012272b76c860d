"""What GitHub Actions would run, run here: jobs of the real workflows, a `gh` that keeps releases in a folder, a `docker` that is none.

The steps' scripts, conditions and values are those of the file. Of the actions, those that carry artifacts do so by a folder; a checkout
is a copy of this project as it stands, and whatever builds an image does nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from commands import TESTS, Home

ROOT = Path(__file__).parents[1]
REPOSITORY = "someone/flights"
CONTEXT = re.compile(r"\b(?:github|inputs|vars|secrets|steps|needs|env)(?:\.[\w-]+)+")
ALWAYS = "cancelled()"
STATUS = r"\b(cancelled|always)\(\)"
"""What lets a step or a job run though something before it has failed: https://docs.github.com/actions/reference/workflows-and-actions/expressions"""
GH = f"""#!{sys.executable}
# Releases are folders, their assets files, a draft has a file .draft. What gh is told to fail at stands in FAIL.
import os, re, shutil, sys
from pathlib import Path

root, words = Path(os.environ["RELEASES"]), sys.argv[1:]
with (root.parent / "calls").open("a") as calls:
    calls.write(" ".join(words[:2]) + chr(10))
if " ".join(words[:2]) in os.environ.get("FAIL", "").split(","):
    sys.exit("gh: could not connect")
options = dict(zip(words, words[1:]))
comments = root.parent / "comments"
if words[:3] == ["api", "--method", "PATCH"]:
    assert options["--field"].startswith("body=@"), words
    (comments / words[3].removeprefix("repos/{REPOSITORY}/issues/comments/")).write_text(Path(options["--field"][6:]).read_text())
elif words[:2] == ["pr", "comment"]:
    comments.mkdir(exist_ok=True)
    (comments / f"{{10 + len(list(comments.iterdir()))}}").write_text(Path(options["--body-file"]).read_text())
elif words[0] == "api" and words[2].endswith("/comments"):
    mark = re.search(r'startswith[(]"(.*)"[)]', options["--jq"])[1]
    assert words[2].startswith("repos/{REPOSITORY}/issues/") and '.user.login == "github-actions[bot]"' in options["--jq"], words
    print(*(one.name for one in sorted(comments.glob("*")) if one.read_text().startswith(mark)), sep=chr(10))
elif words[0] == "api":
    assert words[2] == "repos/{REPOSITORY}/releases", words
    there = [one for one in sorted(root.iterdir()) if ".draft == false" not in options["--jq"] or not (one / ".draft").exists()]
    if options["--jq"].endswith(".tag_name"):
        print(*(one.name for one in there), sep=chr(10))
    elif options["--jq"].endswith(".immutable"):
        named = re.search(r'tag_name == "(.*?)"', options["--jq"])[1]
        print(*("true" if (one / ".immutable").exists() else "false" for one in there if one.name == named), sep=chr(10))
    else:
        assert 'select(.state == "uploaded")' in options["--jq"], words
        named = re.search(r'tag_name == "(.*?)"', options["--jq"])[1]
        print(*(one.name for place in there if place.name == named for one in sorted(place.glob("*"))), sep=chr(10))
else:
    assert options["--repo"] == "{REPOSITORY}", words
    folder = root / words[2]
    if words[:2] == ["release", "create"]:
        folder.mkdir()
        if (root.parent / "makes releases immutable").exists():
            (folder / ".immutable").touch()
        assert not Path(words[-1]).is_file(), "with a file it would be a draft first"
    elif words[:2] == ["release", "upload"] and (folder / ".immutable").exists():
        sys.exit("HTTP 422: Cannot upload assets to an immutable release.")
    elif words[:2] == ["release", "upload"]:
        assert not (folder / Path(words[-1]).name).exists(), words
        shutil.copy(words[-1], folder)
    elif words[:2] == ["release", "download"]:
        shutil.copy(folder / options["--pattern"], options["--output"])
    elif words[:2] == ["release", "delete-asset"]:
        (folder / words[3]).unlink()
    else:
        sys.exit(f"gh: unknown command {{words}}")
"""
DOCKER = f"""#!{sys.executable}
# `docker run`: the working directory is the project's, only what --env names is handed over, and /state is the same place each time.
import os, re, shutil, subprocess, sys
from pathlib import Path

words, mounts, given, at = sys.argv[1:], {{}}, {{}}, 1
if words[:2] == ["image", "rm"]:
    sys.exit()
assert words[0] == "run", words
while not words[at].startswith("evergreen:"):
    name, _, value = words[at + 1].partition("=")
    if words[at] == "--volume":
        source, _, inside = words[at + 1].partition(":")
        mounts[inside] = source
    elif words[at] == "--env" and "=" in words[at + 1]:
        given[name] = value
    elif words[at] == "--env" and name in os.environ:
        given[name] = os.environ[name]
    elif words[at] == "--env-file":
        given |= dict(line.split("=", 1) for line in Path(words[at + 1]).read_text().splitlines() if line)
    at += 1
assert words[at] == os.environ["IMAGE"], words
assert {{"--read-only", "--init"}} <= set(words[:at])
def placed(text):
    for inside, source in mounts.items():
        if text == inside or text.startswith(inside + "/"):
            return source + text[len(inside):]
    return text
image = dict(line.split("=", 1) for line in Path(os.environ["OF_THE_IMAGE"]).read_text().splitlines())
lasting, state = mounts["/state"], os.environ["STATE"]
shutil.rmtree(state, ignore_errors=True)
shutil.copytree(lasting, state)
mounts["/state"] = state
environment = image | given | {{"EVERGREEN_HOME": placed(given["EVERGREEN_HOME"]), "PATH": os.environ["PATH"]}}
code = subprocess.run([placed(word) for word in words[at + 1 :]], env=environment).returncode
shutil.rmtree(lasting)
shutil.copytree(state, lasting)
sys.exit(code)
"""


def workflow(name: str) -> dict[str, Any]:
    """One of the workflows, every value a text."""
    found: dict[str, Any] = yaml.load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(), yaml.BaseLoader)  # noqa: S506 - no tags
    return found


def value_of(expression: str, context: dict[str, Any]) -> Any:
    """What an expression of a workflow is, for these values; what is not among them is empty."""
    text = expression.replace("&&", " and ").replace("||", " or ").replace(f"!{ALWAYS}", "True").replace("always()", "True")
    text = CONTEXT.sub(lambda found: f"look({found[0]!r})", re.sub(r"!(?!=)", " not ", text))
    values = {
        "look": lambda name: context.get(name, ""),
        "format": lambda text, *given: text.format(*given),
        "startsWith": lambda text, first: text.lower().startswith(first.lower()),
    }
    return eval(" ".join(text.split()), {"__builtins__": {}, "true": True, "false": False, **values})  # noqa: S307 - the workflows' own words


def holds(condition: str, context: dict[str, Any]) -> bool:
    """Whether an `if:` holds."""
    return bool(value_of(condition.removeprefix("${{").removesuffix("}}"), context))


def filled(text: str, context: dict[str, Any]) -> str:
    """A text with its expressions replaced; what is true or false is written as Actions writes it."""

    def put(found: re.Match[str]) -> str:
        value = value_of(found[1], context)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return re.sub(r"\$\{\{(.*?)\}\}", put, text)


@dataclass
class Job:
    """What became of a job: scripts that ran, in order, and what it handed on; nothing where it was skipped."""

    done: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    is_failed: bool = False
    is_skipped: bool = True

    @property
    def result(self) -> str:
        """As other jobs know it."""
        return "skipped" if self.is_skipped else "failure" if self.is_failed else "success"

    @property
    def said(self) -> str:
        """All that was printed."""
        return "".join(one.stdout + one.stderr for one in self.done)


@dataclass
class Actions:
    """GitHub's machines, with a toy problem in the place of the flights: each job begins on one where nothing is."""

    root: Path

    def __post_init__(self) -> None:
        """Lay out what all jobs share."""
        (self.root / "releases").mkdir(exist_ok=True)
        put_program(self.root / "bin" / "gh", GH)
        put_program(self.root / "bin" / "docker", DOCKER)

    @property
    def kept(self) -> list[str]:
        """The states in the release."""
        return sorted(path.name for path in (self.root / "releases" / "evergreen-state").glob("*"))

    def run(self, job: dict[str, Any], run: int, **context: Any) -> Job:
        """Run a job of a workflow's run."""
        told, place = Job(), self.root / f"machine-{run}-{len(list(self.root.glob(f'machine-{run}-*')))}"
        context = {"github.run_id": run, "github.run_attempt": 1, "github.token": "token", "github.sha": "0" * 40, **context}
        context |= {f"env.{name}": filled(value, context) for name, value in job.get("env", {}).items()}
        if not holds(job.get("if", "true"), context) or (_is_held_up(job, context) and not re.search(STATUS, job.get("if", ""))):
            return told
        told.is_skipped = False
        _check_out(place)
        shutil.rmtree(self.root / "temp", ignore_errors=True)
        (self.root / "temp").mkdir()
        for step in job["steps"]:
            condition = step.get("if", "true")
            if (told.is_failed and not re.search(STATUS, condition)) or not holds(condition, context):
                continue
            if step.get("run", "").startswith("make image"):
                continue
            if "run" in step:
                whose = "github-hosted" if filled(job["runs-on"], context) == "ubuntu-24.04" else "self-hosted"
                given = {"RUNNER_ENVIRONMENT": whose, **job.get("env", {}), **step.get("env", {})}
                environment = {name: filled(value, context) for name, value in given.items()}
                done, outputs = self._script(step["run"], place, run, environment)
                told.done.append(done)
                told.is_failed |= done.returncode != 0
                context |= {f"steps.{step.get('id', '')}.outputs.{name}": value for name, value in outputs.items()}
            elif "artifact" in step["uses"]:
                options = {name: filled(value, context) for name, value in step["with"].items()}
                told.is_failed |= not self._carry(step["uses"], options, place, run)
        hidden = re.findall(r"^::add-mask::(.+)$", told.said, re.MULTILINE)
        outputs = {name: filled(value, context) for name, value in job.get("outputs", {}).items()}
        told.outputs = {name: "" if any(one in value for one in hidden) else value for name, value in outputs.items()}
        summary = place.with_suffix(".summary")
        told.summary = summary.read_text() if summary.exists() else ""
        return told

    def _script(
        self, script: str, place: Path, run: int, environment: dict[str, str]
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        out = place.with_suffix(".output")
        out.write_text("")
        home = Home(self.root)
        kept = ("EVERGREEN_PROBLEM", "EVERGREEN_EXPECTATIONS", "EVERGREEN_LOCK", "EVERGREEN_SETTLE_SECONDS")
        path = os.pathsep.join(map(str, [place / "src", place, TESTS]))
        image = {**{name: home.environment[name] for name in kept}, "PYTHONPATH": path, "HOME": str(self.root), "USER": "evergreen"}
        (self.root / "image").write_text("".join(f"{name}={value}\n" for name, value in image.items()))
        told = {
            **{"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": "1", "GITHUB_ACTOR": "ann"},
            "GITHUB_ACTIONS": "true",
            **{"GITHUB_OUTPUT": str(out), "GITHUB_STEP_SUMMARY": str(place.with_suffix(".summary"))},
            **{
                "TMPDIR": str(self.root / "temp"),
                "STATE": str(self.root / "state"),
                "RELEASES": str(self.root / "releases"),
                "OF_THE_IMAGE": str(self.root / "image"),
            },
            "PATH": os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(shell, cwd=place, env=told | environment, capture_output=True, text=True, check=False, timeout=400)
        return done, dict(line.split("=", 1) for line in out.read_text().splitlines())

    def _carry(self, action: str, options: dict[str, str], place: Path, run: int) -> bool:
        """Put files into an artifact of the run, or get them out of one; False where that would fail the step."""
        artifact = self.root / f"artifacts-{run}" / options["name"]
        if action.startswith("actions/download-artifact@"):
            if artifact.is_dir():
                shutil.copytree(artifact, place / options.get("path", "."), dirs_exist_ok=True)
            return artifact.is_dir()
        found = [place / name for name in options["path"].split() if (place / name).exists()]
        for path in found:  # what they have in common is left out of their names
            copy = shutil.copytree if path.is_dir() else shutil.copy
            artifact.mkdir(parents=True, exist_ok=True)
            copy(path, artifact / path.name)
        return bool(found) or options["if-no-files-found"] != "error"


def _is_held_up(job: dict[str, Any], context: dict[str, Any]) -> bool:
    """Whether a job that this one needs has not succeeded; what is not said of one is that it has."""
    needs = job.get("needs", [])
    return any(context.get(f"needs.{name}.result", "success") != "success" for name in ([needs] if isinstance(needs, str) else needs))


def _check_out(place: Path) -> None:
    """A copy of what git has of this project, changes included, as far as the jobs need it."""
    command = ["git", "ls-files", "-z", "--cached", "deploy", "src", "flows", "data"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        copy = place / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)


def put_program(place: Path, source: str) -> None:
    """A program of this name and source."""
    place.parent.mkdir(exist_ok=True)
    place.write_text(source)
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
