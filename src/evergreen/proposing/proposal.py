"""A suite proposed from all accepted batches of a source, and what the present suite would refuse of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.data import batches
from evergreen.data.landing import active
from evergreen.errors import RefusedError
from evergreen.files import write_bytes
from evergreen.policies import Source
from evergreen.proposing.differing import Difference, compare, in_words
from evergreen.proposing.drafting import FEW, Expectation, draft
from evergreen.proposing.looking import look
from evergreen.report.words import counted
from evergreen.validation import Check, Report, suite_path, validate
from evergreen.workspace import Workspace


@dataclass(frozen=True)
class Proposal:
    """A draft that no accepted batch breaks, and how it differs from the suite that is there."""

    name: str
    """Of the suite."""
    batches: int
    rows: int
    expectations: tuple[Expectation, ...]
    left_out: tuple[str, ...]
    """What was drafted and some accepted batch breaks, in sentences."""
    differences: tuple[Difference, ...]

    @property
    def is_weak(self) -> bool:
        """Whether there are too few batches to tell what is usual."""
        return self.batches < FEW

    @property
    def text(self) -> str:
        """The suite in Great Expectations' JSON, an expectation a line."""
        return suite_text(
            self.name, f"Proposed from {counted(self.batches, 'accepted delivery')}, {counted(self.rows, 'row')}.", self.expectations
        )


@dataclass(frozen=True)
class Kept:
    """An expectation of the present suite, or one that is built in, and the accepted deliveries that it would refuse, or tell of."""

    check: Check
    broken_by: tuple[str, ...]


def propose(space: Workspace, name: str) -> Proposal:
    """Draft a suite from the accepted batches of a source and of those that share its suite; hold it against all of them.

    Raises
    ------
    RefusedError
        There is no such source, nothing of it was accepted, or nothing can be said of what was.
    StoreError
        A batch is missing or torn.
    """
    source = source_of(space, name)
    looks, rows = [], 0
    for _, frame in accepted(space, source):
        looks.append(look(frame))
        rows += len(frame)
    sound, left_out = vet(space, source, draft(looks, source))
    if not sound:
        raise RefusedError(f"Nothing can be expected of {name}: its {len(looks)} accepted batches have no column in common.")
    return Proposal(source.suite, len(looks), rows, tuple(sound), tuple(left_out), tuple(compare(sound, _present(space, source))))


def vet(space: Workspace, source: Source, drafted: Sequence[Expectation]) -> tuple[list[Expectation], list[str]]:
    """What of a draft every accepted batch meets; and the rest, each with the first delivery that breaks it, in words."""
    broken: dict[int, str] = {}
    for delivery, frame in accepted(space, source):
        for place, check in enumerate(_judged(frame, source.suite, drafted).checks[1:]):
            if not check.passed:
                broken.setdefault(place, f"{in_words(drafted[place])}: {delivery} breaks it")
    return [one for place, one in enumerate(drafted) if place not in broken], list(broken.values())


def check_present(space: Workspace, name: str) -> tuple[int, list[Kept]]:
    """How many batches were accepted, and which of them each expectation of the present suite would refuse, or tell of.

    Raises
    ------
    RefusedError
        There is no such source, or nothing of it was accepted.
    ContractError
        The suite cannot be used.
    """
    source = source_of(space, name)
    path, found, count = suite_path(source, space.settings.expectations), dict[int, tuple[Check, list[str]]](), 0
    for delivery, frame in accepted(space, source):
        count += 1
        for place, check in enumerate(validate(frame, path, name=delivery, rows=source.rows, key=source.key).checks):
            found.setdefault(place, (check, []))[1].extend([] if check.passed else [delivery])
    return count, [Kept(check, tuple(names)) for check, names in found.values()]


def write(space: Workspace, proposal: Proposal) -> Path:
    """Write the proposal below the home; the suite itself stays as it is, for a person moves it."""
    return write_bytes(space.settings.root / "proposals" / f"{proposal.name}.json", proposal.text.encode())


def source_of(space: Workspace, name: str) -> Source:
    """The source of that name.

    Raises
    ------
    RefusedError
        There is none, or nothing of it was accepted.
    """
    known = [source.name for source in space.problem.sources]
    if name not in known:
        raise RefusedError(f"Got the source {name!r}; the contract has {', '.join(known)}.")
    source = space.problem.source(name)
    if not any(active(space.journal, one.name) for one in _sharing(space, source)):
        raise RefusedError(f"Nothing of {name} has been accepted yet, so there is nothing to go by. Deliver some, then: evergreen ingest")
    return source


def accepted(space: Workspace, source: Source) -> Iterator[tuple[str, pd.DataFrame]]:
    """The batches that count, each with the name of its delivery, oldest first; one at a time is in memory."""
    for one in _sharing(space, source):
        for row in active(space.journal, one.name):
            yield f"{one.name}/{row['name']}", batches.load(space.settings.root, one.name, row["batch"])


def suite_text(name: str, notes: str, expectations: Sequence[Expectation]) -> str:
    """A suite as JSON, an expectation a line."""
    lines = ",\n".join(f"    {json.dumps(one, ensure_ascii=False)}" for one in expectations)
    head = f'{{\n  "name": {json.dumps(name)},\n  "notes": {json.dumps(notes)},\n  "expectations": [\n'
    return f"{head}{lines}\n  ]\n}}\n"


def _sharing(space: Workspace, source: Source) -> list[Source]:
    return [one for one in space.problem.sources if one.suite == source.suite]


def _present(space: Workspace, source: Source) -> list[Expectation]:
    """The expectations of the suite that is there; none where there is none, or one that cannot be used."""
    try:
        content: Any = json.loads(suite_path(source, space.settings.expectations).read_text(encoding="utf-8"))
        return [one for one in content["expectations"] if isinstance(one.get("kwargs"), dict) and isinstance(one.get("type"), str)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _judged(frame: pd.DataFrame, name: str, expectations: Sequence[Expectation]) -> Report:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{name}.json"
        path.write_text(suite_text(name, "", expectations), encoding="utf-8")
        return validate(frame, path, name=name)
