"""Alerts: what happened, who is affected, the one command to run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.contract import Problem
from evergreen.errors import ContractError, without_passwords
from evergreen.files import digest_text
from evergreen.quoting import in_words, quoted, revealed, shortened
from evergreen.triggers import LOOK

LONGEST = 400
RESOLVED = "resolved"
"""Kind of the word that what people were told of holds no longer."""
GOOD_NEWS = "Resolved"
"""How every text of that kind begins."""
FETCH = "fetch"
"""Name of a run that brings deliveries, in what is told of it."""
NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")


@dataclass(frozen=True)
class Alert:
    """Something that a person should know of."""

    kind: str
    """One of `policies.AlertKind`, or RESOLVED."""
    cause: str
    """Digest of what it is about: the same cause is not told twice within a cooldown."""
    problem: str
    what: str
    """What happened, in whole sentences."""
    affected: str
    """Whose decisions suffer."""
    command: str
    """The one command to run."""

    @property
    def text(self) -> str:
        """All of it in words; values of the data are quoted."""
        if self.kind == RESOLVED:
            return self.what
        return f"{self.what} Affected: {self.affected}. Run: {self.command}"


@dataclass(frozen=True)
class Holding:
    """What holds at a moment, of the kinds that the contract wants to be told."""

    alerts: list[Alert]
    """Each cause, whether it was told before or not."""
    unsure: frozenset[str]
    """Kinds of which more may hold, and single causes that may: what they rest on is not known or not judged now, so it is not over."""


def is_of_a_look(row: dict[str, Any]) -> bool:
    """Whether a row of the journal's table tells of a look that failed, rather than of a round."""
    return _is_of(row, LOOK)


def is_of_a_fetch(row: dict[str, Any]) -> bool:
    """Whether a row of the journal's table tells that deliveries could not be fetched."""
    return _is_of(row, FETCH)


def _is_of(row: dict[str, Any], name: str) -> bool:
    return str(row["text"]).startswith(f"The run {name} ")


def alert(problem: Problem, kind: str, *names: str, what: str, command: str) -> Alert:
    """An alert of a problem; `names` tell its cause from others of its kind."""
    owner = problem.business.owner.rstrip(".")
    return Alert(kind, cause_of(kind, *names), problem.name, what, owner, command)


def cause_of(kind: str, *names: str) -> str:
    """The cause of an alert of a kind that tells of these."""
    return digest_text("alert", kind, *names)


def as_told(problem: Problem, row: dict[str, Any]) -> Alert:
    """The alert that a row of the journal's table tells of."""
    what, _, rest = str(row["text"]).rpartition(" Affected: ")
    affected, _, command = rest.rpartition(". Run: ")
    return Alert(row["kind"], row["cause"], problem.name, what, affected, command)


def resolved(problem: Problem, row: dict[str, Any]) -> Alert:
    """The word that what a row of the journal's table tells of holds no longer; nobody has to do anything."""
    told = as_told(problem, row)
    since = datetime.fromisoformat(row["at"])
    what = f"{GOOD_NEWS}. What was told on {since:%Y-%m-%d %H:%M} UTC holds no longer: {told.what}"
    return Alert(RESOLVED, row["cause"], problem.name, what, told.affected, "")


def run_failed(problem: Problem, name: str, error: BaseException) -> Alert:
    """The alert of a run that ended with an error; failures that differ in numbers and digests only have the same cause."""
    command = f"evergreen {name if name == FETCH else 'run'}"
    said, kind = without_passwords(in_words(error)) if str(error).strip() else "without a word", type(error).__name__
    what = f"The run {name} failed: {kind}: {_ended(shortened(said, LONGEST))}"
    return alert(problem, "failure", name, kind, NUMBERS.sub("#", revealed(said)), what=what, command=command)


def run_died(problem: Problem, name: str, message: str) -> Alert:
    """The alert of a run whose process ended without a word of its own, however often it happens within a cooldown."""
    short = shortened(quoted(message), LONGEST) if message else "nobody knows why"
    what = f"The run {name} died: {_ended(short)} A later round goes on from where it was."
    return alert(problem, "failure", "died", what=what, command="evergreen run")


def contract_broken(place: str, error: ContractError) -> Alert:
    """The alert of a contract that cannot be read: nobody knows then what the problem is called, nor whom it concerns."""
    said = in_words(error)
    what = f"No round can be gone: {shortened(said, LONGEST)}"
    cause = digest_text("alert", "contract", NUMBERS.sub("#", said))
    return Alert("failure", cause, place, what, "everybody who waits for a prediction", "evergreen contract check")


def _ended(text: str) -> str:
    """The text with a full stop, unless it ends a sentence as it is shown."""
    return text if revealed(text).endswith((".", "…")) else f"{text}."
