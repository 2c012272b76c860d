"""What ct.yml does, step by step, with the real commands, in two clones after each other: one history comes of it.

GitHub and Docker are not here: `gh` keeps releases in a folder, and `docker run` runs the command on this machine. The values of the steps'
expressions are written out, and every variable of a step must have one.
"""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from actions import DOCKER, GH, ROOT, Runner, make_runner, put_program
from commands import Home, make_home

TRAIN: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ct.yml").read_text())["jobs"]["train"]
KEEP: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ct.yml").read_text())["jobs"]["keep"]


def step_named(name: str, job: dict[str, Any] = TRAIN) -> dict[str, Any]:
    found = [step for step in job["steps"] if name in (step.get("name"), step.get("id"))]
    assert len(found) == 1, name
    return dict(found[0])


def take_turn(runner: Runner, *, through: str, reason: str = "", explain: str = "false") -> list[subprocess.CompletedProcess[str]]:
    """The steps of the job `train` that need neither GitHub nor a build, and of `keep` when there is something to keep."""
    values = {
        "Where the state is": {"LASTING": ""},
        "The state before": {"GH_TOKEN": "token"},
        "One turn": {
            **{"HOME_FOLDER": str(runner.root / "temp" / "home"), "LASTS": "", "POINTER": through, "REASON": reason, "EXPLAIN": explain},
            **{"EVERGREEN_JOURNAL_URL": "", "EVERGREEN_MLFLOW_URI": "", "EVERGREEN_ALERT_URLS": ""},
        },
        "What came of it": {},
    }
    done = []
    for name, environment in values.items():
        step = step_named(name)
        assert set(step.get("env", {})) == set(environment), name
        done.append(runner.step(step["run"], **environment))
        if done[-1].returncode and name != "One turn":
            break
    if runner.outputs.get("verdict") == "REJECT":
        done.append(runner.step(step_named("The verdict")["run"]))
    if runner.outputs.get("changed") == "true":
        (runner.clone / "state.zip").write_bytes((runner.clone / "out" / "state.zip").read_bytes())
        done.append(runner.step(KEEP["steps"][-1]["run"], GH_TOKEN="token"))  # noqa: S106 - a fake one
    return done


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root: Path = tmp_path_factory.mktemp("actions")
    make_home(root, bare=True)
    (root / "releases").mkdir()
    for name, source in (("gh", GH), ("docker", DOCKER)):
        put_program(root / "bin" / name, source)
    return root


@pytest.fixture(scope="module")
def turns(root: Path) -> dict[str, tuple[Runner, list[subprocess.CompletedProcess[str]]]]:
    """A first turn, one that finds nothing new, and one with a month more; each on a machine of its own."""
    made = {}
    for number, (name, through) in enumerate([("first", "60"), ("idle", "60"), ("second", "90")], start=1):
        runner = make_runner(root, number)
        made[name] = (runner, take_turn(runner, through=through))
    return made


def journal(runner: Runner, root: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table in the state that a machine has left."""
    place = Home(root / f"state-{runner.number}")
    if not place.var.exists():
        place.var.mkdir(parents=True)
        with zipfile.ZipFile(runner.clone / "out" / "state.zip") as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("journal.db"))
            (place.var / "journal.db").write_bytes(archive.read(name))
    return place.rows(table)


def test_every_step_of_every_turn_succeeds(turns):
    for name, (_, done) in turns.items():
        assert [(one.args[-1][:40], one.stderr) for one in done if one.returncode] == [], name
        assert "Traceback" not in "".join(one.stdout + one.stderr for one in done)


def test_two_turns_on_two_machines_make_one_history(turns, root):
    decisions = journal(turns["second"][0], root, "decisions")
    assert [(row["candidate"], row["champion"]) for row in decisions] == [(1, None), (2, 1)]
    assert "Version 2, against version 1, the champion" in turns["second"][0].summary
    assert [row["cycle"] for row in journal(turns["second"][0], root, "cycles")] == ["deliveries 0", "deliveries 1"]


def test_no_budget_is_spent_twice(turns, root):
    first = journal(turns["first"][0], root, "ledger")
    second = journal(turns["second"][0], root, "ledger")
    assert second[: len(first)] == first
    assert len({(row["data_time"], row["purpose"]) for row in second}) == len(second) > len(first)


def test_a_turn_for_which_nothing_has_changed_keeps_nothing(turns, root):
    runner, _ = turns["idle"]
    assert runner.outputs["changed"] == "false"
    assert runner.summary == "### Nothing was judged\n"
    kept = sorted(path.name for path in (root / "releases" / "evergreen-state").iterdir())
    assert kept == ["state-1-1.zip", "state-3-1.zip"]


def test_the_summary_of_the_job_is_the_decision_in_money(turns):
    first = turns["first"][0].summary
    assert first.startswith("### PROMOTE: Version 1 is promoted")
    assert "| Decided by | EUR per 1,000 orders | the candidate saves |" in first
    assert turns["first"][0].outputs["verdict"] == "PROMOTE"


def test_the_pages_are_there_to_be_kept(turns):
    site = turns["second"][0].clone / "out" / "site"
    assert "version 2" in (site / "index.html").read_text().lower()


def test_a_turn_that_only_explains_changes_nothing(root, turns):
    runner = make_runner(root, 7)
    done = take_turn(runner, through="90", explain="true")
    assert [one.returncode for one in done] == [0, 0, 0, 0]
    assert runner.outputs == {"home": str(root / "temp" / "home"), "lasts": "", "changed": "false", "verdict": ""}
    assert "nothing of that kind" in runner.summary


def test_a_damaged_state_ends_the_turn_before_anything_is_done_and_is_not_kept(root, turns):
    newest = root / "releases" / "evergreen-state" / "state-3-1.zip"
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    runner = make_runner(root, 8)
    done = take_turn(runner, through="120")
    newest.write_bytes(whole)
    assert done[2].returncode != 0
    assert "ended before anything was judged" in runner.summary
    assert runner.outputs["changed"] == "false"
    assert not (root / "temp" / "home" / "home").exists()


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        ({"verdict": "REJECT", "version": 3, "changed": True}, 1, "::error title=REJECT::"),
        ({"verdict": "HOLD", "version": 3, "changed": True}, 0, "::notice title=HOLD::Version 3 is held"),
        ({"verdict": "PROMOTE", "version": 3, "changed": True}, 0, ""),
    ],
    ids=["reject", "hold", "promote"],
)
def test_a_refusal_fails_the_job_and_a_hold_is_a_notice(tmp_path, outcome, code, said):
    runner = make_runner(tmp_path, 1)
    (runner.clone / "out").mkdir()
    (runner.clone / "out" / "outcome.json").write_text(json.dumps(outcome))
    (runner.clone / "out" / "summary.md").write_text("### told\n")
    told = runner.step(step_named("What came of it")["run"])
    assert (told.returncode, runner.outputs["verdict"], runner.summary) == (0, outcome["verdict"], "### told\n")
    last = step_named("The verdict")
    assert last["if"] == "${{ steps.outcome.outputs.verdict == 'REJECT' }}"
    failed = runner.step(last["run"]) if runner.outputs["verdict"] == "REJECT" else told
    assert failed.returncode == code
    assert said in told.stdout + failed.stdout
    assert bool(told.stdout + failed.stdout) == bool(said)
