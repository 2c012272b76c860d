"""Three versions of the template's files (where the fork came from, the fork, where it goes), merged into one."""

from __future__ import annotations

from deploy.repository import Merged, Repository, Tree, merge_trees
from deploy.template_paths import SETTINGS, carry_own_lines, is_lock, is_own


def merge_template(fork: Repository, *, base: str, to: str) -> Merged:
    """The fork's last commit with what changed in the template's files from one version to the other; nothing is written but objects."""
    mine = fork.files("HEAD")
    before, after = ({path: entry for path, entry in fork.files(commit).items() if not is_own(path)} for commit in (base, to))
    before, after = _carry_settings(fork, mine, before, after)
    # On both sides, so that git does not take them along where the template renames a folder.
    beside = {path: entry for path, entry in mine.items() if path not in before and path not in after}
    for path in filter(is_lock, mine):
        if path in after:
            before[path] = mine[path]
    first = fork.write_tree(beside | before)
    for path in _removed_by_fork(fork, first, fork.write_tree(beside | after)):
        before.pop(path, None)
        after.pop(path, None)
    trees = [fork.write_tree(beside | files) for files in (before, after)]
    return merge_trees(fork, trees[0], ours=fork.git("rev-parse", "HEAD^{tree}").strip(), theirs=trees[1])


def _carry_settings(fork: Repository, mine: Tree, before: Tree, after: Tree) -> tuple[Tree, Tree]:
    if not (SETTINGS in mine and SETTINGS in before and SETTINGS in after):
        return before, after
    text, old = fork.text(mine[SETTINGS][1]), fork.text(before[SETTINGS][1])

    def carried(files: Tree) -> Tree:
        mode, blob = files[SETTINGS]
        return files | {SETTINGS: (mode, fork.write_text(carry_own_lines(fork.text(blob), fork=text, base=old)))}

    return carried(before), carried(after)


def _removed_by_fork(fork: Repository, before: str, after: str) -> set[str]:
    """Files that the fork has removed, under the name that the template has given them since too: they stay away."""
    compare = ("diff-tree", "-r", "-z", "--find-renames")
    removed = set(fork.git(*compare, "--diff-filter=D", "--name-only", before, "HEAD").split("\0")[:-1])
    renamed = fork.git(*compare, "--diff-filter=R", "--name-status", before, after).split("\0")[:-1]
    return removed | {new for old, new in zip(renamed[1::3], renamed[2::3], strict=True) if old in removed}
