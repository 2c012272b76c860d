"""What predicting with a model takes, measured in the process that does it.

Time in which the process was ready to run and the machine was busy with others is not counted, where the system tells it (Linux does):
otherwise a loaded machine would make every model look slow, and the gate refuse an honest one.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.artefact import Artefact

CALLS, WARM_UP = 100, 3
"""Answers to one row that are timed, after a few that are not: the first ones fill caches."""
PATIENCE_SECONDS, FEWEST_CALLS = 5.0, 10
"""A model that is slow is not waited for so often."""
MEGABYTE = 1e6
_WAITED = Path("/proc/thread-self/schedstat")
"""Nanoseconds on a processor, nanoseconds ready and waiting for one, turns."""
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Meter:
    """A stop-watch for one process that loads one model and predicts."""

    def __init__(self) -> None:
        self._memory = _peak_bytes()
        self._started = _clock()
        self._load_seconds = self._seconds = 0.0
        self._rows = 0

    def loaded(self) -> None:
        """Say that the model is loaded."""
        self._load_seconds = _clock() - self._started

    def timed(self, predict: Callable[[Any, pd.DataFrame], pd.DataFrame], estimator: Any, X: pd.DataFrame) -> pd.DataFrame:
        """What `predict(estimator, X)` gives; how long it took counts as batch prediction."""
        started = _clock()
        said = predict(estimator, X)
        self._seconds += _clock() - started
        self._rows += len(X)
        return said

    def measured(self, model: Artefact, X: pd.DataFrame) -> dict[str, Any]:
        """What it took, and how long single rows of `X` take now: the fields of a Footprint but the size, which whoever stores it knows."""
        from evergreen.candidate import predicted

        memory = _peak_bytes() - self._memory
        calls = []
        for call in range(-WARM_UP, CALLS):
            row = X.iloc[[call % len(X)]]
            started = _clock()
            predicted(model.estimator, row)
            calls.append(_clock() - started)
            if sum(calls) > PATIENCE_SECONDS and call >= FEWEST_CALLS:
                break
        return {
            "one_row_seconds": calls[WARM_UP:],
            "rows_per_second": self._rows / self._seconds,
            "memory_megabytes": memory / MEGABYTE,
            "load_seconds": self._load_seconds,
            "family": _family(model.estimator),
        }


def _family(estimator: Any) -> str:
    """The class of what predicts in the end: behind a fixed threshold, and at the end of a pipeline."""
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, FixedThresholdClassifier):
        return _family(estimator.estimator)
    return _family(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else type(estimator).__name__


def _clock() -> float:
    """Seconds from some moment on, without those spent waiting for a processor."""
    with suppress(OSError, ValueError, IndexError):
        return time.perf_counter() - int(_WAITED.read_text().split()[1]) / 1e9
    return time.perf_counter()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
