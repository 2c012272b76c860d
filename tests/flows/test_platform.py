"""The live system on one machine: real servers, real schedules and events, real kills."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import commands
import httpx
import platforms
import pytest
from commands import AHEAD, LABELLED
from platforms import CONTRACT, SECONDS, Platform, acted, published
from waiting import PATIENCE, until

from evergreen.settings import Settings
from flows import health

EVERY_MINUTE = CONTRACT.format(policy='cron="* * * * *", cooldown=timedelta(0), per_day=100')


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose schedule names every minute, with its first deliveries made into a champion."""
    home = commands.make_home(tmp_path_factory.mktemp("live"), problem="minutely:PROBLEM", contract=EVERY_MINUTE)
    with platforms.up(platforms.platform_of(home, poll=60)) as platform:
        home.deliver()
        until(lambda: published(home), seconds=2 * SECONDS)
        yield platform


def test_status_tells_that_every_part_is_healthy_and_where_it_is(live: Platform):
    ended = live.evergreen("status")
    assert ended.code == 0, ended
    for name, setting in (("prefect", "EVERGREEN_PREFECT_PORT"), ("mlflow", "EVERGREEN_MLFLOW_PORT"), ("api", "EVERGREEN_API_PORT")):
        assert f"  {name:<9} healthy    http://127.0.0.1:{live.environment[setting]}" in ended.out
    assert "  runner    healthy" in ended.out
    assert "Traceback" not in "".join(log.read_text() for log in (live.home.var / "logs").iterdir())
    again = live.evergreen("up")
    assert (again.code, again.err) == (0, "")
    assert len(live.parts("supervisor.supervisord")) == 1


def test_status_in_a_home_that_starts_none_of_it_asks_whom_the_environment_names(
    live: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    where = {"PREFECT_API_URL": live.api} | {
        f"EVERGREEN_{name}": f"http://127.0.0.1:{live.environment[f'EVERGREEN_{port}_PORT']}"
        for name, port in (("MLFLOW_URI", "MLFLOW"), ("API_URL", "API"))
    }
    home = commands.make_home(tmp_path)
    told = Platform(home, where).evergreen("status").out.partition("\nPlatform\n")[2].splitlines()
    assert [line.split()[:2] for line in told[:3]] == [[name, "healthy"] for name in ("prefect", "mlflow", "api")]
    assert told[3].startswith("  runner    not healthy (none that works for this home")  # it works for another one
    assert told[4] == "Nobody works on rounds of this home. To start a runner on this machine: make up"
    assert "The platform is not up. To start it: make up" in Platform(home, {}).evergreen("status").out
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    beside = health.look_elsewhere(Settings(_env_file=None, home=live.home.var))
    assert [(one.part.name, one.is_healthy) for one in beside] == [(name, True) for name in ("prefect", "mlflow", "api", "runner")]
    monkeypatch.setenv("PREFECT_API_URL", "http://localhost:42oo/api")
    beside = health.look_elsewhere(Settings(_env_file=None, home=live.home.var))
    assert [one.is_healthy for one in beside] == [False, True, True, False]


def test_mlflows_server_is_one_process(live: Platform):
    assert [len(live.parts(name)) for name in ("uvicorn", "mlflow", "flows.mlflow_server")] == [1, 0, 0]


def test_a_file_that_is_dropped_leads_to_data_a_verdict_and_new_predictions_without_another_command(live: Platform):
    before, decided = published(live.home), len(live.home.rows("decisions"))
    live.home.deliver(LABELLED + AHEAD, start=LABELLED)
    until(lambda: published(live.home) > before, seconds=SECONDS)
    assert {row["outcome"] for row in live.home.rows("deliveries")} == {"published"}
    assert len(live.home.rows("decisions")) == decided + 1
    newest = live.home.rows("publications")[-1]
    assert newest["snapshot"] == live.home.rows("decisions")[-1]["snapshot"]
    assert set(live.home.published()["model_version"]) == {newest["version"]}
    api = f"http://127.0.0.1:{live.environment['EVERGREEN_API_PORT']}"
    assert until(lambda: httpx.get(f"{api}/version", timeout=PATIENCE).json()["model_version"] == newest["version"])
    assert f"version {newest['version']} answers over HTTP, as in training" in (live.home.var / "logs" / "runner.log").read_text()


def test_a_cron_schedule_fires_on_the_server_and_with_nothing_new_its_skip_is_recorded(live: Platform):
    def fired() -> list[dict[str, object]]:
        return [run for run in live.runs() if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]

    def skipped() -> list[dict[str, object]]:
        return [row for row in live.home.rows("triggers") if row["kind"] == "schedule" and row["action"] == "skip"]

    run = until(fired, seconds=SECONDS)[0]
    assert run["parameters"] == {"kind": "schedule"}
    skips = until(skipped, seconds=SECONDS)
    assert {row["rule"] for row in skips} == {"nothing new"}
    assert len({row["window"] for row in skips}) == len(skips)
    trained = [row["snapshot"] for row in live.home.rows("versions")]
    assert len(trained) == len(set(trained))
    assert "schedule  skip     nothing new  the verdict on these very data" in live.evergreen("triggers").out


def test_prefects_pages_show_what_a_round_did(live: Platform):
    lines = live.logs()
    for line in ("ingest    9 deliveries published", "gate      PROMOTE", "predict   "):
        assert any(said.startswith(line) for said in lines), (line, lines)


def test_an_event_starts_a_round_of_its_kind(live: Platform):
    live.emit("evergreen.drift.found")
    run = until(lambda: [run for run in live.runs() if run["parameters"] == {"kind": "drift"}])[0]
    assert run["created_by"]["type"] == "AUTOMATION"


def test_two_triggers_at_once_are_one_training(live: Platform):
    before, versions = len(acted(live.home)), len(live.home.rows("versions"))
    shown = published(live.home)
    live.home.deliver(LABELLED + 2 * AHEAD, start=LABELLED + AHEAD)
    with ThreadPoolExecutor() as pool:
        list(pool.map(live.emit, ("evergreen.data.published", "evergreen.delivery.arrived")))
    until(lambda: published(live.home) > shown, seconds=SECONDS)
    time.sleep(10)
    until(lambda: all(run["state_type"] in {"COMPLETED", "CANCELLED"} for run in live.runs()), seconds=SECONDS)
    assert len(acted(live.home)) == before + 1
    assert len(live.home.rows("versions")) == versions + 1


def test_a_round_that_dies_without_a_word_is_told_and_one_that_is_told_to_end_is_not_and_both_are_gone_again(live: Platform):
    shown = published(live.home)
    live.home.deliver(LABELLED + 3 * AHEAD, start=LABELLED + 2 * AHEAD)
    ended = until(live.works_on_a_round, seconds=SECONDS)
    ended.terminate()
    until(lambda: (works := live.works_on_a_round()) and works != ended and works, seconds=2 * SECONDS).kill()
    alert = until(lambda: [row for row in live.home.rows("alerts") if row["kind"] == "failure"], seconds=2 * SECONDS)[0]
    assert alert["text"].startswith("The run retrain: ")
    assert " died: \u27e6Process exited with status code: -9." in alert["text"]
    until(lambda: published(live.home) > shown, seconds=SECONDS)


@pytest.mark.parametrize("part", ["prefect", "flows.deployments"])
def test_a_part_that_is_killed_in_mid_round_is_started_again_and_the_round_comes_to_its_end(live: Platform, part: str):
    shown, days = published(live.home), LABELLED + (4 if part == "prefect" else 5) * AHEAD
    live.home.deliver(days, start=days - AHEAD)
    until(live.works_on_a_round, seconds=SECONDS)
    (killed,) = live.parts(part)
    killed.kill()
    until(lambda: [process for process in live.parts(part) if process.pid != killed.pid])
    until(lambda: published(live.home) > shown, seconds=2 * SECONDS)
    until(lambda: live.evergreen("status").out.count(" healthy ") == 4)
