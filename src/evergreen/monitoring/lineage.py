"""Lineage in both directions: what a thing was made from, what it fed, and how far it reached. The journal answers, and the pointers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from evergreen import journal as tables
from evergreen.data.landing import active
from evergreen.data.publishing import POINTER
from evergreen.errors import StoreError
from evergreen.files import read_json
from evergreen.journal import Journal, log
from evergreen.journal.log import Answered
from evergreen.monitoring.naming import Kind, Thing, columns
from evergreen.moves import standing
from evergreen.revocations import taken_back

Links = dict[Thing, dict[Thing, str]]


class Edge(NamedTuple):
    """What came of a thing, and how."""

    source: Thing
    target: Thing
    how: str


@dataclass(frozen=True)
class Lineage:
    """A thing, everything that it was made from, and everything that it fed."""

    focus: Thing
    facts: dict[Thing, dict[str, Any]]
    """What is known of each of them; safe for JSON."""
    above: tuple[Edge, ...]
    """What the focus was made from, nearest first."""
    below: tuple[Edge, ...]
    """What it fed, nearest first."""

    def fed(self, kind: Kind) -> list[Thing]:
        """Everything of a kind that the focus fed, directly or not; itself too."""
        return [one for one in dict.fromkeys((self.focus, *(edge.target for edge in self.below))) if one.kind == kind]


@dataclass(frozen=True)
class Published:
    """A published partition that was reached."""

    partition: str
    version: int
    rows: int
    path: str
    at: str
    through: tuple[str, ...]
    """By what: the model, the rows, or both."""
    is_shown: bool | None
    """Whether the pointer names it now; None where the pointer cannot be read."""


@dataclass(frozen=True)
class Reach:
    """Whom a thing has reached in the end."""

    versions: tuple[int, ...]
    serves: int | None
    """The one of them that is champion."""
    published: tuple[Published, ...]
    served: tuple[Answered, ...]
    """Predictions over HTTP that are in the log, by version."""

    @property
    def sentences(self) -> list[str]:
        """In counts: versions, published predictions, predictions over HTTP."""
        names, many = ", ".join(map(str, self.versions)), len(self.versions) > 1
        learnt = (
            f"Version{'s' if many else ''} {names} {'have' if many else 'has'} learnt from it" if names else "No version has learnt from it"
        )
        serves = f"; version {self.serves} serves" if self.serves else ""
        shown = [one for one in self.published if one.is_shown]
        now = f"{sum(one.rows for one in shown):,} rows in {len(shown)} of them are shown now"
        one_or_more = "1 publication rests" if len(self.published) == 1 else f"{len(self.published)} publications rest"
        partitions = f"{one_or_more} on it; {now}." if self.published else "No published prediction rests on it."
        asked = "; ".join(f"{one.rows:,} by version {one.version} since {one.since:.19} UTC" for one in self.served)
        return [f"{learnt}{serves}.", partitions, f"Predictions over HTTP, in the log: {asked or 'none'}."]


def trace(journal: Journal, focus: Thing) -> Lineage:
    """Follow a thing to what it was made from, and to what it fed."""
    known = _know(journal)
    if focus.kind == "prediction":
        row = log.find(journal, focus.name)
        known.add(focus, **{name: row[name] for name in ("version", "asked_at", "entity")})
        known.join(Thing("version", str(row["version"])), focus, "answered by")
    above = tuple(Edge(other, thing, how) for thing, other, how in _walk(focus, known.up))
    below = tuple(Edge(thing, other, how) for thing, other, how in _walk(focus, known.down))
    things = dict.fromkeys((focus, *(end for edge in (*above, *below) for end in (edge.source, edge.target))))
    return Lineage(focus, {one: known.facts.get(one, {}) for one in things}, above, below)


def reached(root: Path, journal: Journal, lineage: Lineage) -> Reach:
    """Which versions, published partitions and predictions over HTTP rest on the focus; of a decision none do."""
    versions = {int(one.name) for one in lineage.fed("version")}
    by_rows = {edge.target for edge in lineage.below if edge.source.kind == "snapshot" and edge.target.kind == "publication"}
    published = []
    for one in lineage.fed("publication"):
        facts = lineage.facts[one]
        ways = (("the model", facts["version"] in versions), ("the rows", one in by_rows))
        told = {name: facts[name] for name in ("partition", "version", "rows", "path", "at")}
        published.append(Published(**told, through=tuple(way for way, is_so in ways if is_so), is_shown=_is_shown(root, one, facts)))
    serves = standing(journal).champion
    asked = tuple(one for one in log.by_version(journal) if one.version in versions) if versions else ()
    return Reach(tuple(sorted(versions)), serves if serves in versions else None, tuple(published), asked)


def as_json(lineage: Lineage, far: Reach) -> dict[str, Any]:
    """All of it for machines: `focus`, `things`, `above` and `below` (each of them from, to and how), `reached`."""
    edges = {
        name: [{"from": [*edge.source], "to": [*edge.target], "how": edge.how} for edge in way]
        for name, way in (("above", lineage.above), ("below", lineage.below))
    }
    things = [{"kind": one.kind, "name": one.name, **facts} for one, facts in lineage.facts.items()]
    return {"focus": [*lineage.focus], "things": things, **edges, "reached": asdict(far)}


@dataclass
class _Known:
    """All that the journal knows, by what was made from what."""

    facts: dict[Thing, dict[str, Any]] = field(default_factory=dict)
    up: Links = field(default_factory=lambda: defaultdict(dict))
    down: Links = field(default_factory=lambda: defaultdict(dict))

    def add(self, thing: Thing, **facts: Any) -> Thing:
        self.facts[thing] = facts
        return thing

    def join(self, source: Thing, target: Thing, how: str) -> None:
        self.up[target][source] = how
        self.down[source][target] = how


def _know(journal: Journal) -> _Known:
    known = _Known()
    _know_data(known, journal)
    of_version = {}
    serves, gone = standing(journal).champion, taken_back(journal)
    for row in columns(journal, tables.versions, "version", "snapshot", "at"):
        of_version[row["version"]] = snapshot = Thing("snapshot", row["snapshot"])
        lost = [one.name for one in known.up[snapshot] if one.name in gone]
        version = known.add(Thing("version", str(row["version"])), at=row["at"], serves=row["version"] == serves, taken_back=lost)
        known.join(snapshot, version, "learnt by")
    for row in columns(journal, tables.decisions, "decision", "candidate", "champion", "verdict", "snapshot", "at"):
        decision = known.add(Thing("decision", row["decision"]), **{name: row[name] for name in ("verdict", "candidate", "champion", "at")})
        known.join(Thing("version", str(row["candidate"])), decision, "judged by")
        if of_version.get(row["candidate"]) != (judged_on := Thing("snapshot", row["snapshot"])):
            known.join(judged_on, decision, "judged on")
    for row in columns(journal, tables.publications, "publication", "partition", "snapshot", "version", "path", "row_count", "at"):
        told = {name: row[name] for name in ("partition", "version", "path", "at")}
        publication = known.add(Thing("publication", row["publication"]), **told, rows=row["row_count"])
        known.join(Thing("version", str(row["version"])), publication, "the model")
        known.join(Thing("snapshot", row["snapshot"]), publication, "the rows")
    return known


def _know_data(known: _Known, journal: Journal) -> None:
    """Deliveries, batches and snapshots."""
    gone, names = taken_back(journal), ("source", "name", "delivery", "outcome", "reason", "batch", "newest", "row_count", "at")
    rows = columns(journal, tables.deliveries, *names)
    counted = {row["batch"] for source in {row["source"] for row in rows} for row in active(journal, source)}
    for row in rows:
        delivery = known.add(
            Thing("delivery", row["delivery"]), file=row["name"], **{name: row[name] for name in ("source", "outcome", "reason", "at")}
        )
        if row["outcome"] == "published":
            batch, word = Thing("batch", row["batch"]), gone.get(row["batch"])
            state = word.sentence if word else "counts" if row["batch"] in counted else "replaced"
            known.add(batch, source=row["source"], rows=row["row_count"], newest=row["newest"], at=row["at"], state=state)
            known.join(delivery, batch, "published as")
    for row in columns(journal, tables.snapshots, "snapshot", "batches", "at"):
        batches = [Thing("batch", digest) for digests in row["batches"].values() for digest in digests]
        snapshot = known.add(Thing("snapshot", row["snapshot"]), batches=len(batches), at=row["at"])
        for batch in batches:
            known.join(batch, snapshot, "part of")


def _walk(focus: Thing, links: Links) -> list[tuple[Thing, Thing, str]]:
    found, seen, ahead = [], {focus}, [focus]
    for thing in ahead:  # it grows meanwhile
        for other, how in links.get(thing, {}).items():
            found.append((thing, other, how))
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return found


def _is_shown(root: Path, publication: Thing, facts: dict[str, Any]) -> bool | None:
    try:
        return bool(read_json(root / "predictions" / f"dt={facts['partition']}" / POINTER)["publication"] == publication.name)
    except (StoreError, OSError, KeyError, TypeError):
        return None
