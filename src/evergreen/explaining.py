"""How one prediction came about: its inputs, the row after each step of the model, the score, and whether it comes out the same again."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import is_answer
from evergreen.data.publishing import read_published
from evergreen.data.snapshots import Snapshot, frame_of
from evergreen.errors import DataError, StoreError
from evergreen.files import read_json
from evergreen.journal import log
from evergreen.prediction import GOLDEN_TOLERANCE, KEY, compare_answers, predict
from evergreen.predictor import Job
from evergreen.registry import Registry, Version
from evergreen.serving.frames import Framer, plain_columns
from evergreen.workspace import Workspace

ROW = "the row that is explained"


@dataclass(frozen=True)
class Explained:
    """One prediction, computed anew by the very version that made it, in a process of its own."""

    name: str
    """The id, or partition and key."""
    version: int
    entity: str | None
    asked_at: str
    """ISO, UTC; of a published prediction: when it was published."""
    inputs: dict[str, Any]
    way: dict[str, Any]
    """See `evergreen.stages.unfold`."""
    said: dict[str, Any]
    """What the version says now: `decision` and probabilities."""
    logged: dict[str, Any]
    """What it said then."""
    faults: tuple[str, ...]
    """A sentence for each thing that is not as it was; empty when the answer comes out the same, to 1e-9."""


@dataclass(frozen=True)
class _Case:
    """What is known of a prediction before its version is asked again."""

    name: str
    version: Version
    entity: str | None
    asked_at: str
    X: pd.DataFrame
    logged: dict[str, Any]
    faults: tuple[str, ...] = ()


def explain_served(space: Workspace, prediction: str) -> Explained:
    """Explain a prediction that was made over HTTP.

    Raises
    ------
    JournalError
        There is none of that id; names the nearest.
    StoreError
        The version was removed by a clean-up or is not what was registered, or what was logged is not what the version was asked.
    """
    row = log.find(space.journal, prediction)
    version = space.registry.version(row["version"])
    X = _as_trained(space.registry, version, row["inputs"], prediction)
    whole = hashlib.sha256(row["inputs"].encode()).hexdigest() == row["features"]
    faults = () if whole else ("The logged inputs are not those that the model was given: their digest is another one.",)
    return _explain(space, _Case(prediction, version, row["entity"], row["asked_at"], X, json.loads(row["answer"]), faults))


def explain_published(space: Workspace, partition: str, key: str) -> Explained:
    """Explain a prediction that was published, from the batches that it was made of.

    Raises
    ------
    DataError
        There is no such partition or no such key in it; names some that are there.
    StoreError
        The version or what it was made of was removed by a clean-up, or is not what was recorded.
    """
    row, column = space.journal.last(tables.publications, partition=partition), space.problem.key
    if row is None:
        known = list(dict.fromkeys(one["partition"] for one in space.journal.rows(tables.publications)))
        raise DataError(f"Nothing is published for {partition!r}; published: {', '.join(known[-10:]) or 'nothing yet'}.")
    published = read_published(space.settings.root, partition)
    found = published[published[column].astype(str) == key]
    if found.empty:
        some = ", ".join(published[column].astype(str).head(3))
        raise DataError(
            f"There is no {column} {key!r} among the {len(published):,} predictions of {partition}; there are {some} and so on."
        )
    version = space.registry.version(int(found["model_version"].iloc[0]))
    snapshot = Snapshot(row["snapshot"], _batches(space, row["snapshot"]))
    rows = frame_of(space.settings.root, space.journal, snapshot, space.problem).rows
    X = rows.loc[rows[column] == found[column].iloc[0], list(version.facts["features"])]
    logged = {name: values[0] for name, values in plain_columns(found[[name for name in found.columns if is_answer(name)]]).items()}
    return _explain(space, _Case(f"{partition}, {key}", version, key, row["at"], X.reset_index(drop=True), logged))


def _batches(space: Workspace, snapshot: str) -> dict[str, tuple[str, ...]]:
    row = space.journal.last(tables.snapshots, snapshot=snapshot)
    if row is None:
        raise StoreError(f"The journal does not know the snapshot {snapshot[:12]} that it was made of. Restore the journal from a backup.")
    return {source: tuple(batches) for source, batches in row["batches"].items()}


def _as_trained(registry: Registry, version: Version, inputs: str, prediction: str) -> pd.DataFrame:
    """The logged values as a frame with the types of training, as the server has made it."""
    golden = pd.read_parquet(registry.evidence_folder(version) / "golden.parquet")
    framer = Framer(golden[[name for name in golden.columns if name != KEY and not is_answer(name)]])
    try:
        return framer.frame({name: [value] for name, value in json.loads(inputs).items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"The logged inputs of {prediction} are no row of version {version.number}: {type(error).__name__}: {error}. "
            "Was the journal changed by hand? Restore it from a backup."
        ) from None


def _explain(space: Workspace, case: _Case) -> Explained:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        case.X.assign(**{ROW: 0}).to_parquet(folder / "its row.parquet", index=False)
        model, trusted = space.registry.folder(case.version), tuple(case.version.facts["trusted_types"])
        job = Job(model, folder / "its row.parquet", folder / "said.parquet", key=ROW, trusted=trusted, stages=folder / "stages.json")
        said = pd.read_parquet(predict(job)).drop(columns=ROW)
        way = read_json(folder / "stages.json")
    faults = (*case.faults, *_differences(case.logged, said))
    inputs, told = ({name: values[0] for name, values in plain_columns(rows).items()} for rows in (case.X, said))
    return Explained(case.name, case.version.number, case.entity, case.asked_at, inputs, way, told, case.logged, faults)


def _differences(logged: dict[str, Any], said: pd.DataFrame) -> tuple[str, ...]:
    """A sentence where the answer of now is not that of then."""
    if set(logged) != set(said.columns):
        return (f"The answer has {', '.join(said.columns)} now, and had {', '.join(logged)} then.",)
    then = pd.DataFrame({name: [value] for name, value in logged.items()})
    others = [name for name in said.columns if compare_answers("again", then[[name]], said[[name]]).differing]
    if not others:
        return ()
    told = "; ".join(f"{name} was {logged[name]}, is {said[name].iloc[0]}" for name in others)
    return (
        f"The version gives another answer than was logged: {told}; expected the same to {GOLDEN_TOLERANCE:g}. The served features are "
        "not those that were logged, the installed packages are not those of then, or the model looks at more than its row.",
    )
