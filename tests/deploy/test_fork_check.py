"""What `make fork-check` holds a fork to: each point fails where it is broken."""

from pathlib import Path

import pytest
from templates import FIRST, OWN, Repo, new_repo, new_template

from deploy import fork_check
from deploy.fork_check import Trial
from deploy.repository import RefusalError, Repository, Tree

LATER = "numpy==2 \\\n    --hash=sha256:00\nflights==1\n"


def trial_of(folder: Path, later: dict[str, str], fork: dict[str, str]) -> tuple[Trial, Tree]:
    """A fork, and what an update made of it."""
    template, own = new_repo(folder / "template"), new_repo(folder / "fork")
    template.commit({**FIRST, "requirements.txt": LATER, **later})
    own.commit({**FIRST, **OWN})
    before = Repository(own.root).files("HEAD")
    own.write({"requirements.txt": LATER.replace("flights==1", "holidays==4"), **fork})
    own.git("add", "--all")
    own.git("fetch", "--quiet", str(template.root), "main")
    merged = Repository(own.root).files(own.git("write-tree"))
    return Trial(Repository(own.root), template.root, before, Repository(own.root).files("FETCH_HEAD")), merged


def test_a_lock_with_the_forks_dependency_and_the_templates_versions_holds(tmp_path: Path):
    assert fork_check.strange_pins(*trial_of(tmp_path, {}, {})) == []


@pytest.mark.parametrize(
    ("lock", "found"),
    [
        ("numpy==3\nholidays==4\n", ["requirements.txt: numpy 3"]),
        ("numpy==2\n", ["requirements.txt: holidays"]),
        ("holidays==4\n", ["requirements.txt: numpy"]),
        ("numpy==2\nholidays==4\npandas==3\n", ["requirements.txt: pandas"]),
    ],
)
def test_a_lock_with_anything_else_does_not(tmp_path: Path, lock: str, found: list[str]):
    assert fork_check.strange_pins(*trial_of(tmp_path, {}, {"requirements.txt": lock})) == found


def test_the_forks_block_and_locks_may_differ_from_the_template_and_nothing_else_may(tmp_path: Path):
    settings = str(FIRST["pyproject.toml"]).replace('"flights>=1"', '"bikes>=3"')
    own = {"pyproject.toml": settings, "README.md": "# Ours\n", "docs/ours.md": ""}
    trial, merged = trial_of(tmp_path / "same", {"docs/ours.md": ""}, own)
    assert fork_check.unlike_template(trial, merged) == []
    trial, merged = trial_of(
        tmp_path / "other", {"docs/ours.md": ""}, {**own, "tool.sh": "echo other\n", "pyproject.toml": settings + "\n# more\n"}
    )
    assert fork_check.unlike_template(trial, merged) == ["tool.sh", "pyproject.toml"]


def test_a_file_of_the_forks_own_that_has_changed_is_found(tmp_path: Path):
    trial, merged = trial_of(tmp_path, {}, {"src/problem/contract.py": "FLIGHTS\n"})
    assert fork_check.changed_own(trial, merged) == ["src/problem/contract.py"]


def test_the_earlier_version_is_the_newest_tag_before_this_commit(tmp_path: Path):
    template = new_template(tmp_path / "template")
    here = Repository(template.root)
    here.git("tag", "state-of-training", "HEAD~1")  # such as ct.yml's release has: no version
    assert fork_check.choose_earlier(here, "") == "v1"
    assert fork_check.choose_earlier(here, "v2") == "v2"
    with pytest.raises(RefusalError, match="FROM=v9 is no tag and no commit here"):
        fork_check.choose_earlier(here, "v9")


def test_without_tags_the_earlier_version_lies_some_commits_back_as_far_as_there_are_any(tmp_path: Path):
    repo: Repo = new_repo(tmp_path / "repo")
    made = [repo.commit({"file": str(number)}) for number in range(25)]
    assert fork_check.choose_earlier(Repository(repo.root), "") == made[-21]
    shallow = new_repo(tmp_path / "shallow")
    only = shallow.commit({"file": ""})
    assert fork_check.choose_earlier(Repository(shallow.root), "") == only
