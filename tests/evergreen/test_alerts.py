import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receivers import SECRET, Receiver, running
from toy.contract import PROBLEM

from evergreen import journal as tables
from evergreen.errors import DataError, LostError, RefusedError
from evergreen.journal import Journal
from evergreen.monitoring.alerts import Alert, alert, run_failed
from evergreen.monitoring.channels import Channels, refuse_bad, split_urls
from evergreen.monitoring.telling import AGAIN, SENT, Memory, failures, tell
from evergreen.settings import Settings

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HOME = Path("home")
ONE, OTHER = (alert(PROBLEM, "late", name, what=f"The source {name} is late.", command="evergreen status") for name in ("stock", "orders"))
TESTS = Path(__file__).parents[1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver()) as made:
        yield made


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is told without the journal is kept here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr("evergreen.journal.engine.LOCKED_SECONDS", 0.1)
    opened = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    yield opened
    opened.close()


def now() -> datetime:
    return datetime.now(UTC)


def told_by(journal: Journal, *alerts: Alert, urls: tuple[str, ...] = (), at: datetime | None = None, seconds: float = 8.0) -> list[str]:
    """What the console was told."""
    said: list[str] = []
    tell(Memory(journal, HOME), list(alerts), channels=Channels(said.append, urls, seconds), cooldown=DAY, now=at or now())
    return said


def kept(journal: Journal) -> list[tuple[str, int]]:
    """Kind of each row, and which one it follows."""
    return [(row["kind"], row["after"]) for row in journal.rows(tables.alerts)]


@contextmanager
def locked(journal: Journal) -> Iterator[None]:
    """Another program writes to the journal and does not end."""
    with closing(sqlite3.connect(str(journal.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


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
    assert kept(journal) == [("late", 0), (SENT, 1), ("late", 2), (SENT, 3)]


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


def test_what_no_address_took_is_sent_at_the_next_look_and_the_console_hears_it_once(journal: Journal):
    with running(Receiver(status=500)) as refusing:
        said = told_by(journal, ONE, OTHER, urls=(refusing.url,))
        assert [said[:2], len(said)] == [[ONE.text, OTHER.text], 3]
        assert told_by(journal, ONE, OTHER, urls=(refusing.url,), at=now() + 5 * MINUTE) == []
    with running(Receiver()) as receiver:
        for minutes in (10, 15, 20):
            assert told_by(journal, ONE, OTHER, urls=(receiver.url,), at=now() + minutes * MINUTE) == []
    assert [len(each.got) for each in (refusing, receiver)] == [2, 1]
    assert receiver.got[0]["message"] == f"{ONE.text}\n\n{OTHER.text}"
    assert [row["kind"] for row in journal.rows(tables.alerts, cause=ONE.cause)] == ["late", AGAIN, AGAIN, SENT]


def test_a_failure_that_no_address_took_is_sent_by_a_later_look_that_does_not_find_it_any_more(journal: Journal, receiver: Receiver):
    failed = run_failed(PROBLEM, "cycle 7", DataError("A column is gone."))
    told_by(journal, failed, urls=("json://127.0.0.1:9",))
    again = failures(journal, PROBLEM, now())
    assert [one.text for one in again] == [failed.text]
    assert told_by(journal, *again, urls=(receiver.url,), at=now() + timedelta(minutes=2)) == []
    assert [message["message"] for message in receiver.got] == [failed.text]
    told_by(journal, *failures(journal, PROBLEM, now()), urls=(receiver.url,), at=now() + timedelta(hours=2))
    assert len(receiver.got) == 1
    assert failures(journal, PROBLEM, now() + timedelta(days=2)) == []


def test_what_is_sent_once_more_goes_out_beside_what_is_new(journal: Journal, receiver: Receiver):
    with running(Receiver(status=500)) as refusing:
        told_by(journal, ONE, urls=(refusing.url,))
    assert told_by(journal, ONE, OTHER, urls=(receiver.url,), at=now() + 5 * MINUTE) == [OTHER.text]
    assert receiver.got[0]["message"] == f"{ONE.text}\n\n{OTHER.text}"


def test_what_one_address_took_is_not_sent_again_because_another_failed(journal: Journal, receiver: Receiver):
    with running(Receiver(status=500)) as refusing:
        for minutes in (0, 5, 10):
            told_by(journal, ONE, urls=(refusing.url, receiver.url), at=now() + minutes * MINUTE)
    assert [len(each.got) for each in (refusing, receiver)] == [1, 1]


def test_an_address_that_stays_away_is_tried_ever_more_seldom_and_at_least_about_every_hour(journal: Journal):
    with running(Receiver(status=500)) as refusing:
        told_by(journal, ONE, urls=(refusing.url,))
        for times, minutes in enumerate((1, 2, 4, 8, 16, 32, 64, 64), start=2):
            told_by(journal, ONE, urls=(refusing.url,), at=now() + timedelta(seconds=60 * minutes - 5))
            assert len(refusing.got) == times - 1
            told_by(journal, ONE, urls=(refusing.url,), at=now() + timedelta(seconds=60 * minutes))
            assert len(refusing.got) == times


def test_after_a_cooldown_without_an_address_that_takes_it_the_console_hears_it_again(journal: Journal):
    with running(Receiver(status=500)) as refusing:
        told_by(journal, ONE, urls=(refusing.url,))
        told_by(journal, ONE, urls=(refusing.url,), at=now() + 5 * MINUTE)
        assert told_by(journal, ONE, urls=(refusing.url,), at=now() + DAY)[0] == ONE.text


def test_where_there_is_no_address_the_console_is_enough(journal: Journal):
    assert told_by(journal, ONE) == [ONE.text]
    assert told_by(journal, ONE, at=now() + 5 * MINUTE) == []
    assert kept(journal) == [("late", 0)]


def test_who_was_killed_before_he_sent_leaves_it_to_the_next_look(journal: Journal, receiver: Receiver):
    Memory(journal, HOME).turn(ONE, DAY, True, now())
    told_by(journal, ONE, urls=(receiver.url,))
    assert receiver.got == []  # he may be sending it
    told_by(journal, ONE, urls=(receiver.url,), at=now() + 5 * MINUTE)
    assert len(receiver.got) == 1


def test_a_journal_that_cannot_be_written_keeps_nobody_from_being_told_every_hour(journal: Journal, receiver: Receiver):
    urls, at = (receiver.url,), now()
    with locked(journal):
        told, note = told_by(journal, ONE, urls=urls, at=at)
        assert told == ONE.text
        assert note.startswith("The journal could not keep what is told here: The journal sqlite:///")
        assert "database is locked" in note
        assert told_by(journal, ONE, urls=urls, at=at + 59 * MINUTE) == []
        assert told_by(journal, OTHER, urls=urls, at=at + 59 * MINUTE)[0] == OTHER.text
        assert told_by(journal, ONE, urls=urls, at=at + 60 * MINUTE)[0] == ONE.text
    assert receiver.got[0]["message"] == f"{ONE.text}\n\n{note}"
    assert len(receiver.got) == 3
    assert kept(journal) == []


def test_a_journal_that_is_locked_is_waited_for_once_however_many_alerts_there_are(journal: Journal, receiver: Receiver):
    with locked(journal):
        begun = time.monotonic()
        many = [alert(PROBLEM, "late", str(number), what="Late.", command="evergreen status") for number in range(30)]
        assert len(told_by(journal, *many, urls=(receiver.url,))) == 31
        assert time.monotonic() - begun < 1.5


def test_a_journal_that_cannot_be_read_keeps_nobody_from_being_told(journal: Journal, receiver: Receiver):
    with closing(sqlite3.connect(str(journal.url.database))) as database:
        database.execute("DROP TABLE alerts")
    assert told_by(journal, ONE, OTHER, urls=(receiver.url,))[:2] == [ONE.text, OTHER.text]
    assert len(receiver.got) == 1


def test_no_journal_at_all_keeps_nobody_from_being_told_and_each_home_has_its_own_hour(receiver: Receiver):
    said: list[str] = []
    for home in ("here", "here", "there"):
        tell(Memory(None, Path(home), "it is gone"), [ONE], channels=Channels(said.append, (receiver.url,)), cooldown=DAY, now=now())
    assert said == [ONE.text, "The journal could not keep what is told here: it is gone"] * 2
    assert len(receiver.got) == 2


def test_where_nothing_can_be_kept_at_all_it_is_told_all_the_same(journal: Journal, receiver: Receiver, temporary: Path):
    temporary.rmdir()
    with locked(journal):
        for _ in range(2):
            assert told_by(journal, ONE, urls=(receiver.url,))[0] == ONE.text
    assert len(receiver.got) == 2


def test_a_row_that_cannot_be_written_loses_neither_its_alert_nor_the_one_before_it(journal: Journal, receiver: Receiver):
    refuse = f"CREATE TRIGGER bad BEFORE INSERT ON alerts WHEN NEW.cause = '{OTHER.cause}' BEGIN SELECT RAISE(ABORT, 'torn'); END"
    with closing(sqlite3.connect(str(journal.url.database))) as database:
        database.execute(refuse)
    assert told_by(journal, ONE, OTHER, urls=(receiver.url,))[:2] == [ONE.text, OTHER.text]
    (message,) = receiver.got
    assert message["message"].startswith(f"{ONE.text}\n\n{OTHER.text}\n\nThe journal could not keep")
    told_by(journal, ONE, urls=(receiver.url,), at=now() + 5 * MINUTE)
    assert len(receiver.got) == 1


def test_who_is_taken_over_between_two_alerts_tells_the_first_and_leaves_the_second(journal: Journal, receiver: Receiver):
    def coming() -> Iterator[Alert]:
        yield ONE
        with closing(sqlite3.connect(str(journal.url.database))) as other, other:
            other.execute("UPDATE leases SET fence = fence + 1")
        yield OTHER

    journal.take("pipeline", "me", seen=None)
    said: list[str] = []
    with pytest.raises(LostError):
        tell(Memory(journal, HOME), coming(), channels=Channels(said.append, (receiver.url,)), cooldown=DAY, now=now())
    assert said == [ONE.text]
    assert [message["message"] for message in receiver.got] == [ONE.text]


def test_a_console_that_cannot_take_it_keeps_no_address_from_being_told(journal: Journal, receiver: Receiver):
    def strict(text: str) -> None:
        raise UnicodeEncodeError("ascii", text, 0, 1, "ordinal not in range")

    for channels in (Channels(strict, ("json://127.0.0.1:1/",)), Channels(strict, (receiver.url,))):
        tell(Memory(journal, HOME), [ONE], channels=channels, cooldown=timedelta(0), now=now())
    assert len(receiver.got) == 1


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
from evergreen.monitoring.channels import Channels
from evergreen.monitoring.telling import Memory, tell
journal, go = Journal(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    pass
print(len(tell(Memory(journal, go), [ONE], channels=Channels(lambda _: None, (sys.argv[3],)), cooldown=DAY, now=datetime.now(UTC))))
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


@pytest.mark.parametrize("url", [f"nonsense://ann:{SECRET}@host/", f"{SECRET}@host", "mailto://"])
def test_an_address_that_is_none_is_refused_before_the_first_alert_without_the_secret(url: str, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(
        RefusedError, match=r"^Alert channel 2 of 2.*: no address that apprise understands\. Correct EVERGREEN_AL"
    ) as refused:
        refuse_bad(f"json://localhost/ {url}")
    assert SECRET not in str(refused.value) + "".join(capfd.readouterr())


def test_addresses_that_are_understood_and_none_at_all_are_not_refused(receiver: Receiver):
    refuse_bad("")
    refuse_bad(f"{receiver.url}, mailto://ann:{SECRET}@example.com")
    assert receiver.got == []


def test_the_settings_do_not_show_where_alerts_go():
    settings = Settings(_env_file=None, alert_urls=f"json://ann:{SECRET}@host")
    assert settings.alert_urls.get_secret_value() == f"json://ann:{SECRET}@host"
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json() + repr(Channels(print, (f"json://{SECRET}",)))
