"""What an update of a fork refuses, with nothing changed; and what becomes of one that is killed on its way."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from templates import SECOND, Repo, new_fork, new_repo, new_template, run_update


@pytest.fixture
def template(tmp_path: Path) -> Repo:
    return new_template(tmp_path / "template")


@pytest.fixture
def fork(tmp_path: Path, template: Repo) -> Repo:
    return new_fork(tmp_path / "fork", template)


def refused(done: subprocess.CompletedProcess[str], *sentences: str) -> None:
    assert done.returncode == 2, done
    assert [sentence for sentence in sentences if sentence not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr


def test_a_fork_that_does_not_know_the_template_is_told_how_to_say_it(fork: Repo):
    fork.git("remote", "remove", "template")
    refused(run_update(fork, "v2"), "no remote named template", "git remote add template <address>")


def test_a_template_that_cannot_be_reached_is_told(fork: Repo, tmp_path: Path):
    refused(run_update(fork, "v2", f"--template={tmp_path / 'nowhere'}"), "could not be fetched", "does not appear to be a git repository")


@pytest.mark.parametrize("name", ["v9", "", "HEAD", "--all", "abcdef1234"])
def test_a_version_that_the_template_does_not_have_is_refused_with_those_it_has(fork: Repo, name: str):
    refused(run_update(fork, name), f"Got {name!r}; expected a tag, a branch or a commit of the template", "v2", "v1")
    assert fork.status() == []


def test_a_commit_of_the_forks_own_is_no_version_of_the_template(fork: Repo):
    own = fork.git("rev-parse", "HEAD")
    refused(run_update(fork, own), f"Got {own!r}; expected")


def test_a_tag_of_the_forks_own_does_not_hide_the_templates(fork: Repo):
    fork.git("tag", "v2")
    assert run_update(fork, "v2").returncode == 0
    assert fork.read("src/machinery/new.py") == "new\n"


def test_an_older_version_is_refused(fork: Repo, template: Repo):
    template.git("tag", "v0", "v1~1")
    refused(run_update(fork, "v0"), "TO=v0 is v0 (", "older than v1 (")
    assert fork.status() == []


@pytest.mark.parametrize("staged", [True, False])
def test_changes_that_are_not_committed_are_refused(fork: Repo, staged: bool):
    fork.write({"src/problem/contract.py": "BIKES, and more\n"})
    if staged:
        fork.git("add", "--all")
    refused(run_update(fork, "v2"), "Changes are not committed: src/problem/contract.py.")
    assert fork.read("src/problem/contract.py") == "BIKES, and more\n"
    assert not fork.has("src/machinery/new.py")


def test_a_merge_under_way_is_refused(fork: Repo):
    fork.git("branch", "aside")
    fork.commit({"docs/ours.md": "Ours!\n"})
    fork.git("checkout", "--quiet", "aside")
    fork.commit({"docs/more.md": "More.\n"})
    fork.git("merge", "--no-commit", "--no-ff", "main")
    refused(run_update(fork, "v2"), "is under way (MERGE_HEAD)")


def test_a_rebase_under_way_is_refused(fork: Repo):
    first = fork.git("rev-parse", "HEAD")
    fork.commit({"docs/ours.md": "Ours!\n"})
    fork.git("-c", "sequence.editor=sed -i.bak s/^pick/edit/", "rebase", "--quiet", "--interactive", first)
    refused(run_update(fork, "v2"), "is under way (rebase-merge)")


def test_a_fork_without_a_commit_is_refused(tmp_path: Path, template: Repo):
    refused(run_update(new_repo(tmp_path / "empty"), "v2", f"--template={template.root}"), "no commit yet")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path):
    refused(run_update(Repo(tmp_path), "v2"), "is in no work tree of git's")


def test_a_repository_unlike_the_template_is_refused_unless_its_base_is_named(tmp_path: Path, template: Repo):
    other = new_repo(tmp_path / "other")
    other.commit({"Makefile": "lock:\n\t@true\n", "app.py": "print()\n"})
    address = f"--template={template.root}"
    refused(run_update(other, "v2", address), "more than half", "FROM=<tag or commit>")
    assert other.status() == []
    assert "more than half" not in run_update(other, "v2", address, "--from=v1").stderr


@pytest.mark.parametrize("ignored", [True, False])
def test_a_file_that_git_does_not_know_is_not_overwritten(fork: Repo, ignored: bool):
    if ignored:
        fork.commit({".gitignore": "new.py\n"})
    fork.write({"src/machinery/new.py": "a note\n"})
    refused(run_update(fork, "v2"), "that git does not know: src/machinery/new.py. Move them away.")
    assert fork.read("src/machinery/new.py") == "a note\n"
    assert [line for line in fork.status() if not line.startswith("??")] == []


KILLING = """#!/bin/sh
case "$*" in
"{at}"*) {before} kill -9 $PPID; exit 1;;
esac
exec {git} "$@"
"""


def killing_git(folder: Path, at: str, before: str) -> str:
    """A PATH on which git kills whoever calls it, at a command, after having done something else."""
    folder.mkdir()
    real = shutil.which("git")
    program = folder / "git"
    program.write_text(KILLING.format(at=at, before=before, git=real))
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("at", "before"),
    [
        ("read-tree -m -u", ""),
        ("read-tree -m -u", "mkdir -p src/machinery; printf n > src/machinery/new.py; printf fir > src/machinery/gate.py;"),
        ("read-tree -m -u", '"$REAL_GIT" "$@";'),
        ("update-index -z --index-info", '[ -n "$GIT_INDEX_FILE" ] && exec "$REAL_GIT" "$@";'),
        ("add -- requirements.txt", ""),
    ],
    ids=["before the first file", "in the middle of a file", "after the last file", "before conflicts are marked", "after the locks"],
)
def test_an_update_that_is_killed_begins_anew_when_it_is_run_again(tmp_path: Path, template: Repo, at: str, before: str):
    changed = {"src/machinery/gate.py": "first\nsecond\nthird of ours\nfourth\nfifth\n"}
    fork, undisturbed = (new_fork(tmp_path / name, template, files=changed) for name in ("fork", "undisturbed"))
    killed = run_update(fork, "v2", PATH=killing_git(tmp_path / "bin", at, before), REAL_GIT=str(shutil.which("git")))
    assert killed.returncode == -9
    again = run_update(fork, "v2")
    assert run_update(undisturbed, "v2").returncode == again.returncode == 1
    assert "An earlier update was cut short: it was taken back, and begins anew." in again.stdout
    assert fork.git("ls-files", "--stage") == undisturbed.git("ls-files", "--stage")
    assert fork.status() == undisturbed.status()
    assert fork.read("src/machinery/gate.py") == undisturbed.read("src/machinery/gate.py")
    assert fork.read("requirements.txt") == undisturbed.read("requirements.txt")


def test_what_somebody_wrote_after_a_killed_update_is_not_lost(tmp_path: Path, fork: Repo):
    run_update(fork, "v2", PATH=killing_git(tmp_path / "bin", "add -- requirements.txt", ""))
    fork.write({"src/machinery/new.py": "mine now\n", "docs/ours.md": "mine too\n"})
    refused(run_update(fork, "v2"), "An update was cut short, and somebody has changed files of it since: src/machinery/new.py.")
    assert (fork.read("src/machinery/new.py"), fork.read("src/machinery/gate.py")) == ("mine now\n", SECOND["src/machinery/gate.py"])
    fork.write({"src/machinery/new.py": None})
    refused(run_update(fork, "v2"), "Changes are not committed: docs/ours.md.")
    assert fork.read("docs/ours.md") == "mine too\n"
    assert not fork.has("src/machinery/new.py")


def test_a_killed_update_that_was_committed_is_left_alone(tmp_path: Path, template: Repo, fork: Repo):
    run_update(fork, "v2", PATH=killing_git(tmp_path / "bin", "add -- requirements.txt", ""))
    fork.commit({}, "Take the second version")
    template.commit({"src/machinery/new.py": "newer\n"}, tag="v3")
    done = run_update(fork, "v3")
    assert done.returncode == 0
    assert "cut short" not in done.stdout
    assert fork.read("src/machinery/new.py") == "newer\n"
