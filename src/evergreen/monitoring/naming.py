"""What a person means by the name of a thing: a number, a day, a file, or the first signs of a digest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from evergreen import journal as tables
from evergreen.errors import RefusedError
from evergreen.journal import Journal, log
from evergreen.revocations import SHORT, SHORTEST

Kind = Literal["delivery", "batch", "snapshot", "version", "decision", "publication", "prediction"]
DIGESTS: tuple[tuple[Kind, str, str], ...] = (
    ("batch", "deliveries", "batch"),
    ("delivery", "deliveries", "delivery"),
    ("snapshot", "snapshots", "snapshot"),
    ("decision", "decisions", "decision"),
    ("publication", "publications", "publication"),
)
"""What is named by a digest, in which table and column; the first counts where a file is its own batch."""
VERSION = re.compile(r"v?([1-9][0-9]{0,9})")
NEAREST = 5


class Thing(NamedTuple):
    """Something that the journal knows."""

    kind: Kind
    name: str
    """Its digest, its number, its id."""

    @property
    def shown(self) -> str:
        """Short, and enough to name it again where no other begins so."""
        return self.name if self.kind in {"version", "prediction"} else self.name[:SHORT]


def identify(journal: Journal, text: str) -> Thing:
    """The one thing that a text names: a version (3, v3), the day of published predictions, a file (source/name), or signs of a digest.

    Raises
    ------
    RefusedError
        It names nothing, or several things: says which are nearest.
    """
    if thing := _exactly(journal, text):
        return thing
    found = _beginning_with(journal, text.lower()) if len(text) >= SHORTEST else []
    if len(found) == 1:
        return found[0]
    ways = (
        "expected a version (3 or v3), the day of published predictions, a delivery (source/name), the id of a prediction, or "
        f"{SHORTEST} or more of the first signs of the digest of a batch, delivery, snapshot, decision or publication"
    )
    if found:
        some = ", ".join(f"{one.shown} ({one.kind})" for one in found[:NEAREST])
        more = " and others" if len(found) > NEAREST else ""
        raise RefusedError(f"Got {text!r}, which names several things: {some}{more}. Say more of it.")
    near = _nearest(journal, text.lower())
    told = f"The nearest: {', '.join(near)}." if near else "Nothing is like it."
    raise RefusedError(f"Got {text!r}, which names nothing here; {ways}. {told}")


def columns(journal: Journal, table: Any, *names: str) -> list[dict[str, Any]]:
    """Those columns of all rows, oldest first: what else stands in a row may be large."""
    query = table.select().with_only_columns(*(table.c[name] for name in names)).order_by(table.c.seq)
    with journal.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _exactly(journal: Journal, text: str) -> Thing | None:
    if (number := VERSION.fullmatch(text)) and int(number[1]) in {row["version"] for row in columns(journal, tables.versions, "version")}:
        return Thing("version", number[1])
    if row := journal.last(tables.publications, partition=text):
        return Thing("publication", row["publication"])
    source, _, name = text.partition("/")
    if name and (row := journal.last(tables.deliveries, source=source, name=name)):
        return Thing("delivery", row["delivery"])
    return None


def _beginning_with(journal: Journal, text: str) -> list[Thing]:
    found: dict[str, Thing] = {}
    for kind, name in _digests(journal):
        if name.startswith(text):
            found.setdefault(name, Thing(kind, name))
    for name in log.beginning_with(journal, text, most=NEAREST + 1):
        found.setdefault(name, Thing("prediction", name))
    return [found[text]] if text in found else list(found.values())


def _digests(journal: Journal) -> Iterable[tuple[Kind, str]]:
    for kind, table, column in DIGESTS:
        for row in columns(journal, getattr(tables, table), column):
            if row[column]:
                yield kind, row[column]


def _nearest(journal: Journal, text: str) -> list[str]:
    """What looks like it: of digests the first signs are compared, as many as were given."""
    if VERSION.fullmatch(text) and len(text) < SHORTEST:
        return [f"v{row['version']} (version)" for row in columns(journal, tables.versions, "version")][-NEAREST:]
    files = {f"{row['source']}/{row['name']}": "delivery" for row in columns(journal, tables.deliveries, "source", "name")}
    others = {row["partition"]: "published" for row in columns(journal, tables.publications, "partition")}
    known = {name.lower(): f"{name} ({kind})" for name, kind in (files | others).items()}
    length = min(max(len(text), SHORTEST), SHORT)
    known |= {name[:length]: f"{name[:SHORT]} ({kind})" for kind, name in _digests(journal)}
    near = [known[name] for name in get_close_matches(text[: max(length, 40)], known, n=NEAREST, cutoff=0.75)]
    return [*near, *(f"{name} (prediction)" for name in log.like(journal, text))][:NEAREST]
