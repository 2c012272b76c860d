"""Requests as clients send them, usual ones and hostile or clumsy ones, to one server in a process of its own."""

import html
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from asked import FEATURES, ROWS, row, said_by
from moves import four_versions, given
from serving import JSON, Served, served
from waiting import PATIENCE, until

from evergreen.journal import Journal
from evergreen.journal import served as log

ROW = {"product": "book", "amount": 20, "stock_level": 5}
BODY = json.dumps(ROW).encode()
# What JSON's schema cannot say is refused all the same: 5.0 for a whole number, values in the order of columns, CSV.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of version 1, which all tests share: none of them may harm it."""
    registry = four_versions(tmp_path_factory.mktemp("requests") / "home")
    given(registry, champion=1, previous=None, anchor=1, move="first")
    with served(registry.settings.root) as server:
        server.ready()
        yield server
        code, _, err = server.end()
        assert (code, err) == (0, "")


def test_one_row_and_many_are_answered_as_the_model_does_in_process(server: Served):
    expected = said_by(1)
    one = server.ask("/predict", row())
    assert (one.status, one.told["model_version"]) == (200, 1)
    assert one.told["decision"] == expected["decision"].iloc[0]
    assert one.told["probability"] == pytest.approx(expected["probability"].iloc[0], abs=1e-12)
    many = server.ask("/predict", [row(at) for at in range(len(ROWS))][:200]).told
    assert [one["decision"] for one in many["predictions"]] == list(expected["decision"][:200])
    assert [one["probability"] for one in many["predictions"]] == pytest.approx(list(expected["probability"][:200]), abs=1e-12)
    ids = [one.told["prediction_id"], *(one["prediction_id"] for one in many["predictions"])]
    assert len(set(ids)) == 201


def test_the_page_for_people_shows_a_request_that_works_and_loads_nothing_from_elsewhere(server: Served):
    page = server.ask("/docs").body.decode()
    assert "<h1>toy, version 1</h1>" in page
    assert all(f"<td><code>{name}</code></td>" in page for name in FEATURES)
    asked = json.loads(html.unescape(page.partition("-d '")[2].partition("'</pre>")[0]))
    assert server.ask("/predict", asked).status == 200
    assert re.findall(r"(?:src|href|url)[=(]\W*([^\"')]+)", page) == ["openapi.json"]


CLIENT = """
import sys
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

rows = pd.read_parquet(sys.argv[2])
answer = ScoringServerClient("127.0.0.1", int(sys.argv[1])).invoke(rows)
answer.get_predictions().to_parquet(sys.argv[3])
"""


def test_mlflows_own_client_gets_the_same_numbers(server: Served, tmp_path: Path):
    ROWS[FEATURES].head(100).to_parquet(tmp_path / "rows.parquet")
    words = [str(server.port), str(tmp_path / "rows.parquet"), str(tmp_path / "answers.parquet")]
    subprocess.run([sys.executable, "-c", CLIENT, *words], check=True, capture_output=True)
    got = pd.read_parquet(tmp_path / "answers.parquet")
    assert list(got.iloc[:, 0]) == list(said_by(1)["decision"][:100])


@pytest.mark.parametrize("form", ["dataframe_records", "instances", "inputs", "columns", "csv"])
def test_each_form_of_mlflows_protocol_is_answered(server: Served, form: str):
    rows = ROWS[FEATURES].head(5)
    bodies = {form: {form: json.loads(rows.to_json(orient="records"))} for form in ("dataframe_records", "instances", "inputs")}
    body: Any = bodies.get(form, {"inputs": json.loads(rows.to_json(orient="columns"))})
    headers = None
    if form == "columns":
        body = {"inputs": {name: list(values.values()) for name, values in body["inputs"].items()}}
    if form == "csv":
        body, headers = rows.to_csv(index=False).encode(), {"content-type": "text/csv; charset=utf-8"}
    answer = server.ask("/invocations", body, headers=headers)
    assert (answer.status, answer.told.get("predictions")) == (200, list(said_by(1)["decision"][:5])), answer.body


def test_a_slow_sender_is_not_waited_for(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{")
        assert line.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_slow_sender_behind_another_request_is_not_waited_for_either(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(head(content_length=len(BODY)) + BODY + head(content_length=60) + b"{")
        got = b""
        while part := line.recv(65_536):
            got += part
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]


def sent(server: Served, data: bytes, *, answers: int = 1) -> list[bytes]:
    """Raw bytes over one connection; the status lines that come back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(data)
        got = b""
        while got.count(b"HTTP/1.1 ") < answers and (part := line.recv(65_536)):
            got += part
    return [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]]


def head(method: str = "POST", path: str = "/predict", **more: Any) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_body_in_chunks_is_read_whole(server: Served):
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:])) + b"0\r\n\r\n"
    assert sent(server, head(transfer_encoding="chunked") + chunks) == [b"200"]


def test_chunks_beyond_the_limit_are_refused(server: Served):
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    assert sent(server, head(transfer_encoding="chunked") + chunk * 17 + b"0\r\n\r\n") == [b"413"]


def test_requests_one_behind_the_other_are_all_answered(server: Served):
    one = head(content_length=len(BODY)) + BODY
    wrong = head(content_length=2) + b"{}"
    assert sent(server, one + wrong + one, answers=3) == [b"200", b"422", b"200"]


def test_whoever_asks_first_whether_to_send_is_told_to_go_on(server: Served):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
        line.sendall(head(content_length=len(BODY), expect="100-continue"))
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")
        line.sendall(BODY)
        assert line.recv(1_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_no_other_method_predicts(server: Served, method: str):
    answer = server.ask("/predict", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_whoever_goes_away_harms_nobody(server: Served):
    for data in (head(content_length=100) + b"{", head(content_length=len(BODY)) + BODY):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
            line.sendall(data)
    assert server.ask("/predict", ROW).status == 200


@pytest.mark.parametrize("key", [2**63, "a\0b", "k" * 501])
def test_a_key_that_the_log_cannot_keep_is_refused_and_the_log_goes_on(server: Served, key: Any):
    answer = server.ask("/predict", ROW | {"order_id": key})
    assert (answer.status, answer.told["faults"][0]["field"]) == (422, "order_id")
    kept = f"after {len(str(key))}"
    assert server.ask("/predict", ROW | {"order_id": kept}).status == 200
    journal = Journal(f"sqlite:///{server.home / 'journal.db'}")
    until(lambda: journal.rows(log, entity=kept))
    journal.close()


def test_requests_of_very_many_faults_are_answered_at_once(server: Served):
    for path, body in (("/predict", b"[" + b"{}," * 300_000 + b"{}]"), ("/invocations", b'{"instances":[' + b"{}," * 300_000 + b"{}]}")):
        assert server.ask(path, body, headers=JSON).told["faults"][0]["got"] == "300001 rows"


def test_what_the_document_says_is_what_the_server_does(server: Served, tmp_path: Path):
    words = ["--seed", "1", "-n", "15", "--phases", "examples,coverage,fuzzing", "--checks", CHECKS]
    url = f"http://127.0.0.1:{server.port}/openapi.json"
    program = str(Path(sys.executable).with_name("st"))
    ran = subprocess.run([program, "run", url, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr
    assert server.ask("/health/ready").told["status"] == "ready"
