"""The only mover of aliases. The journal decides which version is champion, previous and anchor; MLflow's aliases show it.

MLflow cannot move an alias only if it still is where somebody saw it. So every move is the journal's: a row "intent" that only one
process can write, verification, the aliases, a look back, a row "done". What was cut short is finished or undone by `reconcile`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from evergreen.brakes import barred, one_move_at_a_time, refuse_barred, refuse_frozen
from evergreen.errors import BusyError, ModelError, RefusedError, RegistryError, RevokedError, StoreError
from evergreen.faults import reach
from evergreen.files import digest_text
from evergreen.journal import Journal, bars, overrides, promotions
from evergreen.moves import Standing, served_by, standing, unfinished
from evergreen.overrides import Override, in_force, of_move, row_of, sound_before
from evergreen.registry import Registry
from evergreen.revocations import refuse_spoilt
from evergreen.serving.rehearsal import rehearse

CHALLENGER, CHAMPION = "challenger", "champion"


@dataclass(frozen=True)
class Word:
    """By whose word a version is moved, and why: the gate's verdict ("promotion"), or what a person wants."""

    kind: Literal["promotion", "release", "override", "rollback"]
    reason: str
    person: str
    override: Override | None = None
    """What is overruled; of that kind only."""


@dataclass(frozen=True)
class Ending:
    """What became of an override that expired."""

    override: Override
    back_to: int | None
    """The version that serves again; None when it does not verify."""
    hindrance: str = ""


def promote(registry: Registry, version: int, word: Word, *, expected_champion: int | None, rebase_anchor: bool = False) -> None:
    """Make a version champion. Asking again changes nothing; an override that is said again with another end ends then.

    Parameters
    ----------
    expected_champion
        The champion that the decision was made against; None when there was none.
    rebase_anchor
        Make the version the anchor too. The first champion always is.

    Raises
    ------
    RefusedError
        The champion is another one by now, the version is barred, or (FrozenError) promotions are frozen. Or (RevokedError) it has
        learnt from a batch that was taken back, which an override alone passes over.
    ModelError, StoreError
        The version does not verify; everything is as before.
    RegistryError
        MLflow cannot be used, or its champion is not the journal's; `reconcile` settles what was begun.
    """
    journal = registry.journal
    with _one_at_a_time(registry):
        _settle(registry)
        now, number = standing(journal), registry.version(version).number
        if now.champion == number:
            if word.override:
                _prolong(registry, word.override)
            return
        if now.champion != expected_champion:
            raise RefusedError(
                f"Version {number} was judged against {_named(expected_champion)}, but the champion is {_named(now.champion)} by now. "
                "Judge it again: run the training flow once more."
            )
        refuse_barred(journal, number)
        refuse_frozen(journal, number)
        if word.kind != "override":
            refuse_spoilt(journal, number)
        anchor = number if rebase_anchor or now.anchor is None else now.anchor
        _move(registry, Standing(number, now.champion, anchor), word)


def rollback(registry: Registry, *, reason: str, person: str, expected_move: str = "") -> int:
    """Swap champion and previous, after the target has reproduced its golden rows, and bar the version left behind.

    Returns
    -------
    int
        The version that is champion now.

    Raises
    ------
    RefusedError
        There is no previous version, it is barred, or the champion serves by another move than `expected_move`.
    ModelError, StoreError
        The target does not verify; everything is as before.
    """
    with _one_at_a_time(registry):
        _settle(registry)
        if expected_move and served_by(registry.journal) != expected_move:
            raise RefusedError("Another version has become champion meanwhile; what was found wrong was not this one's.")
        return _go_back(registry, Word("rollback", reason, person))


def expired(journal: Journal, now: datetime) -> Override | None:
    """The override by which the champion serves, when its time is over; answered without MLflow."""
    held = in_force(journal, standing(journal).champion)
    return held if held and held.is_over(now) else None


def way_back(journal: Journal) -> int:
    """The version that a rollback would go to: the previous one, or from an override the newest champion that served without one.

    Raises
    ------
    RefusedError
        There is no previous version, or it is barred.
    """
    now = standing(journal)
    if now.champion is not None and in_force(journal, now.champion) and (sound := sound_before(journal, now.champion)):
        return sound
    if now.champion is None or now.previous is None:
        raise RefusedError(
            f"There is nothing to roll back to: the champion is {_named(now.champion)} and had none before it. Train one: evergreen train"
        )
    refuse_barred(journal, now.previous)
    return now.previous


def end_override(registry: Registry, *, now: datetime) -> Ending | None:
    """Roll back from a champion whose override has expired; None when there is none such, or no way back (see `way_back`)."""
    if not expired(registry.journal, now):
        return None
    with _one_at_a_time(registry):
        _settle(registry)
        held = expired(registry.journal, now)  # somebody may have set another end, or moved on
        if held is None:
            return None
        why = f"the override of version {held.version} by {held.person} ({held.reason}) expired: it was given through {held.last_day} (UTC)"
        try:
            return Ending(held, _go_back(registry, Word("rollback", why, "expiry")))
        except RefusedError:
            return None
        except (ModelError, StoreError) as error:
            return Ending(held, None, str(error))


def reconcile(registry: Registry) -> list[str]:
    """Finish or undo what was cut short, then see that MLflow shows what the journal says. Doing it again changes nothing.

    Returns
    -------
    list of str
        What was done, a sentence each; empty when all was well.

    Raises
    ------
    RegistryError
        Somebody moved the champion outside Evergreen: a person must say which one is right.
    """
    with _one_at_a_time(registry):
        return _settle(registry)


def restore_aliases(registry: Registry) -> Standing:
    """Put the aliases back to where the journal says they are."""
    with _one_at_a_time(registry):
        now = standing(registry.journal)
        _show(registry, now)
        return now


def _one_at_a_time(registry: Registry) -> AbstractContextManager[None]:
    return one_move_at_a_time(registry.journal, registry.settings.root, seconds=registry.settings.lease_seconds)


def _go_back(registry: Registry, word: Word) -> int:
    journal, now = registry.journal, standing(registry.journal)
    target = way_back(journal)
    anchor = _anchor_before(journal, now.champion) or target if now.anchor == now.champion else now.anchor
    _move(registry, Standing(target, now.champion, anchor), word)
    return target


def _prolong(registry: Registry, wish: Override) -> None:
    """Set another end to the override by which the champion serves."""
    journal = registry.journal
    if in_force(journal, wish.version) is None:
        raise RefusedError(f"Version {wish.version} serves already, and not by an override: there is nothing to override.")
    refuse_frozen(journal, wish.version)
    move = [row["promotion"] for row in journal.rows(promotions, state="done", version=wish.version, kind="override")][-1]
    said = journal.rows(overrides, promotion=move)
    if (said[-1]["person"], said[-1]["reason"], said[-1]["expires"]) != (wish.person, wish.reason, row_of(wish, move)["expires"]):
        journal.add(overrides, **row_of(wish, move, number=len(said)))
    registry.tag(registry.version(wish.version), override=of_move(journal, move).sentence)


def _move(registry: Registry, new: Standing, word: Word) -> None:
    journal = registry.journal
    closed = [row for row in journal.rows(promotions) if row["state"] != "intent"]
    # The number of closed moves makes the name: of two processes on two machines that saw the same state one gets it.
    name = digest_text("promotion", str(len(closed)))
    values = {"version": new.champion, "champion": new.previous, "anchor": new.anchor}
    words = {"kind": word.kind, "reason": word.reason, "person": word.person}
    rows = [(promotions, {"promotion": name, "state": "intent", **words, **values})]
    if word.override:
        rows.append((overrides, row_of(word.override, name)))
    if not journal.add_all(rows):
        raise BusyError("Another process is moving the champion at this moment. Run again when it has ended.")
    _finish(registry, journal.rows(promotions, promotion=name)[0])


def _finish(registry: Registry, intent: dict[str, Any]) -> None:
    """Bring an intent to its end, from wherever it was cut short; when the version does not verify, everything as before."""
    journal, new = registry.journal, Standing(intent["version"], intent["champion"], intent["anchor"])
    row = {name: intent[name] for name in ("promotion", "kind", "reason", "person", "version", "champion", "anchor")}
    journal.insist()
    registry.set_alias(CHALLENGER, new.champion)
    reach("after alias challenger")
    try:
        if intent["kind"] in {"promotion", "release"}:
            refuse_spoilt(journal, intent["version"])  # what was cut short may have been spoilt since
        reach("begin verifying")
        rehearse(registry, registry.version(intent["version"]))
    except (ModelError, StoreError, RevokedError):
        _show(registry, standing(journal))
        journal.add(promotions, state="undone", **row)
        raise
    if intent["kind"] == "override":
        registry.tag(registry.version(intent["version"]), override=of_move(journal, intent["promotion"]).sentence)
    reach("before the aliases move")
    _show(registry, new)
    shown = registry.aliases().get(CHAMPION)
    if shown != new.champion:
        raise RegistryError(f"MLflow shows {_named(shown)} as champion right after it was moved to version {new.champion}. Run again.")
    rows = [(promotions, {**row, "state": "done"})]
    if intent["kind"] == "rollback":
        left = {"version": new.previous, "barred": True, "reason": intent["reason"], "person": intent["person"]}
        rows.append((bars, {**left, "event": digest_text("rollback", intent["promotion"])}))
    journal.add_all(rows)


def _settle(registry: Registry) -> list[str]:
    said, intent = [], unfinished(registry.journal)
    if intent:
        what = f"the {intent['kind']} to version {intent['version']} that was cut short"
        try:
            _finish(registry, intent)
            said.append(f"Finished {what}.")
        except (ModelError, StoreError, RevokedError) as error:
            said.append(f"Undid {what}: {error}")
    now, shown = standing(registry.journal), registry.aliases()
    if shown.get(CHAMPION) != now.champion:
        raise RegistryError(
            f"MLflow's alias champion is on {_named(shown.get(CHAMPION))}, the journal says {_named(now.champion)}: somebody moved it "
            "outside Evergreen. Put it back with `evergreen reconcile`; what serves is decided by the gate, promote and rollback."
        )
    if any(shown.get(alias) != number for alias, number in _aliases(now).items()):
        _show(registry, now)
        said.append("Put the aliases previous, anchor and challenger back to where the journal says they are.")
    return said


def _show(registry: Registry, now: Standing) -> None:
    """Make MLflow's aliases say it. Previous first: whoever sees the new champion can also see what to go back to."""
    for alias, number in _aliases(now).items():
        registry.journal.insist()  # who was stopped between two of them must not put back what was moved meanwhile
        registry.set_alias(alias, number)
        reach(f"after alias {alias}, moving")


def _aliases(now: Standing) -> dict[str, int | None]:
    values = asdict(now)
    return {"previous": values["previous"], CHAMPION: values["champion"], "anchor": values["anchor"], CHALLENGER: None}


def _anchor_before(journal: Journal, version: int | None) -> int | None:
    """The newest anchor that is neither this version nor barred."""
    out = barred(journal) | {version}
    anchors = [row["anchor"] for row in journal.rows(promotions, state="done") if row["anchor"] not in out]
    return anchors[-1] if anchors else None


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
