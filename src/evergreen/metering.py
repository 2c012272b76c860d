"""What predicting with a model takes, measured in the process that does it."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.artefact import Artefact

CALLS, WARM_UP = 40, 3
"""Rows that are answered alone, and other rows before them, for what only the first call does."""
PATIENCE_SECONDS, FEWEST_CALLS = 5.0, 5
"""A model that is slow is not waited for so often."""
MEGABYTE = 1e6
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Meter:
    """A stop-watch for one process that loads one model and predicts."""

    def __init__(self) -> None:
        self._memory = _peak_bytes()
        self._started = time.perf_counter()
        self._load_seconds = self._seconds = 0.0
        self._rows = 0
        self._alone: list[float] = []
        self._cheapest = math.inf

    def loaded(self) -> None:
        """Say that the model is loaded."""
        self._load_seconds = time.perf_counter() - self._started

    def timed(self, predict: Callable[[Any, pd.DataFrame], pd.DataFrame], estimator: Any, X: pd.DataFrame) -> pd.DataFrame:
        """What `predict(estimator, X)` gives; how long it took counts as batch prediction."""
        started = time.perf_counter()
        said = predict(estimator, X)
        self._seconds += time.perf_counter() - started
        self._rows += len(X)
        return said

    def timed_alone(self, predict: Callable[[Any, pd.DataFrame], pd.DataFrame], estimator: Any, X: pd.DataFrame) -> None:
        """Time rows of `X` one by one, none of them twice: a model may remember what it was asked.

        Expects at least one row, and none that the model has answered before. On one thread, as whoever serves rows one by one must: for
        one row, threads only wait for each other, on a busy machine for a quarter of a second.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            self._time_rows(predict, estimator, X)

    def _time_rows(self, predict: Callable[[Any, pd.DataFrame], pd.DataFrame], estimator: Any, X: pd.DataFrame) -> None:
        for at in range(min(WARM_UP, len(X) - 1)):
            predict(estimator, X.iloc[[at]])
        rows = X.iloc[min(WARM_UP, len(X) - 1) :].head(CALLS)
        begun = time.perf_counter()
        for at in range(len(rows)):
            if time.perf_counter() - begun >= PATIENCE_SECONDS and at >= FEWEST_CALLS:
                return
            row, started, worked = rows.iloc[[at]], time.perf_counter(), time.process_time()
            predict(estimator, row)
            self._cheapest = min(self._cheapest, time.process_time() - worked)
            self._alone.append(time.perf_counter() - started)

    def measured(self, model: Artefact) -> dict[str, Any]:
        """What it took: the fields of a Footprint but the size, which whoever stores it knows."""
        return {
            "one_row_seconds": self._alone,
            "processor_seconds": self._cheapest,
            "rows_per_second": self._rows / max(self._seconds, 1e-9),
            "memory_megabytes": (_peak_bytes() - self._memory) / MEGABYTE,
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


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
