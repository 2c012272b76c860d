"""Batches that a person has taken back: which, by whom and why, and what has learnt from them. The journal alone answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.brakes import one_move_at_a_time
from evergreen.errors import RefusedError, RevokedError
from evergreen.journal import Journal, deliveries, revocations, snapshots, versions

SHORT = 12
"""So many signs of a digest are shown."""
SHORTEST = 6
"""So many of its first signs name a batch, where they name no other."""
NEAREST = 5


@dataclass(frozen=True)
class Revocation:
    """A person's word that a batch does not count."""

    batch: str
    person: str
    reason: str
    day: str

    @property
    def sentence(self) -> str:
        """Completes "the batch ..."."""
        return f"was taken back by {self.person} on {self.day}: {self.reason}"


@dataclass(frozen=True)
class Lost:
    """A batch in a snapshot that was taken back."""

    source: str
    word: Revocation

    @property
    def sentence(self) -> str:
        """All of it in words, as the first or the middle of a sentence."""
        return f"batch {self.word.batch[:SHORT]} of {self.source}, which {self.word.sentence.rstrip('.')}"


def taken_back(journal: Journal) -> dict[str, Revocation]:
    """The batches that do not count because a person has taken them back, by their digest."""
    last = {row["batch"]: row for row in journal.rows(revocations)}
    return {batch: _word(row) for batch, row in last.items() if row["revoked"]}


def given(journal: Journal) -> set[str]:
    """Batches that were given back; and deliveries that a person accepts, however unlike the earlier ones they are, by their sha256."""
    last = {row["batch"]: row["revoked"] for row in journal.rows(revocations)}
    return {name for name, is_revoked in last.items() if not is_revoked}


def marked(journal: Journal) -> set[str]:
    """Every batch that was ever taken back, given back or not."""
    return {row["batch"] for row in journal.rows(revocations)}


def published_batch(journal: Journal, text: str) -> dict[str, Any]:
    """The journal's newest row of the published batch that a digest, or the beginning of one, names.

    Raises
    ------
    RefusedError
        It names none, or several: says which there are.
    """
    rows = {row["batch"]: row for row in journal.rows(deliveries, outcome="published")}
    found = [batch for batch in rows if len(text) >= SHORTEST and batch.startswith(text.lower())]
    if len(found) == 1:
        return rows[found[0]]
    from difflib import get_close_matches

    if not found:
        near = get_close_matches(text.lower()[:SHORT], [batch[:SHORT] for batch in rows], n=NEAREST, cutoff=0.5)
        found = [batch for batch in rows if batch[:SHORT] in near] or list(rows)[-NEAREST:]
    several = len(found) > 1 and found[0].startswith(text.lower()) and len(text) >= SHORTEST
    what = "names several batches" if several else "names no published batch"
    known = "; ".join(f"{batch[:SHORT]} ({rows[batch]['source']}/{rows[batch]['name']})" for batch in found[:NEAREST])
    told = f"{'They are' if several else 'Some are'} {known}." if known else "Nothing has been published yet."
    raise RefusedError(
        f"Got {text!r}, which {what}; expected {SHORTEST} or more of the first signs of its digest. {told} All: evergreen batch list"
    )


def revoke(journal: Journal, batch: str, *, root: Path, words: dict[str, str], seconds: float = 60.0) -> bool:
    """Take a batch back (`words`: reason and person); False, and nothing recorded, when it has been already.

    A move of the champion that is under way ends first.

    Raises
    ------
    BusyError
        It does not end; nothing was recorded.
    """
    with one_move_at_a_time(journal, root, seconds=seconds):
        return _switch(journal, batch, on=True, words=words)


def restore(journal: Journal, batch: str, *, root: Path, words: dict[str, str], seconds: float = 60.0) -> bool:
    """Give a batch back; False, and nothing recorded, when it was not taken back."""
    with one_move_at_a_time(journal, root, seconds=seconds):
        return _switch(journal, batch, on=False, words=words)


def lost_from(journal: Journal, snapshot: str) -> tuple[Lost, ...]:
    """The batches of a snapshot that were taken back."""
    gone = taken_back(journal)
    kept = journal.last(snapshots, snapshot=snapshot) if gone else None
    return tuple(Lost(source, gone[one]) for source, batches in (kept["batches"] if kept else {}).items() for one in batches if one in gone)


def learnt_by(journal: Journal, version: int | None) -> tuple[Lost, ...]:
    """The batches that a version has learnt from and that were taken back."""
    row = journal.last(versions, version=version) if version is not None and taken_back(journal) else None
    return lost_from(journal, row["snapshot"]) if row else ()


def in_words(lost: tuple[Lost, ...]) -> str:
    """Those batches in words; of many the first."""
    more = f"; and {len(lost) - 2} more" if len(lost) > 2 else ""  # noqa: PLR2004 (two say enough)
    return "; ".join(one.sentence for one in lost[:2]) + more


def refuse_spoilt(journal: Journal, version: int) -> None:
    """Refuse to promote a version that has learnt from a batch which was taken back.

    Raises
    ------
    RevokedError
        It has; says from which, and what to do.
    """
    if lost := learnt_by(journal, version):
        raise RevokedError(
            f"Version {version} is not promoted: it has learnt from {in_words(lost)}. Train one that has not: evergreen run. If the "
            f"batch is right after all, give it back: evergreen batch restore {lost[0].word.batch[:SHORT]} --reason ..."
        )


def _switch(journal: Journal, batch: str, *, on: bool, words: dict[str, str]) -> bool:
    last = journal.last(revocations, batch=batch)
    if bool(last and last["revoked"]) is on:
        return False
    # The number of the row before makes the name: of two processes that saw the same state one records it.
    return journal.add(revocations, batch=batch, revoked=on, after=last["seq"] if last else 0, **words)


def _word(row: dict[str, Any]) -> Revocation:
    return Revocation(row["batch"], row["person"], row["reason"], row["at"][:10])
