"""What is there to be played again, and how much of it was known at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd

import evergreen
from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.snapshots import Frame, as_of, row_fingerprints
from evergreen.files import digest_bytes, digest_file, digest_folder, digest_text
from evergreen.provenance import provenance_digests
from evergreen.splitting import Split, split_frame

AT_MOST = 4
"""Splits that are kept in memory; the others are made again."""


@dataclass(frozen=True)
class World:
    """A problem, its joined rows as they are published now, and what names them."""

    problem: Problem
    frame: Frame
    suite: Path
    """What the training data must satisfy."""
    lock: Path
    _splits: dict[pd.Timestamp, Split] = field(default_factory=dict, compare=False, repr=False)
    _changing: Lock = field(default_factory=Lock, compare=False, repr=False)

    @property
    def rows(self) -> pd.DataFrame:
        """All rows, in order of time; their index is their position."""
        return self.frame.rows

    @cached_property
    def judged(self) -> pd.DataFrame:
        """The rows whose outcome is known today: what a policy costs is counted on them."""
        return self.frame.labelled

    @cached_property
    def made_by(self) -> str:
        """Names everything but the rows that a fit and its answers depend on."""
        digests = provenance_digests(self.problem, snapshot="", lock=self.lock)
        machinery = digest_folder(Path(evergreen.__file__).parent, lambda path: path.suffix == ".py")
        suite = digest_file(self.suite) if self.suite.is_file() else ""
        return digest_text("backtest", *(digests[name] for name in sorted(digests)), machinery, suite)

    @cached_property
    def known_rows(self) -> np.ndarray:
        """A uint64 for each row, by all that was known of it when its prediction was due."""
        columns = [name for name in self.rows.columns if name != self.frame.target]
        return np.asarray(pd.util.hash_pandas_object(self.rows[columns], index=False).to_numpy(np.uint64))

    def at(self, moment: pd.Timestamp) -> Frame:
        """What was known at a moment."""
        return as_of(self.frame, moment, self.problem)

    def split(self, moment: pd.Timestamp) -> Split:
        """What a training at that moment learns from and is judged on.

        Raises
        ------
        DataError
            There is too little of it.
        """
        found = self._splits.get(moment)
        if found is None:
            found = split_frame(self.at(moment), self.problem)
            with self._changing:
                self._splits[moment] = found
                for oldest in list(self._splits)[:-AT_MOST]:
                    del self._splits[oldest]
        return found

    def fingerprints(self, moment: pd.Timestamp) -> np.ndarray:
        """Of the rows that a training at that moment learns from."""
        return row_fingerprints(self.split(moment).train, self.problem.key)

    def name_of(self, split: Split) -> str:
        """Names a training and all that its model is asked afterwards: what it learns from, judges itself on, and predicts."""
        return digest_text(self.made_by, self.content(split.train), self.content(split.holdout), self._asked(later_than(self, split)))

    def content(self, rows: pd.DataFrame) -> str:
        """Names rows with their outcomes."""
        outcomes = pd.util.hash_pandas_object(rows[self.frame.target], index=False).to_numpy(np.uint64)
        return digest_bytes(self.known_rows[rows.index].tobytes(), outcomes.tobytes())

    def _asked(self, begin: int) -> str:
        return digest_bytes(self.known_rows[begin:].tobytes())


def later_than(world: World, split: Split) -> int:
    """The position of the first row that is later than all that a training learns from."""
    time = str(world.problem.time)
    return int(world.rows[time].searchsorted(split.train[time].iloc[-1], side="right"))


def due_in(rows: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The rows whose prediction is due from `begin` on and before `end`."""
    due = rows[PREDICTION_TIME]
    return rows[(due >= begin) & (due < end)]
