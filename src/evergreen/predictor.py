"""What a process that predicts does: load one model with its own code, read rows, write predictions, end."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evergreen.errors import EvergreenError, ModelError
from evergreen.files import atomic_path, write_bytes, write_json
from evergreen.metering import Meter
from evergreen.quoting import in_words


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
    profile: Path | None = None
    """Where to write, as JSON, what it took; None: it is not measured."""
    stages: Path | None = None
    """Where to write, as JSON, what each step of the model makes of the first row; None: nobody asks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict as the command line says; failures are one line on the error stream."""
    parser = ArgumentParser(prog="python -m evergreen.prediction", description=__doc__)
    for name in ("model", "rows", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--key", required=True)
    for name in ("profile", "stages"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--chunk-rows", type=int, default=50_000)
    parser.add_argument("--trusted", type=lambda text: tuple(filter(None, text.split(","))), default=())
    try:
        _predict_here(Job(**vars(parser.parse_args(arguments))))
    except EvergreenError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    except Exception as error:  # the model's own code may raise anything, and a person wants one sentence
        sys.stderr.write(f"{_where(error)}{type(error).__name__}: {in_words(error)}\n")
        return 1
    return 0


def _where(error: Exception) -> str:
    """The line of the model's own code that the error came through, if it did."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/code/" in Path(frame.filename).as_posix()]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""


def raise_children() -> None:
    """Import once; then for each line of arguments on standard input fork a child for each, wait, and answer with their exit codes."""
    import pandas as pd
    import pyarrow.parquet
    import skops.io
    import yaml  # type: ignore[import-untyped]  # noqa: F401 - what a child needs, imported once for all of them
    from sklearn.preprocessing import StandardScaler

    from evergreen import artefact, candidate  # noqa: F401

    skops.io.dumps(StandardScaler().fit(pd.DataFrame({"x": [0.0, 1.0]})))  # and what they import at the first use only

    # Workers that read ahead would compete with the predictions for the same cores.
    pyarrow.set_cpu_count(1)
    for line in sys.stdin.buffer:
        orders = json.loads(line)
        children = {_fork(order): number for number, order in enumerate(orders)}
        codes = [0] * len(orders)
        while children:
            pid, status = os.wait()
            codes[children.pop(pid)] = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _fork(order: list[str]) -> int:
    """Start a child that predicts as the arguments say; the last one is the file for its last words."""
    pid = os.fork()
    if pid:
        return pid
    *arguments, words = order
    code = 1
    try:
        with Path(words).open("w") as file, Path(os.devnull).open("w") as nothing:
            os.dup2(file.fileno(), 2)
            os.dup2(nothing.fileno(), 1)
            code = main(arguments)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _predict_here(job: Job) -> None:
    """What the process of its own does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from evergreen.artefact import load_artefact
    from evergreen.candidate import predicted
    from evergreen.stages import unfold

    rows = pq.ParquetFile(job.rows)
    meter = Meter()
    model = load_artefact(job.model, trusted=job.trusted)
    meter.loaded()
    missing = [name for name in (job.key, *model.features) if name not in rows.schema_arrow.names]
    if missing:
        raise ModelError(f"the rows lack {', '.join(missing)}; they need the key and every feature the model was trained with")
    if rows.metadata.num_rows == 0:
        raise ModelError("there are no rows; expected at least one")
    writer, first = None, None
    with atomic_path(job.out) as temporary:
        columns = list(dict.fromkeys([job.key, *model.features]))
        for batch in rows.iter_batches(batch_size=job.chunk_rows, columns=columns):
            X = batch.select(model.features).to_pandas()
            first = X.head(1) if first is None else first
            if job.profile is not None and writer is None:  # before the model has seen any of them
                meter.timed_alone(predicted, model.estimator, X)
            said = pa.Table.from_pandas(meter.timed(predicted, model.estimator, X), preserve_index=False)
            table = said.add_column(0, job.key, batch.column(job.key)).replace_schema_metadata()
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
    if job.profile is not None:
        write_json(job.profile, meter.measured(model))
    if job.stages is not None and first is not None:
        write_bytes(job.stages, json.dumps(unfold(model.estimator, first), allow_nan=False).encode())  # the columns in their order


if __name__ == "__main__":
    raise_children()
