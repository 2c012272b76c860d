"""What of a serving model is watched: whether the rows change (drift), and whether its decisions come to cost more (decay)."""

from __future__ import annotations

from evergreen.parts import Part


class DriftPolicy(Part):
    """When features or predictions have moved away from what the champion was trained on."""


class DecayPolicy(Part):
    """When the champion's realized cost lies above what it was promoted with."""
