"""Where a version stands, in words: whether it serves, may serve, or may not, and by whose word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evergreen import journal as tables
from evergreen.brakes import barred, removed
from evergreen.journal import Journal
from evergreen.moves import standing
from evergreen.overrides import in_force, used
from evergreen.report.words import sentence
from evergreen.revocations import in_words, learnt_by
from evergreen.shadows import wanted

JUDGED = {
    "promote": ("good", "promoted", "The gate found it fit to serve."),
    "hold": ("hold", "held", "The gate holds it: there is too little evidence, or something for a person to decide."),
    "reject": ("bad", "refused", "The gate refuses it."),
}


def statuses(journal: Journal, version: int, records: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What is to be said of a version's standing, what matters most first: `tone` (good, hold, bad, plain), `word` and `sentence`."""
    told = [*_standing(journal, version), *_against(journal, version), *_judged(journal, version, records)]
    return [{"tone": tone, "word": word, "sentence": words} for tone, word, words in told]


def _standing(journal: Journal, version: int) -> Iterator[tuple[str, str, str]]:
    """Its place among those that serve."""
    now, shadow = standing(journal), wanted(journal)
    if version == now.champion:
        held = in_force(journal, version)
        yield ("hold", "champion, overruled", held.sentence) if held else ("good", "champion", "It serves.")
    if version == now.previous:
        yield "plain", "previous", "A rollback goes back to it."
    if version == now.anchor and version != now.champion:
        yield "plain", "anchor", "The best champion so far: candidates are held against it too."
    if shadow and shadow.version == version:
        yield "plain", "in shadow", "It is asked what the champion is asked, and its answers are given to nobody."


def _against(journal: Journal, version: int) -> Iterator[tuple[str, str, str]]:
    """What speaks against it, or keeps it from serving."""
    if version in barred(journal):
        row = journal.rows(tables.bars, version=version)[-1]
        yield "bad", "barred", f"It was rolled back from on {row['at']:.10} by {row['person']}: {sentence(row['reason'])}"
    if lost := learnt_by(journal, version):
        yield "bad", "taken back", f"It has learnt from {sentence(in_words(lost))}"
    if day := removed(journal).get(version):
        yield "plain", "removed", f"A clean-up has removed its model on {day}; what is told here is all that is left of it."


def _judged(journal: Journal, version: int, records: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """What the gate said last, and who overruled it."""
    if not records:
        yield "plain", "not judged", "The gate has not judged it yet."
        return
    yield JUDGED[str(records[-1]["verdict"]).lower()]
    overruled = used(journal)
    words = [overruled[record["decision"]] for record in records if record["decision"] in overruled]
    if words and standing(journal).champion != version:
        row = words[-1]
        yield "hold", "was overruled", f"{row['person']} let it serve against the gate on {row['at']:.10}: {sentence(row['reason'])}"
