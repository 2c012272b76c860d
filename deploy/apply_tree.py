"""Puts a merged tree into index and files; one that is killed on the way is taken back by the next."""

from __future__ import annotations

import json
import os
from pathlib import Path

from deploy.repository import Entry, Merged, RefusalError, Repository, encoded
from deploy.template_paths import is_lock

MARK = "update-template.json"
"""Says in git's folder what is being applied, from before the first file until all is done."""

Sides = tuple[Entry | None, Entry | None]
"""What the last commit has of a file, and what the merge has."""


def apply_merged(fork: Repository, merged: Merged) -> None:
    """Put a merge into the index and the files of a clean work tree, conflicts as git leaves them. `finish` ends it."""
    changed = changes(fork, merged.tree)
    in_the_way = [path for path, (old, new) in changed.items() if new and not old and os.path.lexists(fork.root / path)]
    if in_the_way:
        raise RefusalError(f"The template brings files that are here and that git does not know: {listed(in_the_way)}. Move them away.")
    mark = fork.place(MARK)
    beside = mark.with_suffix(".part")
    beside.write_text(json.dumps({"head": fork.commit("HEAD"), "tree": merged.tree}))
    beside.replace(mark)
    fork.git("read-tree", "-m", "-u", "HEAD", merged.tree)
    if merged.unmerged:
        width = len(merged.tree)
        cleared = [f"0 {'0' * width}\t{path}" for path in merged.conflicts]
        fork.git("update-index", "-z", "--index-info", given="".join(f"{line}\0" for line in (*cleared, *merged.unmerged)))


def finish(fork: Repository) -> None:
    """Say that nothing is being applied any more."""
    fork.place(MARK).unlink(missing_ok=True)


def take_back_unfinished(fork: Repository) -> bool:
    """Undo an update that was killed, so that the work tree is the last commit again; whether there was one."""
    mark = fork.place(MARK)
    if not mark.exists():
        return False
    told = json.loads(mark.read_text())
    begun = bool(told["head"] == fork.commit("HEAD"))
    if begun:
        changed = changes(fork, told["tree"])
        foreign = [path for path, sides in changed.items() if not is_lock(path) and not _is_of_update(fork, path, sides)]
        if foreign:
            raise RefusalError(
                f"An update was cut short, and somebody has changed files of it since: {listed(foreign)}. Keep what you need of them "
                "elsewhere, remove them, and run the update again."
            )
        _put_back(fork, changed)
    finish(fork)
    return begun


def changes(fork: Repository, tree: str) -> dict[str, Sides]:
    """By path what the last commit has and what a tree has, where they differ."""
    old, new = fork.files("HEAD"), fork.files(tree)
    return {path: (old.get(path), new.get(path)) for path in sorted(old | new) if old.get(path) != new.get(path)}


def listed(paths: list[str], *, most: int = 10) -> str:
    """The first of some paths, and how many more there are."""
    rest = len(paths) - most
    return ", ".join(paths[:most]) + (f" and {rest} more" if rest > 0 else "")


def _is_of_update(fork: Repository, path: str, sides: Sides) -> bool:
    """Whether what lies there is one of both sides, or the beginning of the new one: git was killed while it wrote."""
    place = fork.root / path
    if not os.path.lexists(place):
        return True
    blobs = [side[1] for side in sides if side]
    if place.is_symlink():
        return fork.git("hash-object", "--stdin", given=str(place.readlink())).strip() in blobs
    if not place.is_file():
        return False
    if fork.git("hash-object", f"--path={path}", "--", path).strip() in blobs:
        return True
    return sides[1] is not None and encoded(fork.text(sides[1][1])).startswith(place.read_bytes())


def _put_back(fork: Repository, changed: dict[str, Sides]) -> None:
    for path in changed:
        (fork.root / path).unlink(missing_ok=True)
        _remove_empty(fork.root / path, fork.root)
    known = "".join(f"{path}\0" for path in changed)
    fork.git("reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul", "HEAD", given=known)
    fork.git("checkout-index", "--force", "-z", "--stdin", given="".join(f"{path}\0" for path, (old, _) in changed.items() if old))


def _remove_empty(path: Path, root: Path) -> None:
    for folder in path.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
