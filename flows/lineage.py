"""What `evergreen lineage` says: two small trees, and whom the thing has reached."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from evergreen.files import shown
from evergreen.journal.log import Answered
from evergreen.monitoring.lineage import Lineage, Published, Reach, as_json, reached, trace
from evergreen.monitoring.naming import Kind, Thing, identify
from evergreen.workspace import open_workspace
from flows import account

MOST = 5
"""Of a longer list so many are shown; the rest is counted."""
INDENT = "  "
MANY = {"delivery": "deliveries", "batch": "batches"}
LEAVES = ("publication", "prediction")
"""What the trees leave out: several ways lead there, so they are listed below."""


def tell_lineage(name: str, *, whole: bool) -> None:
    """Say what a thing was made from, what it fed and whom it reached."""
    space = open_workspace()
    found = trace(space.journal, identify(space.journal, name))
    far, most = reached(space.settings.root, space.journal, found), sys.maxsize if whole else MOST
    account.say(_described(found, found.focus), style="bold")
    upwards, downwards = defaultdict(list), defaultdict(list)
    for edge in found.above:
        upwards[edge.target].append(edge.source)
    for edge in found.below:
        downwards[edge.source].append(edge.target)
    for title, links in (("Made from", upwards), ("Fed", downwards)):
        lines = list(_tree(found, links, found.focus, most, told={found.focus}))
        if lines:
            account.title(title)
        for line in lines:
            account.say(line)
    if found.focus.kind not in {"decision", *LEAVES}:
        _tell_reach(far, most)


def print_lineage(name: str) -> None:
    """Print all of it as JSON."""
    space = open_workspace()
    found = trace(space.journal, identify(space.journal, name))
    told = as_json(found, reached(space.settings.root, space.journal, found))
    sys.stdout.write(f"{json.dumps(told, indent=2)}\n")


def _tree(found: Lineage, links: dict[Thing, list[Thing]], thing: Thing, most: int, *, told: set[Thing]) -> Iterator[str]:
    """A line for each thing behind one, those behind it farther in; nothing twice."""
    others = [one for one in links.get(thing, []) if one.kind not in LEAVES and one not in told]
    idle = [one for one in others if one.kind == "snapshot" and one not in links]
    rows = [one for one in others if one not in idle]
    for one in rows[:most]:
        told.add(one)
        yield f"{INDENT}{_described(found, one)}"
        yield from (f"{INDENT}{line}" for line in _tree(found, links, one, most, told=told))
    for kind, count in Counter(one.kind for one in rows[most:]).items():
        yield f"{INDENT}and {count:,} more {kind if count == 1 else MANY.get(kind, f'{kind}s')}; all of them: --all"
    if idle:
        yield f"{INDENT}and {_count(len(idle), 'snapshot')} that fed nothing"


def _tell_reach(far: Reach, most: int) -> None:
    account.title("Published predictions that rest on it")
    _tell(far.published[::-1], map(_published, far.published[::-1]), most)
    account.title("Predictions over HTTP, in the log, by versions that have learnt from it")
    _tell(far.served, map(_answered, far.served), most)


def _tell(things: tuple[Any, ...], lines: Iterable[str], most: int) -> None:
    for line, _ in zip(lines, range(most), strict=False):
        account.say(f"{INDENT}{line}")
    if len(things) > most:
        account.say(f"{INDENT}and {len(things) - most:,} more; all of them: --all")
    if not things:
        account.say(f"{INDENT}none")


def _published(one: Published) -> str:
    state = {True: "shown now", False: "not shown any more", None: "its pointer cannot be read"}[one.is_shown]
    rows = f"{one.partition}: {one.rows:,} rows by version {one.version}, {one.path}, {state}"
    return f"{rows}; reached through {' and '.join(one.through)}"


def _answered(one: Answered) -> str:
    return f"version {one.version}: {one.rows:,}, asked from {one.since:.19} until {one.until:.19} UTC"


def _described(found: Lineage, thing: Thing) -> str:
    """A thing in a line."""
    facts, name = found.facts[thing], f"{thing.kind} {thing.shown}"
    return f"{name}{WORDS[thing.kind](facts)}" if facts else f"{name}, of which the journal knows no more"


def _delivery(facts: dict[str, Any]) -> str:
    why = f": {facts['reason']}" if facts["reason"] else ""
    return f", {shown(facts['source'])}/{shown(facts['file'])}, {facts['outcome']} on {facts['at']:.10}{why}"


def _version(facts: dict[str, Any]) -> str:
    lost = len(facts["taken_back"])
    told = f", has learnt from {_count(lost, 'batch', 'batches')} that a person has taken back" if lost else ""
    return f", {facts['at']:.10}{', serves' if facts['serves'] else ''}{told}"


def _decision(facts: dict[str, Any]) -> str:
    against = f" against version {facts['champion']}" if facts["champion"] else ""
    return f": {facts['verdict'].upper()} of version {facts['candidate']}{against}, {facts['at']:.10}"


def _prediction(facts: dict[str, Any]) -> str:
    about = f" for {shown(facts['entity'])}" if facts["entity"] else ""
    return f"{about}, asked {facts['asked_at']:.19} UTC"


def _count(number: int, thing: str, things: str = "") -> str:
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


WORDS: dict[Kind, Callable[[dict[str, Any]], str]] = {
    "delivery": _delivery,
    "batch": lambda facts: f" of {facts['source']}, {facts['rows']:,} rows, {facts['state']}",
    "snapshot": lambda facts: f" of {_count(facts['batches'], 'batch', 'batches')}, {facts['at']:.10}",
    "version": _version,
    "decision": _decision,
    "publication": lambda facts: f": {facts['rows']:,} predictions of {facts['partition']} by version {facts['version']}, {facts['path']}",
    "prediction": _prediction,
}
"""What is said of each kind of thing after its name."""
