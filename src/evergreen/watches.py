"""What is watched: deliveries (health), and of a serving model its rows (drift), its decisions' cost (decay) and how good they are."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from evergreen.parts import Count, NotNegative, Part, Share

Chance = Annotated[float, Field(gt=0, le=0.5)]


class DriftPolicy(Part):
    """When features or predictions have moved away from what the champion was trained on."""

    days: Count = 30
    """Length of a window, in days of data time."""
    windows: Count = 13
    """With how many windows of its training rows, the newest ones, the champion's newest rows are compared: 13 of 30 days are a year."""
    min_rows: Count = 500
    """Of fewer rows with a value, on either side, nothing is said."""
    min_psi: NotNegative = 0.2
    """Population stability index from which on a feature may have drifted."""
    min_distance: Share = 0.1
    """Likewise the distance: the share of rows by which the two windows differ, 0 (alike) to 1 (nothing in common)."""
    times_usual: NotNegative = 1.0
    """How many times farther apart than ever two neighbouring windows of the training a feature must be; 0 looks at the two floors only."""
    false_discoveries: Chance = 0.05
    """Expected share of false ones among the features that differ by more than chance."""
    min_features: Count = 1
    """How many must have drifted."""


class DecayPolicy(Part):
    """When the champion's realized cost lies above what it was promoted with."""

    days: Count = 30
    """Length of the window, in days of data time."""
    min_rows: Count = 500
    """Of fewer rows that the champion predicted, and whose outcome is known, nothing is said."""
    min_clusters: Annotated[int, Field(ge=2)] = 20
    """Likewise of fewer clusters (see `GatePolicy.cluster`)."""
    margin_share: Share = 0.1
    """By which share of what a row cost on the holdout it must surely cost more."""
    alpha: Chance = 0.05
    """Chance of taking luck for decay, in one window."""


Pillar = Literal["schema", "volume", "distribution", "duplicates"]


class HealthPolicy(Part):
    """How far a delivery of a source may differ from those that were accepted before it."""

    refuse: tuple[Pillar, ...] = get_args(Pillar)
    """What refuses a delivery; the others only warn."""
    history: Annotated[int, Field(ge=2)] = 4
    """So many accepted deliveries must tell how far apart two of them usually are, before a distribution can refuse one."""
    history_days: Count = 14
    """Likewise so many days must lie between the first and the last of them: the deliveries of a week know no weekend."""
    compared: Annotated[int, Field(ge=3)] = 400
    """With so many deliveries one is compared, the newest that were accepted: two weeks of hourly ones, a year of daily ones."""
    min_rows: Count = 200
    """Of fewer values on either side nothing is said."""
    min_psi: NotNegative = 0.25
    """Population stability index, against the last accepted delivery, from which on a column may have moved."""
    min_distance: Share = 0.12
    """Likewise the distance: the share of rows by which two deliveries differ, 0 (alike) to 1 (nothing in common)."""
    times_usual: Annotated[float, Field(ge=1)] = 1.5
    """How many times farther apart than ever two accepted deliveries in turn it must be to be refused; from half way there it warns."""
    max_unseen: Share = 0.05
    """Share of rows in categories that no accepted delivery had."""
    max_repeated: Share = 0.1
    """Share of rows whose key an earlier delivery has brought under another name; more are told, and refuse nothing."""
    day_range: tuple[Share, Annotated[float, Field(gt=1)]] = (0.5, 2.0)
    """Rows of a day, as a share of the same weekday's median: fewest and most."""
    days: Count = 2
    """So many days outside that range refuse a delivery, or one without any row; a single one warns."""
    stuck_rows: Count = 24
    """A number that stands still for so many rows in time may be stuck..."""
    stuck_times: Annotated[float, Field(gt=1)] = 3.0
    """...where it is so many times longer than ever before."""


class PerformancePolicy(Part):
    """How predictions in service are measured, and from when on people are told of it."""

    days: Count = 30
    """Of the newest days with outcomes, in data time: probabilities are calibrated on them, and older versions are asked about them."""
    windows: Count = 24
    """The newest windows are measured, whose outcomes may still come or be corrected; earlier ones stay as they were measured last."""
    min_rows: Annotated[int, Field(ge=2)] = 200
    """Fewer rows are not judged, as a whole or in a slice."""
    min_clusters: Annotated[int, Field(ge=2)] = 10
    """Likewise fewer clusters (see `GatePolicy.cluster`)."""
    alpha: Chance = 0.05
    """Chance of error of each bound of an interval."""
    versions: Count = 6
    """At most so many versions, the newest ones that are still stored, are asked about the newest outcomes to see how they grow old."""
    max_bias: Share = 0.5
    """How far the mean prediction may surely lie from what was observed, as a share of the rarer outcome's (binary) or of the standard
    deviation (regression)."""
    served_rows: Count = 10_000
    """So many predictions over HTTP, the newest ones, have their features computed anew from the data."""
    max_features_share: Share = 0.05
    """Share of them that may surely differ in some feature."""
