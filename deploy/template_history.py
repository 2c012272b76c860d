"""The template's history beside a fork's own: fetched into names of its own, its versions found by name and by likeness."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.repository import RefusalError, Repository
from deploy.template_paths import is_compared

REFS = "refs/template"
REMOTE = "template"


@dataclass(frozen=True)
class Version:
    """A version of the template."""

    commit: str
    label: str
    """Its tag or the beginning of its commit, and its date."""


def fetch_template(fork: Repository, address: str) -> None:
    """Fetch the template's branches and tags, away from the fork's own ones."""
    if not address and REMOTE not in fork.git("remote").splitlines():
        raise RefusalError(
            f"Where the template is was not said, and there is no remote named {REMOTE}. Say it once (git remote add {REMOTE} <address>), "
            "or with TEMPLATE=<address or folder>."
        )
    wanted = [f"+refs/{kind}/*:{REFS}/{kind}/*" for kind in ("heads", "tags")]
    done = fork.run("fetch", "--quiet", "--no-tags", "--prune", "--refmap=", "--no-write-fetch-head", "--", address or REMOTE, *wanted)
    if done.returncode:
        raise RefusalError(f"The template could not be fetched from {address or f'the remote {REMOTE}'}. git says:\n{done.stderr.strip()}")


def find_version(fork: Repository, name: str) -> Version:
    """The template's version of a name: a tag, a branch, or (the beginning of) a commit that one of them contains."""
    for kind in ("tags", "heads"):
        if name and (commit := fork.commit(f"{REFS}/{kind}/{name}")):
            return described(fork, commit)
    commit = fork.commit(name) if re.fullmatch(r"[0-9a-f]{7,64}", name) else None
    if commit and fork.git("for-each-ref", "--count=1", f"--contains={commit}", REFS):
        return described(fork, commit)
    newest = fork.git("for-each-ref", "--count=5", "--sort=-creatordate", "--format=%(refname:lstrip=3)", f"{REFS}/tags", f"{REFS}/heads")
    raise RefusalError(f"Got {name!r}; expected a tag, a branch or a commit of the template, such as {', '.join(newest.split())}.")


def described(fork: Repository, commit: str) -> Version:
    """A commit with what people know it by."""
    (tag, *_) = fork.git("for-each-ref", f"--points-at={commit}", "--format=%(refname:lstrip=3)", f"{REFS}/tags").splitlines() or [""]
    short, day = fork.git("show", "--no-patch", "--format=%h %cs", commit).split()
    return Version(commit, f"{tag} ({short}, {day})" if tag else f"{short} ({day})")


def comes_before(fork: Repository, earlier: str, later: str) -> bool:
    """Whether a commit is among those that another one was made from."""
    return fork.holds("merge-base", "--is-ancestor", earlier, later)


def find_base(fork: Repository, to: Version) -> Version:
    """The version that a fork is most like, whatever its own history says: the newest of those whose files differ least from its own.

    Of versions that differ alike one that `to` was made from is preferred, so that a later one which changed nothing of the template's is
    not taken for the base.
    """
    trees = dict(line.split() for line in fork.git("log", "--date-order", "--format=%H %T", f"--glob={REFS}").splitlines())
    differing = count_differing(fork, set(trees.values()))
    least = min(differing.values())
    alike = [commit for commit, tree in trees.items() if differing[tree] == least]
    before = [commit for commit in alike if comes_before(fork, commit, to.commit)]
    return described(fork, (before or alike)[0])


def count_differing(fork: Repository, trees: set[str]) -> dict[str, int]:
    """By tree of the template: in how many of the template's files the fork's last commit differs from it, files of no version left out."""
    ever = set(fork.git("log", "-m", "--format=", "--name-only", "--no-renames", "-z", f"--glob={REFS}").split("\0"))
    return {tree: sum(path in ever and is_compared(path) for path in paths) for tree, paths in _differing_files(fork, trees)}


def _differing_files(fork: Repository, trees: set[str]) -> Iterator[tuple[str, list[str]]]:
    mine = fork.git("rev-parse", "HEAD^{tree}").strip()
    pairs = {f"{tree} {mine}": tree for tree in trees}
    said = fork.git("diff-tree", "--stdin", "-r", "-z", "--name-only", "--no-renames", given="".join(f"{pair}\n" for pair in pairs))
    parts = re.split(r"(?:\A|(?<=\0))([0-9a-f]{40,64} [0-9a-f]{40,64})\n", said)
    listed = dict(zip(parts[1::2], parts[2::2], strict=True))
    for pair, tree in pairs.items():
        yield tree, listed.get(pair, "").split("\0")[:-1]
