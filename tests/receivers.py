"""A web server that keeps what is posted to it and what it is asked for, for tests of alerts and signs of life."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hunter2"  # noqa: S105 - it must not be found anywhere


class Receiver:
    """A web server that keeps what is posted to it, and the paths that it is asked for."""

    def __init__(self, status: int = 200) -> None:
        self.got: list[dict[str, Any]] = []
        self.asked: list[str] = []
        keep, asked = self.got, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                keep.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(status)
                self.end_headers()

            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://ann:{SECRET}@127.0.0.1:{self.server.server_port}/"
        self.heartbeat = f"http://127.0.0.1:{self.server.server_port}/ping/{SECRET}"


@contextmanager
def running(receiver: Receiver) -> Iterator[Receiver]:
    """Have it listen for as long as the block runs."""
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
