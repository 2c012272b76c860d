"""What the journal says of the champion, and what it is told of one that was refused. Everything here may wait for a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.files import digest_text
from evergreen.journal import decisions, promotions, refusals
from evergreen.registry import Registry
from evergreen.serving.copies import Copies, Copy

OpenRegistry = Callable[[], Registry]


@dataclass(frozen=True)
class Champion:
    """The version, and the move that made it champion."""

    version: int
    promotion: str
    since: str
    decision: str


class Champions:
    """The journal and the registry, opened when they are first needed, and again while they cannot be."""

    def __init__(self, open_registry: OpenRegistry, copies: Copies) -> None:
        self._open, self._copies = open_registry, copies
        self._registry: Registry | None = None
        self._unwritten: list[dict[str, Any]] = []

    def now(self) -> Champion | None:
        """The champion of this moment; None before the first.

        Raises
        ------
        EvergreenError
            The journal cannot be used.
        """
        journal = self._opened().journal
        move = journal.last(promotions, state="done")
        if move is None or move["version"] is None:
            return None
        judged = journal.last(decisions, candidate=move["version"])
        return Champion(move["version"], move["promotion"], move["at"], judged["decision"] if judged else "")

    def now_if_known(self) -> Champion | None:
        """The same, None where the journal cannot be used."""
        try:
            return self.now()
        except EvergreenError:
            return None

    def fetch(self, wanted: Champion) -> Copy:
        """A copy of a version for this server, made where there is none.

        Raises
        ------
        EvergreenError
            It cannot be had, or is not what was registered.
        """
        return self._copies.make(self._opened(), wanted.version, since=wanted.since, decision=wanted.decision)

    def refuse(self, wanted: Champion, reason: str) -> None:
        """Note that a version is not served; `write_refusals` writes it down."""
        self._unwritten.append({"promotion": wanted.promotion, "version": wanted.version, "reason": reason})

    def write_refusals(self) -> None:
        """Write down what was noted and is not in the journal yet.

        Raises
        ------
        EvergreenError
            The journal cannot be used; what was noted stays noted.
        """
        while self._unwritten:
            row = self._unwritten[0]
            self._opened().journal.add(refusals, refusal=digest_text("refusal", row["promotion"]), **row)
            self._unwritten.pop(0)

    def was_refused(self, wanted: Champion) -> bool:
        """Whether a server has refused it before, by the same promotion."""
        return self._opened().journal.last(refusals, promotion=wanted.promotion) is not None

    def close(self) -> None:
        """Give the connections back."""
        if self._registry is not None:
            self._registry.journal.close()

    def _opened(self) -> Registry:
        if self._registry is None:
            self._registry = self._open()
        return self._registry
