"""Health checks of the containers: whether an address answers, and whether the runner is at work."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(pages: dict[str, Any]) -> Iterator[int]:
    """A server with these pages and no others; its port."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages else 503)
            self.end_headers()
            self.wfile.write(json.dumps(pages.get(self.path)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def ended(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60, check=False)


def test_an_address_that_answers_is_healthy_and_one_that_does_not_is_told():
    with serving({"/health": "ok"}) as port:
        assert ended("deploy/answers", f"http://127.0.0.1:{port}/health").returncode == 0
        assert ended("deploy/answers", "/health", EVERGREEN_API_PORT=str(port)).returncode == 0
        wrong = ended("deploy/answers", f"http://127.0.0.1:{port}/other")
    closed = ended("deploy/answers", f"http://127.0.0.1:{port}/health")
    assert (wrong.returncode, closed.returncode) == (1, 1)
    assert wrong.stderr == f"http://127.0.0.1:{port}/other: HTTP Error 503: Service Unavailable\n"
    assert f"http://127.0.0.1:{port}/health: " in closed.stderr


def test_a_neighbour_is_asked_without_a_proxy():
    with serving({"/health": "ok"}) as port:
        proxied = ended("deploy/answers", f"http://127.0.0.1:{port}/health", http_proxy="http://127.0.0.1:9")
    assert proxied.returncode == 0


@pytest.mark.parametrize(("status", "code"), [("READY", 0), ("NOT_READY", 1)])
def test_the_runner_is_healthy_when_prefect_says_that_both_deployments_are_served(status: str, code: int):
    found = {f"/api/deployments/name/{flow}/evergreen": {"status": status, "tags": []} for flow in ("retraining", "monitoring")}
    with serving(found) as port:
        asked = ended(sys.executable, "-m", "flows.health", PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
    assert (asked.returncode, asked.stderr) == (code, "")
