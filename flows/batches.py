"""What `evergreen batch` does and says: a person takes a published batch back, gives it back, or accepts a refused delivery."""

from __future__ import annotations

from typing import Any

from evergreen import journal as tables
from evergreen import revocations
from evergreen.data.acceptance import accept
from evergreen.data.landing import active, emptied, why_empty
from evergreen.errors import EvergreenError, RefusedError
from evergreen.marking import mark
from evergreen.monitoring.lineage import reached, trace
from evergreen.monitoring.naming import Thing
from evergreen.monitoring.pillars import UNFIT, why_apart
from evergreen.revocations import SHORT
from evergreen.workspace import Workspace, open_workspace
from flows import account
from flows.telling import name_of, refresh


def take_back(text: str, *, reason: str, person: str | None) -> None:
    """Record that a batch does not count, and say what it has reached."""
    space = open_workspace()
    row = revocations.published_batch(space.journal, text)
    name, words = _name(row), {"reason": reason, "person": name_of(person)}
    settings = space.settings
    if revocations.revoke(space.journal, row["batch"], root=settings.root, words=words, seconds=settings.lease_seconds):
        account.say(f"The {name} is taken back: it does not count any more, nor does what it had replaced under its name.")
    else:
        word = revocations.taken_back(space.journal).get(row["batch"])
        account.say(f"The {name} {word.sentence if word else 'was taken back'}. Nothing was recorded.")
    _tell_reach(space, row)
    _show(space)
    if words_of := emptied(space.journal, row["source"]):
        account.say(why_empty(row["source"], words_of), style="yellow")
    elif not _tell_apart(space):
        account.say("The next training does without it: evergreen run")


def give_back(text: str, *, reason: str, person: str | None) -> None:
    """Record that a batch counts again, where nothing newer was published under its name."""
    space = open_workspace()
    row = revocations.published_batch(space.journal, text)
    name, words = _name(row), {"reason": reason, "person": name_of(person)}
    settings = space.settings
    is_restored = revocations.restore(space.journal, row["batch"], root=settings.root, words=words, seconds=settings.lease_seconds)
    _show(space)
    if not is_restored:
        account.say(f"The {name} was not taken back. Nothing was recorded.")
    elif row["batch"] not in {one["batch"] for one in active(space.journal, row["source"])}:
        account.say(f"The {name} is given back. It does not count: something newer was published under its name.")
    elif _tell_apart(space):
        account.say(f"The {name} counts again.")
    else:
        account.say(f"The {name} counts again. The next training learns from it: evergreen run")


def accept_delivery(text: str, *, reason: str, person: str | None) -> None:
    """Record that a refused delivery is right although it is not like those before it; the next round judges it anew."""
    space = open_workspace()
    if accept(space.journal, text, reason=reason, person=name_of(person)):
        account.say("It is accepted, however unlike the earlier ones it is; its expectations judge it still. Next: evergreen ingest")
    else:
        account.say("It was accepted already. Nothing was recorded. Next: evergreen ingest")


def tell_batches(source: str | None) -> None:
    """Say every published batch, and whether it counts, was replaced or was taken back."""
    space = open_workspace()
    names = [one.name for one in space.problem.sources]
    if source is not None and source not in names:
        raise RefusedError(f"There is no source {source!r} in the contract; there are {', '.join(names)}.")
    rows = [row for row in space.journal.rows(tables.deliveries, outcome="published") if source in {None, row["source"]}]
    if not rows:
        account.say(f"Nothing has been published yet{f' of {source}' if source else ''}.")
        return
    gone = revocations.taken_back(space.journal)
    counts = {row["seq"] for name in {row["source"] for row in rows} for row in active(space.journal, name)}
    last = {(row["source"], row["name"], row["batch"]): row for row in rows}
    for row in last.values():
        word = gone.get(row["batch"])
        state = word.sentence if word else "counts" if row["seq"] in counts else "replaced"
        line = f"{row['batch'][:SHORT]}  {row['at']:.10}  {row['row_count']:>10,} rows  {row['source']}/{row['name']}  {state}"
        account.say(line, style="yellow" if word else None)


def _tell_apart(space: Workspace) -> bool:
    """Say why no model can be trained on what counts now, where none can."""
    why = why_apart(space.journal, space.problem, rules=UNFIT)
    if why:
        account.say(f"No model can be trained now: {why}", style="yellow")
    return bool(why)


def _name(row: dict[str, Any]) -> str:
    return f"batch {row['batch'][:SHORT]} ({row['source']}/{row['name']})"


def _tell_reach(space: Workspace, row: dict[str, Any]) -> None:
    far = reached(space.settings.root, space.journal, trace(space.journal, Thing("batch", row["batch"])))
    for sentence in far.sentences:
        account.say(sentence)
    account.say(f"All that it fed: evergreen lineage {row['batch'][:SHORT]}")


def _show(space: Workspace) -> None:
    """Have MLflow and the pages show it; what cannot be shown now is shown by the next round."""
    try:
        mark(space.registry)
    except EvergreenError as error:
        account.say(f"MLflow does not show it yet, the next round tries again: {error}", style="yellow")
    refresh(space)
