"""Signs of life to whoever watches from outside: one for each round and each look that comes to its end, and none for one that fails."""

import logging
import socket
from pathlib import Path

import pytest
from commands import Home, told
from receivers import SECRET, Receiver, running
from workspaces import open_space

from evergreen.errors import RefusedError
from evergreen.monitoring import heartbeat
from evergreen.monitoring.heartbeat import NO_ADDRESS, beat, refuse_no_address
from evergreen.workspace import Workspace
from flows import alerting, monitoring

PING = f"/ping/{SECRET}"


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return open_space(tmp_path / "var")


def test_a_round_and_a_turn_with_nothing_to_do_give_one_each_and_a_round_that_fails_gives_none(home: Home):
    home.deliver()
    kept = {path: path.read_bytes() for path in (home.var / "landing" / "customers").iterdir()}
    for path in kept:
        path.unlink()
    with running(Receiver()) as watcher:
        asked, ended = [], []
        for turn, word in enumerate(("run", "run", "retrain", "run")):
            for path, text in kept.items() if turn == 1 else []:
                path.write_bytes(text)
            ended.append(home.evergreen(word, EVERGREEN_HEARTBEAT_URL=watcher.heartbeat))
            asked.append(list(watcher.asked))
    told(ended[0], "Nothing has been published yet of customers")
    assert ([one.code for one in ended], asked) == ([1, 0, 0, 0], [[PING] * turn for turn in range(4)])
    assert "Nothing asks for a round." in ended[2].out
    assert "Nothing is new" in ended[3].out
    assert all(SECRET not in one.out + one.err and "heartbeat" not in one.out for one in ended)


@pytest.mark.parametrize("is_failing", [False, True])
def test_a_look_gives_one_when_it_has_ended(space: Workspace, monkeypatch: pytest.MonkeyPatch, is_failing: bool):
    def look(_: Workspace) -> str:
        if is_failing:
            raise RuntimeError("no")
        return "There is nothing to do."

    with running(Receiver()) as watcher:
        monkeypatch.setenv("EVERGREEN_HEARTBEAT_URL", watcher.heartbeat)
        watched = Workspace(type(space.settings)(_env_file=None, home=space.settings.home), space.problem, space.journal)
        monkeypatch.setattr("evergreen.workspace.open_workspace", lambda: watched)
        monkeypatch.setattr(monitoring, "start_what_is_asked_for", look)
        monkeypatch.setattr(monitoring, "warn", lambda _: None)
        monkeypatch.setattr(monitoring.look, "on_failure_hooks", [])
        assert monitoring.look(return_state=True).is_failed() is is_failing
    assert watcher.asked == ([] if is_failing else [PING])


def test_where_nobody_watches_nobody_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("httpx.get", None)
    assert beat("") == ""


def test_what_goes_wrong_is_said_without_the_address_and_no_log_has_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(heartbeat, "SECONDS", 0.2)
    caplog.set_level(logging.INFO)
    with running(Receiver(status=404)) as watcher:
        assert beat(watcher.heartbeat) == "whoever watches from outside answered 404"
    assert beat(watcher.heartbeat) == "whoever watches from outside did not answer (ConnectError)"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"
        assert beat(url) == "whoever watches from outside did not answer (ReadTimeout)"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", ["nonsense", f"ftp://example.com/{SECRET}", f"https:///{SECRET}", f"http://a:{SECRET}b/", "http://xn--/"])
def test_what_is_no_address_is_refused_before_and_told_later_and_never_asked(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("httpx.get", None)
    with pytest.raises(RefusedError) as refused:
        refuse_no_address(url)
    assert str(refused.value) == f"{NO_ADDRESS}. Correct it, then run again."
    assert beat(url) == NO_ADDRESS


def test_addresses_are_taken_as_they_are_and_none_at_all_is_fine():
    for url in ("", "http://127.0.0.1:8080", f"https://ann:{SECRET}@watcher.example.com/ping?key={SECRET}"):
        refuse_no_address(url)


def test_up_refuses_what_is_no_address_and_starts_nothing(home: Home):
    ended = home.evergreen("up", EVERGREEN_HEARTBEAT_URL=f"ftp://example.com/{SECRET}")
    told(ended, "EVERGREEN_HEARTBEAT_URL is no address: expected one that begins with http:// or https://. Correct it, then run again.")
    assert SECRET not in ended.out + ended.err
    assert not (home.var / "logs").exists()


def test_a_watcher_that_does_not_take_it_is_told_and_stops_nothing(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(alerting, "beat", lambda url: "whoever watches from outside answered 404")
    alerting.tell_watcher(space)
    said = " ".join(capsys.readouterr().out.split())
    assert said == (
        "heartbeat whoever watches from outside answered 404. As long as it is so, nobody outside knows that the loop is alive."
    )
