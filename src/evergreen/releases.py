"""What makes a version champion: the gate's PROMOTE, a person's release of a held one, a person's override of a refusal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evergreen.brakes import barred, refuse_removed
from evergreen.errors import FrozenError, ModelError, RefusedError, RevokedError, StoreError
from evergreen.files import digest_text
from evergreen.gate.evidence import ANCHOR
from evergreen.gate.finding import Outcome, Verdict
from evergreen.gate.sentences import NEVER_OVERRIDDEN
from evergreen.journal import Journal, decisions, promotions, refusals
from evergreen.moves import served_by, standing
from evergreen.overrides import Override
from evergreen.promotion import Word, promote, rollback
from evergreen.registry import Registry
from evergreen.revocations import Lost, learnt_by, lost_from, taken_back


def carry_out(registry: Registry, record: dict[str, Any]) -> None:
    """Do what a verdict says, once: promote, or nothing. What a person did later stays.

    It waits while promotions are frozen, and while a batch that it rests on is taken back.
    """
    number = record["candidate"]["version"]
    if rests_on(registry.journal, record):
        return
    if record["verdict"] != Verdict.PROMOTE or is_carried_out(registry.journal, number) or number in barred(registry.journal):
        return
    with suppress(FrozenError, RevokedError):
        promote(
            registry,
            number,
            Word("promotion", record["headline"], "gate"),
            expected_champion=record["champion"]["version"] if record["champion"] else None,
            rebase_anchor=record["rebase_anchor"],
        )


def is_carried_out(journal: Journal, version: int) -> bool:
    """Whether a version was promoted by the gate."""
    return bool(journal.rows(promotions, version=version, kind="promotion", state="done"))


def waiting(journal: Journal) -> dict[str, Any] | None:
    """The record of the newest PROMOTE, when it has not been carried out and still stands, and rests on nothing that was taken back."""
    record = standing_promote(journal)
    return None if record is None or rests_on(journal, record) else record


def rests_on(journal: Journal, record: dict[str, Any]) -> tuple[Lost, ...]:
    """The batches that a verdict rests on and that were taken back: what its version has learnt from, and what it was judged on."""
    if not taken_back(journal):
        return ()
    row = journal.last(decisions, decision=record["decision"])
    judged = lost_from(journal, row["snapshot"]) if row else ()
    return tuple(dict.fromkeys((*learnt_by(journal, record["candidate"]["version"]), *judged)))


def standing_promote(journal: Journal) -> dict[str, Any] | None:
    """The record of the newest PROMOTE, when it has not been carried out and still stands.

    It stands while the champion is the one it was made against, and its version has never been moved to: so none that is barred waits.
    """
    row = journal.last(decisions, verdict=Verdict.PROMOTE)
    if row is None or row["champion"] != standing(journal).champion:
        return None
    tried = [move for move in journal.rows(promotions, version=row["candidate"]) if move["state"] != "intent"]
    return None if tried else row["record"]


def release(registry: Registry, version: int, *, reason: str, person: str) -> None:
    """Promote a version that the gate holds, or that it judged PROMOTE and that does not serve (any more).

    Where the anchor could not predict, the version takes its place too: else every later candidate would be held.

    Raises
    ------
    RefusedError
        The gate refuses it or has not judged it, it is barred, it has learnt from a batch that was taken back, or promotions are frozen.
    """
    number, row = _judged(registry, version)
    if row["verdict"] == Verdict.REJECT:
        raise RefusedError(
            f"Version {number} was judged REJECT; one that was judged HOLD or PROMOTE can be released. See: evergreen history. "
            f"To have it serve against the gate, for a time: evergreen promote {number} --override --reason ... --expires 14d"
        )
    champion = standing(registry.journal).champion
    rebase = ANCHOR in row["record"].get("silent", {})
    promote(registry, number, Word("release", reason, person), expected_champion=champion, rebase_anchor=rebase)


def override(registry: Registry, version: int, *, reason: str, person: str, expires: datetime) -> Override:
    """Promote a version that the gate refuses, for a time. Said again of the version that serves so, it sets another end.

    Raises
    ------
    RefusedError
        The gate does not refuse it, it was not judged or not found sound in what nobody may overrule, it is barred, it serves
        already by another word, or promotions are frozen.
    """
    number, row = _judged(registry, version)
    if row["verdict"] != Verdict.REJECT:
        raise RefusedError(
            f"Version {number} was judged {row['verdict'].upper()}, which needs no override. "
            f"Release it with `evergreen promote {number} --reason ...`."
        )
    findings = row["record"]["findings"]
    for check in NEVER_OVERRIDDEN:
        _refuse_unsound(number, check, [finding["outcome"] for finding in findings if finding["check"] == check])
    against = tuple(dict.fromkeys(finding["check"] for finding in findings if finding["outcome"] != Outcome.PASS))
    word = Override(number, row["decision"], row["verdict"], against, reason, person, expires)
    champion = standing(registry.journal).champion
    promote(registry, number, Word("override", reason, person, word), expected_champion=champion)
    return word


def _judged(registry: Registry, version: int) -> tuple[int, dict[str, Any]]:
    """The version's number and the row of the newest decision on it."""
    number = registry.version(version).number
    refuse_removed(registry.journal, number)
    row = registry.journal.last(decisions, candidate=number)
    if row is None:
        raise RefusedError(
            f"Version {number} has not been judged; one that was judged HOLD or PROMOTE can be released. See: evergreen history"
        )
    return number, row


def _refuse_unsound(version: int, check: str, outcomes: list[str]) -> None:
    if outcomes and all(outcome == Outcome.PASS for outcome in outcomes):
        return
    got = f"says {', '.join(outcomes).upper()}" if outcomes else "was not judged"
    raise RefusedError(
        f"Version {version} cannot be overridden: its check {check} {got}; expected PASS, for without it nobody knows what would serve. "
        "Remove the cause and train again."
    )


@dataclass(frozen=True)
class Retreat:
    """A champion that a server has refused, and what serves instead."""

    version: int
    reason: str
    back_to: int | None
    """None where there is nothing to go back to."""
    hindrance: str = ""


def refuse_served(registry: Registry, version: int, reason: str, *, move: str) -> None:
    """Write down that the version which is champion by a move does not serve as it should, as a server does by itself."""
    registry.journal.add(refusals, refusal=digest_text("refusal", move), promotion=move, version=version, reason=reason)


def retreat(registry: Registry) -> Retreat | None:
    """Roll back from the champion when a server has refused it by the move that made it champion; None when none has.

    What serves over HTTP and what the journal says is one again then, and the version is barred until a person frees it.
    """
    move = served_by(registry.journal)
    refused = registry.journal.last(refusals, promotion=move) if move else None
    if refused is None:
        return None
    version, reason = refused["version"], refused["reason"]
    try:
        return Retreat(version, reason, rollback(registry, reason=f"a server refused it: {reason}", person="server", expected_move=move))
    except (RefusedError, ModelError, StoreError) as error:
        return Retreat(version, reason, None, str(error))
