"""How things stand, gathered from the journal and the store for the command line and the overview page."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from evergreen import journal as tables
from evergreen import shadows
from evergreen.brakes import frozen
from evergreen.data.checkups import Finding
from evergreen.data.landing import Delivery, Found, Known, find, known, quarantined, unjudged, why_empty
from evergreen.data.snapshots import Frame, frame_of, published_now, snapshot_of
from evergreen.errors import ContractError, DataError, JoinError, RefusedError
from evergreen.files import digest_text
from evergreen.journal import log, mirror
from evergreen.monitoring.comparison import Comparison, in_shadow
from evergreen.monitoring.freshness import Freshness, of_sources
from evergreen.monitoring.online import Served, realized_online
from evergreen.monitoring.performance import realized
from evergreen.monitoring.pillars import UNFIT, look, why_apart
from evergreen.moves import standing
from evergreen.overrides import in_force
from evergreen.promotion import expired, way_back
from evergreen.releases import rests_on, standing_promote, waiting
from evergreen.report.shadow import account_sentences
from evergreen.report.words import sentence
from evergreen.retraining import inputs_digest
from evergreen.revocations import in_words, learnt_by
from evergreen.validation import rules_of
from evergreen.workspace import Workspace


def look_at_landing(space: Workspace) -> tuple[Found, list[Delivery]]:
    """What lies in the landing folders, and which of it waits to be judged; answered from the journal without reading the files.

    Raises
    ------
    DataError
        There is no landing folder.
    """
    found = find(space.settings.landing, space.problem, settle_seconds=0, now=datetime.now(UTC))
    return found, waiting_of(space, found, known(space.journal))


def waiting_of(space: Workspace, found: Found, known: Known) -> list[Delivery]:
    """Which of what lies in the landing folders waits to be judged, by what is known of deliveries."""
    return unjudged(found, known, rules_of(space.problem, space.settings.expectations), root=space.settings.root)


def has_new_deliveries(space: Workspace) -> bool:
    """Whether a file waits to be judged."""
    return space.settings.landing.is_dir() and bool(look_at_landing(space)[1])


def in_quarantine(space: Workspace) -> list[dict[str, Any]]:
    """The journal's rows of the deliveries that are refused and that nothing has taken the place of."""
    return quarantined(space.journal)


def current_inputs(space: Workspace) -> str | None:
    """Name of what a round would train and judge from (see `retraining.inputs_digest`); None while a source has no batch yet."""
    return inputs_of(space, known(space.journal, outcome="published"))


def inputs_of(space: Workspace, known: Known) -> str | None:
    """The same, by what is known of deliveries."""
    return None if known.lacks(space.problem) else inputs_digest(space, snapshot_of(known, space.problem))


def is_complete(space: Workspace) -> bool:
    """Whether something counts of every source; until then, and when a person has taken the last batch of one back, nothing is joined."""
    return not known(space.journal, outcome="published").lacks(space.problem)


def current_state(space: Workspace, inputs: str | None, serves: int | None) -> str:
    """Name of where a round has come to: its inputs, the version that served at its end, and the one whose predictions are published.

    And the last word on a batch, where there is one: a round shows it everywhere.
    """
    published, word = space.journal.last(tables.publications), space.journal.last(tables.revocations)
    words = [str(word["seq"])] if word else []
    return digest_text(str(inputs), str(serves), str(published["version"] if published else None), *words)


def freshness(space: Workspace, now: datetime) -> list[Freshness]:
    """How fresh each source with a time is; see `evergreen.monitoring.freshness.of_sources`."""
    return of_sources(space.journal, space.problem, now)


def realized_so_far(space: Workspace) -> list[dict[str, Any]]:
    """What every published partition was worth; see `evergreen.monitoring.performance.realized`.

    Without data that go together nobody knows it of any: each has `realized` None and `lacks`, which is true.
    """
    if not space.journal.rows(tables.publications):
        return []
    frame = _frame(space)
    if frame is not None:
        return realized(space.settings.root, space.journal, space.problem, frame.labelled)
    return [row | {"lacks": True} for row in realized(space.settings.root, space.journal, space.problem, None)]


def look_at_health(space: Workspace, now: datetime) -> list[Finding]:
    """See how fresh all that was accepted is and how well it goes together, see `evergreen.monitoring.pillars.look`.

    Empty without data, and where the contract does not fit them: whoever trains on them fails of that, and it is written down there.
    Where a guard of a join is broken, that is what is found.
    """
    if not is_complete(space):
        return []
    snapshot = published_now(space.journal, space.problem)
    try:
        frame = frame_of(space.settings.root, space.journal, snapshot, space.problem)
    except JoinError as error:
        return look(space.journal, space.problem, error, snapshot=snapshot.id, now=now)
    except (DataError, ContractError):
        return []
    if published_now(space.journal, space.problem).id != snapshot.id:
        return []  # another process has taken a batch back meanwhile, or published one: whoever looks next sees it
    return look(space.journal, space.problem, frame, snapshot=snapshot.id, now=now)


def served_so_far(space: Workspace) -> Served | None:
    """What became of what was predicted over HTTP, see `evergreen.monitoring.online.realized_online`.

    None without any, and without data that go together.
    """
    frame = None if log.is_empty(space.journal) else _frame(space)
    return None if frame is None else realized_online(space.settings.root, space.journal, space.problem, frame)


def shadow_so_far(space: Workspace) -> Comparison | None:
    """The version in shadow, or the last that was, beside what served; None where there was none, and without data that go together."""
    frame = None if shadows.newest(space.journal) is None else _frame(space)
    return None if frame is None else in_shadow(space, frame)


def _frame(space: Workspace) -> Frame | None:
    """All that counts, joined; None while a source has nothing, and where it cannot be joined: `look_at_health` finds out why."""
    if not is_complete(space):
        return None
    with suppress(JoinError):
        return frame_of(space.settings.root, space.journal, published_now(space.journal, space.problem), space.problem)
    return None


def in_shadow_now(space: Workspace) -> list[str]:
    """Which version is in shadow and what has become of what was served since, in words; nothing while none is. Reads no answers."""
    wanted = shadows.wanted(space.journal)
    if wanted is None:
        return []
    return account_sentences(wanted, mirror.account(space.journal, wanted.number, since=wanted.since), ended="")


def notices(space: Workspace, now: datetime) -> list[tuple[str, str]]:
    """What a person should be told again and again, as tone (hold or bad) and sentence.

    That is a freeze, a PROMOTE that waits, an override, what follows from batches that were taken back. Answered from the journal alone.
    """
    told, journal = [], space.journal
    stopped, record, held = frozen(journal), waiting(journal), in_force(journal, standing(journal).champion)
    if stopped:
        who = f"since {stopped['at']:.10} by {stopped['person']}: {stopped['reason']}"
        told.append(("hold", f"Promotions are frozen {who}. To resume: evergreen unfreeze --reason ..."))
    if record:
        how = "is not carried out while promotions are frozen" if stopped else "is carried out by the next round"
        told.append(("hold", f"The PROMOTE of version {record['candidate']['version']} {how}."))
    if held and not held.is_over(now):
        told.append(("hold", f"Override: {held.sentence}"))
    elif held:
        over = f"The override of version {held.version} by {held.person} expired after {held.last_day} (UTC), and the version still serves."
        told.append(("bad", f"{over} {_way_back(space)[1]}"))
    return [*told, *_taken_back(space)]


def _taken_back(space: Workspace) -> list[tuple[str, str]]:
    """What follows from batches that a person has taken back."""
    told, journal = [], space.journal
    serves, record, last = standing(journal).champion, standing_promote(journal), journal.last(tables.decisions)
    if lost := learnt_by(journal, serves):
        rest = "" if why_apart(journal, space.problem, rules=UNFIT) else "; the next training does without it"
        told.append(("bad", f"Version {serves} serves, and has learnt from {in_words(lost)}{rest}."))
    if record and (lost := rests_on(journal, record)) and last and record["decision"] == last["decision"]:
        what = f"The PROMOTE of version {record['candidate']['version']} is not carried out"
        told.append(("hold", f"{what}: it rests on {in_words(lost)}."))
    seen = known(journal, outcome="published")
    return told + [("bad", why_empty(name, words)) for name in seen.lacks(space.problem) if (words := seen.emptied(name))]


def impasse(space: Workspace) -> str:
    """What keeps every round from training, and perhaps from predicting, until the data change; empty where nothing does."""
    if why := why_apart(space.journal, space.problem):
        return sentence(f"No model is trained and nothing is predicted until the data go together again: {why}")
    if why := why_apart(space.journal, space.problem, rules=UNFIT):
        return sentence(f"No model is trained on rows that find no partner, until they do: {why}")
    return ""


def is_due(space: Workspace, now: datetime) -> bool:
    """Whether the next round has a move to make before it looks at the data: a PROMOTE that waited, an override that expired."""
    journal = space.journal
    return bool(waiting(journal) and not frozen(journal)) or bool(expired(journal, now) and _way_back(space)[0])


def _way_back(space: Workspace) -> tuple[bool, str]:
    """Whether an override that has expired can end, and the words for it."""
    try:
        return True, f"The next round goes back to version {way_back(space.journal)}."
    except RefusedError as error:
        return False, f"It cannot be taken back: {error}"
