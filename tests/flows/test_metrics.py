"""What rounds and looks write down for Prometheus."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from workspaces import open_space

from evergreen.workspace import Workspace
from flows import monitoring
from flows.alerting import tell_prometheus

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)


def told(home: Path) -> dict[str, float]:
    text = (home / "metrics" / "evergreen.prom").read_text()
    return {one.name: one.value for family in text_string_to_metric_families(text) for one in family.samples}


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return open_space(tmp_path / "var")


def test_a_round_writes_down_how_things_stand_at_its_end(two_months):
    found, rounds = told(two_months.home.var), two_months.home.rows("cycles")
    assert found["evergreen_rounds_total"] == len(rounds) == 2
    assert found["evergreen_round_timestamp_seconds"] == datetime.fromisoformat(rounds[-1]["at"]).timestamp()
    assert found["evergreen_champion_version"] == two_months.home.state()["champion"]
    assert "evergreen_look_timestamp_seconds" not in found  # nobody has looked: both were asked for


def test_a_look_writes_down_that_it_has_ended(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("evergreen.workspace.open_workspace", lambda: space)
    monkeypatch.setattr(monitoring, "start_what_is_asked_for", lambda _: "There is nothing to do.")
    monkeypatch.setattr(monitoring, "warn", lambda _: None)
    before = datetime.now(UTC).timestamp()
    assert monitoring.look(return_state=True).is_completed()
    assert told(space.settings.root)["evergreen_look_timestamp_seconds"] >= before - 0.01


def test_a_look_that_fails_does_not_say_that_it_has_ended(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def fail(_: Workspace) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr("evergreen.workspace.open_workspace", lambda: space)
    monkeypatch.setattr(monitoring, "start_what_is_asked_for", fail)
    monkeypatch.setattr(monitoring.look, "on_failure_hooks", [])
    assert monitoring.look(return_state=True).is_failed()
    assert not space.settings.metrics.exists()


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(space: Workspace, capsys: pytest.CaptureFixture[str]):
    space.settings.metrics.write_text("no folder")
    tell_prometheus(space, NOW, is_look=True)
    assert "cannot be written" in " ".join(capsys.readouterr().out.split())
    space.settings.metrics.unlink()
    tell_prometheus(space, NOW, is_look=True)
    assert told(space.settings.root)["evergreen_look_timestamp_seconds"] == NOW.timestamp()
