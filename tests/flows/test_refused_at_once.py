"""While nothing can be answered a request is refused before it is parsed; no two readers may see other requests in the same bytes."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from serving import Served, served
from waiting import PATIENCE, until

HEAD = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: 2\r\n\r\n{}"
QUIET = 0.4
"""Seconds in which another answer would have come."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One without a champion: every request for predictions is refused."""
    with served(tmp_path_factory.mktemp("home")) as server:
        until(lambda: live(server))
        yield server
        code, _, err = server.end()
        assert (code, err) == (0, "")


def live(server: Served) -> bool:
    try:
        return server.ask("/health/live").status == 200
    except OSError:
        return False


def heard(server: Served, *parts: bytes) -> tuple[list[bytes], bool]:
    """Send the parts one after another; the statuses that come back, and whether the server hung up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        for part in parts:
            with suppress(BrokenPipeError, ConnectionResetError):  # hung up on in the middle
                line.sendall(part)
            time.sleep(0.05)
        line.settimeout(QUIET)
        got, is_closed = b"", False
        try:
            while part := line.recv(65_536):
                got += part
            is_closed = True
        except ConnectionResetError:
            is_closed = True
        except TimeoutError:
            pass
    for body in got.split(b"HTTP/1.1 ")[1:]:
        if body.startswith(b"503"):
            assert b"\r\nretry-after: 1\r\n" in body
            assert b'{"detail":"No version of the model is ready.' in body
    return [body[:3] for body in got.split(b"HTTP/1.1 ")[1:]], is_closed


def test_one_after_another_over_the_same_connection(server: Served):
    assert heard(server, WHOLE, WHOLE, WHOLE) == ([b"503"] * 3, False)


def test_each_refusal_is_counted(server: Served):
    def count() -> float:
        told = server.ask("/metrics").body.decode()
        found = [line for line in told.splitlines() if line.startswith('evergreen_requests_total{route="/predict",status="503"}')]
        return float(found[0].split()[-1]) if found else 0.0

    before = count()
    heard(server, WHOLE, WHOLE + WHOLE, WHOLE.replace(b"host: x", b"expect: 100-continue"))
    assert count() == before + 4


@pytest.mark.parametrize(
    ("parts", "answers", "is_closed"),
    [
        ((WHOLE + WHOLE,), 2, False),
        ((WHOLE[:30], WHOLE[30:]), 1, False),
        ((WHOLE[:-1], WHOLE[-1:], WHOLE), 2, False),
        ((WHOLE + WHOLE[:30], WHOLE[30:]), 2, False),
        ((WHOLE.replace(b"host: x", b"connection: close"),), 1, True),
        ((WHOLE.replace(b"1.1", b"1.0"),), 1, True),
        ((HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", WHOLE), 2, False),
        ((HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", b"0\r\n\r\n"), 1, False),
        ((WHOLE.replace(b"host: x", b"expect: 100-continue")[:-2],), 1, True),
        ((WHOLE.replace(b"host: x", b"connection: Upgrade\r\nupgrade: h2c"), WHOLE, WHOLE), 1, True),
        ((HEAD.replace(b"host: x", b"connection: Upgrade\r\nupgrade: h2c") + b"content-length: 90\r\n\r\n", WHOLE), 1, True),
        # The second part is the value of a header, however much it looks like a request.
        ((HEAD + b"x-a: ", WHOLE), 1, False),
        # Here it is the body of the first.
        ((HEAD + b"content-length: %d\r\n\r\n" % len(WHOLE), WHOLE), 1, False),
        ((HEAD + b"content-length: %d\r\n\r\n" % len(WHOLE) + WHOLE[:40], WHOLE[40:], WHOLE), 2, False),
    ],
)
def test_every_request_has_one_answer_however_it_comes(server: Served, parts: tuple[bytes, ...], answers: int, is_closed: bool):
    assert heard(server, *parts) == ([b"503"] * answers, is_closed)


@pytest.mark.parametrize(
    ("whole", "status"),
    [
        (HEAD + b"content-length: 2\r\ncontent-length: 40\r\n\r\n{}", b"400"),
        (HEAD + b"CONTENT-LENGTH: 40\r\ncontent-length: 2\r\n\r\n{}", b"400"),
        (HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}", b"400"),
        (HEAD + b"content-length : 2\r\n\r\n{}", b"400"),
        (HEAD + b"content-length: 2\r\nx-a: \0\r\n\r\n{}", b"400"),
        (HEAD + b"content-length: +2\r\n\r\n{}", b"400"),
    ],
)
def test_what_could_be_read_in_two_ways_is_left_to_the_parser_which_refuses_it(server: Served, whole: bytes, status: bytes):
    assert heard(server, whole) == ([status], True)


@pytest.mark.parametrize("again", [b"content-length:1\r\n", b"content-lengthx: 1\r\n", b"a:b\r\n", b":", b"\r", b"content-length: 2\r\n\r"])
def test_no_head_however_long_keeps_the_server_from_the_others(server: Served, again: bytes):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(b"POST /predict HTTP/1.1\r\ncontent-length: 2\r\n" + again * (250_000 // len(again)))
        assert live(server)
    assert time.monotonic() - began < 1.0


def test_whoever_asks_and_asks_and_reads_nothing_is_hung_up_on(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line, pytest.raises(OSError, match=r"reset|pipe"):
        ask_for_ever(line)


def ask_for_ever(line: socket.socket) -> None:
    while True:
        line.sendall(WHOLE)


def test_what_is_no_request_for_predictions_is_answered_as_ever(server: Served):
    assert heard(server, b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n", WHOLE) == ([b"200", b"503"], False)
    assert heard(server, WHOLE.replace(b"/predict", b"/predicts")) == ([b"404"], False)
    assert heard(server, WHOLE.replace(b"POST", b"PUT"))[0] == [b"405"]


def test_whoever_does_not_send_the_rest_of_what_is_refused_is_told_so_in_the_end(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(WHOLE[:-1])
        got = b""
        while part := line.recv(65_536):
            got += part
    assert got.startswith(b"HTTP/1.1 503 ")


def test_with_a_key_nobody_is_told_anything_without_it(tmp_path):
    with served(tmp_path / "home", EVERGREEN_API_KEY="secret") as server:
        until(lambda: live(server))
        assert heard(server, WHOLE)[0] == [b"401"]
        assert heard(server, WHOLE.replace(b"host: x", b"x-api-key: secret"))[0] == [b"503"]
        assert server.end()[::2] == (0, "")


def test_what_is_still_sent_when_the_server_is_told_to_end_is_refused_all_the_same(tmp_path):
    with served(tmp_path / "home") as server:
        until(lambda: live(server))
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
            line.sendall(WHOLE[:-1])
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1.0)  # it does not listen any more
            line.sendall(WHOLE[-1:])
            got = b""
            while part := line.recv(65_536):
                got += part
        assert got.startswith(b"HTTP/1.1 503 ")
        assert server.end()[::2] == (0, "")
