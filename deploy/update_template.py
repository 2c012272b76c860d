"""Takes a newer version of the template into a fork: `make update-template TO=<tag or commit>`. docs/update.md tells what it does.

It needs Python and git only, and works on the repository of the working directory, so that a newer one can update a fork of any age.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from deploy.apply_tree import apply_merged, changes, finish, listed, take_back_unfinished
from deploy.repository import Merged, RefusalError, Repository
from deploy.template_history import Version, comes_before, count_differing, fetch_template, find_base, find_version
from deploy.template_merge import merge_template
from deploy.template_paths import SETTINGS, is_compared, is_lock

UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
CHANGES = "CHANGELOG.md"


def main() -> int:
    """Update the fork; 0 when it is done, 1 where files are in conflict, 2 where it was refused or could not be ended."""
    parser = argparse.ArgumentParser(prog="make update-template", description=__doc__)
    parser.add_argument("--to", default="", help="tag, branch or commit of the template")
    parser.add_argument("--template", default="", help="address or folder of the template; default: the git remote `template`")
    parser.add_argument("--from", dest="base", default="", help="the version that the fork was made from; default: the most alike")
    given = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that is no text is told escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        return update(open_fork(), to=given.to, template=given.template, base=given.base)
    except (RefusalError, OSError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped. Run the same command again: it begins anew.", file=sys.stderr)
    return 2


def open_fork() -> Repository:
    """The repository of the working directory."""
    here = Repository(Path.cwd())
    done = here.run("rev-parse", "--show-toplevel")
    if done.returncode:
        raise RefusalError(f"{here.root} is in no work tree of git's. Run it in your fork. git says:\n{done.stderr.strip()}")
    return Repository(Path(done.stdout.removesuffix("\n")))


def update(fork: Repository, *, to: str, template: str, base: str) -> int:
    """Fetch, find the base, merge beside the work tree, put it there, compile the locks and say what is left to do."""
    insist_on_peace(fork)
    fetch_template(fork, template)
    goal = find_version(fork, to)
    start = choose_base(fork, base, goal)
    if start.commit == goal.commit:
        print(f"This is {goal.label} already; nothing to do.")
        return 0
    if comes_before(fork, goal.commit, start.commit):
        raise RefusalError(f"TO={to} is {goal.label}, older than {start.label}, which this fork has already. Name a newer version.")
    merged = merge_template(fork, base=start.commit, to=goal.commit)
    told = changes(fork, merged.tree)
    if not told:
        print(f"Nothing that {goal.label} changed concerns this fork; nothing to do.")
        return 0
    apply_merged(fork, merged)
    counted = {"added": (False, True), "removed": (True, False), "changed": (True, True)}
    numbers = (f"{sum((bool(old), bool(new)) == kind for old, new in told.values())} {word}" for word, kind in counted.items())
    print(f"Updated to {goal.label}; files: {', '.join(numbers)}.")
    locked = compile_locks(fork, merged, goal)
    finish(fork)
    tell_rest(fork, merged, start, goal)
    return 1 if merged.conflicts else 0 if locked else 2


def insist_on_peace(fork: Repository) -> None:
    """Take back an update that was killed; refuse where a person's work is under way."""
    if not fork.commit("HEAD"):
        raise RefusalError("This repository has no commit yet. Commit your fork first, then update it.")
    begun = [name for name in UNDER_WAY if fork.place(name).exists()]
    if begun:
        raise RefusalError(f"A merge, a rebase or the like is under way ({', '.join(begun)}). Finish or abort it first.")
    if take_back_unfinished(fork):
        print("An earlier update was cut short: it was taken back, and begins anew.")
    dirty = fork.git("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames").split("\0")[:-1]
    if dirty:
        raise RefusalError(f"Changes are not committed: {listed([line[3:] for line in dirty])}. Commit or stash them first.")


def choose_base(fork: Repository, name: str, goal: Version) -> Version:
    """The version that the fork was made from: the one named, or the most alike, if it is at all alike."""
    start = find_version(fork, name) if name else find_base(fork, goal)
    tree = fork.git("rev-parse", f"{start.commit}^{{tree}}").strip()
    files, differing = sum(map(is_compared, fork.files(tree))), count_differing(fork, {tree})[tree]
    print(f"Base: {start.label}{'' if name else ', the most alike'}; of the template's {files} files {differing} differ in this fork.")
    if differing * 2 > files and not name:
        raise RefusalError("That is more than half: it does not look like a fork of this template. If it is one, say FROM=<tag or commit>.")
    return start


def compile_locks(fork: Repository, merged: Merged, goal: Version) -> bool:
    """Compile the locks anew where the fork has dependencies of its own; whether they are as they must be."""
    locks = sorted(filter(is_lock, fork.files(merged.tree)))
    if SETTINGS in merged.conflicts or not locks:
        return not locks or SETTINGS in merged.conflicts
    if fork.files(merged.tree).get(SETTINGS) == fork.files(goal.commit).get(SETTINGS):
        print("Locks: the template's.")
        return True
    print("Locks: the template's; `make lock` adds your dependencies to them, with the template's versions of all others.", flush=True)
    surroundings = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"}}
    if subprocess.run(["make", "lock"], cwd=fork.root, env=surroundings, check=False).returncode:
        print("`make lock` failed; it needs the package index. Run it again when that answers, then: git add requirements*.txt")
        return False
    fork.git("add", "--", *locks)
    return True


def tell_rest(fork: Repository, merged: Merged, start: Version, goal: Version) -> None:
    """Say what a person has to do now."""
    if merged.conflicts:
        print(f"Changed by you and by the template ({len(merged.conflicts)}):", *(f"  {path}" for path in merged.conflicts), sep="\n")
        print("Mend each (yours stands under <<<<<<<, the template's above >>>>>>>), then `git add` it.")
        if SETTINGS in merged.conflicts:
            print("Then `make lock` and `git add requirements*.txt`: the locks are the template's as yet.")
    duties = [duty for duty in forks_must(fork, goal.commit) if duty not in forks_must(fork, start.commit)]
    if duties:
        print(f"Forks must ({CHANGES} has all that changed):", *(f"  - {duty}" for duty in duties), sep="\n")
    print(f'Then: make check test, and git commit -m "Take template {goal.label.split()[0]}". To undo all of it: git reset --hard')


def forks_must(fork: Repository, commit: str) -> list[str]:
    """What the changelog of a version asks of forks, each on one line."""
    entry = fork.files(commit).get(CHANGES)
    parts = re.findall(r"(?m)^Forks must:\n\n((?:(?:-|  ).*\n)+)", fork.text(entry[1]) if entry else "")
    return [" ".join(item.split()) for part in parts for item in re.split(r"(?m)^- ", part)[1:]]


if __name__ == "__main__":
    raise SystemExit(main())
