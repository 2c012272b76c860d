"""The API as people meet it: real processes, real requests, versions that come and go."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from asked import row, said_by
from moves import BROKEN, four_versions, given
from serving import Served, free_port, served
from waiting import PATIENCE, until

from evergreen.journal import refusals
from evergreen.journal import served as log
from evergreen.registry import Registry


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Versions 1 to 4 of which none is champion; copied for each test."""
    return four_versions(tmp_path_factory.mktemp("versions") / "home")


@pytest.fixture
def registry(versions: Registry) -> Registry:
    """The same for one test alone, with version 1 as champion and nothing served yet."""
    given(versions, champion=1, previous=None, anchor=1, move=f"first {time.time_ns()}")
    shutil.rmtree(versions.settings.root / "serving", ignore_errors=True)
    return versions


def test_the_pages_for_people_and_programs_can_be_left_out(registry: Registry):
    with served(registry.settings.root, EVERGREEN_API_DOCS="false") as server:
        server.ready()
        assert {server.ask(path).status for path in ("/docs", "/openapi.json")} == {404}


def test_a_new_champion_takes_over_and_a_broken_one_does_not(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        given(registry, champion=2, previous=1, anchor=1, move="second")
        server.ask("/follow", method="POST")
        server.ready(version=2)
        second = server.ask("/predict", row()).told
        assert second["probability"] == pytest.approx(said_by(2)["probability"].iloc[0], abs=1e-12)
        given(registry, champion=BROKEN, previous=2, anchor=1, move="broken")
        (refusal,) = until(lambda: registry.journal.rows(refusals, version=BROKEN))
        assert "does not reproduce its golden rows" in refusal["reason"]
        assert server.ask("/predict", row()).told["model_version"] == 2
        time.sleep(2.5)  # two more looks: it is not tried again
        counted = server.ask("/metrics").body.decode()
        assert "evergreen_refused_versions 1.0" in counted
        assert "evergreen_swaps 2.0" in counted
        code, out, err = server.end()
    assert (code, err) == (0, "")
    assert "Version 4 was refused, version 2 serves: Version 4 does not reproduce its golden rows" in out


PLANTED = """
import pathlib
class Planted:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path({file!r}),))
"""


@pytest.mark.parametrize("how", ["a pickle in the place of the model", "one byte more", "other code"])
def test_what_somebody_has_put_into_the_store_is_refused_before_it_is_opened(registry: Registry, tmp_path: Path, how: str):
    folder = registry.folder(registry.version(3))
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    if how == "other code":
        (folder / "code" / "toy" / "features.py").write_text("open({!r}, 'w')".format(str(tmp_path / "ran")))
    else:
        model = folder / "model.skops"
        model.write_bytes(pickled(tmp_path / "ran") if "pickle" in how else model.read_bytes() + b"\0")
    try:
        with served(registry.settings.root) as server:
            server.ready()
            given(registry, champion=3, previous=1, anchor=1, move=f"tampered: {how}")
            refusal = until(lambda: registry.journal.rows(refusals, promotion=f"tampered: {how}"))[0]
            assert "is not what was registered" in refusal["reason"]
            assert server.ask("/predict", row()).told["model_version"] == 1
    finally:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
    assert not (tmp_path / "ran").exists()


def pickled(file: Path) -> bytes:
    """What makes the file when somebody unpickles it."""
    scope: dict[str, Any] = {}
    exec(PLANTED.format(file=str(file)), scope)  # noqa: S102 - the tests' own words
    import pickle

    return pickle.dumps(scope["Planted"]())


def test_a_worker_that_is_killed_is_there_again_and_meanwhile_only_503_is_said(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        server.ask("/predict", row())
        with asking(server) as answers:
            time.sleep(0.5)
            server.workers[0].kill()
            until(lambda: 503 in answers)
            seen = Counter(answers)[200]
            until(lambda: Counter(answers)[200] > seen + 20)
        assert set(answers) == {200, 503}
        assert "evergreen_worker_deaths 1.0" in server.ask("/metrics").body.decode()


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_what_was_answered_before_the_server_ended_is_in_the_log(registry: Registry, sign: int, whole_group: bool):
    before = len(registry.journal.rows(log))
    with served(registry.settings.root) as server:
        server.ready()
        with asking(server) as answers:
            time.sleep(1)
            code, _, err = server.end(sign=sign, whole_group=whole_group)
        assert (code, err) == (0, "")
    assert set(answers) <= {200, 503, "closed"}
    rows = registry.journal.rows(log)[before:]
    assert len(rows) == Counter(answers)[200] > 20
    assert json.loads(rows[0]["inputs"]) == row()
    assert json.loads(rows[0]["answer"])["probability"] == pytest.approx(said_by(1)["probability"].iloc[0], abs=1e-12)
    assert {row["version"] for row in rows} == {1}


def test_without_a_journal_the_last_copy_serves_and_says_so(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        server.end()
    away = "postgresql://nobody@127.0.0.1:1/none"
    with served(registry.settings.root, EVERGREEN_JOURNAL_URL=away) as server:
        health = server.ready()
        assert (health["status"], health["model_version"]) == ("degraded", 1)
        assert "cannot be used" in health["troubles"][0]
        assert server.ask("/predict", row()).status == 200
        assert server.ask("/version").told["degraded"] is True
        code, out, _ = server.end()
    assert code == 0
    assert "1 predictions could not be logged and wait in" in out
    before = len(registry.journal.rows(log))
    with served(registry.settings.root) as server:
        server.ready()
        until(lambda: len(registry.journal.rows(log)) == before + 1)
    assert not (registry.settings.root / "serving" / "unlogged.msgpack").exists()


def test_a_copy_that_was_tampered_with_is_not_served(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        server.end()
    (model,) = (registry.settings.root / "serving").glob("1-*/model/model.skops")
    model.write_bytes(model.read_bytes() + b"\0")
    with served(registry.settings.root, EVERGREEN_JOURNAL_URL="postgresql://nobody@127.0.0.1:1/none") as server:
        until(lambda: live(server))
        time.sleep(2)
        assert server.ask("/health/ready").told["status"] == "unavailable"
        assert server.ask("/predict", row()).status == 503
        _, out, _ = server.end()
    assert "is not what it was when it was verified" in out


def live(server: Served) -> bool:
    try:
        return server.ask("/health/live").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("setting", ["EVERGREEN_API_PORT", "EVERGREEN_METRICS_PORT"])
def test_a_port_that_is_taken_is_told(tmp_path: Path, setting: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with served(tmp_path, **{setting: str(port)}) as server:
            server.process.wait(30)
            code, _, err = server.end()
    assert (code, err.count("\n")) == (1, 1)
    assert f"The port {port}" in err
    assert "cannot be used (Address already in use)" in err
    assert f"Set {setting}" in err


def test_a_second_server_on_one_home_is_refused(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        with served(registry.settings.root) as second:
            second.process.wait(30)
            code, _, err = second.end()
        assert server.ask("/predict", row()).status == 200
    assert code == 1
    assert "Another process is busy with serving this home over HTTP" in err


def test_a_copy_that_cannot_be_made_is_this_servers_trouble_and_not_the_versions(registry: Registry):
    with served(registry.settings.root) as server:
        server.ready()
        block = registry.settings.root / "serving" / f"2-{registry.version(2).artefact[:16]}"
        block.write_text("a file in the place of the folder")
        given(registry, champion=2, previous=1, anchor=1, move="no room")
        health = until(lambda: (told := server.ask("/health/ready").told)["status"] == "degraded" and told)
        assert "version 2 cannot take over: This server's copies cannot be used" in health["troubles"][0]
        assert server.ask("/predict", row()).told["model_version"] == 1
        block.unlink()
        server.ready(version=2)
        assert server.ask("/health/ready").told["status"] == "ready"
    assert registry.journal.rows(refusals, promotion="no room") == []


def test_what_is_counted_is_told_on_a_port_of_its_own(registry: Registry):
    port = free_port()
    with served(registry.settings.root, EVERGREEN_METRICS_PORT=str(port)) as server:
        server.ready()
        server.ask("/predict", row())
        assert server.ask("/metrics").status == 404
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        line.request("GET", "/metrics")
        counted = line.getresponse().read().decode()
        line.close()
    assert "evergreen_ready 1.0" in counted
    assert "evergreen_model_version 1.0" in counted
    assert "evergreen_batches 1.0" in counted


def test_a_damaged_file_of_what_was_left_is_put_aside(registry: Registry):
    folder = registry.settings.root / "serving"
    folder.mkdir(exist_ok=True)
    (folder / "unlogged.msgpack").write_bytes(b"\xc1 no message")
    with served(registry.settings.root) as server:
        server.ready()
        assert (folder / "unlogged.damaged").read_bytes() == b"\xc1 no message"
        assert server.ask("/predict", row()).status == 200


def test_without_a_policy_nothing_is_served(tmp_path: Path):
    with served(tmp_path, problem="toy.contract:PROBLEM") as server:
        server.process.wait(30)
        code, _, err = server.end()
    assert (code, err) == (2, "The contract has no `online`, so nothing is served over HTTP. Write online=OnlinePolicy() into it first.\n")


def test_what_is_wrong_with_a_request_is_told_and_nothing_else_leaves(registry: Registry):
    with served(registry.settings.root, EVERGREEN_API_KEY="a secret") as server:
        server.ready()
        key = {"x-api-key": "a secret", "content-type": "application/json"}
        assert server.ask("/predict", row()).status == 401
        assert server.ask("/predict", row(), headers=key | {"x-api-key": "another"}).status == 401
        assert server.ask("/health/ready").told == {"status": "ready", "model_version": 1}
        assert server.ask("/health/ready", headers=key).told["troubles"] == []
        body = server.ask("/openapi.json").told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert body["schema"]["anyOf"]
        assert "examples" not in body  # it is a row of the training
        assert "A request that works" not in server.ask("/docs").body.decode()
        bearer = {"authorization": "Bearer a secret", "content-type": "application/json"}
        assert server.ask("/predict", row(), headers=bearer).status == 200
        assert server.ask("/predict", method="PUT").status == 405
        assert server.ask("/predict", b"x", headers=key | {"content-type": "text/plain"}).status == 415
        assert server.ask("/predict", b" " * 1_100_000, headers=key).status == 413
        assert server.ask("/predict", [row()] * 501, headers=key).told["faults"] == [
            {"field": "rows", "got": "501 rows", "expected": "1 to 500 rows in one request"}
        ]
        wrong = server.ask("/predict", {"product": 5, "amounts": 3, "stock_level": None}, headers=key)
        assert (wrong.status, wrong.told["model_version"]) == (422, 1)
        assert {fault["field"]: fault["expected"] for fault in wrong.told["faults"]} == {
            "product": "a text of at most 10000 characters, none of them NUL, or null",
            "amount": "a whole number from -9223372036854775808 to 9223372036854775807",
            "stock_level": "a whole number from -9223372036854775808 to 9223372036854775807",
            "amounts": "no such field; is amount meant?",
        }


def test_what_nobody_could_answer_in_time_is_refused_at_once_and_a_worker_that_hangs_is_started_again(registry: Registry):
    many = [row(at) for at in range(200)]
    with served(registry.settings.root) as server, ThreadPoolExecutor() as pool:
        server.ready()
        (worker, *_) = server.workers
        worker.suspend()
        under_way = pool.submit(server.ask, "/predict", many)
        time.sleep(0.5)
        waits = pool.submit(server.ask, "/predict", many)  # as many rows as may wait
        time.sleep(0.5)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as line:
            for _ in range(3):
                line.request("POST", "/predict", json.dumps(many), {"content-type": "application/json"})
                reply = line.getresponse()
                assert (reply.status, reply.headers["retry-after"]) == (503, "1")
                assert json.loads(reply.read())["detail"].startswith("Too many requests wait already.")
        assert not under_way.done()  # nobody waited to be refused
        assert not waits.done()
        assert {under_way.result(PATIENCE).status, waits.result(PATIENCE).status} == {504}
        assert server.ask("/health/live").status == 200
        until(lambda: server.ask("/predict", row()).status == 200)
        counted = server.ask("/metrics").body.decode()
        assert 'evergreen_requests_total{route="/predict",status="503"} ' in counted
        assert "evergreen_worker_deaths 1.0" in counted


def test_a_worker_that_reads_nothing_does_not_keep_the_server_from_the_others_and_ends_with_it(registry: Registry):
    large = [{**row(at), "product": "x" * 3_000} for at in range(200)]  # more than a line between processes takes at once
    with served(registry.settings.root) as server, ThreadPoolExecutor() as pool:
        server.ready()
        (worker, *_) = server.workers
        worker.suspend()
        under_way = pool.submit(server.ask, "/predict", large)
        time.sleep(0.3)
        assert {server.ask("/health/live").status for _ in range(5)} == {200}
        assert not under_way.done()
        assert under_way.result(PATIENCE).status == 504
        until(lambda: server.ask("/predict", row()).status == 200)
        (worker, *_) = [one for one in server.workers if one.is_running()]
        worker.suspend()
        server.process.kill()
        assert psutil.wait_procs([worker], timeout=PATIENCE)[1] == []


class asking:  # noqa: N801 - reads as a sentence: with asking(server)
    """Ask one row again and again over one connection until the block is left; the list of statuses grows meanwhile."""

    def __init__(self, server: Served) -> None:
        self.port = server.port
        self.answers: list[Any] = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def __enter__(self) -> list[Any]:
        self.thread.start()
        until(lambda: self.answers)
        return self.answers

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join(PATIENCE)

    def _ask(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.is_over.is_set():
            try:
                line.request("POST", "/predict", json.dumps(row()), {"content-type": "application/json"})
                reply = line.getresponse()
                reply.read()
                self.answers.append(reply.status)
            except ConnectionRefusedError:
                break
            except (ConnectionError, http.client.HTTPException):
                self.answers.append("closed")
                line.close()
        line.close()
