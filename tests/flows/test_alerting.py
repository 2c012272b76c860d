"""What a round tells people of, by the command itself."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from commands import Home, told
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Failed
from receivers import SECRET, Receiver, running
from workspaces import changed, open_space

from evergreen import journal as tables
from evergreen.control import refresh_site
from evergreen.errors import ContractError, DataError, JournalError
from evergreen.policies import AlertPolicy
from evergreen.quoting import revealed
from evergreen.workspace import Workspace, open_workspace
from flows import account, alerting
from flows.alerting import tell_deaths, tell_failed_round, tell_failure
from flows.monitoring import look


def test_a_clean_round_tells_nobody(two_months):
    assert "alert" not in two_months.first.out + two_months.second.out
    assert two_months.home.rows("alerts") == []


def test_a_round_that_leaves_a_delivery_in_quarantine_tells_it_once(home: Home):
    home.deliver()
    (home.var / "landing" / "orders" / "zz.csv").write_text("")
    with running(Receiver()) as receiver:
        ended = home.evergreen("run", EVERGREEN_ALERT_URLS=f"{receiver.url}, nonsense://{SECRET}")
        home.deliver(70, start=60)
        again = home.evergreen("run", EVERGREEN_ALERT_URLS=receiver.url)
    assert (ended.code, again.code) == (0, 0)
    (message,) = receiver.got
    assert message["title"] == "Evergreen: toy"
    assert "The delivery orders/zz.csv is in quarantine: is empty" in message["message"]
    assert "Affected: the shop. Run: evergreen ingest" in message["message"]
    assert "alert     The delivery orders/zz.csv is in quarantine" in ended.out
    assert "Alert channel 2 of 2 (nonsense) is no address that apprise understands" in ended.out
    assert SECRET not in ended.out + ended.err + again.out + again.err
    assert "alert" not in again.out


def test_a_round_that_fails_is_told_with_what_else_is_wrong(home: Home):
    home.deliver()
    for path in (home.var / "landing" / "customers").iterdir():
        path.unlink()
    with running(Receiver()) as receiver:
        ended = home.evergreen("run", EVERGREEN_ALERT_URLS=receiver.url)
        again = home.evergreen("run", EVERGREEN_ALERT_URLS=receiver.url)
    told(ended, "Nothing has been published yet of customers")
    told(again, "Nothing has been published yet of customers")
    failed, missing = (message["message"] for message in receiver.got)
    assert failed.startswith("The run cycle deliveries failed: DataError: Nothing has been published yet of customers.")
    assert missing.startswith("Nothing of the source customers has ever been published")
    assert "alert     The run cycle deliveries failed" in ended.out
    assert "alert" not in again.out


@pytest.mark.parametrize("on", [("failure",), ()])
def test_a_failed_run_is_told_where_the_contract_wants_it(tmp_path, monkeypatch: pytest.MonkeyPatch, on: tuple[str, ...]):
    said: list[str] = []
    monkeypatch.setattr(account, "done", lambda step, text, tone: said.append(f"{step} {tone}: {text}"))
    opened = open_space(tmp_path)
    space = Workspace(opened.settings, changed(opened.problem, alerts=AlertPolicy(on=on)), opened.journal)
    sent = [tell_failure(space, "cycle", DataError("The batch is torn.")) for _ in range(2)]
    opened.journal.close()
    assert [len(each) for each in sent] == [len(on), 0]
    assert said == [f"alert bad: {one.text}" for one in sent[0]]


@pytest.mark.parametrize("on", [("failure",), ()])
def test_rounds_that_died_are_told_once_where_the_contract_wants_it(tmp_path, on: tuple[str, ...]):
    opened = open_space(tmp_path)
    space = Workspace(opened.settings, changed(opened.problem, alerts=AlertPolicy(on=on)), opened.journal)
    died = {"retrain: data": Crashed(message="exit code -9"), "retrain: drift": Crashed(message="exit code -7")}
    runs = [FlowRun(flow_id=uuid4(), name=name, state=state) for name, state in died.items()]
    now = datetime.now(UTC)
    later = now + timedelta(days=2)
    sent = [
        tell_deaths(space, runs[:1], now),
        tell_deaths(space, runs, now),
        tell_deaths(space, runs, later),
        tell_deaths(space, [], later),
    ]
    opened.journal.close()
    assert [len(each) for each in sent] == [len(on), 0, len(on), 0]
    assert [revealed(one.what) for each in sent for one in each] == [
        f"The run retrain: {run}. A later round goes on from where it was."
        for run in ("data died: exit code -9", "drift died: exit code -7")[: 2 * len(on)]
    ]


def test_deaths_that_were_told_or_are_over_are_not_told_again_and_another_one_is(tmp_path):
    space, now = open_space(tmp_path), datetime.now(UTC)
    told = [tell_deaths(space, [death(now - timedelta(minutes=1))], now)]
    known = [death(now - timedelta(minutes=1)), death(datetime.now(UTC))]
    told.append(tell_deaths(space, known, now))
    space.journal.add(tables.cycles, cycle="after", facts={})
    told += [alerting.tell_alerts(space, now), tell_deaths(space, known, now)]
    told.append(tell_deaths(space, [*known, death(now + timedelta(minutes=1))], now))
    space.journal.close()
    assert [[one.kind for one in each] for each in told] == [["failure"], [], ["resolved"], [], ["failure"]]


def death(at: datetime) -> FlowRun:
    return FlowRun(flow_id=uuid4(), name="retrain: data", state=Crashed(message="exit code -9"), end_time=at)


def test_a_contract_that_cannot_be_read_is_told_though_it_cannot_say_to_whom(tmp_path, monkeypatch: pytest.MonkeyPatch):
    with running(Receiver()) as receiver:
        for name, value in {"HOME": str(tmp_path), "PROBLEM": "nowhere:PROBLEM", "ALERT_URLS": receiver.url}.items():
            monkeypatch.setenv(f"EVERGREEN_{name}", value)
        with pytest.raises(ContractError) as broken:
            open_workspace()
        for _ in range(2):
            tell_failed_round(look, FlowRun(flow_id=uuid4(), name="look"), Failed(data=broken.value))
    (message,) = receiver.got
    assert message["title"] == "Evergreen: nowhere:PROBLEM"
    assert message["message"] == (
        "No round can be gone: nowhere:PROBLEM cannot be imported: ModuleNotFoundError: No module named 'nowhere'. It must define a "
        "Problem. Affected: everybody who waits for a prediction. Run: evergreen contract check"
    )


@pytest.fixture
def temporary(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told without the journal is kept in a folder of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))


NOBODY = "postgresql://ann:hunter2@127.0.0.1:1/journal"
"""A database that nobody listens at."""


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"EVERGREEN_{name}", value)


def test_a_round_that_failed_while_the_journal_cannot_be_opened_is_told_every_hour(tmp_path, temporary, monkeypatch: pytest.MonkeyPatch):
    with running(Receiver()) as receiver:
        settings(monkeypatch, HOME=str(tmp_path), PROBLEM="toy.contract:PROBLEM", ALERT_URLS=receiver.url, JOURNAL_URL=NOBODY)
        with pytest.raises(JournalError) as away:
            open_workspace()
        for _ in range(2):
            tell_failed_round(look, FlowRun(flow_id=uuid4(), name="look"), Failed(data=away.value))
    (message,) = receiver.got
    assert message["title"] == "Evergreen: toy"
    assert message["message"].startswith(
        "The run look failed: JournalError: The journal postgresql+psycopg://127.0.0.1:1/journal cannot be"
    )
    assert (
        "Affected: the shop. Run: evergreen run\n\nThe journal could not keep what is told here: The journal postgresql"
        in message["message"]
    )
    assert SECRET not in message["message"]


def test_a_contract_that_cannot_be_read_is_told_without_a_journal_too(tmp_path, temporary, monkeypatch: pytest.MonkeyPatch):
    with running(Receiver()) as receiver:
        settings(monkeypatch, HOME=str(tmp_path), PROBLEM="nowhere:PROBLEM", ALERT_URLS=receiver.url, JOURNAL_URL=NOBODY)
        for _ in range(2):
            tell_failed_round(look, FlowRun(flow_id=uuid4(), name="look"), Failed(data=ContractError("none")))
    (message,) = receiver.got
    assert message["message"].startswith("No round can be gone: nowhere:PROBLEM cannot be imported")


STRICT = """
from pathlib import Path
from evergreen.monitoring.alerts import Alert
from evergreen.settings import load_settings
from flows import account, alerting
from flows.alerting import _channels
channels = _channels(load_settings())
for text in ("A reason that is cut \u2026", r"No end of a style: \\[/x]"):
    channels.console(text)
account.say("and goes on")
"""


def test_an_alert_is_shown_by_a_console_that_lacks_its_characters_and_whatever_looks_like_a_style():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    ended = subprocess.run([sys.executable, "-c", STRICT], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        r"  alert     A reason that is cut \u2026",
        r"  alert     No end of a style: \[/x]",
        "and goes on",
    ]


def test_up_refuses_addresses_that_nobody_understands_and_starts_nothing(home: Home):
    ended = home.evergreen("up", EVERGREEN_ALERT_URLS=f"json://localhost/ nonsense://{SECRET}")
    told(ended, r"Alert channel 2 of 2 (nonsense): no address that apprise understands. Correct EVERGREEN_ALERT_URLS, then run again.")
    assert SECRET not in ended.out + ended.err
    assert not (home.var / "logs").exists()


def test_a_run_that_finds_nothing_new_long_after_the_last_one_is_a_sign_of_life_itself(home: Home):
    home.deliver()
    assert home.evergreen("run").code == 0
    with closing(sqlite3.connect(home.var / "journal.db")) as database, database:
        for table in ("about", "deliveries", "decisions", "cycles", "triggers"):
            database.execute(f"UPDATE {table} SET at = ?", [(datetime.now(UTC) - timedelta(days=80)).isoformat()])  # noqa: S608 - our own words
    ended = home.evergreen("run")
    assert (ended.code, ended.err) == (0, "")
    assert "Nothing is new" in ended.out
    assert "alert" not in ended.out
    assert [row["rule"] for row in home.rows("triggers") if row["kind"] == "schedule"] == ["nothing new"]


def test_a_delivery_in_a_folder_of_no_source_is_told_by_a_round(home: Home):
    home.deliver()
    (home.var / "landing" / "Stock").mkdir()
    ended = home.evergreen("run")
    assert ended.code == 1
    assert "alert     Stock in the landing folder waits in vain. It belongs to no source of the contract" in ended.out


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_round_that_failed_is_on_the_control_room_unless_that_cannot_be_written(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_writable: bool
):
    space = open_space(tmp_path)
    page = refresh_site(space, [])
    monkeypatch.setattr(alerting, "open_workspace", lambda: space)
    if not is_writable:
        monkeypatch.setattr(alerting, "freshen_site", full_disk)
    state = SimpleNamespace(result=lambda **_: DataError("the disk is torn"), message="")
    tell_failed_round(SimpleNamespace(name="cycle"), SimpleNamespace(name="cycle deliveries"), state)  # type: ignore[arg-type]
    said = "The run cycle deliveries failed: DataError: the disk is torn."
    out = capsys.readouterr().out
    assert said in out
    assert (said in page.read_text()) is is_writable
    assert ("does not show it yet" in out) is not is_writable
    space.journal.close()


def full_disk(*_: object) -> bool:
    raise OSError(28, "No space left on device")
