"""What of a serving model is watched: whether rows change (drift), decisions come to cost more (decay), and how good they are."""

from __future__ import annotations

from typing import Annotated

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
