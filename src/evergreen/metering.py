"""What predicting with a model takes, measured in the process that does it."""

from __future__ import annotations

import resource
import sys
import time
import timeit
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.artefact import Artefact

CALLS, TIMES, WARM_UP = 40, 3, 3
"""Rows that are answered alone, how often each (the shortest counts, other work can only add), after a few that fill caches."""
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

    def measured(self, model: Artefact, X: pd.DataFrame) -> dict[str, Any]:
        """What it took, and how long single rows of `X` take now: the fields of a Footprint but the size, which whoever stores it knows."""
        from evergreen.candidate import predicted

        memory = _peak_bytes() - self._memory
        for call in range(WARM_UP):
            predicted(model.estimator, X.iloc[[call % len(X)]])
        calls: list[float] = []
        begun = time.perf_counter()
        while len(calls) < CALLS and (time.perf_counter() - begun < PATIENCE_SECONDS or len(calls) < FEWEST_CALLS):
            row = X.iloc[[len(calls) % len(X)]]
            calls.append(min(timeit.repeat(partial(predicted, model.estimator, row), number=1, repeat=TIMES)))
        return {
            "one_row_seconds": calls,
            "rows_per_second": self._rows / max(self._seconds, 1e-9),
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


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
