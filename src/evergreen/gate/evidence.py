"""What the gate is shown: plain arrays over the same holdout rows, and what is known of where everything came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.policies import Task

CANDIDATE, CHAMPION, ANCHOR, DUMMY, RULE_OF_THUMB = "candidate", "champion", "anchor", "dummy", "rule of thumb"


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
    version: int | None = None
    training_rows: np.ndarray | None = None
    """Fingerprints (uint64, sorted) of the rows it was trained on; None for a policy that learns nothing from rows."""
    training_end: str | None = None
    """ISO time of the newest training row."""


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
    """By name: CANDIDATE, CHAMPION and ANCHOR (None at the first model: absent), DUMMY, RULE_OF_THUMB."""
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
    facts: dict[str, Any] = field(default_factory=dict)
    """What the record reports and no check judges: parameters, training window, what changed."""
