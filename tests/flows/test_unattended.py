"""Nights that nobody watches: what serves goes on where a training fails, and people hear of it."""

import json
import signal
from pathlib import Path

import arming
import commands
import pytest
from commands import Home, told

from evergreen.errors import BusyError, DataError, EvergreenError, StoreError
from evergreen.workspace import Workspace
from flows import cycle

FAILED = "The training data are not what expectations/training_data.json expects"


@pytest.fixture
def failing(_server: None, tmp_path: Path) -> Home:
    """A home in which version 1 serves, a month more has been delivered, and every training fails from now on."""
    home = commands.make_home(tmp_path)
    home.deliver(60)
    assert home.evergreen("run").code == 0
    rows = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10**9}, "severity": "critical"}
    (home.root / "expectations" / "training_data.json").write_text(json.dumps({"name": "training_data", "expectations": [rows]}))
    home.deliver(90, start=60)
    return home


def published(home: Home) -> list[tuple[int, int]]:
    return [(row["version"], row["row_count"]) for row in home.rows("publications")]


def failures(home: Home) -> list[dict[str, str]]:
    return [row for row in home.rows("alerts") if row["kind"] == "failure"]


def test_a_champion_predicts_where_the_training_fails_and_the_round_fails_at_its_end(failing: Home):
    before = published(failing)
    night = failing.evergreen("retrain")
    told(night, FAILED)
    said = " ".join(night.out.split())
    assert f"train failed, and so does this round, at its end; version 1 goes on predicting: {FAILED}" in said
    assert [version for version, _ in published(failing)] == [1, 1]
    assert published(failing)[:1] == before
    newest = failing.rows("publications")[-1]["partition"]
    assert failing.published()["model_version"].eq(1).all()
    assert newest in (failing.var / "site" / "index.html").read_text()
    assert [row["facts"] for row in failing.rows("signals") if row["kind"] == "estimate" and newest in row["window"]]
    assert [row["rule"] for row in failing.rows("triggers") if row["action"] == "skip"] == ["failed"]
    assert len(failures(failing)) == 1
    assert FAILED in failures(failing)[0]["text"]
    assert len(failing.rows("cycles")) == 1

    again = failing.evergreen("retrain")
    assert (again.code, again.err) == (0, "")
    assert "for the last round was not gone to its end" in again.out
    assert len(published(failing)) == 2
    assert len(failing.rows("cycles")) == 2


@pytest.mark.parametrize("point", ["after triggers", "before publications", "after publications"])
def test_a_night_that_is_killed_after_a_failed_training_publishes_once_when_it_is_gone_again(failing: Home, tmp_path: Path, point: str):
    number = "3" if point == "after triggers" else "1"  # before it: the round's beginning, what is made of its reason
    armed = {arming.TRACE: str(tmp_path / "trace"), arming.POINT: point, arming.NUMBER: number}
    assert failing.evergreen("retrain", **armed).code == -signal.SIGKILL
    assert failing.evergreen("retrain").code == 0
    assert [version for version, _ in published(failing)] == [1, 1]
    assert len(failing.rows("cycles")) == 2


def test_what_trying_again_may_mend_ends_the_round_at_once(empty_space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def answer(_: Workspace, kind: str, reason: str) -> None:
        raise {"busy": BusyError, "wrong": DataError}[reason](kind)

    monkeypatch.setattr(cycle, "answer", answer)
    with pytest.raises(BusyError):
        cycle.answer_or_go_on(empty_space, "data", "busy")
    record, failure = cycle.answer_or_go_on(empty_space, "data", "wrong")
    assert (record, type(failure)) == (None, DataError)


def test_the_failed_training_is_what_the_round_fails_of_whatever_fails_after_it(capsys: pytest.CaptureFixture[str]):
    training, later = DataError("A column is gone."), StoreError("The batch is torn.")
    with pytest.raises(DataError, match="A column is gone") as raised, cycle.raised_at_the_end(training):
        raise later
    assert raised.value.__cause__ is later
    assert "after the failed training: The batch is torn." in capsys.readouterr().out
    with pytest.raises(StoreError), cycle.raised_at_the_end(None):
        raise later
    with cycle.raised_at_the_end(None):
        went_on: list[EvergreenError] = []
    with pytest.raises(DataError), cycle.raised_at_the_end(training):
        went_on.append(training)
    assert went_on == [training]
