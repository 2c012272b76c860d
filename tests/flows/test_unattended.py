"""Nights that nobody watches: what serves goes on where a training fails, and people hear of it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import arming
import commands
import pytest
from actions import put_program
from commands import Home, told

from evergreen.errors import BusyError, DataError, EvergreenError, JournalError, StoreError
from evergreen.settings import Settings
from evergreen.workspace import Workspace
from flows import alerting, cycle, platform, turn

TURN = Path(__file__).parents[2] / "deploy" / "turn"
SHOP = "from toy.contract import PROBLEM\n"
CAUTIOUS = """
from toy.contract import PROBLEM as TOY

def changed(part, **values):
    return type(part)(**{**dict(part), **values})

PROBLEM = changed(TOY, gate=changed(TOY.gate, min_rows=1_000_000))
STRICT = changed(TOY, gate=changed(TOY.gate, max_feature_auc=0.51))
"""
UNREACHABLE = "def fetch(landing, pointer):\n    raise ConnectionError('the warehouse is away')\n"
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
        raise {"busy": BusyError, "wrong": DataError, "slow": TimeoutError}[reason](kind)

    monkeypatch.setattr(cycle, "answer", answer)
    with pytest.raises(BusyError):
        cycle.answer_or_go_on(empty_space, "data", "busy")
    for reason, kind in (("wrong", DataError), ("slow", TimeoutError)):
        record, failure = cycle.answer_or_go_on(empty_space, "data", reason)
        assert (record, type(failure)) == (None, kind)


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


def take_turn(home: Home, folder: Path) -> subprocess.CompletedProcess[str]:
    """One turn as cron takes it, with a private Prefect server."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "EVERGREEN_"))}
    path = {"PATH": os.pathsep.join((str(commands.EVERGREEN.parent), bare["PATH"]))}
    return subprocess.run(
        [TURN, folder], env=bare | home.environment | path, cwd=home.root, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.usefixtures("_server")
def test_a_turn_whose_fetch_fails_tells_it_and_goes_on_with_what_lies_there(tmp_path: Path):
    home = commands.make_home(tmp_path, problem="shop.contract:PROBLEM", contract=SHOP)
    fetch = tmp_path / "contracts" / "shop" / "fetch.py"
    fetch.write_text(UNREACHABLE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pointer").write_text("60\n")
    home.deliver(60)
    taken = take_turn(home, tmp_path / "told")
    assert taken.returncode == 1, taken.stderr
    assert "fetch.py, line 2: ConnectionError: the warehouse is away. Mend it, then run again." in taken.stderr
    assert published(home)[0][0] == 1
    assert len(home.rows("cycles")) == 1
    summary = (tmp_path / "told" / "summary.md").read_text()
    assert summary.startswith("### PROMOTE")
    assert summary.endswith("\nDeliveries could not be fetched: the log says why. The turn was taken with what had arrived before.\n")
    (failed,) = failures(home)
    assert failed["text"].startswith("The run fetch failed: RefusedError: Deliveries could not be fetched.")
    assert failed["text"].endswith("Run: evergreen fetch")
    assert [row["kind"] for row in home.rows("alerts")] == ["failure"]  # a round that ends after it is no fetch that succeeds
    page = (home.var / "site" / "index.html").read_text()
    assert ("The run fetch failed" in page, "the warehouse is away" in page) == (True, False)  # what other code raised stays off the pages

    assert home.evergreen("retrain").code == 0
    again = home.evergreen("fetch", "--pointer", "60")
    assert (again.code, "alert" in again.out) == (1, False)
    assert [row["kind"] for row in home.rows("alerts")] == ["failure"]
    fetch.write_text("from toy.fetch import fetch\n")
    mended = home.evergreen("fetch", "--pointer", "60")
    assert mended.code == 0
    assert "alert     Resolved. What was told on " in mended.out
    assert [row["kind"] for row in home.rows("alerts")] == ["failure", "resolved"]
    fetch.write_text(UNREACHABLE)
    assert "alert     The run fetch failed" in home.evergreen("fetch", "--pointer", "60").out


def test_what_a_fetch_has_told_before_is_part_of_its_turn(empty_space: Workspace, tmp_path: Path):
    begun = tmp_path / turn.BEGUN
    assert not turn._is_told_since(empty_space, begun)
    begun.touch()
    assert not turn._is_told_since(empty_space, begun)
    alerting.tell_fetch(empty_space, DataError("The warehouse is away."))
    assert turn._is_told_since(empty_space, begun)
    turn._report(empty_space, {}, tmp_path, complete=True)
    assert not begun.exists()  # a later report, of no turn, tells of itself alone
    begun.touch()
    os.utime(begun, (2**32, 2**32))
    assert not turn._is_told_since(empty_space, begun)


def test_a_fetch_that_fails_while_the_journal_is_away_is_told(empty_space: Workspace, monkeypatch: pytest.MonkeyPatch):
    def away(*_: object) -> None:
        raise JournalError("The journal is locked.")

    monkeypatch.setattr(alerting, "tell_failure", away)
    (alert,) = alerting.tell_fetch(empty_space, DataError("The warehouse is away."))
    assert "The warehouse is away." in alert.text


def test_a_training_that_a_person_asked_for_is_not_begun_without_what_could_not_be_fetched(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    put_program(tmp_path / "bin" / "evergreen", '#!/bin/sh\necho "$*" >> "$SAID"\n[ "$1" != fetch ]\n')
    said = tmp_path / "said"
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "SAID": str(said)}
    for reason, calls in (("new prices", ["fetch"]), ("", ["fetch", f"retrain --report {tmp_path / 'out'}"])):
        said.unlink(missing_ok=True)
        words = [TURN, tmp_path / "out"]
        assert subprocess.run(words, env=environment | {"REASON": reason}, timeout=60, check=False).returncode == 1
        assert said.read_text().splitlines() == calls


def test_a_fetch_that_is_stopped_stops_the_turn(tmp_path: Path):
    said = tmp_path / "said"
    (tmp_path / "evergreen").write_text(f'#!/bin/sh\necho "$1" >>{said}\nexit 130\n')
    (tmp_path / "evergreen").chmod(0o755)
    path = {"PATH": os.pathsep.join((str(tmp_path), os.environ["PATH"]))}
    assert subprocess.run([TURN, tmp_path / "out"], env=path, check=False).returncode == 130
    assert said.read_text() == "fetch\n"


def test_a_state_is_kept_of_the_home_that_stands_in_the_settings_file(tmp_path: Path):
    home = commands.make_home(tmp_path, bare=True)
    (tmp_path / ".env").write_text("EVERGREEN_HOME=elsewhere\n")
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "EVERGREEN_"))} | home.environment
    path = {"PATH": os.pathsep.join((str(commands.EVERGREEN.parent), given["PATH"]))}
    del given["EVERGREEN_HOME"]

    def keep(state: str, *words: str) -> int:
        return subprocess.run([TURN.with_name("with-state"), state, *words], env=given | path, cwd=tmp_path, check=False).returncode

    assert keep("none.zip", "false") == 1
    assert not (tmp_path / "none.zip").exists()
    assert keep("state.zip", "evergreen", "retrain") == 0
    assert (tmp_path / "elsewhere" / "journal.db").is_file()
    assert (tmp_path / "state.zip").is_file()
    (tmp_path / "elsewhere").rename(tmp_path / "away")
    assert keep("state.zip", "evergreen", "status") == 0
    assert (tmp_path / "elsewhere" / "journal.db").is_file()
    assert not (tmp_path / "state.zip.before").exists()


@pytest.mark.usefixtures("_server")
def test_the_exit_codes_that_the_table_for_cron_has(tmp_path: Path):
    """HOLD, REJECT and a quarantine end well; a stray file, a failed fetch, a wrong setting and a wrong contract do not."""
    home = commands.make_home(tmp_path, problem="cautious.contract:PROBLEM", contract=CAUTIOUS)
    home.deliver()
    (home.var / "landing" / "orders" / "wrong.csv").write_text("x\n1\n")
    held = home.evergreen("retrain")
    refused = home.evergreen("retrain", EVERGREEN_PROBLEM="cautious.contract:STRICT")
    assert (held.code, refused.code) == (0, 0)
    assert [row["verdict"] for row in home.rows("decisions")] == ["hold", "reject"]
    assert [row["name"] for row in home.rows("deliveries") if row["outcome"] == "quarantined"] == ["wrong.csv"]
    (home.var / "landing" / "stray.csv").write_text("x\n")
    ended = [home.evergreen("retrain"), home.evergreen("fetch", "--pointer", "x", EVERGREEN_PROBLEM="toy.contract:PROBLEM")]
    ended += [home.evergreen("retrain", EVERGREEN_HOM="x"), home.evergreen("retrain", EVERGREEN_PROBLEM="nowhere:PROBLEM")]
    assert [one.code for one in ended] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("contract", "is_told"), [("toy.contract:PROBLEM", True), ("alone:PROBLEM", False), ("evergreen.contract:PROBLEM", False)]
)
def test_starting_the_platform_says_that_it_does_not_fetch_where_there_is_something_to_fetch_with(contract: str, is_told: bool):
    assert (platform.NO_FETCH in platform.farewell(Settings(problem=contract, home=Path("var")))) is is_told
