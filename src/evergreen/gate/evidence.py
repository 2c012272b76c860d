"""What the gate is shown: plain arrays over the same holdout rows, and what is known of where everything came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.policies import CostPolicy, Perturbation, Task

CANDIDATE, CHAMPION, ANCHOR, DUMMY, RULE_OF_THUMB = "candidate", "champion", "anchor", "dummy", "rule of thumb"


@dataclass(frozen=True)
class Footprint:
    """What predicting with a model takes, measured in a process that does nothing else."""

    one_row_seconds: np.ndarray
    """Time (wall clock) of the first answer to each of many rows, asked one by one, shape (calls,)."""
    processor_seconds: float
    """Processor time of the cheapest of these answers: no waiting for a busy machine."""
    rows_per_second: float
    """Speed of a batch."""
    memory_megabytes: float
    """What loading and predicting added to the process."""
    load_seconds: float
    megabytes: float
    """Size of the stored model."""
    family: str
    """The kind of model: the class of the last step, such as "HistGradientBoostingClassifier"."""


@dataclass(frozen=True)
class Contender:
    """A model or a policy, judged on the holdout rows in the evidence's order.

    `measure`, `cost`, `decision` have shape (n,); `probability` has (n,) for binary tasks, (n, classes) for multiclass, None otherwise.
    """

    name: str
    measure: np.ndarray
    """Cost of each row averaged over the contract's cost ratios: what the tests compare."""
    cost: np.ndarray
    """Cost of each row at the contract's central costs: what is reported as money."""
    decision: np.ndarray
    probability: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    """What the columns of `probability` stand for (multiclass), as text: a model knows the classes of its own training rows only."""
    version: int | None = None
    training_rows: np.ndarray | None = None
    """Fingerprints (uint64, sorted) of the rows it was trained on; None for a policy that learns nothing from rows."""
    training_end: str | None = None
    """ISO time of the newest training row."""
    footprint: Footprint | None = None
    """None for a policy, and for a model that was not measured."""


@dataclass(frozen=True)
class Replay:
    """Rows that the candidate predicted again along the serving path, against what it had said before."""

    how: str
    """Such as "in a process of its own" or "one by one"."""
    rows: int
    differing: int
    """Rows whose answer is another one, by more than 1e-9 (relative, for large values)."""
    farthest: float
    """The largest difference."""
    infinite: int
    """Rows whose answer is missing or infinite."""


@dataclass(frozen=True)
class Promise:
    """What cross-validation inside the training rows said that the recipe saves a row against the best trivial policy."""

    saving: float
    se: float
    """Cluster-robust standard error of `saving`."""
    clusters: int
    rows: int


@dataclass(frozen=True)
class Reaction:
    """What one of the contract's perturbations did to the candidate's answers."""

    claim: Perturbation
    moved: np.ndarray
    """Answer after less answer before, shape (m,); for several classes the largest change of a probability."""


@dataclass(frozen=True)
class Support:
    """Rows that are to be predicted, against the categories and ranges of the training rows."""

    rows: int
    outside: int
    """Rows with at least one feature outside."""
    features: dict[str, int]
    """Rows outside by feature, where there are any."""
    champion_outside: int | None = None
    """Rows with a feature outside of what the champion was trained on; None without a champion."""
    separable: float | None = None
    """ROC AUC of a classifier that tells training rows from these; seasons alone make it high, so no rule looks at it."""


@dataclass(frozen=True)
class SideBySide:
    """What two models said of the same things while one of them served; each thing counts once, by its last prediction before its outcome.

    All arrays have one entry for each thing.
    """

    shadow: Contender
    """The one that answered nobody."""
    served: Contender
    """What was answered."""
    cluster: np.ndarray


@dataclass(frozen=True)
class Shadowed:
    """What became of the candidate in shadow."""

    scored: int
    """Served predictions that it had an answer to."""
    failed: int
    """Those at which the model itself failed."""
    fault: str
    """Why, the last time."""
    most_faults: float
    """The share of failures that a version which serves may have."""
    served: dict[int, int]
    """How many of `scored` each version had served."""
    things: SideBySide
    """Those that the present champion served and whose outcome is known since; none without a champion."""
    lacking: int = 0
    """Served predictions that it could not be asked about, because the log has not all features that it wants."""
    lacks: tuple[str, ...] = ()
    """Names of these features."""


@dataclass(frozen=True)
class DataVerdict:
    """What the expectations said of one delivery or of the training frame."""

    name: str
    passed: bool
    failed: tuple[str, ...] = ()
    """The critical expectations that failed, in words."""


@dataclass(frozen=True)
class Evidence:
    """Everything one verdict rests on. `rows`, `y`, `cluster`, `features` and each slice have one entry for each holdout row."""

    task: Task
    rows: np.ndarray
    """Fingerprints (uint64) of the holdout rows."""
    y: np.ndarray
    cluster: np.ndarray
    features: pd.DataFrame
    """What the models were given."""
    slices: pd.DataFrame
    contenders: dict[str, Contender]
    """By name: CANDIDATE, CHAMPION and ANCHOR (absent at the first model, and when one of the two is silent), DUMMY, RULE_OF_THUMB."""
    trivial: dict[str, Contender]
    """Constant decisions, such as "always 1"; the cheapest of them is the best trivial policy."""
    holdout_start: str | None
    """ISO time of the oldest holdout row; None for data without time."""
    holdout_end: str | None
    embargo_seconds: float
    good_enough: float
    """Share of the rule of thumb's cost that a first model must save."""
    margin: float | None
    """Non-inferiority margin in cost per row, fixed when the champion was decided; None at the first model."""
    data: tuple[DataVerdict, ...]
    provenance: dict[str, str]
    """Digests as recorded with the version: snapshot, contract, code, lock, artefact."""
    provenance_now: dict[str, str]
    """The same, computed again from what is stored."""
    late_features: tuple[str, ...] = ()
    """Features with values observed after the prediction time; hygiene refuses them."""
    is_restated: bool = False
    """Whether the contract is another one than when the margin was fixed, and with it perhaps what a wrong answer costs."""
    is_overruled: bool = False
    """Whether the champion serves against the gate's word, so that being as good as it shows nothing."""
    limits: CostPolicy = field(default_factory=CostPolicy)
    """What production can afford."""
    replays: tuple[Replay, ...] = ()
    """On golden rows, which are fixed at training time; the first one compares with what was predicted then."""
    replayable: int = 1_000
    """Of how many rows the golden ones could be taken at training time: all of training and holdout."""
    promise: Promise | None = None
    seeds: dict[int, float] | None = None
    """Mean measure on the holdout by seed, the candidate's own first; one entry where nothing in the recipe depends on one."""
    seeds_se: float = 0.0
    """The largest cluster-robust standard error of a difference between two of them: rows that are few make equal models differ."""
    random_without_seed: bool = False
    """The recipe costs otherwise when it is fitted again, and takes no seed."""
    reactions: tuple[Reaction, ...] = ()
    """One for each of the contract's perturbations."""
    support: Support | None = None
    shadow: Shadowed | None = None
    """None where it never was in shadow."""
    silent: dict[str, str] = field(default_factory=dict)
    """What keeps champion and anchor from predicting these rows, in words, by name; nobody is compared with them then."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the record reports and no check judges: parameters, training window, what changed."""
