"""What lies in the landing folders: which files are ready to be judged, which still arrive, and which belong to nobody."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from evergreen.contract import Problem
from evergreen.errors import DataError
from evergreen.files import digest_file, digest_text, is_unfinished
from evergreen.journal import Journal, deliveries
from evergreen.revocations import SHORT, Revocation, given, taken_back


@dataclass(frozen=True)
class Delivery:
    """One file of one source, as it was when somebody looked."""

    source: str
    name: str
    path: Path
    stat: str
    """Size and time of change; whoever judges the file compares it again afterwards."""

    @property
    def digest(self) -> str:
        """sha256 of the bytes that are there now; reads the whole file."""
        return digest_file(self.path)


@dataclass(frozen=True)
class Found:
    """One look at the landing area, in the order of the contract's sources, then of names."""

    ready: tuple[Delivery, ...]
    waiting: tuple[Path, ...]
    """Still being written: hidden, named as unfinished, or changed a moment ago."""
    unknown: tuple[Path, ...]
    """Belongs to no source of the contract, or is no file."""


def find(landing: Path, problem: Problem, *, settle_seconds: float, now: datetime) -> Found:
    """Look once; a file that changed less than `settle_seconds` before `now` is left waiting.

    Raises
    ------
    DataError
        There is no landing folder, or a folder in it cannot be listed.
    """
    if not landing.is_dir():
        raise DataError(
            f"There is no landing folder {landing}. Make it, with a folder for each source in it, and put the deliveries there."
        )
    names = [source.name for source in problem.sources]
    folders = [landing / name for name in names if (landing / name).is_dir()]
    ready: list[Delivery] = []
    waiting: list[Path] = []
    unknown: list[Path] = []
    for path in _listed(landing):
        if path not in folders:
            (waiting if is_unfinished(path.name) else unknown).append(path)
    for path in (path for folder in folders for path in _listed(folder)):
        if is_unfinished(path.name):
            waiting.append(path)
        elif not path.is_file() or not path.name.isprintable():
            unknown.append(path)
        elif settle_seconds and now.timestamp() - path.stat().st_mtime < settle_seconds:
            waiting.append(path)
        else:
            ready.append(Delivery(path.parent.name, path.name, path, stat_of(path)))
    return Found(tuple(ready), tuple(waiting), tuple(unknown))


def find_settled(landing: Path, problem: Problem, *, settle_seconds: float, now: datetime) -> Found:
    """Look and, when a file changed a moment ago, look again when it has held still for `settle_seconds`: then it is ready.

    The second look compares, so a file whose clock is ahead of ours does not wait for ever.
    """
    first = find(landing, problem, settle_seconds=settle_seconds, now=now)
    young = {path: stat_of(path) for path in first.waiting if not is_unfinished(path.name)}
    if not young:
        return first
    newest = max(int(stat.partition(":")[2] or 0) / 1e9 for stat in young.values())
    pause = min(max(newest + settle_seconds - now.timestamp(), 0.0), settle_seconds)
    time.sleep(pause)
    second = find(landing, problem, settle_seconds=settle_seconds, now=now + timedelta(seconds=pause))
    still = [path for path in second.waiting if path in young and stat_of(path) == young[path]]
    places = {source.name: place for place, source in enumerate(problem.sources)}
    ready = [*second.ready, *(Delivery(path.parent.name, path.name, path, young[path]) for path in still)]
    return Found(
        tuple(sorted(ready, key=lambda delivery: (places[delivery.source], delivery.name))),
        tuple(path for path in second.waiting if path not in still),
        second.unknown,
    )


@dataclass(frozen=True)
class Counted:
    """What the verdicts on a source's files rest on."""

    deliveries: frozenset[str]
    """The last that were published under their names, taken back or not."""
    taken_back: frozenset[str]
    """Batches."""


@dataclass(frozen=True)
class Known:
    """What the journal knows of deliveries, as one look found it; it answers for as long as that look is worked on, and no longer."""

    rows: tuple[dict[str, Any], ...]
    """Of `deliveries`, oldest first."""
    taken_back: Mapping[str, Revocation]
    accepted: frozenset[str]
    """See `evergreen.revocations.given`."""

    @cached_property
    def newest(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The newest row of each source and name."""
        return {(row["source"], row["name"]): row for row in self.rows}

    @cached_property
    def _published(self) -> dict[str, list[dict[str, Any]]]:
        """Of each source the last row that was published under each name, in the order they were published."""
        last = {(row["source"], row["name"]): row for row in self.rows if row["outcome"] == "published"}
        by: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(last.values(), key=lambda row: int(row["seq"])):
            by.setdefault(row["source"], []).append(row)
        return by

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """The rows of the deliveries that are refused and that nothing has taken the place of."""
        return [row for row in self.newest.values() if row["outcome"] == "quarantined"]

    def active(self, source: str) -> list[dict[str, Any]]:
        """The rows of the batches that count; see the function of that name."""
        return [row for row in self._published.get(source, []) if row["batch"] not in self.taken_back]

    def emptied(self, source: str) -> tuple[Revocation, ...]:
        """The words by which nothing counts of a source of which something would; none while something does, or nothing ever has."""
        rows = self._published.get(source, [])
        return tuple(self.taken_back[row["batch"]] for row in rows) if all(row["batch"] in self.taken_back for row in rows) else ()

    def withdrawn(self, source: str) -> tuple[dict[str, Any], ...]:
        """The last rows that were published under their names, and whose batches a person has taken back."""
        return tuple(row for row in self._published.get(source, []) if row["batch"] in self.taken_back)

    def lacks(self, problem: Problem) -> tuple[str, ...]:
        """The sources of which nothing counts, in the contract's order."""
        return tuple(source.name for source in problem.sources if not self.active(source.name))

    def counted(self, source: str) -> Counted:
        """What counts of a source, and what was taken back."""
        return Counted(frozenset(row["delivery"] for row in self._published.get(source, [])), frozenset(self.taken_back))

    def judged_by(self, rules: str, row: Mapping[str, Any] | None) -> str:
        """What names the rules for the delivery of a row: others once a person has accepted it.

        Then everything in quarantine is judged anew: what follows an accepted delivery may be like that one.
        """
        if not self.accepted:
            return rules
        return digest_text(rules, *sorted(self.accepted), str(row is not None and row["delivery"] in self.accepted))


def known(journal: Journal, **equal: Any) -> Known:
    """What the journal knows of the deliveries with these values, at this moment."""
    return Known(tuple(journal.rows(deliveries, **equal)), taken_back(journal), frozenset(given(journal)))


def unjudged(found: Found, known: Known, rules: Mapping[str, str], *, root: Path | None = None) -> list[Delivery]:
    """The ready deliveries that the journal has no verdict on, in their order; `known` has to be read after they were found.

    A quarantined delivery is judged again once the rules of its source changed, or the batch that it would be is given back: that is how a
    quarantine is released.
    `rules` has the digest of each source's rules, by its name. With the store's `root`, a published delivery whose batch
    is missing there is judged again too.
    """
    counted = {source: known.counted(source) for source in rules}
    last = [(delivery, known.newest.get((delivery.source, delivery.name))) for delivery in found.ready]
    return [
        delivery
        for delivery, row in last
        if not has_verdict(delivery, row, known.judged_by(rules[delivery.source], row), root, counted[delivery.source])
    ]


def active(journal: Journal, source: str) -> list[dict[str, Any]]:
    """The journal's rows of the batches that count: the last one published under each name, in the order they were published.

    Where a person has taken that one back, nothing counts under its name: what it had replaced was replaced for a reason.
    """
    return known(journal, source=source, outcome="published").active(source)


def quarantined(journal: Journal) -> list[dict[str, Any]]:
    """The journal's rows of the deliveries that are refused and that nothing has taken the place of."""
    return known(journal).quarantined


def emptied(journal: Journal, source: str) -> tuple[Revocation, ...]:
    """The words by which nothing counts of a source of which something would; none while something does, or nothing ever has."""
    return known(journal, source=source, outcome="published").emptied(source)


def why_empty(source: str, words: Collection[Revocation]) -> str:
    """That nothing counts of a source any more, and what to do, in sentences."""
    last = list(words)[-1]
    batch, more = last.batch[:SHORT], f", and {len(words) - 1} more" if len(words) > 1 else ""
    return (
        f"Nothing counts of {source} any more: the batch {batch} {last.sentence.rstrip('.')}{more}. Deliver a corrected file under the "
        f"same name, or give it back: evergreen batch restore {batch} --reason ..."
    )


def why_lacking(journal: Journal, source: str) -> str:
    """What was taken back of a source, the newest first to be named, and what to do, in sentences; empty where nothing was."""
    seen = known(journal, source=source, outcome="published")
    gone = seen.withdrawn(source)
    if not gone:
        return ""
    row, more = gone[-1], f"; so were {len(gone) - 1} more" if len(gone) > 1 else ""
    word = seen.taken_back[row["batch"]].sentence.rstrip(".")
    return (
        f"The batch {row['batch'][:SHORT]} ({source}/{row['name']}) {word}{more}. If its rows are what is missing, give it back (evergreen "
        f"batch restore {row['batch'][:SHORT]} --reason ...), or deliver a corrected file under the same name."
    )


def has_verdict(delivery: Delivery, row: Mapping[str, Any] | None, rules: str, root: Path | None, counted: Counted) -> bool:
    """Whether `row`, the newest of that source and name, already judges these bytes; hashes them only if the file's stat changed."""
    if row is None or not _stands(row, rules, root, counted):
        return False
    try:
        return bool(row["stat"] == delivery.stat or row["delivery"] == delivery.digest)
    except OSError:
        return False  # whoever judges it says that it cannot be read


def batch_path(root: Path, source: str, digest: str) -> Path:
    """Where the batch made from a published delivery lies."""
    return root / "batches" / source / f"{digest}.parquet"


def _stands(row: Mapping[str, Any], rules: str, root: Path | None, counted: Counted) -> bool:
    """Whether a verdict holds for as long as the bytes are the same: a duplicate of what counts no more has to be judged anew."""
    is_out = row["batch"] in counted.taken_back
    if row["outcome"] == "quarantined":
        # One that names a batch was refused because that was taken back.
        return bool(row["rules"] == rules and (is_out or not row["batch"]))
    if row["outcome"] == "duplicate":
        return row["delivery"] in counted.deliveries
    return is_out or root is None or batch_path(root, row["source"], row["batch"]).exists()


def why_unknown(path: Path, problem: Problem) -> str:
    """What is wrong with something that can never be judged where it lies under its name, and what to do."""
    names = [source.name for source in problem.sources]
    if path.parent.name not in names:
        return f"belongs to no source of the contract: move what it holds into the folder of one ({', '.join(names)}), or remove it"
    if not path.name.isprintable():
        return "has a name with a sign that cannot be shown: deliver it under another one"
    return "is no file, and only files are judged: deliver what it holds as files, or remove it"


def stat_of(path: Path) -> str:
    """Size and time of change as one text, or "gone"."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return "gone"
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}). Check its permissions, then run again.") from None
