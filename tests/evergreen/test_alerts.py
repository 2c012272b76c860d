import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receivers import SECRET, Receiver, running
from toy.contract import PROBLEM

from evergreen import journal as tables
from evergreen.errors import DataError
from evergreen.journal import Journal
from evergreen.monitoring.alerts import Alert, alert, run_failed, tell
from evergreen.monitoring.channels import Channels, split_urls
from evergreen.settings import Settings

DAY = timedelta(days=1)
ONE, OTHER = (alert(PROBLEM, "late", name, what=f"The source {name} is late.", command="evergreen status") for name in ("stock", "orders"))
TESTS = Path(__file__).parents[1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver()) as made:
        yield made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def now() -> datetime:
    return datetime.now(UTC)


def told_by(journal: Journal, *alerts: Alert, urls: tuple[str, ...] = (), at: datetime | None = None, seconds: float = 8.0) -> list[str]:
    """What the console was told."""
    said: list[str] = []
    tell(journal, list(alerts), channels=Channels(said.append, urls, seconds), cooldown=DAY, now=at or now())
    return said


def test_an_alert_says_what_happened_who_is_affected_and_the_one_command_to_run():
    assert ONE.text == "The source stock is late. Affected: the shop. Run: evergreen status"


def test_a_webhook_receives_all_that_is_told_in_one_message(journal: Journal, receiver: Receiver):
    assert told_by(journal, ONE, OTHER, urls=(receiver.url,)) == [ONE.text, OTHER.text]
    (message,) = receiver.got
    assert (message["title"], message["message"]) == ("Evergreen: toy", f"{ONE.text}\n\n{OTHER.text}")


def test_the_same_cause_is_not_told_again_before_its_cooldown_is_over(journal: Journal, receiver: Receiver):
    urls = (receiver.url,)
    assert told_by(journal, ONE, urls=urls) == [ONE.text]
    assert told_by(journal, ONE, urls=urls) == []
    assert told_by(journal, ONE, urls=urls, at=now() + DAY - timedelta(minutes=1)) == []
    assert told_by(journal, ONE, urls=urls, at=now() + DAY) == [ONE.text]
    assert len(receiver.got) == 2
    assert [row["after"] for row in journal.rows(tables.alerts)] == [0, 1]


def test_another_cause_is_told_at_once(journal: Journal):
    assert told_by(journal, ONE) == [ONE.text]
    assert told_by(journal, ONE, OTHER) == [OTHER.text]


def test_a_clock_that_was_set_back_silences_nothing_for_longer_than_a_cooldown(journal: Journal):
    told_by(journal, ONE)
    assert told_by(journal, ONE, at=now() - timedelta(days=30)) == [ONE.text]


def test_the_journal_keeps_what_was_told(journal: Journal):
    told_by(journal, ONE)
    (row,) = journal.rows(tables.alerts)
    assert (row["kind"], row["cause"], row["text"]) == ("late", ONE.cause, ONE.text)


def test_a_channel_that_nobody_listens_at_is_told_in_one_sentence_and_the_others_are_served(journal: Journal, receiver: Receiver):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        dead = f"json://ann:{SECRET}@127.0.0.1:{listener.getsockname()[1]}/"
        said = told_by(journal, ONE, urls=(dead, receiver.url))
    assert said[0] == ONE.text
    (fault,) = said[1:]
    assert fault.startswith("Alert channel 1 of 2 (json) did not take the message")
    assert len(receiver.got) == 1


def test_a_channel_that_refuses_is_told(journal: Journal):
    with running(Receiver(status=403)) as refusing:
        (_, fault) = told_by(journal, ONE, urls=(refusing.url,))
    assert "Alert channel 1 of 1 (json) did not take the message" in fault
    assert len(refusing.got) == 1


def test_a_channel_that_never_answers_holds_nobody_up(journal: Journal):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begun = time.monotonic()
        (_, *faults) = told_by(journal, ONE, urls=(f"json://127.0.0.1:{listener.getsockname()[1]}/",) * 3, seconds=0.5)
        assert time.monotonic() - begun < 2
    assert [fault.partition("(")[0] for fault in faults] == [f"Alert channel {number} of 3 " for number in (1, 2, 3)]
    assert all("did not answer in time" in fault for fault in faults)


def test_a_channel_that_breaks_inside_apprise_is_told_by_the_kind_of_its_error(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any, **__: Any) -> bool:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("apprise.Apprise.notify", broken)
    (_, fault) = told_by(journal, ONE, urls=("json://127.0.0.1/",))
    assert "(json) failed with RuntimeError." in fault


@pytest.mark.parametrize("url", [f"nonsense://ann:{SECRET}@host/", SECRET, f"{SECRET}@host", "mailto://", f"json://:{SECRET}"])
def test_what_apprise_does_not_understand_is_told_in_one_sentence_without_the_secret(
    journal: Journal, url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    said = told_by(journal, ONE, urls=(url,))
    assert said[0] == ONE.text
    (fault,) = said[1:]
    assert "is no address that apprise understands; correct EVERGREEN_ALERT_URLS" in fault
    assert SECRET not in fault + caplog.text + "".join(capfd.readouterr())


def test_no_failing_channel_leaks_its_secret(journal: Journal, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture):
    with running(Receiver(status=500)) as refusing:
        said = told_by(journal, ONE, urls=(refusing.url, f"json://ann:{SECRET}@127.0.0.1:1/{SECRET}"))
    assert len(said) == 3
    assert SECRET not in " ".join(said) + caplog.text + "".join(capfd.readouterr())


AT_ONCE = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from test_alerts import ONE, DAY
from evergreen.journal import Journal
from evergreen.monitoring.alerts import tell
from evergreen.monitoring.channels import Channels
journal, go = Journal(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    pass
print(len(tell(journal, [ONE], channels=Channels(lambda _: None, (sys.argv[3],)), cooldown=DAY, now=datetime.now(UTC))))
"""


def test_of_processes_that_tell_at_once_one_sends(journal: Journal, receiver: Receiver, tmp_path: Path):
    words = [sys.executable, "-c", AT_ONCE, f"sqlite:///{tmp_path / 'journal.db'}", str(tmp_path / "go"), receiver.url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS, Path(__file__).parent)))}
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    assert sorted(process.communicate(timeout=60)[0].strip() for process in started) == ["0", "0", "1"]
    assert len(receiver.got) == 1


def test_a_run_that_failed_is_told_with_what_it_said():
    one = run_failed(PROBLEM, "cycle 2013-07", DataError("The batch is torn. Restore it."))
    assert one.text == ("The run cycle 2013-07 failed: DataError: The batch is torn. Restore it. Affected: the shop. Run: evergreen run")
    assert "://ann:***@host" in run_failed(PROBLEM, "cycle", OSError(f"no way to postgresql://ann:{SECRET}@host/db")).text
    assert SECRET not in run_failed(PROBLEM, "cycle", OSError(f"no way to postgresql://ann:{SECRET}@host/db")).text


def test_failures_that_differ_in_numbers_only_have_one_cause():
    causes = [run_failed(PROBLEM, "cycle", DataError(text)).cause for text in ("waited 30 s", "waited 31 s", "the disk is full")]
    assert causes[0] == causes[1] != causes[2]
    assert run_failed(PROBLEM, "ingest", DataError("waited 30 s")).cause != causes[0]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", ()),
        (" , ", ()),
        ("json://a", ("json://a",)),
        ("json://a mailto://b:c@d\nslack://e", ("json://a", "mailto://b:c@d", "slack://e")),
        ("json://a,mailto://b:c@d, slack://e,", ("json://a", "mailto://b:c@d", "slack://e")),
        ("mailto://b:c,d@e?to=f@g,h@i", ("mailto://b:c,d@e?to=f@g,h@i",)),
    ],
)
def test_urls_are_separated_by_spaces_or_by_commas_where_another_begins(text: str, urls: tuple[str, ...]):
    assert split_urls(text) == urls


def test_the_settings_do_not_show_where_alerts_go():
    settings = Settings(_env_file=None, alert_urls=f"json://ann:{SECRET}@host")
    assert settings.alert_urls.get_secret_value() == f"json://ann:{SECRET}@host"
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json() + repr(Channels(print, (f"json://{SECRET}",)))
