"""Keeps a server from outliving whoever wanted it: `python -m flows.guard command ...` ends it when its own standard input ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def guard(command: list[str]) -> None:
    """Run a server until it ends or until whoever started us is gone, however that came about; leave nobody of our group behind."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # the server has heard it too; its end is ours
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.terminate()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.wait()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.argv[1:])
