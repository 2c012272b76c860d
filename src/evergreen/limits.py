"""How the champion answers over HTTP: what a request may be, how long anybody waits, and what becomes of what was answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from evergreen.parts import Count, Part, Share, Span


class OnlinePolicy(Part):
    """Limits of the API; see docs/serving.md."""

    max_body_bytes: Count = 1_048_576
    """A larger request is refused (413) before it is read."""
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Rows of one request; more are refused (422)."""
    queue_rows: Count = 1_024
    """Rows that may wait; a request that finds as many is refused at once (503)."""
    deadline: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(minutes=10))] = timedelta(seconds=2)
    """A request that has no answer by then gets none (504); a body that has not arrived by then is not waited for (408)."""
    probation: Span = timedelta(minutes=10)
    """How long after it has taken over a version is left again for its faults."""
    max_fault_share: Share = 0.05
    """On probation a version is left when it fails at more than this share of requests, and at twice as many as the one before."""
    drain: Span = timedelta(seconds=10)
    """How long a server that is told to stop goes on answering what it has accepted."""
    log: Literal["drop", "refuse"] = "drop"
    """When the log of predictions cannot keep up: answer without it and count what is missing, or refuse (503) what could not be logged."""
    log_rows: Count = 50_000
    """Predictions that may wait to be logged."""
    shadow_held: bool = False
    """Whether a version that the gate holds is asked in shadow (`evergreen shadow`) without anybody's word, until it is judged again."""
    shadow_rows: Annotated[int, Field(ge=2)] = 20_000
    """So many served predictions may wait for the version in shadow; of more the oldest are left out, and counted."""
