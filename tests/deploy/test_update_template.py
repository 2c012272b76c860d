"""A fork takes a newer version of the template: what is the template's comes, what is its own stays, what both changed is told."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from file_names import needs_any_bytes
from templates import FIRST, GIT, OWN, SECOND, Repo, new_fork, new_repo, new_template, run_update


@pytest.fixture
def template(tmp_path: Path) -> Repo:
    return new_template(tmp_path / "template")


@pytest.fixture
def fork(tmp_path: Path, template: Repo) -> Repo:
    return new_fork(tmp_path / "fork", template)


def test_a_squashed_fork_gets_what_the_template_changed_and_keeps_its_own(fork: Repo):
    before = fork.git("rev-parse", "HEAD")
    done = run_update(fork, "v2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Base: v1 (" in done.stdout
    assert "of the template's 8 files 1 differ in this fork" in done.stdout
    assert fork.git("rev-parse", "HEAD") == before
    assert {line[:2].strip() for line in fork.status()} == {"M", "A", "D"}
    assert [line for line in fork.status() if line[1] != " "] == []
    for name in ("src/machinery/gate.py", "src/machinery/new.py", "src/machinery/renamed.py", "CHANGELOG.md"):
        assert fork.read(name) == SECOND[name], name
    for name in ("README.md", "src/problem/contract.py", "src/problem/stations.py", "docs/ours.md"):
        assert fork.read(name) == OWN[name], name


def test_files_that_the_template_removed_go_and_pictures_and_modes_come(fork: Repo):
    run_update(fork, "v2")
    assert not fork.has("src/machinery/gone.py")
    assert not fork.has("src/machinery/old.py")
    assert (fork.root / "docs/picture.png").read_bytes() == SECOND["docs/picture.png"]
    assert (fork.root / "tool.sh").stat().st_mode & stat.S_IXUSR
    assert "100755" in fork.git("ls-files", "--stage", "tool.sh")


def test_lines_of_its_own_in_pyproject_are_no_conflict_with_the_templates_right_beside_them(fork: Repo):
    run_update(fork, "v2")
    project = fork.read("pyproject.toml")
    assert [line.strip() for line in project.splitlines()[1:3]] == ['name = "bikes-inc"', 'version = "0.2.0"']
    assert '"numpy>=2",\n    # YOURS: what src/problem needs.\n    "bikes>=3",\n]' in project


def test_the_locks_are_the_templates_with_the_forks_dependencies_added(fork: Repo):
    done = run_update(fork, "v2")
    assert fork.read("requirements.txt") == "numpy==2\nflights==1\nbikes\nbikes\n"
    assert "M  requirements.txt" in fork.status()
    assert "`make lock` adds your dependencies" in done.stdout


def test_a_lock_that_cannot_be_compiled_is_told_and_all_else_is_there(template: Repo, fork: Repo):
    template.commit({"Makefile": "lock:\n\t@echo the index does not answer; exit 3\n"}, tag="v3")
    done = run_update(fork, "v3")
    assert done.returncode == 2
    assert "`make lock` failed" in done.stdout
    assert fork.read("requirements.txt") == SECOND["requirements.txt"]
    assert fork.read("src/machinery/new.py") == "new\n"


def test_what_both_changed_is_a_conflict_in_that_file_only(tmp_path: Path, template: Repo):
    changed = "first\nsecond\nthird of ours\nfourth\nfifth\n"
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/gate.py": changed})
    done = run_update(fork, "v2")
    assert done.returncode == 1
    assert "Changed by you and by the template (1):\n  src/machinery/gate.py\n" in done.stdout
    assert [line for line in fork.status() if line.startswith("U") or line[1] != " "] == ["UU src/machinery/gate.py"]
    assert "<<<<<<< HEAD\nthird of ours\n=======\nthird of the template's\n>>>>>>> template\n" in fork.read("src/machinery/gate.py")
    assert len(fork.git("ls-files", "--unmerged").splitlines()) == 3
    fork.write({"src/machinery/gate.py": "mended\n"})
    assert "Changes are not committed: " in run_update(fork, "v2").stderr
    assert fork.read("src/machinery/gate.py") == "mended\n"
    fork.git("add", "src/machinery/gate.py")
    assert fork.commit({}, "Take the template's second version")


def test_what_both_changed_in_different_places_is_merged(tmp_path: Path, template: Repo):
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/gate.py": "first of ours\nsecond\nthird\nfourth\nfifth\n"})
    assert run_update(fork, "v2").returncode == 0
    assert fork.read("src/machinery/gate.py") == "first of ours\nsecond\nthird of the template's\nfourth\nfifth\n"


def test_a_change_of_the_forks_follows_a_file_that_the_template_renamed(tmp_path: Path, template: Repo):
    ours = str(FIRST["src/machinery/old.py"]).replace("number 3\n", "number three\n")
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/old.py": ours})
    assert run_update(fork, "v2").returncode == 0
    assert fork.read("src/machinery/renamed.py") == ours
    assert not fork.has("src/machinery/old.py")


def test_a_file_that_the_template_removed_and_the_fork_changed_is_a_conflict(tmp_path: Path, template: Repo):
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/gone.py": "we need it\n"})
    done = run_update(fork, "v2")
    assert done.returncode == 1
    assert "UD src/machinery/gone.py" in fork.status()
    assert fork.read("src/machinery/gone.py") == "we need it\n"


@pytest.mark.parametrize("name", ["src/machinery/gate.py", "docs/picture.png", "src/machinery/old.py"])
def test_a_file_that_the_fork_removed_stays_away_also_under_a_new_name(tmp_path: Path, template: Repo, name: str):
    fork = new_fork(tmp_path / "fork", template)
    fork.commit({name: None}, "We do without")
    assert run_update(fork, "v2").returncode == 0
    assert not fork.has(name)
    assert fork.has("src/machinery/renamed.py") == (name != "src/machinery/old.py")
    assert not any(name in line for line in fork.status())


def test_a_file_that_both_added_otherwise_is_a_conflict(tmp_path: Path, template: Repo):
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/new.py": "new of ours\n"})
    assert run_update(fork, "v2").returncode == 1
    assert "AA src/machinery/new.py" in fork.status()


def test_a_file_of_the_forks_own_stays_in_a_folder_that_the_template_renames(tmp_path: Path, template: Repo):
    fork = new_fork(tmp_path / "fork", template, files={"src/machinery/extra.py": "ours\n"})
    moved = {name: content for name, content in SECOND.items() if name.startswith("src/machinery/") and content is not None}
    template.commit(dict.fromkeys(moved))
    template.commit({name.replace("machinery", "engine"): content for name, content in moved.items()}, tag="v3")
    assert run_update(fork, "v3").returncode == 0
    assert sorted(path.name for path in (fork.root / "src/machinery").iterdir()) == ["extra.py"]
    assert fork.read("src/engine/gate.py") == SECOND["src/machinery/gate.py"]


def test_variables_that_a_hook_of_another_repository_has_set_do_not_lead_astray(tmp_path: Path, template: Repo, fork: Repo):
    other = new_fork(tmp_path / "other", template)
    astray = {"GIT_DIR": str(other.root / ".git"), "GIT_WORK_TREE": str(other.root), "GIT_INDEX_FILE": str(other.root / ".git" / "index")}
    assert run_update(fork, "v2", **astray).returncode == 0
    assert (fork.read("src/machinery/new.py"), other.status()) == ("new\n", [])


@needs_any_bytes
def test_names_with_spaces_and_names_that_are_no_text_are_merged_and_told_escaped(template: Repo, fork: Repo):
    odd = os.fsdecode(b"docs/gr\xfcn day.md")
    for repo, content in ((fork, "ours\n"), (template, "the template's\n")):
        repo.commit({odd: content})
    done = run_update(fork, "main")
    assert (done.returncode, done.stderr) == (1, "")
    assert "  docs/gr\\udcfcn day.md\n" in done.stdout
    assert (fork.root / odd).read_text() == "<<<<<<< HEAD\nours\n=======\nthe template's\n>>>>>>> template\n"


def test_a_second_update_finds_the_first_as_its_base(template: Repo, fork: Repo):
    run_update(fork, "v2")
    fork.commit({}, "Take the second version")
    template.commit({"src/machinery/new.py": "newer\n"}, tag="v3")
    done = run_update(fork, "v3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Base: v2 (" in done.stdout
    assert fork.read("src/machinery/new.py") == "newer\n"


def test_a_base_that_is_named_is_taken(fork: Repo, template: Repo):
    done = run_update(fork, "v2", f"--from={template.git('rev-parse', 'v1')[:10]}")
    assert done.returncode == 0
    assert "Base: v1 (" in done.stdout
    assert "the most alike" not in done.stdout


def test_the_duties_that_came_between_the_two_are_told(fork: Repo):
    said = run_update(fork, "v2").stdout
    assert "Forks must (CHANGELOG.md has all that changed):\n  - learn the second thing;\n  - rest.\n" in said
    assert "know the first thing" not in said


def test_what_is_fetched_stays_out_of_the_forks_own_tags_and_branches(fork: Repo):
    run_update(fork, "v2")
    refs = fork.git("for-each-ref", "--format=%(refname)").splitlines()
    assert refs == ["refs/heads/main", "refs/template/heads/main", "refs/template/tags/v1", "refs/template/tags/v2"]


def test_a_version_that_is_there_already_is_nothing_to_do(template: Repo, fork: Repo):
    run_update(fork, "v2")
    fork.commit({}, "Take the second version")
    template.commit({"README.md": "# A later readme\n"}, "Nothing that forks get")
    done = run_update(fork, "v2")
    assert (done.returncode, done.stderr, fork.status()) == (0, "", [])
    assert "This is v2 (" in done.stdout
    assert " already; nothing to do." in run_update(fork, "main").stdout


def test_an_update_can_be_undone_by_a_reset(fork: Repo):
    run_update(fork, "v2")
    fork.git("reset", "--hard", "--quiet")
    assert fork.status() == []
    assert not fork.has("src/machinery/new.py")


def test_the_makefiles_target_updates_a_fork_of_this_repository(tmp_path: Path):
    root = Path(__file__).parents[2]
    earlier = new_repo(tmp_path / "template")
    names = subprocess.run([GIT, "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    tree: dict[str, str | bytes | None] = {name: (root / name).read_bytes() for name in names if (root / name).is_file()}
    project = (root / "pyproject.toml").read_text()
    above, own = project.split("    # YOURS", 1)
    *_, last = above.splitlines(keepends=True)
    old = {**tree, "docs/withdrawn.md": "Old.\n", "pyproject.toml": f"{above.removesuffix(last)}    # YOURS{own}"}
    earlier.commit({name: content for name, content in old.items() if name != "docs/gate.md"}, tag="earlier")
    fork = new_repo(tmp_path / "fork")
    fork.git("fetch", "--quiet", str(earlier.root), "main")
    fork.git("read-tree", "-u", "--reset", "FETCH_HEAD")
    ours = _with_own_dependency(fork.read("pyproject.toml"))
    locking = "lock:\n\t@echo '# locked' >> requirements.txt\n"
    fork.commit({"pyproject.toml": ours, "src/problem/contract.py": "BIKES\n"}, "Our own problem")
    earlier.commit({**tree, "docs/withdrawn.md": None, "Makefile": (root / "Makefile").read_text() + locking}, tag="later")
    words = ["make", "update-template", "TO=later", f"TEMPLATE={earlier.root}"]
    done = subprocess.run(words, cwd=fork.root, capture_output=True, text=True, timeout=120, check=False, env=_without_make())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Base: earlier (" in done.stdout
    assert fork.read("pyproject.toml") == _with_own_dependency(project)
    assert (fork.has("docs/withdrawn.md"), fork.has("docs/gate.md"), fork.read("src/problem/contract.py")) == (False, True, "BIKES\n")
    assert fork.read("requirements.txt").endswith("# locked\n")


def _with_own_dependency(project: str) -> str:
    return re.sub(r"(?ms)(# YOURS[^\n]*\n).*?^\]", r'\1    "ours>=3",\n]', project, count=1)


def _without_make() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
