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
    import pandas as pd

    # The predicting process starts here too and must not wait for the journal's database library.
    from evergreen.gate.evidence import Replay
    from evergreen.registry import Registry, Version

GOLDEN_TOLERANCE = 1e-9
KEY = "golden_row"
AS_TRAINED, MIXED = "in a process of its own", "in another order, a few at a time"
SMALL_CHUNK = 37
"""Rows at a time of the second replay: a number that divides nothing, so that every batch is another one."""


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
    check_replay(version.number, compare_golden(registry, version, seconds=seconds)[0])


def check_replay(version: int, found: Replay) -> None:
    """See that a version has answered its golden rows as in training.

    Raises
    ------
    ModelError
        Some differ by more than 1e-9.
    """
    if found.differing:
        raise ModelError(
            f"Version {version} does not reproduce its golden rows: {found.differing:,} of {found.rows:,} differ, "
            f"the farthest by {found.farthest:.3g}; expected at most {GOLDEN_TOLERANCE:g}. "
            "Are the installed packages those of the lock it was trained with? Do not serve it; train again."
        )


def compare_golden(registry: Registry, version: Version, *, shuffled: bool = False, seconds: float = 600.0) -> list[Replay]:
    """Predict a version's golden rows in a process of its own and compare with what training said.

    Returns
    -------
    list of Replay
        As they are; and with `shuffled` a second one: in random order, a few at a time.
    """
    import pandas as pd

    file = registry.evidence_folder(version) / "golden.parquet"
    golden = pd.read_parquet(file)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, trusted = registry.folder(version), tuple(version.facts["trusted_types"])
        jobs = [Job(model, file, folder / "golden.parquet", key=KEY, trusted=trusted)]
        if shuffled:
            golden.sample(frac=1, random_state=0).to_parquet(folder / "mixed.parquet", index=False)
            jobs.append(Job(model, folder / "mixed.parquet", folder / "answers.parquet", key=KEY, trusted=trusted, chunk_rows=SMALL_CHUNK))
        answers = [pd.read_parquet(file).set_index(KEY).sort_index() for file in predict_all(jobs, seconds=seconds)]
    golden = golden.set_index(KEY).sort_index()
    return [compare_answers(how, golden, answer) for how, answer in zip((AS_TRAINED, MIXED), answers, strict=False)]


def compare_answers(how: str, expected: pd.DataFrame, got: pd.DataFrame) -> Replay:
    """Hold answers against expected ones with the same index; relative for large values, and what is missing equals itself only."""
    import numpy as np
    import pandas as pd

    from evergreen.gate.evidence import Replay

    wrong, infinite, worst = pd.Series(False, index=got.index), pd.Series(False, index=got.index), 0.0
    for column in got.columns:
        if pd.api.types.is_float_dtype(got[column]):
            error = (got[column] - expected[column]).abs()
            worst = max(worst, float(error.max()))
            near = error <= GOLDEN_TOLERANCE * expected[column].abs().clip(lower=1)
            wrong |= ~(near | (got[column].isna() & expected[column].isna()))
            infinite |= ~np.isfinite(got[column])
        else:
            wrong |= got[column] != expected[column]
            infinite |= got[column].isna()
    return Replay(how, len(got), int(wrong.sum()), worst, int(infinite.sum()))


def _arguments(job: Job) -> list[str]:
    named = {
        "model": job.model,
        "rows": job.rows,
        "out": job.out,
        "key": job.key,
        "chunk-rows": job.chunk_rows,
        "trusted": ",".join(job.trusted),
        **{name: file for name, file in (("profile", job.profile), ("stages", job.stages)) if file},
    }
    return [f"--{name}={value}" for name, value in named.items()]


def _reason(code: int, words: str) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed; is there enough memory? A smaller serving.chunk_rows needs less"
    lines = words.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {code} and said nothing"


if __name__ == "__main__":
    sys.exit(main())
