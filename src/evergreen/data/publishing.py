"""Predictions for others to use: written, audited, then published by moving one pointer. Publishing again changes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.snapshots import content_digest
from evergreen.errors import DataError, StoreError
from evergreen.faults import reach
from evergreen.files import atomic_path, digest_file, digest_text, read_json, write_json
from evergreen.journal import Journal

POINTER = "current.json"
SAMPLE = 500
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Publication:
    """One published set of predictions."""

    key: str
    partition: str
    """The date of its first prediction, such as "2013-06-01"; "all" for data without time."""
    version: int
    snapshot: str
    rows: int
    path: Path
    is_new: bool


@dataclass(frozen=True)
class Order:
    """Which rows are to be predicted by which version. `artefact` is the digest of the version's folder."""

    rows: pd.DataFrame
    version: int
    artefact: str
    snapshot: str
    features: tuple[str, ...]
    """The version's own, which today's contract may no longer name."""


Predict = Callable[[list[tuple[Path, Path]]], Any]
"""For each pair predicts the rows of one parquet file into another, in a process of its own."""


def publish(root: Path, journal: Journal, problem: Problem, order: Order, *, predict: Predict) -> Publication:
    """Predict, audit and publish; what has been published already is left as it is.

    The pointer `predictions/dt=<partition>/current.json` names the file to read. It moves last but for the journal's row.

    Raises
    ------
    DataError
        There are no rows, or the audit found something; the pointer has not moved.
    """
    key, partition = _name(problem, order)
    folder = root / "predictions" / f"dt={partition}"
    path = folder / f"{key[:16]}.parquet"
    done = journal.last(tables.publications, partition=partition)
    if done and done["publication"] == key and _is_published(folder, key, done["content"]):
        return Publication(key, partition, order.version, done["snapshot"], done["row_count"], path, is_new=False)
    _write(path, problem, order, predict)
    reach("after predictions are written")
    journal.insist()
    content, facts = digest_file(path), {"publication": key, "version": order.version, "snapshot": order.snapshot}
    write_json(folder / POINTER, {**facts, "path": path.name, "rows": len(order.rows), "sha256": content})
    reach("after the pointer has moved")
    row = {**facts, "partition": partition, "path": path.relative_to(root).as_posix(), "content": content, "row_count": len(order.rows)}
    journal.add(tables.publications, **row, after=done["seq"] if done else 0)
    return Publication(key, partition, order.version, order.snapshot, len(order.rows), path, is_new=True)


def _name(problem: Problem, order: Order) -> tuple[str, str]:
    """The key of what is to be published, which names rows, features and model, and its partition."""
    if order.rows.empty:
        raise DataError(
            "There is nothing to predict: every row has its outcome. Deliver the next rows of the entity source, then: evergreen predict"
        )
    if missing := sorted(set(order.features) - set(order.rows.columns)):
        raise DataError(
            f"Version {order.version} needs {', '.join(missing)}, which the data no longer have. "
            "Keep them in the data until another model serves."
        )
    inputs = content_digest(order.rows[list(dict.fromkeys([problem.key, *order.features]))])
    first = order.rows[PREDICTION_TIME].min() if PREDICTION_TIME in order.rows else None
    return digest_text(inputs, order.artefact, str(order.version)), first.strftime("%Y-%m-%d") if first is not None else "all"


def read_published(root: Path, partition: str) -> pd.DataFrame:
    """The predictions that are published for a partition.

    Raises
    ------
    StoreError
        The file is not the one that was published.
    """
    folder = root / "predictions" / f"dt={partition}"
    pointer = read_json(folder / POINTER)
    path = folder / pointer["path"]
    if not path.is_file() or digest_file(path) != pointer["sha256"]:
        raise StoreError(f"{path} is not what was published. Remove {folder / POINTER} and run: evergreen predict")
    return pd.read_parquet(path)


def _is_published(folder: Path, key: str, content: str) -> bool:
    """Whether the pointer names this publication and its file is whole; a pointer that cannot be read names none."""
    try:
        pointer = read_json(folder / POINTER)
        path = folder / pointer["path"]
    except (StoreError, KeyError, TypeError):
        return False
    return bool(pointer["publication"] == key and path.is_file() and digest_file(path) == content)


def _write(path: Path, problem: Problem, order: Order, predict: Predict) -> None:
    """Predict into a file beside the final one, audit it, and only then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    carried = [column for column in (problem.key, PREDICTION_TIME, *problem.serving.carry) if column in order.rows]
    wanted = list(dict.fromkeys([*carried, *order.features]))
    picked = order.rows.sample(min(SAMPLE, len(order.rows)), random_state=problem.retraining.seed)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        rows, sample, answers, again = (Path(scratch) / part for part in ("rows", "sample", "answers", "again"))
        for file, frame in ((rows, order.rows), (sample, picked)):
            frame[wanted].to_parquet(file, index=False)
        reach("begin predicting")
        predict([(rows, answers), (sample, again)])
        _audit(problem.key, order.rows, pd.read_parquet(answers), pd.read_parquet(again))
        with atomic_path(path) as temporary:
            _assemble(temporary, (rows, answers), carried, problem, order)


def _audit(key: str, rows: pd.DataFrame, answers: pd.DataFrame, again: pd.DataFrame) -> None:
    """Rows in are rows out, in order; all finite; and a sample predicted once more says the same.

    Raises
    ------
    DataError
        Names what is wrong; nothing has been published.
    """
    faults = []
    if len(again) != min(SAMPLE, len(rows)):
        faults.append(f"{min(SAMPLE, len(rows)):,} rows were predicted twice, {len(again):,} came out")
    if len(answers) != len(rows) or not np.array_equal(answers[key].to_numpy(), rows[key].to_numpy()):
        faults.append(f"{len(rows):,} rows went in, {len(answers):,} came out, or in another order")
    numbers = answers.drop(columns=key).select_dtypes("number")
    if broken := int((~np.isfinite(numbers.to_numpy(dtype=float))).any(axis=1).sum()):
        faults.append(f"{broken:,} predictions are not finite numbers")
    both = again.merge(answers, on=key, suffixes=("", "_before"))
    differs = [c for c in numbers if len(both) != len(again) or not np.allclose(both[c], both[f"{c}_before"], rtol=0, atol=TOLERANCE)]
    faults += [f"{column} came out differently for {len(again):,} rows that were predicted twice" for column in differs]
    if faults:
        raise DataError(
            f"The predictions failed their audit and are not published: {'; '.join(faults)}. What was published before still is."
        )


def _assemble(temporary: Path, files: tuple[Path, Path], carried: list[str], problem: Problem, order: Order) -> None:
    """Put rows and answers side by side, batch by batch, with the version and the snapshot they come from."""
    (rows, answers), size = files, problem.serving.chunk_rows
    left = pq.ParquetFile(rows).iter_batches(batch_size=size, columns=carried)
    right = pq.ParquetFile(answers).iter_batches(batch_size=size)
    writer = None
    for known, said in zip(left, right, strict=True):
        table = pa.Table.from_batches([known]).replace_schema_metadata()
        for name in said.schema.names:
            if name != problem.key:
                table = table.append_column(name, said.column(name))
        table = table.append_column("model_version", pa.array([order.version] * len(table), pa.int64()))
        table = table.append_column("snapshot", pa.array([order.snapshot] * len(table), pa.string()))
        writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
