"""A snapshot is a frozen list of batches; from it comes, always the same, the frame that models are trained on and predict from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data import batches
from evergreen.data.joins import PREDICTION_TIME, JoinReport, join_sources
from evergreen.data.landing import Known, known, why_empty, why_lacking
from evergreen.data.targets import Outcomes, settled_until, with_target
from evergreen.errors import ContractError, DataError, JoinError
from evergreen.files import digest_bytes, digest_text
from evergreen.journal import Journal


@dataclass(frozen=True)
class Snapshot:
    """A fingerprinted set of batches: digests by source, in order of delivery."""

    id: str
    batches: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Frame:
    """All entity rows with features, and the target where it is known; ordered by time and key."""

    rows: pd.DataFrame
    joins: tuple[JoinReport, ...]
    replaced: dict[str, int]
    """Rows of each source that a later delivery replaced."""
    orphans: int
    """Outcomes of unknown entities."""
    target: str

    time: str | None
    settled: pd.Timestamp | None
    """Up to here outcomes are known; later ones are early birds. None for data without time, or without any outcome that counts."""
    outcomes: Outcomes | None = field(default=None, repr=False)
    """All that were delivered, those of unknown entities too; None for a frame that was put together by hand."""

    @property
    def labelled(self) -> pd.DataFrame:
        """The rows whose outcome is known and has matured."""
        known = self.rows[self.target].notna()
        if self.time is None:
            return self.rows[known]
        return self.rows.head(0) if self.settled is None else self.rows[known & (self.rows[self.time] <= self.settled)]

    @property
    def is_unsettled(self) -> bool:
        """Whether outcomes are known, and none of them counts."""
        return self.time is not None and self.settled is None and bool(self.rows[self.target].notna().any())

    @property
    def still_open(self) -> pd.DataFrame:
        """The rows to be predicted: without outcome, and later than where outcomes are known."""
        unknown = self.rows[self.target].isna()
        return self.rows[unknown & (self.rows[self.time] > self.settled)] if self.time and self.settled is not None else self.rows[unknown]


def as_of(frame: Frame, moment: pd.Timestamp, problem: Problem) -> Frame:
    """What a frame was at an earlier moment: the rows whose prediction was due, and of them the outcomes that had matured.

    Corrections that came later are in it all the same: it shows today's knowledge of what could be known then.
    """
    due = frame.rows[frame.rows[PREDICTION_TIME] < moment]
    matured = due[frame.time] <= moment - pd.Timedelta(problem.target.label_delay)
    rows = due.assign(**{frame.target: due[frame.target].where(matured)})
    return replace(frame, rows=rows, settled=settled_until(rows, problem))


def take_snapshot(journal: Journal, problem: Problem) -> Snapshot:
    """Freeze what has been published so far: the list is kept in the journal.

    Raises
    ------
    DataError
        A source has no published batch yet, or none any more.
    """
    snapshot = published_now(journal, problem)
    journal.add(tables.snapshots, snapshot=snapshot.id, batches={name: list(digests) for name, digests in snapshot.batches.items()})
    return snapshot


def published_now(journal: Journal, problem: Problem) -> Snapshot:
    """What a snapshot would be at this moment; for whoever only looks, and may look while deliveries are still being judged.

    Raises
    ------
    DataError
        A source has no published batch yet, or none any more.
    """
    return snapshot_of(known(journal, outcome="published"), problem)


def snapshot_of(known: Known, problem: Problem) -> Snapshot:
    """What a snapshot would be, by what is known of deliveries.

    Raises
    ------
    DataError
        A source has no published batch yet, or none any more.
    """
    found = {source.name: [row["batch"] for row in known.active(source.name)] for source in problem.sources}
    missing = known.lacks(problem)
    if gone := [why_empty(name, words) for name in missing if (words := known.emptied(name))]:
        raise DataError(" ".join(gone))
    if missing:
        raise DataError(
            f"Nothing has been published yet of {', '.join(missing)}. Deliver files to the landing folder, then: evergreen ingest"
        )
    kept = {name: tuple(dict.fromkeys(digests)) for name, digests in found.items()}
    return Snapshot(digest_text(*(f"{name} {digest}" for name, digests in kept.items() for digest in digests)), kept)


_newest: dict[tuple[str, str, str], Frame] = {}
"""The last frame that was built: one round of the loop needs the same one three times, and its name says all that is in it."""


def build_frame(root: Path, snapshot: Snapshot, problem: Problem) -> Frame:
    """Read a snapshot's batches, join them as the contract says, and add the target.

    Raises
    ------
    StoreError
        A batch is missing or not what its name says.
    JoinError
        A guard of a join is broken.
    ContractError
        The contract names a column that the data do not have.
    """
    name = (str(root), snapshot.id, problem.digest())
    frame = _newest.get(name) or _build(root, snapshot, problem)
    _newest.clear()
    _newest[name] = frame
    return frame


def frame_of(root: Path, journal: Journal, snapshot: Snapshot, problem: Problem) -> Frame:
    """The frame of a snapshot; see `build_frame`, whose errors it raises.

    Where a guard of a join is broken and a person has taken back some of what the source delivered, the error says so, and what to do.
    """
    try:
        return build_frame(root, snapshot, problem)
    except JoinError as error:
        raise explained(journal, error) from error


def explained(journal: Journal, error: JoinError) -> JoinError:
    """The error behind what was taken back of the source that it is about, where rows may lack a partner for that."""
    words = why_lacking(journal, error.source) if error.is_lacking else ""
    return JoinError(f"{words} {error}").of(error.source, is_lacking=True) if words else error


def check_columns(problem: Problem, rows: pd.DataFrame) -> None:
    """See that the joined rows have every column that the contract uses.

    Raises
    ------
    ContractError
        Names the missing ones.
    """
    if missing := sorted(set(problem.used_columns) - set(rows.columns)):
        raise ContractError(
            f"features, slices, carry, cluster or group: {missing} not in the data after the joins, which have {', '.join(rows.columns)}."
        )


def _build(root: Path, snapshot: Snapshot, problem: Problem) -> Frame:
    sources, replaced = {}, {}
    for source in problem.sources:
        sources[source.name], replaced[source.name] = _load(root, snapshot, source.name, list(source.key))
    rows, joins = join_sources(problem, sources)
    check_columns(problem, rows)
    rows, outcomes = with_target(problem, rows, sources[problem.target.source])
    settled = settled_until(rows, problem)
    return Frame(rows, tuple(joins), replaced, outcomes.orphans, problem.target.name, problem.time, settled, outcomes)


def row_fingerprints(rows: pd.DataFrame, key: str) -> np.ndarray:
    """A uint64 for each row, by its key; sorted or not, equal keys give equal fingerprints. Shape (n,)."""
    return np.asarray(pd.util.hash_pandas_object(rows[key], index=False).to_numpy(dtype=np.uint64))


def content_digest(rows: pd.DataFrame) -> str:
    """Name of a frame's content: columns, order and every value."""
    return digest_bytes(",".join(rows.columns).encode(), pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())


def clusters(rows: pd.DataFrame, cluster: str) -> np.ndarray:
    """The cluster of each row as the contract's gate policy names it: "day", "row" or a column. Shape (n,)."""
    if cluster == "row":
        return np.arange(len(rows))
    if cluster == "day":
        return np.asarray(rows[PREDICTION_TIME].dt.strftime("%Y-%m-%d"), dtype=object)
    return np.asarray(rows[cluster], dtype=object)


def _load(root: Path, snapshot: Snapshot, source: str, key: list[str]) -> tuple[pd.DataFrame, int]:
    """All batches of a source; where two carry the same key, the later delivery counts."""
    parts = [batches.load(root, source, digest) for digest in snapshot.batches[source]]
    whole = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    kept = whole.drop_duplicates(key, keep="last", ignore_index=True)
    return kept, len(whole) - len(kept)
