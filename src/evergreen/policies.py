"""The contract's parts: small frozen values, each a rule that a team sets once and everything else obeys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from evergreen.errors import ContractError

_CRON = {
    "minute": (0, 59, ""),
    "hour": (0, 23, ""),
    "day": (1, 31, ""),
    "month": (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    "weekday": (0, 7, "sun mon tue wed thu fri sat"),
}


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"each column once; listed twice: {', '.join(twice)}")
    return names


def _fewest_first(rows: tuple[int, int]) -> tuple[int, int]:
    if rows[0] > rows[1]:
        raise ValueError("the fewest rows, then the most")
    return rows


def _plain_cron(text: str) -> str:
    """Five fields of numbers (or names of months and weekdays), ranges, steps and lists of these, such as "*/15 6-20 * * mon-fri".

    Checked here, and no more than every scheduler understands, because the libraries that read cron are there only for Prefect's sake.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        raise ValueError(f'five fields of cron ({", ".join(_CRON)}) such as "30 3 * * *"; these are {len(fields)}')
    for field, (unit, (low, high, names)) in zip(fields, _CRON.items(), strict=True):
        numbers = field.lower()
        for number, name in enumerate(names.split(), start=low):
            numbers = re.sub(rf"\b{name}\b", str(number), numbers)
        for item in numbers.split(","):
            found = re.fullmatch(r"(?:\*|([0-9]+)-([0-9]+))(?:/[1-9][0-9]*)?|([0-9]+)", item)
            bounds = [int(number) for number in (found.groups() if found else ()) if number]
            if not found or bounds != sorted(bounds) or any(not low <= number <= high for number in bounds):
                raise ValueError(f"five fields of cron; {field!r} is no {unit} ({low} to {high}, such as * or {low} or {low}-{high}/2)")
    return text


Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Text = Annotated[str, Field(min_length=3)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Span = Annotated[timedelta, Field(ge=timedelta(0))]
ColumnNames = Annotated[tuple[str, ...], AfterValidator(_each_once)]
Columns = Annotated[ColumnNames, Field(min_length=1)]
Rows = Annotated[tuple[Annotated[int, Field(ge=0)], Count], AfterValidator(_fewest_first)]
Cron = Annotated[str, AfterValidator(_plain_cron)]


def explain(error: ValidationError, *, name: object = None) -> str:
    """Pydantic's findings as sentences: which field, what it got, what it expected; `name` tells one part from others of its kind."""
    lines = []
    for fault in error.errors():
        if fault["type"] == "default_factory_not_called":
            continue  # nobody's mistake: it follows another field, which is told
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "no such field; is it misspelt?"
        if not field:
            lines.extend(message.splitlines())
        elif fault["type"] == "missing":
            lines.append(f"{field}: is missing.")
        else:
            lines.append(f"{field}: got {fault['input']!r:.80}; expected: {message[:1].lower()}{message[1:]}.".replace("?.", "?"))
    part = error.title if name is None else f"the {error.title} {name!r:.80}"
    return f"The contract is wrong, in {part}:\n" + "\n".join(f"  - {line}" for line in lines)


class Part(BaseModel):
    """A part of a contract: typed strictly, frozen, and without room for a misspelt field."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        """Check the part.

        Raises
        ------
        ContractError
            Lists every field that is wrong: what it got, what it expected.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ContractError(explain(error, name=values.get("name", values.get("source")))) from None


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

    @property
    def alpha(self) -> float:
        """What one gate may spend."""
        return self.alpha_per_year / self.gates_per_year


class RetrainingPolicy(Part):
    """When to retrain, with which seed, and how many rolling-origin folds judge a recipe inside train."""

    cron: Cron = "30 3 * * *"
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    seed: int = 0
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
    """Size limit of a stored model; a larger one is not registered."""


Task = Literal["binary", "multiclass", "regression"]
