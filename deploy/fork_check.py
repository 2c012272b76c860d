"""Tries what forks live through: `make fork-check` makes one of an earlier version, with another problem, and updates it to this commit.

The fork is one commit that knows nothing of the template's history, and differs from it in the five places that forks edit
(tests/forks/bikes). It must take this version without a conflict, with its dependency added to the locks and nothing else, and pass
`make check`, `make test` and `make image-check`. A second fork, which has edited the gate too, must have exactly that conflict.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.engines import find_engine, remove
from deploy.repository import NOBODY, RefusalError, Repository, Tree
from deploy.template_paths import BLOCK, OWN_FOLDERS, SETTINGS, is_lock, is_own

ROOT = Path(__file__).resolve().parents[1]
PROBLEM = ROOT / "tests" / "forks" / "bikes"
GATE = "src/evergreen/gate/decision.py"
COMMITS_BACK = 20
FIVE, TAG = "five", "evergreen-fork:latest"
WITHDRAWN, NEW = "docs/withdrawn.md", "CONTRIBUTING.md"
NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Trial:
    """A fork, and the two versions of the template that it lies between."""

    fork: Repository
    template: Path
    earlier: Tree
    later: Tree


def main() -> int:
    """Try both forks; 0 when every point holds."""
    parser = argparse.ArgumentParser(prog="make fork-check", description=__doc__)
    parser.add_argument(
        "--from", dest="base", default="", help="the earlier version; default: the newest tag before this commit, or 20 commits"
    )
    parser.add_argument("--arguments", default="", help="what `make test` gets, such as a part of the tests")
    parser.add_argument("--image", default="", help="the image of Python that the fork's is built on; `no` leaves the fork's image out")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="fork-check-") as name:
            folder = Path(name)
            held = [*check_gate_fork(folder, given.base), *check_fork(folder, given.base, given.arguments)]
            held += [] if given.image == "no" else [check_image(folder, given.image)]
    except RefusalError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{sum(held)} of {len(held)} points hold.")
    return 0 if all(held) else 1


def check_fork(folder: Path, base: str, arguments: str) -> list[bool]:
    """A fork that has edited its five places only."""
    print("\nA fork that has edited its five places:")
    trial = make_fork(folder / FIVE, base)
    code = run_update(trial)
    merged = trial.fork.files(trial.fork.git("write-tree").strip()) if not conflicts(trial.fork) else {}
    return [
        said("the update ended without a conflict", code == 0 and not conflicts(trial.fork), f"exit code {code}, {conflicts(trial.fork)}"),
        said("what is the fork's own is as it was", not (found := changed_own(trial, merged)), found),
        said("what is the template's is as in this version", not (found := unlike_template(trial, merged)), found),
        said("its dependency came into the locks, all else is the template's", not (found := strange_pins(trial, merged)), found),
        made(trial.fork, "check"),
        made(trial.fork, "test", f"ARGS={arguments}"),
    ]


def check_image(folder: Path, base: str) -> bool:
    """The image of the fork of `check_fork`, in which its own problem is read and the loop is gone round; it is removed again."""
    fork = Repository(folder / FIVE / "fork")
    try:
        return made(fork, "image-check", "ARGS=", f"TAG={TAG}", f"PYTHON_IMAGE={base}")
    finally:
        remove(find_engine(), TAG)


def check_gate_fork(folder: Path, base: str) -> list[bool]:
    """A fork that has edited the gate besides."""
    print(f"A fork that has edited {GATE} besides:")
    trial = make_fork(folder / "gate", base, gate='"""What this fork makes of the gate."""')
    code = run_update(trial)
    return [
        said("that file is its only conflict", (code, conflicts(trial.fork)) == (1, [GATE]), f"exit code {code}, {conflicts(trial.fork)}")
    ]


def make_fork(folder: Path, base: str, *, gate: str = "") -> Trial:
    """A template of two commits, and a fork of the first in a single commit of its own."""
    here = Repository(ROOT)
    start = choose_earlier(here, base)
    later = here.files("HEAD")
    earlier = plant(here, {path: entry for path, entry in here.files(start).items() if path != NEW})
    template, fork = (new_repository(here, folder / name) for name in ("template", "fork"))
    first = commit(template, earlier, "earlier")
    commit(template, later, "later", parent=first)
    own = {path: entry for path, entry in earlier.items() if not path.startswith(OWN_FOLDERS)}
    settings = BLOCK.sub(lambda found: found[0].removesuffix(found["own"]) + dependencies(), here.text(earlier[SETTINGS][1]))
    own |= {SETTINGS: ("100644", here.write_text(settings))}
    own |= {name: ("100644", here.write_text((PROBLEM / name).read_text())) for name in problem_files()}
    if gate:
        own |= {GATE: with_first_line(here, earlier, gate)}
    commit(fork, own, "ours")
    fork.git("reset", "--quiet", "--hard", "HEAD")
    (fork.root / ".env").write_bytes((PROBLEM / "settings.env").read_bytes())
    versions = [here.git("describe", "--always", "--tags", version).strip() for version in (start, "HEAD")]
    print(f"  made of {versions[0]}, to be updated to {versions[1]}")
    return Trial(fork, template.root, earlier, later)


def choose_earlier(here: Repository, name: str) -> str:
    """The version that forks are made of: the one named, the newest tag v* before HEAD, or some commits back, as far as there are any."""
    if name:
        if not here.commit(name):
            raise RefusalError(f"FROM={name} is no tag and no commit here.")
        return name
    tags = here.git("tag", "--merged", "HEAD", "--sort=-creatordate", "--list", "v*").split()
    before = [tag for tag in tags if here.commit(tag) != here.commit("HEAD")]
    line = here.git("rev-list", "--first-parent", f"--max-count={COMMITS_BACK + 1}", "HEAD").split()
    return before[0] if before else line[-1]


def plant(here: Repository, files: Tree) -> Tree:
    """What an earlier version has otherwise, whichever it is: a line of the gate, one above YOURS, a file withdrawn since."""
    if GATE not in files or SETTINGS not in files or not BLOCK.search(text := here.text(files[SETTINGS][1])):
        raise RefusalError(f"The earlier version must have {GATE}, and {SETTINGS} with a block that begins with # YOURS.")
    settings = BLOCK.sub(lambda found: f'    "iniconfig",\n{found[0]}', text)
    return files | {
        GATE: with_first_line(here, files, '"""What the gate was before."""'),
        SETTINGS: ("100644", here.write_text(settings)),
        WITHDRAWN: ("100644", here.write_text("Withdrawn later.\n")),
    }


def with_first_line(here: Repository, files: Tree, line: str) -> tuple[str, str]:
    """The gate's file with another first line."""
    mode, blob = files[GATE]
    return mode, here.write_text(f"{line}\n{here.text(blob).split(chr(10), 1)[1]}")


def new_repository(here: Repository, folder: Path) -> Repository:
    """An empty repository that has all objects of this one; a clone that has little history suffices."""
    folder.mkdir(parents=True)
    made = Repository(folder, tuple(NOBODY.items()))
    made.git("init", "--quiet", f"--object-format={here.git('rev-parse', '--show-object-format').strip()}")
    (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{here.place('objects').resolve()}\n")
    return made


def commit(repository: Repository, files: Tree, name: str, *, parent: str = "") -> str:
    """Commit files, as the newest commit of the only branch."""
    made = repository.git("commit-tree", repository.write_tree(files), "-m", name, *(("-p", parent) if parent else ())).strip()
    repository.git("update-ref", "HEAD", made)
    repository.git("update-ref", f"refs/tags/{name}", made)
    return made


def problem_files() -> list[str]:
    """The files of the other problem, as they lie in a fork."""
    return [
        path.relative_to(PROBLEM).as_posix()
        for folder in OWN_FOLDERS
        for path in sorted((PROBLEM / folder).rglob("*"))
        if path.suffix in {".py", ".json"}
    ]


def dependencies() -> str:
    """The lines that the other problem has in pyproject.toml."""
    return "".join(f"    {line}\n" for line in (PROBLEM / "dependencies.txt").read_text().splitlines())


def run_update(trial: Trial) -> int:
    """Update the fork by its own script, or where it has none yet by this repository's."""
    words = [sys.executable, "-m", "deploy.update_template", "--to=later", f"--template={trial.template}"]
    return run(trial.fork, words, PYTHONPATH=str(ROOT))


def run(fork: Repository, words: list[str], **variables: str) -> int:
    """Run a command in the fork; what it prints is shown."""
    print(f"  $ {shlex.join(words)}", flush=True)
    ours = {name: value for name, value in os.environ.items() if name not in NOT_OURS and not name.startswith("EVERGREEN_")}
    return subprocess.run(words, cwd=fork.root, env={**ours, **variables}, check=False).returncode


def made(fork: Repository, *words: str) -> bool:
    """Whether a target of make ends well in the fork."""
    code = run(fork, ["make", *words])
    return said(f"make {words[0]} passes", code == 0, f"exit code {code}")


def said(point: str, holds: bool, found: object) -> bool:
    """Say whether a point holds, and what was found where it does not."""
    print(f"  {'ok' if holds else 'NO'}  {point}{'' if holds else f': {found}'}", flush=True)
    return holds


def conflicts(fork: Repository) -> list[str]:
    """The files in conflict."""
    return sorted({line.split("\t", 1)[1] for line in fork.git("ls-files", "--unmerged", "-z").split("\0")[:-1]})


def changed_own(trial: Trial, merged: Tree) -> list[str]:
    """Files of the fork's own that an update has changed."""
    return differing(trial.fork.files("HEAD"), merged, is_own)


def unlike_template(trial: Trial, merged: Tree) -> list[str]:
    """Files of the template's that are not as in its later version; of pyproject.toml the fork's block is left out."""
    found = differing(trial.later, merged, lambda path: not is_own(path) and not is_lock(path) and path != SETTINGS)
    project, own = (BLOCK.sub("", trial.fork.text(files[SETTINGS][1])) if SETTINGS in files else "" for files in (trial.later, merged))
    return found + ([] if project == own else [SETTINGS])


def differing(these: Tree, those: Tree, which: Callable[[str], bool]) -> list[str]:
    """Paths of a kind that differ between two trees."""
    return sorted(path for path in these | those if which(path) and these.get(path) != those.get(path))


def strange_pins(trial: Trial, merged: Tree) -> list[str]:
    """What is in the fork's locks and not in the template's, but for its own dependencies; and what is missing, but for the example's."""
    names = {re.split(r"[^\w-]", line.strip().strip('"'))[0] for line in dependencies().splitlines()}
    example = BLOCK.search(trial.fork.text(trial.later[SETTINGS][1]))
    gone = set(re.findall(r'"([\w-]+)', example["own"] if example else ""))
    found = []
    for lock in filter(is_lock, trial.later):
        old, new = (pins(trial.fork.text(files[lock][1])) if lock in files else {} for files in (trial.later, merged))
        added, removed = new.keys() - old.keys(), old.keys() - new.keys()
        found += [f"{lock}: {name}" for name in (added ^ names if "build" not in lock else added) | (removed - gone)]
        found += [f"{lock}: {name} {new[name]}" for name in old.keys() & new.keys() if old[name] != new[name]]
    return found


def pins(lock: str) -> dict[str, str]:
    """The versions of a lock, by package."""
    return dict(re.findall(r"(?m)^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock))


if __name__ == "__main__":
    raise SystemExit(main())
