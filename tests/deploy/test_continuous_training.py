"""What ct.yml does, with the real commands, run after run on machines where nothing lasts: one history comes of it."""

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from actions import REPOSITORY, ROOT, Actions, Job, holds, workflow
from commands import Home, make_home

JOBS = workflow("ct")["jobs"]
MODEL = workflow("cd")["jobs"]["model"]
REASON = 'a new "supplier"; $(false)'
MAIN = {"github.event_name": "workflow_dispatch", "github.ref": "refs/heads/main"}


def take_turn(actions: Actions, run: int, **context: Any) -> dict[str, Job]:
    """A run of ct.yml: every job of it whose conditions hold."""
    told = MAIN | {name.replace("__", "."): value for name, value in context.items()}
    jobs: dict[str, Job] = {}
    for name in ("train", "keep", "publish", "comment"):
        job = jobs[name] = actions.run(JOBS[name], run, **told)
        told |= {f"needs.{name}.result": job.result} | {f"needs.{name}.outputs.{key}": value for key, value in job.outputs.items()}
    return jobs


@pytest.fixture(scope="module")
def actions(tmp_path_factory) -> Actions:
    root: Path = tmp_path_factory.mktemp("actions")
    make_home(root, bare=True)
    return Actions(root)


@pytest.fixture(scope="module")
def turns(actions: Actions) -> dict[str, dict[str, Job]]:
    """A first turn, one that finds nothing new, a trial for a pull request, and one with a month more."""
    trial = {"github__event_name": "pull_request", "github__ref": "refs/pull/7/merge", "github__event__pull_request__number": 7}
    return {
        "first": take_turn(
            actions, 101, inputs__through="60", secrets__EVERGREEN_ENVIRONMENT="SHOP_PASSWORD=a = b; c\nSHOP_SSL=true\nSHOP_TLS=false"
        ),
        "idle": take_turn(actions, 102, inputs__through="60"),
        "trial": take_turn(
            actions,
            103,
            inputs__through="90",
            github__event__pull_request__head__repo__full_name=REPOSITORY,
            github__repository=REPOSITORY,
            **trial,
        ),
        "second": take_turn(actions, 104, inputs__through="90", inputs__reason=REASON, vars__EVERGREEN_PAGES="yes"),
    }


def journal(actions: Actions, kept: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table in a state of the release."""
    place = Home(actions.root / f"looked at {kept}")
    if not place.var.exists():
        place.var.mkdir(parents=True)
        with zipfile.ZipFile(actions.root / "releases" / "evergreen-state" / kept) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("journal.db"))
            (place.var / "journal.db").write_bytes(archive.read(name))
    return place.rows(table)


FIRST, SECOND = "state-1-101-1.zip", "state-2-104-1.zip"


def test_every_step_of_every_job_succeeds(turns):
    for name, jobs in turns.items():
        for job in jobs.values():
            assert not job.is_failed, (name, job.said)
            assert "Traceback" not in job.said


def test_two_turns_on_two_machines_make_one_history(turns, actions):
    assert actions.kept[:2] == [FIRST, SECOND]
    decisions = journal(actions, SECOND, "decisions")
    assert [(row["candidate"], row["champion"]) for row in decisions] == [(1, None), (2, 1)]
    assert "Version 2, against version 1, the champion" in turns["second"]["train"].summary
    assert [row["cycle"] for row in journal(actions, SECOND, "cycles")] == ["deliveries 0", "deliveries 1"]


def test_no_budget_is_spent_twice(turns, actions):
    first, second = (journal(actions, kept, "ledger") for kept in (FIRST, SECOND))
    assert second[: len(first)] == first
    assert len({(row["data_time"], row["purpose"]) for row in second}) == len(second) > len(first)


def test_a_turn_for_which_nothing_has_changed_keeps_nothing(turns):
    idle = turns["idle"]
    assert idle["train"].outputs["changed"] == "false"
    assert idle["train"].summary == "### Nothing was judged\n"
    assert idle["keep"].done == []


def test_a_trial_for_a_pull_request_is_judged_against_the_champion_and_not_kept(turns, actions):
    trial = turns["trial"]
    assert trial["train"].outputs["changed"] == "true"
    assert "against version 1, the champion" in trial["train"].summary
    assert trial["keep"].done == []
    assert not list(actions.root.glob("artifacts-103/state*"))


def test_a_pull_request_is_told_once_and_what_its_next_commit_says_takes_the_place_of_that(turns, actions):
    comments = actions.root / "comments"
    assert [one.name for one in comments.iterdir()] == ["10"]
    told = (comments / "10").read_text()
    assert turns["trial"]["train"].summary in told
    assert "A trial on a copy of the state; it decides nothing." in told
    assert {turns[name]["comment"].result for name in ("first", "idle", "second")} == {"skipped"}
    (comments / "11").write_text("looks good to me")
    asked = {"github.event_name": "pull_request", "github.event.pull_request.number": 7, "github.repository": REPOSITORY}
    (actions.root / "artifacts-120" / "report-1").mkdir(parents=True)
    (actions.root / "artifacts-120" / "report-1" / "summary.md").write_text("### REJECT\n")
    told = {"needs.train.outputs.changed": "true", "needs.train.outputs.attempt": "1"}
    again = actions.run(JOBS["comment"], 120, **asked, **told)
    assert not again.is_failed, again.said
    assert {one.name for one in comments.iterdir()} == {"10", "11"}
    assert "### REJECT\n\n_A trial on a copy" in (comments / "10").read_text()
    assert (comments / "11").read_text() == "looks good to me"


def test_the_summary_of_the_job_is_the_decision_in_money(turns):
    first = turns["first"]["train"].summary
    assert first.startswith("### PROMOTE: Version 1 is promoted")
    assert "| Decided by | EUR per 1,000 orders | the candidate saves |" in first


def test_the_pages_are_there_to_be_kept(turns, actions):
    assert "version 2" in (actions.root / "artifacts-104" / "report-1" / "site" / "index.html").read_text().lower()


def test_the_pages_are_published_where_people_have_asked_for_it(turns, actions):
    assert turns["first"]["publish"].done == []
    archive = actions.root / "artifacts-104" / "github-pages-1" / "artifact.tar"
    with tarfile.open(archive) as pages:
        names = {name.removeprefix("./") for name in pages.getnames()}
        assert all(one.isfile() or one.isdir() for one in pages.getmembers())
    assert "index.html" in names
    assert any(name.startswith("decisions/") for name in names)
    assert not any("journal" in name or name.startswith("/") or ".." in name for name in names)


def test_a_turn_that_only_explains_changes_nothing(actions, turns):
    before = actions.kept
    explained = take_turn(actions, 105, inputs__through="120", inputs__explain=True)
    assert not explained["train"].is_failed
    assert "nothing of that kind" in explained["train"].summary
    assert explained["train"].outputs["changed"] == "false"
    assert actions.kept == before


def test_a_person_who_asks_is_recorded_with_the_reason(actions, turns):
    assert f"ann asked for it: {REASON}" in turns["second"]["train"].summary
    rows = journal(actions, SECOND, "triggers")
    assert [row["reason"] for row in rows if row["action"] == "ask"] == [f"ann asked for it: {REASON}"]


@pytest.mark.parametrize(("ref", "is_kept"), [("refs/heads/main", True), ("refs/heads/feature", False), ("refs/tags/v1", False)])
def test_a_turn_on_another_branch_is_a_trial(ref, is_kept):
    context = MAIN | {"github.ref": ref, "needs.train.outputs.changed": "true", "steps.outcome.outputs.changed": "true"}
    (upload,) = (step for step in JOBS["train"]["steps"] if step.get("with", {}).get("name", "").startswith("state"))
    assert (holds(JOBS["keep"]["if"], context), holds(upload["if"], context)) == (is_kept, is_kept)


def test_a_decision_of_a_person_goes_on_from_there(actions, turns):
    context = MAIN | {"inputs.action": "freeze", "inputs.reason": "audit"}
    frozen = actions.run(MODEL, 108, **context)
    assert not frozen.is_failed, frozen.said
    assert [(row["person"], row["reason"]) for row in journal(actions, actions.kept[-1], "freezes")] == [("ann", "audit")]
    assert actions.kept[-1].endswith("-108-1.zip")


def test_a_damaged_state_ends_the_turn_before_anything_is_done_and_is_not_kept(actions, turns):
    newest, before = actions.root / "releases" / "evergreen-state" / actions.kept[-1], actions.kept
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    damaged = take_turn(actions, 109, inputs__through="120")
    newest.write_bytes(whole)
    assert damaged["train"].is_failed
    assert "ended before anything was judged" in damaged["train"].summary
    assert (damaged["keep"].done, actions.kept) == ([], before)


def test_where_servers_are_named_and_no_home_lasts_no_second_history_begins(actions, turns):
    refused = take_turn(actions, 110, secrets__EVERGREEN_JOURNAL_URL="postgresql://journal")
    assert refused["train"].is_failed
    assert "names no folder that lasts" in refused["train"].said
    assert len(refused["train"].done) == 2  # the refusal, and what is told of it


def test_a_home_that_lasts_is_gone_on_with_and_nothing_is_kept_elsewhere(actions, turns, tmp_path):
    before = actions.kept
    lasting = {"vars__EVERGREEN_HOME": str(tmp_path / "lasting"), "vars__EVERGREEN_RUNNER": "ours", "inputs__through": "60"}
    for where, why in (
        ({"vars__EVERGREEN_RUNNER": ""}, "nothing lasts on this machine of GitHub's. Set EVERGREEN_RUNNER"),
        ({}, f"There is no folder {tmp_path / 'lasting'} on this runner."),
    ):
        refused = take_turn(actions, 111, **(lasting | where))
        assert refused["train"].is_failed
        assert why in refused["train"].said
        assert not (tmp_path / "lasting").exists()
    (tmp_path / "lasting").mkdir()
    refused = take_turn(actions, 111, **lasting)
    assert refused["train"].is_failed
    assert "the release evergreen-state holds one" in refused["train"].said
    (tmp_path / "lasting" / "home").mkdir(parents=True)
    lasts = take_turn(actions, 112, **lasting)
    assert not lasts["train"].is_failed, lasts["train"].said
    assert lasts["train"].summary.startswith("### PROMOTE: Version 1")
    assert (tmp_path / "lasting" / "home" / "journal.db").is_file()
    assert (lasts["keep"].done, actions.kept) == ([], before)


@pytest.mark.parametrize(
    ("outcome", "is_failed", "said"),
    [
        ({"verdict": "REJECT", "version": 3, "changed": True}, True, "::error title=REJECT::"),
        ({"verdict": "HOLD", "version": 3, "changed": True}, False, "::notice title=HOLD::Version 3 is held"),
        ({"verdict": "PROMOTE", "version": 3, "changed": True}, False, ""),
    ],
    ids=["reject", "hold", "promote"],
)
def test_a_refusal_fails_the_job_but_not_the_keeping_and_a_hold_is_a_notice(tmp_path, outcome, is_failed, said):
    actions = Actions(tmp_path)
    laid = f"mkdir out; cd out; echo '{json.dumps(outcome)}' >outcome.json; echo '### told' >summary.md; touch state.zip state.from"
    steps = [step | ({"run": laid} if step.get("id") == "turn" else {}) for step in JOBS["train"]["steps"] if step.get("id") != "place"]
    job = actions.run(JOBS["train"] | {"steps": steps}, 1, **MAIN)
    assert (job.is_failed, job.summary) == (is_failed, "### told\n")
    assert said in job.said
    assert bool(job.said) == bool(said)
    (tmp_path / "artifacts-1" / "state-1" / "state.from").write_text("\n")
    needs = {"needs.train.result": job.result, **{f"needs.train.outputs.{name}": value for name, value in job.outputs.items()}}
    for attempt in (1, 2):  # `Re-run failed jobs` is the second; the turn itself is not run again
        (tmp_path / "releases" / "evergreen-state" / "state-1-1-1.zip").unlink(missing_ok=True)
        kept = actions.run(JOBS["keep"], 1, **MAIN, **needs, **{"github.run_attempt": attempt})
        assert (kept.result, actions.kept) == ("success", ["state-1-1-1.zip"]), kept.said


def test_what_a_job_needs_holds_it_up_unless_it_says_otherwise(tmp_path):
    actions, failed = Actions(tmp_path), {"needs.train.result": "failure"}
    job = {"needs": "train", "runs-on": "ubuntu-24.04", "steps": [{"run": "true"}]}
    assert actions.run(job, 1).result == "success"
    assert actions.run(job, 1, **failed).result == "skipped"
    assert actions.run(job | {"if": "${{ !cancelled() }}"}, 1, **failed).result == "success"


@pytest.mark.parametrize(("kept", "lasts", "is_published"), [("success", "", True), ("failure", "", False), ("skipped", "yes", True)])
def test_what_is_not_kept_is_not_published(kept, lasts, is_published):
    told = {"vars.EVERGREEN_PAGES": "yes", "needs.train.outputs.changed": "true", "needs.train.outputs.lasts": lasts}
    assert holds(JOBS["publish"]["if"], MAIN | told | {"needs.keep.result": kept}) is is_published
    assert "keep" in JOBS["publish"]["needs"]


def test_each_secret_of_the_environment_is_hidden_from_the_log(turns):
    hidden = [line for line in turns["first"]["train"].said.splitlines() if line.startswith("::add-mask::")]
    assert hidden == ["::add-mask::a = b; c"]


def test_a_strangers_pull_request_runs_nothing(tmp_path):
    stranger = {"github.event_name": "pull_request", "github.repository": "x/y", "github.event.pull_request.head.repo.full_name": "z/y"}
    assert Actions(tmp_path).run(JOBS["train"], 1, **stranger).done == []


@pytest.mark.parametrize(("event", "ref"), [("pull_request", "refs/pull/7/merge"), ("workflow_dispatch", "refs/heads/feature")])
def test_where_the_state_lasts_on_a_runner_only_main_works_on_it(event, ref):
    told = {
        "github.event_name": event,
        "github.ref": ref,
        "github.repository": "x/y",
        "github.event.pull_request.head.repo.full_name": "x/y",
    }
    assert holds(JOBS["train"]["if"], told)  # on a copy
    assert not holds(JOBS["train"]["if"], told | {"vars.EVERGREEN_HOME": "/home"})
    assert holds(
        JOBS["train"]["if"], told | {"vars.EVERGREEN_HOME": "/home", "github.event_name": "schedule", "github.ref": "refs/heads/main"}
    )


def test_what_is_copied_into_the_image_is_there(tmp_path):
    named = (ROOT / "Dockerfile").read_text()
    for script in ("with-state", "turn", "decide"):
        assert f"deploy/{script}" in named
