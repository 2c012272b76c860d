"""What is found of a delivery's health: how it differs from the deliveries that were accepted before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd

from evergreen import journal as tables
from evergreen.data.landing import active
from evergreen.files import digest_text
from evergreen.journal import Journal
from evergreen.policies import Source

State = Literal["ok", "warn", "fail", "unjudged"]


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

    def of(self, state: State) -> tuple[Finding, ...]:
        """The findings in that state."""
        return tuple(one for one in self.findings if one.state == state)

    @property
    def facts(self) -> dict[str, Any]:
        """Findings and profile as JSON has them."""
        return {"findings": [asdict(one) for one in self.findings], "profile": self.profile}


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


def accepted(journal: Journal, source: str, *, but: str = "") -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The journal's rows of the deliveries that count, as they were published, each with its profile; None where nobody made one.

    The one named `but` is left out: it is to be replaced.
    """
    found = {row["checkup"]: row["facts"]["profile"] for row in journal.rows(tables.checkups, source=source)}
    counting = [row for row in active(journal, source) if row["name"] != but]
    return [(row, found.get(name_of(source, row["name"], row["delivery"], row["after"])) or None) for row in counting]
