"""One model, one process: a registered model predicts where nobody has imported another copy of its feature code."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen import nursery
from evergreen.errors import ModelError
from evergreen.predictor import Job, main

if TYPE_CHECKING:
    # The predicting process starts here too and must not wait for the journal's database library.
    from evergreen.registry import Registry, Version

GOLDEN_TOLERANCE = 1e-9


def predict(job: Job, *, seconds: float = 600.0) -> Path:
    """Have one model predict in a process of its own.

    Returns
    -------
    Path
        `job.out`: the key, `decision`, and `probability` or `probability_<class>` for classifiers that have them; rows in the order given.

    Raises
    ------
    ModelError
        The process failed (its last words are in the message) or took longer than `seconds`.
    """
    return predict_all([job], seconds=seconds)[0]


def predict_all(jobs: Sequence[Job], *, seconds: float = 600.0) -> list[Path]:
    """Have several models predict at once, each in a process of its own; all of them or an error."""
    orders = [_arguments(job) for job in jobs]
    try:
        ended = nursery.run(orders, seconds=seconds)
    except TimeoutError:
        raise ModelError(
            f"The model did not predict {', '.join(dict.fromkeys(job.rows.name for job in jobs))} within {seconds:g} s. "
            "Raise cost.max_predict_seconds in the contract, or use a faster model."
        ) from None
    for job, (code, words) in zip(jobs, ended, strict=True):
        if code:
            raise ModelError(f"The model {job.model} cannot predict {job.rows.name}: {_reason(code, words)}")
    return [job.out for job in jobs]


def reproduce_golden(registry: Registry, version: Version, *, seconds: float = 600.0) -> None:
    """Load a version in a process of its own and compare its predictions for its golden rows with those made in training.

    Raises
    ------
    ModelError
        They differ by more than 1e-9.
    StoreError
        The stored model or its golden rows are not what the journal says.
    """
    import pandas as pd

    golden = registry.evidence_folder(version) / "golden.parquet"
    with tempfile.TemporaryDirectory() as scratch:
        trusted = tuple(version.facts["trusted_types"])
        job = Job(registry.folder(version), golden, Path(scratch) / "golden.parquet", key="golden_row", trusted=trusted)
        got = pd.read_parquet(predict(job, seconds=seconds))
    expected = pd.read_parquet(golden, columns=list(got.columns))
    wrong, worst = pd.Series(False, index=got.index), 0.0
    for column in got.columns:
        if pd.api.types.is_float_dtype(got[column]):
            error = (got[column] - expected[column]).abs()
            worst = max(worst, float(error.max()))
            # Relative for large values, which have no digits that far behind the point; not-a-number equals itself only.
            wrong |= ~((error <= GOLDEN_TOLERANCE * expected[column].abs().clip(lower=1)) | (got[column].isna() & expected[column].isna()))
        else:
            wrong |= got[column] != expected[column]
    if wrong.any():
        raise ModelError(
            f"Version {version.number} does not reproduce its golden rows: {int(wrong.sum()):,} of {len(got):,} differ, "
            f"the farthest by {worst:.3g}; expected at most {GOLDEN_TOLERANCE:g}. "
            "Are the installed packages those of the lock it was trained with? Do not serve it; train again."
        )


def _arguments(job: Job) -> list[str]:
    named = {
        "model": job.model,
        "rows": job.rows,
        "out": job.out,
        "key": job.key,
        "chunk-rows": job.chunk_rows,
        "trusted": ",".join(job.trusted),
    }
    return [f"--{name}={value}" for name, value in named.items()]


def _reason(code: int, words: str) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed; is there enough memory? A smaller serving.chunk_rows needs less"
    lines = words.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {code} and said nothing"


if __name__ == "__main__":
    sys.exit(main())
