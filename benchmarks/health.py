"""Faults that are planted into the flights' deliveries, and what finds each; `make bench-health` writes docs/health-measured.md.

The year is played month by month. A fault comes with the deliveries of one month, after clean ones; everything else stays as it is. What is
refused is kept from the models where the rows that a training would learn from are, value by value, those of a home into which it never
came; where nothing is refused it is said what keeps the models safe.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks import alerts
from benchmarks.delivered import NOW, ROOT, Year
from benchmarks.planted import CREEPS, FAULTS, Fault
from evergreen import journal as tables
from evergreen.data.batches import Judged
from evergreen.errors import DataError
from evergreen.monitoring.drift import compare
from evergreen.monitoring.freshness import of_sources
from evergreen.monitoring.pillars import joined, refuse_apart
from evergreen.monitoring.windows import newest, successive
from evergreen.quoting import revealed
from evergreen.triggers import State, Trigger, decide
from problem.contract import PROBLEM

feed = importlib.import_module("problem.feed")  # by name, for a problem of your own has none

PAGE = ROOT / "docs" / "health-measured.md"
MONTH, BEFORE = "2013-08", "2013-07"
"""The month whose schedule and weather come with the fault; outcomes that do are those of the month before, which arrive with them."""


@dataclass(frozen=True)
class Whole:
    """A year without a fault."""

    refused: list[str]
    warned: list[str]
    """Of each warning what it is about, and whether an expectation or a look at the deliveries before gave it."""
    count: int
    """Of deliveries."""


def deliver(year: Year, through: str, fault: Fault | None = None) -> None:
    """Have everything arrive until a month is over, one source with its fault; of a source that is late no file comes."""
    feed.deliver(year.landing, through)
    if fault is None:
        return
    path = with_fault(year, fault.source)
    changed = fault.change(pd.read_csv(path, dtype={"tailnum": "str", "aircraft": "str"}))
    changed.to_csv(path, index=False) if len(changed) else path.unlink()


def with_fault(year: Year, source: str) -> Path:
    """The file that comes with the fault."""
    return year.landing / source / f"{BEFORE if source == 'outcomes' else MONTH}.csv"


def found_by(year: Year, fault: Fault, judged: list[Judged], without: str) -> tuple[str, str, str]:
    """Pillars that found it, the sentence of the one that should have, and what keeps it from the models; empty for what nothing did.

    `without`: digest of what is learnt from where the delivery never came.
    """
    refused = [one for one in judged if one.outcome == "quarantined"]
    rows = year.journal.rows(tables.checkups, source=fault.source)[-1:] if fault.pillar != "freshness" else []
    failed = [one for row in rows for one in row["facts"]["findings"] if one["state"] == "fail"]
    # Whose newest file is in quarantine is late too, which is no finding of its own.
    late = [] if refused else [one for one in of_sources(year.journal, PROBLEM, NOW) if one.is_stale]
    pillars = [*dict.fromkeys(one["pillar"] for one in failed), *(["freshness"] if late else [])]
    said = next((one["sentence"] for one in failed if one["pillar"] == fault.pillar), "")
    if late and fault.pillar == "freshness":
        said = f"{late[0].source}: its newest row lies {late[0].behind} behind {late[0].clock}"
        decision = decide(Trigger("data", "key"), PROBLEM.retraining, State(now=NOW, stale=tuple(one.source for one in late)))
        return ", ".join(pillars), said, f"no training begins by itself ({decision.rule})" if decision.action == "skip" else ""
    is_kept = [one.source for one in refused] == [fault.source] and year.learnt() == without
    return ", ".join(pillars), said, "quarantine" if is_kept else ""


def plant(base: Year, folder: Path) -> list[tuple[Fault, str, str, str]]:
    """Each fault in a home of its own."""
    told, without = [], {source: learnt_without(base, folder / source, source) for source in {fault.source for fault in FAULTS}}
    for number, fault in enumerate(FAULTS):
        year = base.copy(folder / str(number))
        deliver(year, BEFORE, fault)
        judged = year.ingest()
        told.append((fault, *found_by(year, fault, judged, without[fault.source])))
        year.journal.close()
        print(f"{fault.name}: {told[-1][1] or 'NOT FOUND'}; {told[-1][3] or 'NOT KEPT AWAY'}", flush=True)
    return told


def learnt_without(base: Year, folder: Path, source: str) -> str:
    """What is learnt from where one file of the month never came."""
    year = base.copy(folder)
    deliver(year, BEFORE)
    with_fault(year, source).unlink()
    year.ingest()
    told = year.learnt()
    year.journal.close()
    return told


def clean(folder: Path) -> Whole:
    """The whole year without a fault."""
    year, refused, warned, count = Year(folder), [], [], 0
    for month in feed.MONTHS:
        deliver(year, month)
        judged = year.ingest()
        count += len(judged)
        refused += [f"{one.source}/{one.name}: {one.reason}" for one in judged if one.outcome == "quarantined"]
        warned += [sentence for one in judged if one.outcome == "published" for sentence in warnings(year, one)]
        late = [f"{one.source} is late" for one in of_sources(year.journal, PROBLEM, NOW) if one.is_stale]
        apart: list[str] = []
        if month >= feed.FIRST:
            frame = year.frame()
            apart = [one.sentence for one in joined(PROBLEM, frame, frame.rows) if one.state != "ok"]
        refused += [f"{month}: {sentence}" for sentence in [*late, *apart]]
    year.journal.close()
    return Whole(refused, warned, count)


def warnings(year: Year, one: Judged) -> list[str]:
    """What an accepted delivery was warned of, and by what."""
    rows = year.journal.rows(tables.checkups, source=one.source, name=one.name)
    unlike = {revealed(each["sentence"]) for row in rows for each in row["facts"]["findings"] if each["state"] == "warn"}
    told = {each: "unlike those before it" if each in unlike else "an expectation" for each in one.warnings}
    return [f"{one.source}/{one.name}: {each} ({why})" for each, why in told.items()]


@dataclass(frozen=True)
class Crept:
    """How far a column has come once a month has been delivered."""

    month: str
    distance: float
    usual: float
    is_found: bool


def creeping(folder: Path, source: str, column: str, change: Callable[[pd.Series, int], pd.Series]) -> tuple[list[Crept], list[str]]:
    """What the drift of a champion that learnt until May makes of a column that creeps, and which deliveries were refused for it."""
    year, told, done = Year(folder), [], set[Path]()
    for place, month in enumerate(feed.MONTHS):
        feed.deliver(year.landing, month)
        for path in sorted(set((year.landing / source).glob("*.csv")) - done):
            frame = pd.read_csv(path, dtype={"aircraft": "str"})
            frame.assign(**{column: change(frame[column], int(path.stem[-2:]) - 1)}).to_csv(path, index=False)
            done.add(path)
        year.ingest()
        if month > feed.FIRST:
            rows, policy = year.frame().rows, PROBLEM.retraining.drift
            windows = successive(rows[rows["date"] < "2013-06"], PROBLEM.time, days=policy.days, most=policy.windows)
            recent = newest(rows[rows["date"] < f"2013-{place + 2:02d}"], PROBLEM.time, days=policy.days)
            found = compare([window[[column]] for window in windows], recent[[column]], policy).features[0]
            told.append(Crept(month, found.distance or 0.0, found.usual, found.is_drifted))
    refused = [f"{row['source']}/{row['name']} {row['reason']}" for row in year.journal.rows(tables.deliveries, outcome="quarantined")]
    year.journal.close()
    return told, refused


def unmatched(base: Year, folder: Path) -> str:
    """A register of aircraft that forgets its key's form, delivered anew: what the newest rows say."""
    year = base.copy(folder)
    path = year.landing / "planes" / "2013b.csv"
    frame = pd.read_csv(year.landing / "planes" / "2013.csv")
    frame.assign(tailnum=frame["tailnum"].str.lower()).to_csv(path, index=False)
    schedule = year.landing / "schedule" / f"{MONTH}.csv"
    feed.deliver(year.landing, MONTH)
    lower = pd.read_csv(schedule, dtype={"aircraft": "str"})
    lower.assign(aircraft="X" + lower["aircraft"]).to_csv(schedule, index=False)
    year.ingest()
    try:
        refuse_apart(PROBLEM, year.frame())
    except DataError as error:
        return str(error)
    finally:
        year.journal.close()
    return ""


@dataclass(frozen=True)
class Found:
    """Everything that was measured."""

    planted: list[tuple[Fault, str, str, str]]
    """Each fault with what `found_by` says of it."""
    joins: str
    whole: Whole
    crept: dict[str, tuple[list[Crept], list[str]]]
    told: list[alerts.Told]
    verdicts: set[str]

    @property
    def false_a_month(self) -> float:
        """False alerts of the clean year."""
        return alerts.false_a_month(self.told, self.verdicts, len(feed.MONTHS))


def page(found: Found) -> str:
    """The tables, as Markdown."""
    quarantined = sum(kept == "quarantine" for *_, kept in found.planted)
    lines = [
        *("# Data health, measured", "", "Written by `make bench-health` from the flights of 2013, by the default `HealthPolicy`."),
        *("", "## Planted faults", ""),
        f"Each comes with the deliveries of one month ({MONTH}; outcomes: {BEFORE}), after clean ones. Of {len(found.planted)} faults",
        f"{quarantined} are found in that very delivery and quarantined: the rows that a training would learn from are those of a home",
        "where it never came. The late source brings nothing that could be refused. It is found in the month in which its file is",
        "missing, by the contract's `max_age`, and from then on no training begins by itself.",
        *("", "| fault | in | found by | kept from the models by | what was said |", "|---|---|---|---|---|"),
        *(f"| {one.name} | {one.source} | {by or 'nothing'} | {kept or 'nothing'} | {said} |" for one, by, said, kept in found.planted),
        *("", "Newest rows whose key has another form than the table they are joined with; the join finds it:", "", f"> {found.joins}"),
        *("", "## The year as it is", ""),
        f"{found.whole.count} deliveries, month by month: {len(found.whole.refused)} refused, told as late or apart; "
        f"{len(found.whole.warned)} warnings, which alert nobody:",
        *("", *(f"- {sentence}" for sentence in found.whole.warned or ["none"])),
        *("", "## False alerts", "", *alerts.lines(found.told, found.verdicts, feed.MONTHS)),
        *("", "## What creeps", ""),
        "Here bad data do reach a model, as none should. A delivery is held against the one before it, and steps as small as these are",
        "below what may differ unrefused (`min_distance` and `times_usual` of `HealthPolicy`), which keeps clean months from being",
        "refused. So each is accepted and learnt from. What creeps shows as drift of a serving model's features, which starts a training,",
        "and the gate judges what comes of that. Below is a champion that learnt until May and was never replaced, against each month's",
        "newest 30 days; one that is replaced meanwhile is compared with newer rows, which are nearer.",
        *(line for name, (months, _) in found.crept.items() for line in creep(name, months)),
    ]
    return "\n".join([*lines, ""])


def creep(name: str, months: list[Crept]) -> list[str]:
    """The table of a column that creeps."""
    first = next((at for at, one in enumerate(months, start=1) if one.is_found), None)
    when = "It was never found." if first is None else f"Found in month {first} after those that the champion learnt from."
    rows = (f"| {one.month} | {one.distance:.2f} | {one.usual:.2f} | {'found' if one.is_found else 'no'} |" for one in months)
    return ["", f"### {name[0].upper()}{name[1:]}", "", when, "", "| delivered to | distance | usual | drift |", "|---|---|---|---|", *rows]


def measured(place: Path) -> Found:
    """Everything, in folders of its own."""
    base = Year(place / "base")
    deliver(base, "2013-06")
    base.ingest()
    planted = plant(base, place / "planted")
    joins = unmatched(base, place / "joins")
    whole = clean(place / "clean")
    crept = {name: creeping(place / f"creep {number}", *how) for number, (name, how) in enumerate(CREEPS.items())}
    return Found(planted, joins, whole, crept, *alerts.replay(place / "replay"))


def faults(found: Found) -> list[str]:
    """What is not as it should be, in words."""
    missed = [one.name for one, pillars, _, kept in found.planted if one.pillar not in pillars.split(", ") or not kept]
    unseen = [name for name, (months, gone) in found.crept.items() if gone or not any(one.is_found for one in months)]
    return [
        *(f"{name}: not found, or not kept from the models" for name in missed),
        *(f"clean, and refused: {sentence}" for sentence in found.whole.refused),
        *([] if found.joins else ["keys of another form were not found"]),
        *(f"{name}: {'; '.join(found.crept[name][1]) or 'its drift was not found'}" for name in unseen),
        *([f"{found.false_a_month:.2f} false alerts a month"] if found.false_a_month > alerts.ALLOWED else []),
    ]


def main() -> int:
    """Write the page; 1 where a fault was missed, a clean delivery refused, or more than one false alert a month told."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    PAGE.write_text(page(found))
    wrong = faults(found)
    print("\n".join(wrong or [f"{len(found.planted)} faults found and kept away, {found.whole.count} clean deliveries accepted."]))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
