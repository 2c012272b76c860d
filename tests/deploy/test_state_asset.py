"""The state between two jobs of GitHub Actions, with a `gh` that keeps releases in a folder."""

import os
import subprocess
from pathlib import Path

import pytest
from actions import GH, REPOSITORY, ROOT, put_program


class GitHub:
    """A repository's releases, and jobs of it that carry a state in a folder of their own."""

    def __init__(self, root: Path) -> None:
        self.root, self.releases = root, root / "releases"
        self.releases.mkdir()
        put_program(root / "bin" / "gh", GH)

    def step(self, what: str, job: str, *, run: int = 1, fail: str = "", release: str = "") -> subprocess.CompletedProcess[str]:
        folder = self.root / job
        folder.mkdir(exist_ok=True)
        environment = {
            **{"PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}", "RELEASES": str(self.releases), "FAIL": fail},
            **{"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": "1", "STATE_RELEASE": release},
        }
        command = [ROOT / "deploy" / "state-asset", what, str(folder)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def get(self, job: str, **how: str) -> subprocess.CompletedProcess[str]:
        """Take the newest state."""
        return self.step("get", job, **how)

    def put(self, job: str, state: str, *, run: int = 1, fail: str = "") -> subprocess.CompletedProcess[str]:
        """Keep a state that came of the one taken."""
        (self.root / job / "state.zip").write_text(state)
        return self.step("put", job, run=run, fail=fail)

    def turn(self, state: str, *, run: int) -> None:
        """Take and keep, in a job of its own."""
        assert self.get(state).returncode == 0
        assert self.put(state, state, run=run).returncode == 0

    def got(self, job: str) -> str | None:
        file = self.root / job / "state.zip"
        return file.read_text() if file.exists() else None

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.releases / "evergreen-state").glob("[!.]*"))


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


def test_the_first_turn_finds_no_state_and_goes_on(github):
    found = github.get("first")
    assert (found.returncode, github.got("first")) == (0, None)
    assert "this is the first turn" in found.stdout


def test_what_a_job_keeps_the_next_one_gets_whatever_the_numbers_of_their_runs(github):
    for run, state in ((101, "one"), (103, "two"), (100, "three, a run that was started again")):
        github.turn(state, run=run)
    found = github.get("next")
    assert (found.returncode, github.got("next")) == (0, "three, a run that was started again")
    assert "Got state-3-100-1.zip." in found.stdout


def test_the_tenth_comes_after_the_ninth_and_the_three_newest_are_kept(github):
    for number in range(1, 12):
        github.turn(f"{number}", run=500)
    assert github.kept == ["state-10-500-1.zip", "state-11-500-1.zip", "state-9-500-1.zip"]


def test_an_old_state_goes_only_after_a_new_one_came(github):
    for number in range(1, 5):
        github.turn(f"{number}", run=number)
    calls = (github.root / "calls").read_text().splitlines()
    assert calls.count("release delete-asset") == 1
    assert calls.index("release delete-asset") > max(at for at, call in enumerate(calls) if call == "release upload")


def test_of_two_turns_that_began_with_the_same_state_one_is_kept_and_the_other_told(github):
    github.turn("before", run=1)
    for job in ("one", "other"):
        github.get(job)
    assert github.put("one", "one", run=2).returncode == 0
    late = github.put("other", "other", run=3)
    assert late.returncode == 1
    assert "began with state-1-1-1.zip, and state-2-2-1.zip is the newest now. Its decision is not kept: run it again." in late.stderr
    assert github.kept == ["state-1-1-1.zip", "state-2-2-1.zip"]


@pytest.mark.parametrize("fail", ["release upload", "release delete-asset", "api --paginate"])
def test_a_job_that_is_cut_off_while_it_keeps_loses_nothing(github, fail):
    for number in (1, 2, 3):
        github.turn(f"{number}", run=number)
    before = github.kept
    github.get("cut off")
    assert github.put("cut off", "4", run=4, fail=fail).returncode != 0
    assert set(before) <= set(github.kept)


@pytest.mark.parametrize("is_kept", [True, False])
def test_where_github_does_not_answer_nobody_begins_anew(github, is_kept):
    if is_kept:
        github.turn("before", run=1)
    refused = github.get("job", fail="api --paginate")
    assert refused.returncode != 0
    assert github.got("job") is None
    assert "first turn" not in refused.stdout


def test_a_release_that_has_lost_its_states_is_not_taken_for_the_first_turn(github):
    github.turn("before", run=1)
    (github.releases / "evergreen-state" / "state-1-1-1.zip").unlink()
    refused = github.get("job")
    assert refused.returncode == 1
    assert "holds no state. To begin anew, delete the release" in refused.stderr


def test_a_draft_is_nothing_for_it_is_not_shown_to_a_job_that_may_only_read(github):
    (github.releases / "evergreen-state").mkdir()
    (github.releases / "evergreen-state" / ".draft").touch()
    (github.releases / "evergreen-state" / "state-1-1-1.zip").write_text("of a draft")
    assert "this is the first turn" in github.get("job").stdout
    assert github.put("job", "mine", run=2).returncode != 0  # and nothing is put where it would never be found


def test_other_assets_of_the_release_are_left_alone(github):
    github.turn("1", run=1)
    (github.releases / "evergreen-state" / "state-of-the-art.zip").touch()
    for number in (2, 3, 4):
        github.turn(f"{number}", run=number)
    assert github.kept == ["state-2-2-1.zip", "state-3-3-1.zip", "state-4-4-1.zip", "state-of-the-art.zip"]


def test_a_state_that_is_too_large_for_an_asset_is_refused_before_it_is_sent(github):
    github.get("job")
    with (github.root / "job" / "state.zip").open("wb") as file:
        file.truncate(2_000_000_000)
    refused = github.step("put", "job")
    assert refused.returncode == 1
    assert "let it last on a runner" in refused.stderr
    assert github.kept == []


def test_where_releases_are_immutable_that_is_said_and_another_release_can_be_named(github):
    rule = github.root / "makes releases immutable"
    rule.touch()
    assert github.get("first").returncode == 0
    refused = github.put("first", "1")
    assert refused.returncode == 1
    assert "evergreen-state is immutable, so no state can be kept in it. Switch" in refused.stderr
    later = github.get("second")
    assert later.returncode == 1
    assert "is immutable" in later.stderr
    rule.unlink()
    named = {"release": "another-state"}
    assert github.step("get", "third", **named).returncode == 0
    (github.root / "third" / "state.zip").write_text("3")
    assert github.step("put", "third", **named).returncode == 0
    github.step("get", "fourth", **named)
    assert (github.got("fourth"), github.kept) == ("3", [])


def test_it_says_how_it_is_called(github):
    refused = github.step("push", "job")
    assert refused.returncode == 2
    assert "deploy/state-asset get FOLDER" in refused.stderr
