"""The workflows: what they may do, what they are pinned to, and that a developer can run what they run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from actions import ROOT, filled, holds, workflow

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKFLOWS: dict[str, dict[str, Any]] = {file.stem: workflow(file.stem) for file in FILES}
JOBS = {f"{name}.{job}": body for name, flow in WORKFLOWS.items() for job, body in flow["jobs"].items() if "steps" in body}
STEPS = [(job, step) for job, body in JOBS.items() for step in body["steps"]]
PINNED = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
NOT_LOCAL = {
    "audit": "asks a database of advisories over the network",
    "site-check": "needs a browser, and fetches axe-core over the network",
}
"""Targets of ci.yml that `make ci-local` leaves out, and why."""
WRITES = {
    "ct.keep": {"contents"},
    "ct.publish": {"pages", "id-token"},
    "ct.comment": {"pull-requests"},
    "cd.image": {"packages", "id-token", "attestations"},
    "cd.model": {"contents"},
}
DEPLOYING = ("cd.staging", "cd.production")
"""The only jobs that may write anything."""


def targets(text: str) -> set[str]:
    return set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE))


def prerequisites(target: str) -> list[str]:
    line = re.search(rf"^{target}:(.*?)(##|$)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line, target
    return re.sub(r"\$\(if \$\(EXAMPLE\),([a-z-]+)\)", r"\1", line[1]).split()


def test_there_is_one_workflow_for_each_of_integration_training_and_delivery():
    assert list(WORKFLOWS) == ["cd", "ci", "ct"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is(file):
    used = [line.strip().removeprefix("- ") for line in file.read_text().splitlines() if "uses:" in line and "uses: ./" not in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


def test_an_action_has_the_same_commit_wherever_it_is_used():
    pins: dict[str, set[str]] = {}
    for _, step in STEPS:
        if "uses" in step:
            name, _, commit = step["uses"].partition("@")
            pins.setdefault(name, set()).add(commit)
    assert {name for name, commits in pins.items() if len(commits) > 1} == set()


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_a_workflow_begins_with_no_permission(name):
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize("job", list(JOBS))
def test_a_job_ends_in_time_has_its_turn_and_may_write_only_what_it_is_for(job):
    body = JOBS[job]
    assert (body.get("concurrency") or WORKFLOWS[job.partition(".")[0]]["concurrency"])["group"]
    assert 0 < int(body["timeout-minutes"]) <= 120
    assert {name for name, level in body["permissions"].items() if level == "write"} == WRITES.get(job, set())


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_a_script_of_a_workflow_ends_where_a_part_of_a_pipe_fails(name):
    assert WORKFLOWS[name]["defaults"] == {"run": {"shell": "bash"}}  # bash -eo pipefail, as the tests run them


def test_no_checkout_leaves_a_token_behind():
    checkouts = [(job, step.get("with", {})) for job, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS) - 5  # pages, a comment and approvals need no code
    assert [job for job, options in checkouts if options.get("persist-credentials") != "false"] == []


def test_nothing_that_somebody_else_may_write_is_put_into_a_script():
    assert [job for job, step in STEPS if "${{" in step.get("run", "")] == []


def test_every_step_of_ci_that_runs_something_is_a_make_target():
    runs = [step["run"].strip() for job, step in STEPS if job.startswith("ci.") and "run" in step]
    called = [re.fullmatch(r"make ([a-z-]+)( ARGS=\"[^\"]*\")?", run) for run in runs]
    assert all(called), runs
    assert {match[1] for match in called if match} <= targets((ROOT / "Makefile").read_text())


def test_ci_on_a_developers_machine_runs_what_ci_runs():
    called = {step["run"].split()[1] for job, step in STEPS if job.startswith("ci.") and "run" in step}
    assert set(prerequisites("ci-local")) == called - set(NOT_LOCAL)


def test_what_only_the_example_can_show_is_left_out_where_a_fork_has_its_own_problem():
    there = "hashFiles('src/problem/feed.py') != ''"
    ours = {step["run"].partition(" #")[0] for job, step in STEPS if job.startswith("ci.") and step.get("if") == there}
    local = re.findall(r"\$\(if \$\(EXAMPLE\),([a-z-]+)\)", (ROOT / "Makefile").read_text())
    assert ours == {f"make {target}" for target in local} == {"make run", "make fork-check"}
    asked = subprocess.run(["make", "--dry-run", "ci-local", "EXAMPLE="], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "deploy.fork_check" not in asked.stdout
    assert "deploy.image --check" in asked.stdout


def test_python_and_systems_are_those_that_the_project_says_it_supports():
    matrix = JOBS["ci.test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_training_is_asked_for_by_the_clock_by_data_by_code_and_by_hand():
    asked = WORKFLOWS["ct"]["on"]
    assert set(asked) == {"schedule", "repository_dispatch", "push", "pull_request", "workflow_dispatch"}
    minute = int(asked["schedule"][0]["cron"].split()[0])
    assert minute % 5  # at full minutes everybody asks at once, and GitHub drops some
    assert asked["push"]["paths"] == asked["pull_request"]["paths"] == ["src/problem/**", "expectations/**", "data/**"]
    assert set(asked["workflow_dispatch"]["inputs"]) == {"reason", "through", "explain"}


def test_a_strangers_pull_request_reaches_neither_data_nor_registry():
    for job in ("keep", "publish", "comment"):
        assert "train" in JOBS[f"ct.{job}"]["needs"]
    assert {job for job, step in STEPS if "secrets." in str(step)} == {"ct.train", "cd.model"}
    assert "pull_request_target" not in str(WORKFLOWS)


@pytest.mark.parametrize(
    ("but", "is_published"),
    [
        ({}, True),
        ({"vars.EVERGREEN_PAGES": ""}, False),
        ({"vars.EVERGREEN_PAGES": "no"}, False),
        ({"github.ref": "refs/heads/feature"}, False),
        ({"github.ref": "refs/pull/7/merge", "github.event_name": "pull_request"}, False),
        ({"needs.train.outputs.changed": "false"}, False),
        ({"needs.train.outputs.changed": ""}, False),
        ({"needs.train.outputs.lasts": "yes"}, True),
    ],
)
def test_pages_are_published_from_main_where_people_have_asked_for_it(but, is_published):
    told = {"vars.EVERGREEN_PAGES": "yes", "github.ref": "refs/heads/main", "github.event_name": "schedule"}
    kept = {"needs.train.outputs.changed": "true", "needs.keep.result": "success"}
    assert holds(JOBS["ct.publish"]["if"], told | kept | but) is is_published
    assert JOBS["ct.publish"]["environment"]["name"] == "github-pages"


def test_what_is_published_is_what_the_turn_has_left_and_no_step_knows_a_secret():
    report, _, kept, deployed = JOBS["ct.publish"]["steps"]
    name = report["with"]["name"].replace("needs.train.outputs.attempt", "github.run_attempt")
    uploads = [step["with"] for step in JOBS["ct.train"]["steps"] if step.get("with", {}).get("name") == name]
    assert JOBS["ct.train"]["outputs"]["attempt"].strip() == "${{ github.run_attempt }}"
    assert ["out/site/" in one["path"].split() for one in uploads] == [True]
    assert deployed["uses"].startswith("actions/deploy-pages@")
    assert deployed["with"]["artifact_name"] == kept["with"]["name"]
    assert "secrets." not in str(JOBS["ct.publish"])


def test_no_runner_of_ones_own_runs_what_a_pull_request_brings():
    own = {job: body["runs-on"] for job, body in JOBS.items() if "vars." in body["runs-on"]}
    asked = {"vars.EVERGREEN_RUNNER": "mine", "vars.STAGING_RUNNER": "mine", "vars.PRODUCTION_RUNNER": "mine"}
    assert set(own) == {"ct.train", "cd.staging", "cd.production", "cd.model"}
    assert "pull_request" not in WORKFLOWS["cd"]["on"]
    assert filled(own["ct.train"], asked | {"github.ref": "refs/pull/7/merge"}) == "ubuntu-24.04"
    assert filled(own["ct.train"], asked | {"github.ref": "refs/heads/main"}) == "mine"
    for job in ("cd.staging", "cd.agreed"):
        told = asked | {"needs.image.result": "success", "needs.staging.result": "success"}
        assert holds(JOBS[job]["if"], told | {"github.event.repository.private": True})
        assert not holds(JOBS[job]["if"], told | {"github.event.repository.private": False})


@pytest.mark.parametrize(
    ("ref", "is_delivered"),
    [
        ("refs/heads/main", True),
        ("refs/tags/v1.2.0", True),
        ("refs/tags/trial", False),
        ("refs/heads/feature", False),
        ("refs/heads/v1", False),
    ],
)
def test_only_main_and_versions_are_delivered_also_by_hand(ref, is_delivered):
    assert holds(WORKFLOWS["cd"]["jobs"]["test"]["if"], {"inputs.action": "deploy", "github.ref": ref}) is is_delivered
    assert "if" not in JOBS["cd.image"]  # it waits for what is skipped elsewhere, and is skipped with it


def test_a_turn_or_a_decision_that_waits_is_not_dropped_and_a_trial_waits_for_nobody():
    turn, trial = WORKFLOWS["ct"]["concurrency"], JOBS["ct.train"]["concurrency"]
    assert [(one["queue"], one["cancel-in-progress"]) for one in (turn, JOBS["cd.model"]["concurrency"])] == [("max", "false")] * 2
    main, pull = (
        {"github.ref": "refs/heads/main", "github.run_id": 5},
        {"github.ref": "refs/pull/7/merge", "github.event_name": "pull_request"},
    )
    assert filled(turn["group"], main) == JOBS["cd.model"]["concurrency"]["group"]
    assert filled(turn["group"], pull | {"github.run_id": 5}) != filled(turn["group"], pull | {"github.run_id": 6})
    assert filled(trial["group"], main) != filled(trial["group"], main | {"github.run_id": 6})
    assert filled(trial["group"], pull | {"github.run_id": 5}) == filled(trial["group"], pull | {"github.run_id": 6})


def test_nothing_is_delivered_that_has_not_passed():
    assert WORKFLOWS["cd"]["jobs"]["test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in WORKFLOWS["ci"]["on"]
    assert (JOBS["cd.image"]["needs"], JOBS["cd.staging"]["needs"]) == (["test", "materials"], "image")


def test_what_is_deployed_was_tried_as_it_was_pushed():
    steps = JOBS["cd.image"]["steps"]
    names = [step.get("id") or step.get("name") or step.get("uses", "") for step in steps]
    assert names.index("built") < names.index("push") < names.index("made")
    (tried,) = [step for step in steps if "make image-check" in step.get("run", "")]
    assert "--built" in tried["run"]
    assert tried["env"]["IMAGE"] == JOBS["cd.image"]["outputs"]["image"]
    assert (
        names.index("push") < names.index(tried["name"]) < next(at for at, name in enumerate(names) if name.startswith("actions/attest@"))
    )


def test_the_bill_of_materials_is_made_by_a_job_that_may_write_nothing_and_is_signed_with_the_image():
    made, signed = JOBS["cd.materials"], [step for step in JOBS["cd.image"]["steps"] if step.get("uses", "").startswith("actions/attest@")]
    (upload,) = [step["with"] for step in made["steps"] if "upload-artifact" in step.get("uses", "")]
    assert [step["run"] for step in made["steps"] if "run" in step] == ["make sbom"]
    assert [step["with"].get("sbom-path") for step in signed] == [None, upload["path"]]
    assert {(step["with"]["subject-name"], step["with"]["subject-digest"]) for step in signed} == {
        ("${{ steps.name.outputs.image }}", "${{ steps.made.outputs.digest }}")
    }


@pytest.mark.parametrize(
    ("image", "runner", "staging", "goes"),
    [
        ("success", "a", "success", True),
        ("success", "", "skipped", True),
        ("success", "a", "skipped", False),
        ("success", "a", "failure", False),
        ("success", "a", "cancelled", False),
        ("failure", "", "skipped", False),
    ],
)
def test_production_waits_for_staging_where_there_is_one(image, runner, staging, goes):
    told = {
        "needs.image.result": image,
        "needs.staging.result": staging,
        "vars.STAGING_RUNNER": runner,
        "vars.PRODUCTION_RUNNER": "x",
        "github.event.repository.private": True,
    }
    assert holds(JOBS["cd.agreed"]["if"], told) is goes
    assert holds(JOBS["cd.production"]["if"], {"needs.agreed.result": "success" if goes else "skipped"}) is goes


@pytest.mark.parametrize(
    ("action", "ref", "asks"),
    [("promote", "main", True), ("rollback", "main", True), ("promote", "feature", False), ("deploy", "main", False), ("", "main", False)],
)
def test_a_person_moves_a_model_from_the_default_branch_only(action, ref, asks):
    told = {"inputs.action": action, "github.ref": f"refs/heads/{ref}"}
    assert holds(JOBS["cd.asked"]["if"], told) is asks
    assert (JOBS["cd.approval"]["needs"], "if" in JOBS["cd.approval"]) == ("asked", False)
    assert holds(WORKFLOWS["cd"]["jobs"]["test"]["if"], told) is (action in {"", "deploy"} and ref == "main")


def test_whoever_moves_a_model_by_hand_waits_for_approval_and_then_for_the_turn():
    assert [job for job, body in JOBS.items() if body.get("environment") == "production"] == ["cd.agreed", "cd.approval"]
    assert JOBS["cd.production"]["needs"] == ["image", "agreed"]
    for waits in ("cd.agreed", "cd.approval"):  # whoever waits there keeps nobody else from the host
        assert "github.run_id" in JOBS[waits]["concurrency"]["group"]
    assert JOBS["cd.model"]["needs"] == "approval"
    assert JOBS["cd.approval"]["concurrency"]["group"] != "evergreen-state"  # whoever waits there holds up no turn
    assert JOBS["cd.model"]["concurrency"]["group"] == "evergreen-state"


def test_what_is_deployed_is_what_was_built_by_its_digest():
    made = {"steps.name.outputs.image": "ghcr.io/a/b", "steps.push.outputs.digest": "sha256:1"}
    (step,) = [step for step in JOBS["cd.image"]["steps"] if step.get("id") == "made"]
    assert {name: filled(value, made) for name, value in step["env"].items()} == {"NAME": "ghcr.io/a/b", "DIGEST": "sha256:1"}
    assert filled(step["env"]["DIGEST"], made | {"steps.built.outputs.digest": "sha256:0"}) == "sha256:0"
    assert 'echo "image=$NAME@$DIGEST"' in step["run"]
    assert JOBS["cd.image"]["outputs"]["image"] == "${{ steps.made.outputs.image }}"
    for job in DEPLOYING:
        step = JOBS[job]["steps"][-1]
        assert (step["run"], step["env"]["IMAGE"]) == ('deploy/roll-out "$IMAGE"', "${{ needs.image.outputs.image }}")
        assert JOBS[job]["steps"][0]["with"]["fetch-depth"] == "0"  # else nobody can tell that an image is older
        assert filled(step["env"]["BACK"], {"github.event_name": "push"}) == ""
        asked = {"github.event_name": "workflow_dispatch", "github.ref": "refs/heads/main"}
        assert [filled(step["env"]["BACK"], asked | {"github.ref": ref}) for ref in ("refs/heads/main", "refs/tags/v1")] == ["", "yes"]
    assert "staging" in JOBS["cd.agreed"]["needs"]


def test_an_image_is_built_once_and_has_the_names_that_people_know_only_when_it_has_been_tried():
    steps = JOBS["cd.image"]["steps"]
    (built,) = [step for step in steps if step.get("id") == "push"]
    assert ("tags" in built["with"], "push-by-digest=true" in built["with"]["outputs"]) == (False, True)
    (asked,) = [step for step in steps if step.get("id") == "built"]
    assert asked["env"]["NAME"] == steps[-1]["env"]["BUILT"]
    assert holds(built["if"], {})
    assert not holds(built["if"], {"steps.built.outputs.digest": "sha256:1"})
    assert "imagetools create" in steps[-1]["run"]
    assert steps[-1]["env"]["TAGS"] == "${{ steps.meta.outputs.tags }}"
    given = dict(line.split("=", 1) for line in built["with"]["build-args"].splitlines())
    assert given.keys() == {"VERSION", "REVISION", "SOURCE"} == set(re.findall(r"^ARG (\w+)=unknown", DOCKERFILE, re.M))


@pytest.mark.parametrize(
    ("told", "is_signed"),
    [
        ({"private": False}, True),
        ({"private": True}, False),
        ({"private": True, "attests": "yes"}, True),
        ({"private": True, "attests": "no"}, False),
    ],
)
def test_an_image_is_signed_where_github_can_and_what_it_comes_from_is_seen_to_before_it_runs(told, is_signed):
    context = {"github.event.repository.private": told["private"], "vars.EVERGREEN_ATTEST": told.get("attests", "")}
    signed = [step for step in JOBS["cd.image"]["steps"] if step.get("uses", "").startswith("actions/attest@")]
    assert [holds(step["if"], context) for step in signed] == [is_signed] * 2
    for job in DEPLOYING:
        names = [step.get("name") or step.get("run") or step["uses"] for step in JOBS[job]["steps"]]
        seen = JOBS[job]["steps"][names.index("Where it comes from")]
        assert 'gh attestation verify "oci://$IMAGE"' in seen["run"]
        assert holds(seen["if"], context) is (told.get("attests") == "yes")
        assert names.index("Where it comes from") < names.index('deploy/roll-out "$IMAGE"')
        assert JOBS[job]["permissions"]["attestations"] == "read"


def test_the_linters_find_nothing():
    done = subprocess.run(["make", "workflow-check"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("permissions: {}", "permissions: write-all"),
        ("run: make check", 'run: echo "${{ github.head_ref }}"'),
        ("timeout-minutes: 20", "timeout-minutes: soon"),
        ("- run: make check", "- run: make check && cd $HOME/*.x"),
    ],
    ids=["all permissions", "what a stranger writes in a script", "no number", "bad shell"],
)
def test_a_planted_defect_in_a_workflow_is_found(tmp_path, fault, found):
    copy = tmp_path / "project"
    for name in (".github", "deploy"):
        shutil.copytree(ROOT / name, copy / name)
    subprocess.run(["git", "init", "--quiet", copy], check=True)
    ci = copy / ".github" / "workflows" / "ci.yml"
    assert ci.read_text().count(fault) >= 1
    ci.write_text(ci.read_text().replace(fault, found, 1))
    programs = Path(sys.executable).parent
    words = ["make", "--makefile", ROOT / "Makefile", "--assume-old", ".venv/.ready", "workflow-check", f"BIN={programs}"]
    done = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode != 0
    assert "ci.yml" in done.stdout + done.stderr
