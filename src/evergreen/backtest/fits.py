"""Candidates fitted as in production, in memory: only what they said is kept, in files that are named by what went into them.

No model is stored and none is loaded. A file that is not what was written is not believed: the fit is made again.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from evergreen.backtest.world import World, later_than
from evergreen.candidate import answers
from evergreen.data.snapshots import clusters
from evergreen.errors import DataError, EvergreenError
from evergreen.evaluation import Predicted, predicted_of
from evergreen.examination import reactions_of, rows_to_react_to
from evergreen.facts import apart_by_chance, promise_of
from evergreen.faults import reach
from evergreen.files import digest_bytes, write_bytes
from evergreen.gate.collection import Trials
from evergreen.gate.evidence import Promise, Reaction
from evergreen.splitting import Split
from evergreen.threads import side_by_side
from evergreen.training import fit_candidate
from evergreen.trials import try_recipe
from evergreen.validation import validate

SEAL, FACTS, MOVED, BEGIN, SAID = "seal", "facts", "moved", "begin", "said "
BROKEN = (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile)
"""What reading a file that is torn, of another make, or somebody else's may raise."""
_validating = Lock()
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """What is kept of a fit."""

    name: str
    """Of all that went into it."""
    moment: pd.Timestamp
    """At which it was trained, with what was known then."""
    begin: int
    """Position of the first row that it predicted: all that are later than its training rows."""
    said: dict[str, np.ndarray]
    """Its answers to these rows, by column as in predictions."""
    facts: dict[str, Any]
    """What folds and other seeds said of its recipe, as in `Trials`."""
    moved: np.ndarray
    """What the contract's perturbations did to its answers, shape (claims, rows)."""

    @property
    def version(self) -> int:
        """A number for the gate, which tells models apart by it."""
        return int(self.name[:12], 16)

    def answers(self, positions: np.ndarray) -> pd.DataFrame:
        """What it said of rows, by their positions; none of them is one that it has learnt from."""
        return pd.DataFrame({name: values[positions - self.begin] for name, values in self.said.items()}, index=positions)

    def predicted(self, rows: pd.DataFrame, task: str) -> Predicted:
        """The same as the gate takes it."""
        return predicted_of(self.answers(rows.index.to_numpy()), task)

    def trials(self, world: World) -> Trials:
        """What its recipe was put through."""
        known = dict(self.facts)
        promise = known.pop("promise")
        return Trials(
            promise=Promise(**promise) if promise else None,
            seeds={int(seed): cost for seed, cost in known.pop("seeds").items()},
            reactions=tuple(Reaction(claim, moved) for claim, moved in zip(world.problem.behaviour, self.moved, strict=True)),
            seeds_se=known["seeds_se"],
            random_without_seed=known["random_without_seed"],
        )


@dataclass(frozen=True)
class Fits:
    """The candidates of a world: fitted once, whoever asks and however often the run is cut short."""

    world: World
    folder: Path
    progress: Progress
    made: list[pd.Timestamp] = field(default_factory=list)
    """Those that were fitted now, not found."""
    _known: dict[pd.Timestamp, Candidate] = field(default_factory=dict)

    def at(self, moment: pd.Timestamp) -> Candidate:
        """The candidate of a moment.

        Raises
        ------
        EvergreenError
            It cannot be trained: there is too little, the data are not as expected, or the estimator fails.
        """
        if moment not in self._known:
            split = self.world.split(moment)
            name = self.world.name_of(split)
            found = _read(self.folder, name, moment)
            if found is None:
                found = _fit(self.world, split, name, moment)
                _write(self.folder, found)
                self.made.append(moment)
                reach("after a fit of the backtest")
            self._known[moment] = found
        return self._known[moment]

    def prepare(self, moments: Iterable[pd.Timestamp]) -> None:
        """Fit those that are sure to be asked for, several at once; one that cannot be fitted says so when it is asked for."""
        missing = [moment for moment in sorted(moments, reverse=True) if moment not in self._known]  # the largest first
        work = [delayed(self._try)(moment) for moment in missing]
        for done, _ in enumerate(side_by_side(work), start=1):
            self.progress(f"fit the candidates, {done} of {len(work)}")

    def _try(self, moment: pd.Timestamp) -> None:
        with suppress(EvergreenError):
            self.at(moment)


def _fit(world: World, split: Split, name: str, moment: pd.Timestamp) -> Candidate:
    """What a training at that moment makes, as `retraining` does it, and what its model says of all that comes later."""
    problem, features = world.problem, list(world.problem.features)
    _expect(world, world.at(moment).labelled)
    fitted = fit_candidate(problem, split.train, parameters={})
    tried = try_recipe(problem, split, fitted, sizes=())
    begin = later_than(world, split)
    moved = np.empty((0, 0))
    if problem.behaviour:
        changed = predicted_of(pd.DataFrame(answers(fitted.estimator, rows_to_react_to(problem, split.holdout))), problem.task)
        moved = np.stack([reaction.moved for reaction in reactions_of(problem, changed)])
    facts = {
        "promise": promise_of(fitted),
        "seeds": {str(seed): float(costs.mean()) for seed, costs in tried.seeds.items()},
        "seeds_se": apart_by_chance(tried, clusters(split.holdout, problem.gate.cluster)),
        "random_without_seed": tried.random_without_seed,
    }
    said = {name: _plain(values) for name, values in answers(fitted.estimator, world.rows.iloc[begin:][features]).items()}
    return Candidate(name, moment, begin, said, facts, moved)


def _expect(world: World, rows: pd.DataFrame) -> None:
    problem = world.problem
    columns = list(dict.fromkeys(name for name in (problem.key, problem.time, problem.target.name, *problem.features) if name))
    with _validating:
        report = validate(rows[columns], world.suite, name="training data", key=(problem.key,))
    if not report.passed:
        broken = "; ".join(check.sentence for check in report.failed)
        raise DataError(f"The training data are not what expectations/training_data.json expects: {broken}.")


def _plain(values: np.ndarray) -> np.ndarray:
    """An array that can be kept without pickle."""
    return np.asarray(values.tolist()) if values.dtype.kind == "O" else np.asarray(values)


def _write(folder: Path, made: Candidate) -> None:
    arrays = {f"{SAID}{name}": values for name, values in made.said.items()}
    arrays |= {MOVED: made.moved, BEGIN: np.array(made.begin), FACTS: np.array(json.dumps(made.facts))}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **(arrays | {SEAL: np.array(_seal(made.name, arrays))}))
    write_bytes(folder / f"{made.name}.npz", content.getvalue())


def _read(folder: Path, name: str, moment: pd.Timestamp) -> Candidate | None:
    """What was kept under a name; None where nothing was, or not what was written."""
    try:
        with np.load(io.BytesIO((folder / f"{name}.npz").read_bytes()), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        if str(arrays.pop(SEAL)) != _seal(name, arrays):
            return None
        said = {key.removeprefix(SAID): values for key, values in arrays.items() if key.startswith(SAID)}
        return Candidate(name, moment, int(arrays[BEGIN]), said, json.loads(str(arrays[FACTS])), arrays[MOVED])
    except BROKEN:
        return None


def _seal(name: str, arrays: dict[str, np.ndarray]) -> str:
    parts = [f"{key} {values.dtype.str} {values.shape}".encode() + values.tobytes() for key, values in sorted(arrays.items())]
    return digest_bytes(name.encode(), *parts)
