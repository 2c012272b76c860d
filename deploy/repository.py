"""What the update of a fork asks git for: commands, trees as dictionaries, a merge that touches neither index nor files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NOBODY = {
    **{f"GIT_{who}_{what}": "template" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "2000-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")},
}
OURS_ALONE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
"""Variables that a hook of git's may have set; here they would name another repository."""

Entry = tuple[str, str]
"""Mode and blob of a file."""
Tree = dict[str, Entry]
"""The files of a version, by path."""


def encoded(text: str) -> bytes:
    """A text as git keeps it, line ends and signs that are no UTF-8 as they were."""
    return text.encode("utf-8", "surrogateescape")


def decoded(content: bytes) -> str:
    """The reverse of `encoded`."""
    return content.decode("utf-8", "surrogateescape")


class RefusalError(Exception):
    """What a person must know or do before it can go on."""


@dataclass(frozen=True)
class Repository:
    """A work tree with its git."""

    root: Path
    variables: tuple[tuple[str, str], ...] = ()

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a git command and give back how it ended."""
        surroundings = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
        surroundings |= {"LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1", **dict(self.variables)}
        try:
            done = subprocess.run(["git", *words], cwd=self.root, env=surroundings, input=encoded(given), capture_output=True, check=False)
        except FileNotFoundError:
            raise RefusalError("There is no git on this machine, or it is not on the PATH. Install git 2.30 or newer.") from None
        return subprocess.CompletedProcess(done.args, done.returncode, decoded(done.stdout), decoded(done.stderr))

    def git(self, *words: str, given: str = "") -> str:
        """What a git command prints; RefusalError with what it said where it fails."""
        done = self.run(*words, given=given)
        if done.returncode:
            raise RefusalError(f"git {words[0]} ended with exit code {done.returncode}. It says:\n{done.stderr.strip()}")
        return done.stdout

    def holds(self, *words: str) -> bool:
        """Whether a git command ends well."""
        return self.run(*words).returncode == 0

    def place(self, name: str) -> Path:
        """Where git keeps something of its own, in a linked work tree too."""
        return self.root / self.git("rev-parse", "--git-path", name).removesuffix("\n")

    def commit(self, name: str) -> str | None:
        """The commit that a name stands for."""
        done = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return done.stdout.strip() if done.returncode == 0 else None

    def files(self, tree: str) -> Tree:
        """The files of a tree or a commit."""
        found: Tree = {}
        for line in self.git("ls-tree", "-r", "-z", "--full-tree", tree).split("\0")[:-1]:
            about, path = line.split("\t", 1)
            mode, _, blob = about.split(" ")
            found[path] = (mode, blob)
        return found

    def text(self, blob: str) -> str:
        """The content of a blob."""
        return self.git("cat-file", "blob", blob)

    def write_text(self, text: str) -> str:
        """Keep a text as a blob."""
        return self.git("hash-object", "-w", "--stdin", given=text).strip()

    def write_tree(self, files: Tree) -> str:
        """Keep files as a tree, by way of an index of its own."""
        with tempfile.TemporaryDirectory() as folder:
            beside = Repository(self.root, (*self.variables, ("GIT_INDEX_FILE", f"{folder}/index")))
            lines = (f"{mode} {blob}\t{path}\0" for path, (mode, blob) in files.items())
            beside.git("update-index", "-z", "--index-info", given="".join(lines))
            return beside.git("write-tree").strip()


@dataclass(frozen=True)
class Merged:
    """What a merge came to."""

    tree: str
    """All files; those in conflict with the usual markers."""
    unmerged: tuple[str, ...]
    """The entries of the index for those in conflict, as `git ls-files --unmerged` tells them."""

    @property
    def conflicts(self) -> list[str]:
        """The files in conflict."""
        return sorted({line.split("\t", 1)[1] for line in self.unmerged})


def merge_trees(repository: Repository, base: str, *, ours: str, theirs: str) -> Merged:
    """Merge two trees that came from a third.

    It is git's own merge, in an empty repository that only shares the objects: neither the branches, the index, the files, the settings nor
    the hooks of the real one take part, and one that is killed leaves nothing but a temporary folder.
    """
    shared = ("GIT_OBJECT_DIRECTORY", str(repository.place("objects").resolve()))
    kind = repository.git("rev-parse", "--show-object-format").strip()
    with tempfile.TemporaryDirectory(prefix="template-merge-") as folder:
        alone = (("HOME", folder), ("XDG_CONFIG_HOME", folder), ("GIT_CONFIG_NOSYSTEM", "1"), *NOBODY.items())
        Repository(Path(folder), alone).git("init", "--quiet", f"--object-format={kind}", "--template=", "work")
        apart = Repository(Path(folder) / "work", (*alone, shared))
        first = apart.git("commit-tree", base, "-m", "base").strip()
        mine, other = (apart.git("commit-tree", tree, "-p", first, "-m", "side").strip() for tree in (ours, theirs))
        apart.git("update-ref", "refs/heads/template", other)
        apart.git("update-ref", "--no-deref", "HEAD", mine)
        apart.git("reset", "--quiet", "--hard")
        done = apart.run("merge", "--quiet", "--no-ff", "--no-commit", "template")
        unmerged = tuple(apart.git("ls-files", "--unmerged", "-z").split("\0")[:-1])
        if done.returncode and not unmerged:
            raise RefusalError(f"git could not merge. It says:\n{done.stderr.strip()}\n{done.stdout.strip()}")
        apart.git("add", "--all", "--force")
        return Merged(tree=apart.git("write-tree").strip(), unmerged=unmerged)
