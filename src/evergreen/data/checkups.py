"""What is found of a delivery's health: how it differs from the deliveries that were accepted before it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evergreen.files import digest_text, write_json
from evergreen.policies import Source

State = Literal["ok", "warn", "fail", "unjudged"]
UNLIKE = "is not like those that were accepted before"
"""So begins the reason of a delivery that is refused for its health alone."""
UNWELL = {"warn", "fail"}


@dataclass(frozen=True)
class Finding:
    """What one rule says of one delivery, or of one of its columns."""

    pillar: str
    """freshness, volume, schema, distribution, duplicates or joins; "check" where the check itself failed."""
    rule: str
    state: State
    sentence: str
    column: str = ""
    value: float | None = None
    """What was found, by the rule's own measure."""
    threshold: float | None = None
    """From where on it fails."""
    usual: float | None = None
    """The largest value among what was accepted before."""


@dataclass(frozen=True)
class Checkup:
    """All that was found, and the delivery's profile: what later ones are compared with."""

    findings: tuple[Finding, ...] = ()
    profile: dict[str, Any] = field(default_factory=dict, repr=False)
    last: dict[str, Any] = field(default_factory=dict, repr=False)
    """The profile of the last delivery that was accepted; empty where there is none."""
    maker: str = ""
    """Names what made the profile."""

    def of(self, state: State) -> tuple[Finding, ...]:
        """The findings in that state."""
        return tuple(one for one in self.findings if one.state == state)

    @property
    def facts(self) -> dict[str, Any]:
        """What the journal keeps: all that is not well, and of each pillar the first that is; numbers that JSON lacks are left out."""
        first = {one.pillar: one for one in reversed(self.findings) if one.state not in UNWELL}
        kept = [one for one in self.findings if one.state in UNWELL or first[one.pillar] is one]
        return {"findings": [{name: _plain(value) for name, value in asdict(one).items()} for one in kept]}


NOTHING = Checkup()
"""Nobody has looked."""
CheckUp = Callable[[Source, str, pd.DataFrame], Checkup]
"""Holds a delivery of a source, by its file's name, against those that were accepted before."""


def nothing_checked(source: Source, name: str, frame: pd.DataFrame) -> Checkup:
    """The check-up of somebody who has none."""
    del source, name, frame
    return NOTHING


def name_of(source: str, name: str, delivery: str, after: int) -> str:
    """What the journal calls the check-up of a delivery; `after` as in its own row."""
    return digest_text("delivery", source, name, delivery, str(after))


def row_of(checkup: Checkup, row: dict[str, Any]) -> dict[str, Any]:
    """The journal's row about a row of `journal.deliveries`."""
    source, name, delivery = (row[each] for each in ("source", "name", "delivery"))
    key = name_of(source, name, delivery, row["after"])
    return {"checkup": key, "source": source, "name": name, "delivery": delivery, "facts": checkup.facts}


def keep_profile(root: Path, source: str, batch: str, checkup: Checkup) -> None:
    """Keep the profile of a batch beside the store; it can be made anew at any time."""
    if checkup.profile:
        write_json(profile_path(root, source, batch), {"maker": checkup.maker, "profile": checkup.profile})


def kept_profile(root: Path, source: str, batch: str, *, maker: str) -> dict[str, Any] | None:
    """The profile of a batch; None where there is none by this maker, or none that can be read."""
    try:
        kept = json.loads(profile_path(root, source, batch).read_bytes())
        return dict(kept["profile"]) if kept["maker"] == maker else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def profile_path(root: Path, source: str, batch: str) -> Path:
    """Where the profile of a batch is kept."""
    return root / "profiles" / source / f"{batch}.json"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
