"""What of a serving model is watched: whether the rows change (drift), and whether its decisions come to cost more (decay)."""

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
