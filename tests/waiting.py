"""Waiting for what other processes do. A busy machine may take long over anything; a test that passes never waits this long."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds for one answer or one change: what Prefect's own clients wait for a server (PREFECT_API_REQUEST_TIMEOUT)."""


def until(happened: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """Wait for something to be true, and give it back."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.05)
    return found
