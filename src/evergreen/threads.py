"""Work done side by side in threads: scikit-learn computes outside Python's lock, and nothing has to be copied."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from joblib import Parallel


def side_by_side(work: Sequence[Any]) -> Iterator[Any]:
    """Results of calls that `joblib.delayed` has put off, in their order, each as soon as it is there."""
    with _filters_kept():
        yield from Parallel(n_jobs=-1, prefer="threads", return_as="generator")(work)


@contextmanager
def _filters_kept() -> Iterator[None]:
    """Nobody empties the filters of warnings, which all threads share.

    scikit-learn (1.9, utils/parallel.py) does around each step of a pipeline, and fills them again; a thread that begins a step in between
    finds none, and warns that `sklearn.utils.parallel.delayed` was used without its `Parallel`, which is not so.
    """
    emptied = warnings.resetwarnings
    with warnings.catch_warnings():
        warnings.resetwarnings = lambda: None
        try:
            yield
        finally:
            warnings.resetwarnings = emptied
