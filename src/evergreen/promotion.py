"""The only mover of aliases. The journal decides which version is champion, previous and anchor; MLflow's aliases show it.

MLflow cannot move an alias only if it still is where somebody saw it. So every move is the journal's: a row "intent" that only one
process can write, verification, the aliases, a look back, a row "done". What was cut short is finished or undone by `reconcile`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from evergreen.errors import BusyError, ModelError, RefusedError, RegistryError, StoreError
from evergreen.files import digest_text, lock
from evergreen.journal import Journal, bars, promotions
from evergreen.prediction import reproduce_golden
from evergreen.registry import Registry

CHALLENGER, CHAMPION = "challenger", "champion"
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Standing:
    """Which version serves, which one to roll back to, and the best champion so far."""

    champion: int | None = None
    previous: int | None = None
    anchor: int | None = None


@dataclass(frozen=True)
class Word:
    """By whose word a version is moved, and why: the gate's verdict ("promotion"), or what a person wants."""

    kind: Literal["promotion", "release", "rollback"]
    reason: str
    person: str


def standing(journal: Journal) -> Standing:
    """What the journal says; answered without MLflow."""
    done = journal.last(promotions, state="done")
    return Standing(done["version"], done["champion"], done["anchor"]) if done else Standing()


def promote(registry: Registry, version: int, word: Word, *, expected_champion: int | None, rebase_anchor: bool = False) -> None:
    """Make a version champion. Asking again changes nothing.

    Parameters
    ----------
    expected_champion
        The champion that the decision was made against; None when there was none.
    rebase_anchor
        Make the version the anchor too. The first champion always is.

    Raises
    ------
    RefusedError
        The champion is another one by now, or the version is barred.
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
            return
        if now.champion != expected_champion:
            raise RefusedError(
                f"Version {number} was judged against {_named(expected_champion)}, but the champion is {_named(now.champion)} by now. "
                "Judge it again: run the training flow once more."
            )
        _refuse_barred(journal, number)
        anchor = number if rebase_anchor or now.anchor is None else now.anchor
        _move(registry, Standing(number, now.champion, anchor), word)


def rollback(registry: Registry, *, reason: str, person: str) -> int:
    """Swap champion and previous, after the target has reproduced its golden rows, and bar the version left behind.

    Returns
    -------
    int
        The version that is champion now.

    Raises
    ------
    RefusedError
        There is no previous version, or it is barred.
    ModelError, StoreError
        The target does not verify; everything is as before.
    """
    journal = registry.journal
    with _one_at_a_time(registry):
        _settle(registry)
        now = standing(journal)
        if now.champion is None or now.previous is None:
            raise RefusedError(
                f"There is nothing to roll back to: the champion is {_named(now.champion)} and had none before it. "
                "Train a new one with `evergreen train`."
            )
        _refuse_barred(journal, now.previous)
        anchor = _anchor_before(journal, now.champion) or now.previous if now.anchor == now.champion else now.anchor
        _move(registry, Standing(now.previous, now.champion, anchor), Word("rollback", reason, person))
        return now.previous


def barred(journal: Journal) -> set[int]:
    """Versions that may not be promoted, since somebody rolled back from them."""
    last = {row["version"]: row["barred"] for row in journal.rows(bars)}
    return {version for version, is_barred in last.items() if is_barred}


def unbar(journal: Journal, version: int, *, reason: str, person: str) -> None:
    """Let a barred version be promoted again.

    Raises
    ------
    RefusedError
        It is not barred.
    """
    if version not in barred(journal):
        raise RefusedError(f"Version {version} is not barred; barred: {', '.join(map(str, sorted(barred(journal)))) or 'none'}.")
    event = digest_text("unbar", str(version), str(len(journal.rows(bars, version=version))))
    journal.add(bars, event=event, reason=reason, person=person, version=version, barred=False)


def unfinished(journal: Journal) -> dict[str, Any] | None:
    """The move that was begun and neither done nor undone; answered without MLflow."""
    closed = {row["promotion"] for row in journal.rows(promotions) if row["state"] != "intent"}
    return next((row for row in journal.rows(promotions, state="intent") if row["promotion"] not in closed), None)


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


def history(journal: Journal) -> list[dict[str, Any]]:
    """All moves, oldest first, each with its latest state, the champion before it, who asked for it and why."""
    moves: dict[str, dict[str, Any]] = {}
    for row in journal.rows(promotions):
        moves[row["promotion"]] = row
    return list(moves.values())


def _one_at_a_time(registry: Registry) -> Any:
    return lock(registry.settings.root / ".promotion.lock", holder="a promotion", seconds=WAIT_SECONDS)


def _move(registry: Registry, new: Standing, word: Word) -> None:
    journal = registry.journal
    closed = [row for row in journal.rows(promotions) if row["state"] != "intent"]
    # The number of closed moves makes the name: of two processes on two machines that saw the same state one gets it.
    name = digest_text("promotion", str(len(closed)))
    values = {"version": new.champion, "champion": new.previous, "anchor": new.anchor}
    if not journal.add(promotions, promotion=name, state="intent", **asdict(word), **values):
        raise BusyError("Another process is moving the champion at this moment. Run again when it has ended.")
    _finish(registry, journal.rows(promotions, promotion=name)[0])


def _finish(registry: Registry, intent: dict[str, Any]) -> None:
    """Bring an intent to its end, from wherever it was cut short; when the version does not verify, everything as before."""
    journal, new = registry.journal, Standing(intent["version"], intent["champion"], intent["anchor"])
    row = {name: intent[name] for name in ("promotion", "kind", "reason", "person", "version", "champion", "anchor")}
    registry.set_alias(CHALLENGER, new.champion)
    try:
        reproduce_golden(registry, registry.version(intent["version"]))
    except (ModelError, StoreError):
        _show(registry, standing(journal))
        journal.add(promotions, state="undone", **row)
        raise
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
        except (ModelError, StoreError) as error:
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
        registry.set_alias(alias, number)


def _aliases(now: Standing) -> dict[str, int | None]:
    values = asdict(now)
    return {"previous": values["previous"], CHAMPION: values["champion"], "anchor": values["anchor"], CHALLENGER: None}


def _anchor_before(journal: Journal, version: int) -> int | None:
    """The newest anchor that is neither this version nor barred."""
    out = barred(journal) | {version}
    anchors = [row["anchor"] for row in journal.rows(promotions, state="done") if row["anchor"] not in out]
    return anchors[-1] if anchors else None


def _refuse_barred(journal: Journal, version: int) -> None:
    if version in barred(journal):
        why = next(row["reason"] for row in reversed(journal.rows(bars, version=version)))
        raise RefusedError(
            f"Version {version} is barred since it was rolled back from ({why}). "
            f"Free it with `evergreen unbar {version} --reason ...`, or train a new one."
        )


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
