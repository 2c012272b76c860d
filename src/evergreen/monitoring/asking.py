"""Having stored versions predict rows whose outcomes are known, each in a process of its own, and none what it has learnt from."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.data.snapshots import row_fingerprints
from evergreen.errors import EvergreenError, ModelError
from evergreen.evaluation import Predicted, read_predicted
from evergreen.prediction import predict, predict_all
from evergreen.predictor import Job
from evergreen.registry import Version
from evergreen.workspace import Workspace


def unseen(space: Workspace, version: Version, rows: pd.DataFrame) -> pd.DataFrame:
    """Those rows that a version has not learnt from.

    Raises
    ------
    StoreError
        What it has learnt from is not stored any more, or not what was registered.
    """
    return rows[~np.isin(row_fingerprints(rows, space.problem.key), space.registry.training_rows(version))]


def ask(space: Workspace, versions: Sequence[Version], rows: pd.DataFrame) -> tuple[dict[int, Predicted], dict[int, str]]:
    """What versions say of the same rows, all asked at once, by number; and why others say nothing.

    A version that is not stored any more, that needs a column which the data no longer have, or that fails, is told, not raised.
    """
    cannot: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        jobs: dict[int, Job] = {}
        for version in versions:
            try:
                jobs[version.number] = _job(space, version, rows, Path(scratch))
            except EvergreenError as error:
                cannot[version.number] = str(error)
        cannot |= _predicted(jobs, seconds=space.problem.cost.max_predict_seconds)
        return {n: read_predicted(job.out, space.problem.task) for n, job in jobs.items() if n not in cannot}, cannot


def _job(space: Workspace, version: Version, rows: pd.DataFrame, folder: Path) -> Job:
    problem, features = space.problem, list(version.facts["features"])
    if missing := sorted(set(features) - set(rows.columns)):
        raise ModelError(f"Version {version.number} needs {', '.join(missing)}, which the data no longer have.")
    model, given = space.registry.folder(version), folder / f"rows-{version.number}.parquet"
    rows[list(dict.fromkeys([problem.key, *features]))].to_parquet(given, index=False)
    trusted = tuple(version.facts["trusted_types"])
    return Job(model, given, folder / f"{version.number}.parquet", problem.key, trusted, problem.serving.chunk_rows)


def _predicted(jobs: dict[int, Job], *, seconds: float) -> dict[int, str]:
    """Have all predict at once; where one fails, each alone. Why some cannot, by number."""
    try:
        if jobs:
            predict_all(list(jobs.values()), seconds=seconds)
    except ModelError:
        return {number: why for number, job in jobs.items() if (why := _hindrance(job, seconds=seconds))}
    return {}


def _hindrance(job: Job, *, seconds: float) -> str:
    try:
        predict(job, seconds=seconds)
    except ModelError as error:
        return str(error)
    return ""
