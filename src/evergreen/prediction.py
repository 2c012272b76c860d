"""One model, one process: a registered model predicts where nobody has imported another copy of its feature code."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from evergreen.errors import EvergreenError, ModelError
from evergreen.files import atomic_path

if TYPE_CHECKING:
    # The predicting process starts here too and must not wait for the journal's database library.
    from evergreen.registry import Registry, Version

GOLDEN_TOLERANCE = 1e-9
SIGKILL = -9


@dataclass(frozen=True)
class Job:
    """Predictions that are wanted: `model` (a checked folder) for the parquet file `rows`, written with their `key` to `out`."""

    model: Path
    rows: Path
    out: Path
    key: str
    trusted: tuple[str, ...] = ()
    """The contract's `trusted_types` when the model was registered."""
    chunk_rows: int = 50_000
    """How many rows are in memory at a time."""


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
    running: list[tuple[Job, subprocess.Popen[bytes], IO[bytes]]] = []
    deadline = time.monotonic() + seconds
    try:
        for job in jobs:
            words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; a pipe nobody reads would block a talkative process
            running.append((job, _start(job, words), words))
        for job, process, words in running:
            _finish(job, process, words, left=deadline - time.monotonic(), limit=seconds)
    finally:
        for _, process, words in running:
            process.kill()
            process.wait()
            words.close()
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


def _start(job: Job, words: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P keeps the working directory, where the problem's package may lie, off the import path.
    command = [sys.executable, "-P", "-m", "evergreen.prediction", "--model", str(job.model), "--rows", str(job.rows)]
    command += ["--out", str(job.out), "--key", job.key, "--chunk-rows", str(job.chunk_rows), "--trusted", ",".join(job.trusted)]
    # One thread each: several models predict at once, and idle OpenMP threads that spin cost more than they bring.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words, env=environment)


def _finish(job: Job, process: subprocess.Popen[bytes], words: IO[bytes], *, left: float, limit: float) -> None:
    try:
        code = process.wait(timeout=max(left, 0.0))
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"The model {job.model} did not predict {job.rows.name} within {limit:g} s. "
            "Raise cost.max_predict_seconds in the contract, or use a faster model."
        ) from None
    if code == 0:
        return
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"its process ended with {code} and said nothing"
    if code == SIGKILL:
        reason = "its process was killed; is there enough memory? A smaller serving.chunk_rows needs less"
    raise ModelError(f"The model {job.model} cannot predict {job.rows.name}: {reason}")


def _predict_here(job: Job) -> None:
    """What the process of its own does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from evergreen.artefact import load_artefact
    from evergreen.candidate import predicted

    # Workers that read ahead would compete with the predictions for the same two cores.
    pa.set_cpu_count(1)
    rows = pq.ParquetFile(job.rows)
    model = load_artefact(job.model, trusted=job.trusted)
    missing = [name for name in (job.key, *model.features) if name not in rows.schema_arrow.names]
    if missing:
        raise ModelError(f"the rows lack {', '.join(missing)}; they need the key and every feature the model was trained with")
    if rows.metadata.num_rows == 0:
        raise ModelError("there are no rows; expected at least one")
    writer = None
    with atomic_path(job.out) as temporary:
        columns = list(dict.fromkeys([job.key, *model.features]))
        for batch in rows.iter_batches(batch_size=job.chunk_rows, columns=columns):
            X = batch.select(model.features).to_pandas()
            said = pa.Table.from_pandas(predicted(model.estimator, X), preserve_index=False)
            table = said.add_column(0, job.key, batch.column(job.key)).replace_schema_metadata()
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict as the command line says; failures are one line on the error stream."""
    parser = ArgumentParser(prog="python -m evergreen.prediction", description=__doc__)
    for name in ("model", "rows", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--chunk-rows", type=int, default=50_000)
    parser.add_argument("--trusted", type=lambda text: tuple(filter(None, text.split(","))), default=())
    try:
        _predict_here(Job(**vars(parser.parse_args(arguments))))
    except EvergreenError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    except Exception as error:  # the model's own code may raise anything, and a person wants one sentence
        sys.stderr.write(f"{_where(error)}{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _where(error: Exception) -> str:
    """The line of the model's own code that the error came through, if it did."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/code/" in Path(frame.filename).as_posix()]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""


if __name__ == "__main__":
    sys.exit(main())
