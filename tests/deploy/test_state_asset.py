"""The state between two jobs of GitHub Actions, with a `gh` that keeps releases in a folder."""

import os
import subprocess
from pathlib import Path

import pytest
from actions import GH, put_program

SCRIPT = Path(__file__).parents[2] / "deploy" / "state-asset"


class GitHub:
    """A repository's releases, and jobs of it that carry a state."""

    def __init__(self, root: Path) -> None:
        self.root, self.releases = root, root / "releases"
        self.releases.mkdir()
        put_program(root / "bin" / "gh", GH)

    def job(
        self, what: str, *, run: int = 1, attempt: int = 1, fail: str = "", state: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One step of a job: `state` is what the file holds before."""
        file = self.root / "state.zip"
        if state is not None:
            file.write_text(state)
        environment = {
            **{"PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}", "RELEASES": str(self.releases), "FAIL": fail},
            **{"GITHUB_REPOSITORY": "someone/flights", "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": str(attempt)},
        }
        return subprocess.run([SCRIPT, what, str(file)], env=environment, capture_output=True, text=True, check=False, timeout=60)

    def got(self) -> str | None:
        file = self.root / "state.zip"
        return file.read_text() if file.exists() else None

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.releases / "evergreen-state").glob("*"))


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


def test_the_first_turn_finds_no_state_and_goes_on(github):
    found = github.job("get")
    assert (found.returncode, github.got()) == (0, None)
    assert "this is the first turn" in found.stdout


def test_what_a_job_keeps_the_next_one_gets(github):
    assert github.job("put", run=9, state="nine").returncode == 0
    assert github.job("put", run=10, state="ten").returncode == 0
    assert github.job("put", run=10, attempt=2, state="ten again").returncode == 0
    (github.root / "state.zip").unlink()
    found = github.job("get")
    assert (found.returncode, github.got()) == (0, "ten again")
    assert "Got state-10-2.zip." in found.stdout


def test_the_three_newest_are_kept_and_an_old_one_goes_only_after_a_new_one_came(github):
    for run in (8, 9, 10, 11):
        assert github.job("put", run=run, state=f"{run}").returncode == 0
    assert github.kept == ["state-10-1.zip", "state-11-1.zip", "state-9-1.zip"]
    calls = (github.root / "calls").read_text().splitlines()
    assert calls.count("release delete-asset") == 1
    assert calls.index("release delete-asset") > max(at for at, call in enumerate(calls) if call == "release upload")


@pytest.mark.parametrize("fail", ["release upload", "release delete-asset"])
def test_a_job_that_is_cut_off_while_it_keeps_loses_nothing(github, fail):
    for run in (1, 2, 3):
        github.job("put", run=run, state=f"{run}")
    before = github.kept
    assert github.job("put", run=4, state="4", fail=fail).returncode != 0
    assert set(before) <= set(github.kept)


@pytest.mark.parametrize("kept", [True, False])
def test_where_github_does_not_answer_nobody_begins_anew(github, kept):
    if kept:
        github.job("put", state="before")
        (github.root / "state.zip").unlink()
    refused = github.job("get", fail="api --paginate")
    assert refused.returncode != 0
    assert github.got() is None
    assert "first turn" not in refused.stdout


def test_a_release_that_has_lost_its_states_is_not_taken_for_the_first_turn(github):
    github.job("put", state="before")
    (github.releases / "evergreen-state" / "state-1-1.zip").unlink()
    refused = github.job("get")
    assert refused.returncode == 1
    assert "holds no state. To begin anew, delete the release" in refused.stderr


def test_other_assets_of_the_release_are_left_alone(github):
    github.job("put", run=1, state="1")
    (github.releases / "evergreen-state" / "state-of-the-art.zip").touch()
    for run in (2, 3, 4, 5):
        github.job("put", run=run, state=f"{run}")
    assert github.kept == ["state-3-1.zip", "state-4-1.zip", "state-5-1.zip", "state-of-the-art.zip"]
    assert github.job("get").returncode == 0
    assert github.got() == "5"


def test_a_state_that_is_too_large_for_an_asset_is_refused_before_it_is_sent(github):
    with (github.root / "state.zip").open("wb") as file:
        file.truncate(2_000_000_000)
    refused = github.job("put")
    assert refused.returncode == 1
    assert "evergreen clean" in refused.stderr
    assert github.kept == []


def test_it_says_how_it_is_called(github):
    refused = github.job("push")
    assert refused.returncode == 2
    assert "deploy/state-asset get STATE.zip" in refused.stderr
