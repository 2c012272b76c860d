"""The contract's parts: small frozen values, each a rule that a team sets once and everything else obeys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from evergreen.parts import ColumnNames, Columns, Count, Cron, Name, NotNegative, Part, Positive, Rows, Seed, Share, Span, Text, Windows
from evergreen.watches import DecayPolicy, DriftPolicy, HealthPolicy


class BinaryCosts(Part):
    """What the two kinds of error cost, in the business's unit; a right decision costs nothing.

    `ratio_range` says how sure people are of `missed / false_alarm`: the gate averages the cost over that range,
    so that no verdict hangs on a ratio nobody knows exactly.
    """

    missed: Positive
    false_alarm: Positive
    ratio_range: tuple[Positive, Positive] | None = None

    @model_validator(mode="after")
    def _range_holds_the_ratio(self) -> BinaryCosts:
        low, high = self.ratio_range or (self.ratio, self.ratio)
        if not low <= self.ratio <= high:
            raise ValueError(f"ratio_range {low:g} to {high:g} must contain missed / false_alarm = {self.ratio:g}")
        return self

    @property
    def ratio(self) -> float:
        """How many false alarms one missed event is worth."""
        return self.missed / self.false_alarm

    @property
    def threshold(self) -> float:
        """The probability from which acting is cheaper than not acting (Elkan 2001, equation 2)."""
        return self.false_alarm / (self.false_alarm + self.missed)

    def at_ratio(self, ratio: float) -> BinaryCosts:
        """The same false alarm with another price of a miss."""
        return BinaryCosts(missed=self.false_alarm * ratio, false_alarm=self.false_alarm)

    def __call__(self, rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
        """Cost of each row, shape (n,)."""
        y, d = np.asarray(y_true, dtype=float), np.asarray(decision, dtype=float)
        return np.asarray(self.missed * y * (1 - d) + self.false_alarm * (1 - y) * d)


RowCost = Callable[[pd.DataFrame, np.ndarray, np.ndarray], np.ndarray]


class RuleOfThumb(Part):
    """What people do today without a model: a sentence, and the same as a function from rows to decisions."""

    sentence: Text
    decide: Callable[[pd.DataFrame], Any]


class Business(Part):
    """Why the model exists and what its errors cost. Every decision of the pipeline is reported in these terms."""

    question: Text
    decision: Text
    owner: Text
    unit: Annotated[str, Field(min_length=1)]
    row_cost: RowCost
    rule_of_thumb: RuleOfThumb
    good_enough: Share
    """The share of the rule of thumb's cost that the first model must save."""


class Source(Part):
    """One stream of deliveries: a folder in the landing area, a suite of expectations, a key."""

    name: Name
    suite: Name = Field(default_factory=lambda given: given["name"])
    """Its expectations, `expectations/<suite>.json`; sources may share one. The source's own name unless said otherwise."""
    key: Columns
    """Columns that name a row; no two rows of the source share them."""
    time: str | None = None
    """When the row became known (timezone-aware UTC); None for a reference table."""
    read: Callable[[Path], pd.DataFrame]
    """Reads one delivered file."""
    max_age: Span | None = None
    """Freshness: how old the newest row may be."""
    rows: Rows = (1, 100_000_000)
    """Volume: fewest and most rows of one delivery."""
    health: HealthPolicy = HealthPolicy()
    """How far a delivery may differ from those before it."""


class AsOfJoin(Part):
    """Adds the newest row of `source` that was known `offset` before the entity's own time."""

    source: Name
    on: Annotated[dict[str, str], Field(min_length=1)]
    """Column here -> column there."""
    offset: timedelta
    tolerance: Span
    take: Columns
    min_match: Share


class LookupJoin(Part):
    """Adds the one row of the reference table `source` that has the same key."""

    source: Name
    on: Annotated[dict[str, str], Field(min_length=1)]
    take: Columns
    min_match: Share


class Target(Part):
    """What is predicted: a function of one source's rows, known `label_delay` after the event."""

    name: Name
    meaning: Text
    source: Name
    label: Callable[[pd.DataFrame], Any]
    label_delay: Span
    settled_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Outcomes count up to the last row among whose neighbours of one day at least this share have one: a few early ones do not stand for
    a day. Lower it where some rows never get an outcome (reviews of a sample, say), to less than the share that has one on a usual day."""


class ForwardSplit(Part):
    """Train on the past, judge on the newest labelled days; for anything with a time."""

    holdout_days: Count = 30
    feature_lookback: Span = timedelta(0)
    """How far back a feature reaches; added to the label delay it makes the embargo between train and holdout."""
    min_train_days: Count = 30


class HashedSplit(Part):
    """Reserve a share of the groups, by salted hash, that no model ever trains on; for data without time."""

    group: str
    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    salt: str = "evergreen"


class GatePolicy(Part):
    """How sure the gate must be; see docs/gate.md for every rule."""

    cluster: str = "day"
    """Rows of one cluster are not independent: "day" (of the prediction time), "row" (independent), or a column."""
    alpha_per_year: Annotated[float, Field(gt=0, le=0.5)] = 0.10
    """Accepted chance of promoting a worse model, a year."""
    gates_per_year: Annotated[int, Field(ge=1, le=52)] = 12
    resume_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Part of a gate's alpha that is kept back for judging a held candidate again, with more outcomes."""
    alpha_first: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    margin_share: Annotated[float, Field(gt=0, le=0.2)] = 0.02
    """Non-inferiority margin as a share of the best trivial policy's cost."""
    margin: Positive | None = None
    """The margin as an amount a row, instead of a share."""
    ratios: Annotated[int, Field(ge=1, le=100)] = 12
    """Over how many cost ratios the measure is averaged."""
    min_rows: Count = 500
    min_events: Count = 50
    """Rows of each class in the holdout (classification)."""
    min_clusters: Annotated[int, Field(ge=2)] = 20
    max_feature_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.90
    max_feature_r2: Share = 0.95
    max_settled_share: Share = 0.98
    """A category (or a missing value) under which one outcome is surer than this knows the answer."""

    too_good_share: Share = 0.90
    """A model that saves more than this share of what doing without one costs is looked at by a person."""
    too_good_gain: Share = 0.33
    """So is one that saves more than this share of what the champion costs: honest retrains do not (docs/gate-measured.md)."""
    min_replayed: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """Rows (all that there were at training time, where these are fewer) that serving must answer as training did."""
    kept_share: Share = 0.5
    """How much of the saving that cross-validation promised must be there on the holdout."""
    evidence_alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Chance of error of each bound of the checks `generalization`, `calibration` and `shadow`, which the budget does not count."""
    costlier_ratio: Annotated[float, Field(ge=1)] = 1.5
    """A model that takes more than this many times the champion's latency, memory or size must be better, not just no worse."""
    min_slice_rows: Count = 200
    slice_alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Chance of refusing a candidate that harms no slice, over all slices together."""
    slice_doubt: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Chance of holding one for what a slice seems to lose, where it loses nothing, over all slices together."""
    slice_margins: Positive = 2.0
    """How many margins a slice may lose: it is smaller than the whole, and its cost less certain."""
    max_calibration_error: Share = 0.04
    calibration_slope: tuple[Positive, Positive] = (0.8, 1.25)
    max_calibration_loss: Share = 0.01
    """How much farther off than the champion's the probabilities may be."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 3
    """With how many seeds the recipe is tried on the same rows."""
    max_seed_spread: Positive = 0.5
    """How far their costs may lie apart, in margins."""
    max_outside_share: Share = 0.05
    """Share of the rows to be predicted that may lie outside what training has seen, in at least one feature."""
    range_slack: Share = 0.1
    """How far beyond the range of the training rows a number is still inside, as a share of the range's width."""
    max_missing_shift: Share = 0.2
    """How far a feature's share of missing values may be from that in the training rows, beyond chance, before these rows are outside."""

    @property
    def alpha(self) -> float:
        """What one gate may spend."""
        return self.alpha_per_year / self.gates_per_year


class RetrainingPolicy(Part):
    """When to retrain, with which seed, and how many rolling-origin folds judge a recipe inside train."""

    cron: Cron = "30 3 * * *"
    """The schedule, in UTC."""
    on: tuple[Literal["schedule", "data", "drift", "decay"], ...] = ("schedule", "data", "drift", "decay")
    """What may set a training going by itself; a person always may."""
    cooldown: Span = timedelta(minutes=10)
    """How long after a training began by itself the next may."""
    per_day: Count = 8
    """How many trainings may begin by themselves within 24 hours."""
    debounce: Windows = (2, 3)
    """Drift and decay count when seen in so many of the last so many windows, and in the newest."""
    drift: DriftPolicy = DriftPolicy()
    decay: DecayPolicy = DecayPolicy()
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    seed: Seed = 0
    tuning_iterations: Count = 8


class ServingPolicy(Part):
    """How predictions leave: in which groups of rows, and what a published row carries beside the prediction."""

    chunk_rows: Count = 50_000
    carry: ColumnNames = ()


class CostPolicy(Part):
    """What production can afford."""

    max_predict_seconds: Positive = 600.0
    """Time limit of one batch prediction."""
    max_model_megabytes: Positive = 200.0
    """Size limit of a stored model; one of more than ten times this is not even registered."""
    max_one_row_milliseconds: Positive = 250.0
    """For one row, by wall clock: the 99th percentile of the first answers to 40 rows, so all but the slowest."""
    min_rows_per_second: Positive = 1_000.0
    """Speed of a batch prediction."""
    max_memory_megabytes: Positive = 2_000.0
    """What loading and predicting take on top of an empty process."""
    max_load_seconds: Positive = 30.0


# fmt: off
AlertKind = Literal["quarantine", "stray", "late", "missing", "verdict", "budget", "silence", "failure", "drift", "decay", "refusal",
                    "health", "revoked", "bias", "estimate", "features"]
# fmt: on


class AlertPolicy(Part):
    """What people are told of without asking, and how often."""

    on: tuple[AlertKind, ...] = get_args(AlertKind)
    cooldown: Span = timedelta(days=1)
    """How long the same cause is not told again."""


class Perturbation(Part):
    """A made-up change of rows, and what it may do to the answers: nothing, or move them one way only.

    The answer is the probability of 1 (binary), the value (regression), or the probabilities of all classes (multiclass, "same" only).
    """

    name: Text
    """The claim, as people say it: "Thicker fog makes no flight more punctual"."""
    change: Callable[[pd.DataFrame], pd.DataFrame]
    """From rows of features to the same rows, changed; it returns a new frame."""
    expect: Literal["same", "up", "down"]
    tolerance: NotNegative = 0.01
    """How far an answer may move the wrong way."""
    min_share: Share = 0.95
    """Share of rows that must keep the claim."""


Task = Literal["binary", "multiclass", "regression"]
