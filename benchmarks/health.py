"""Faults that are planted into the flights' deliveries, and what finds each; `make bench-health` writes docs/health-measured.md.

The year is played month by month. A fault comes with the deliveries of one month, after clean ones; everything else stays as it is. What is
refused is kept from the models where the rows that a training would learn from are, value by value, those of a home into which it never
came; where nothing is refused it is said what keeps the models safe.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.data.batches import Intake, Judged, ingest_one
from evergreen.data.landing import find
from evergreen.data.snapshots import Frame, build_frame, content_digest, published_now
from evergreen.errors import DataError, JoinError
from evergreen.journal import Journal
from evergreen.monitoring.doctor import Doctor
from evergreen.monitoring.drift import compare
from evergreen.monitoring.freshness import of_sources
from evergreen.monitoring.pillars import joined, refuse_apart
from evergreen.monitoring.windows import newest, successive
from evergreen.report.quarantine import render
from evergreen.triggers import State, Trigger, decide
from problem.contract import PROBLEM

feed = importlib.import_module("problem.feed")  # by name, for a problem of your own has none

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "health-measured.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MONTH, BEFORE = "2013-08", "2013-07"
"""The month whose schedule and weather come with the fault; outcomes that do are those of the month before, which arrive with them."""
Change = Callable[[pd.DataFrame], pd.DataFrame]
Whole = tuple[list[str], list[str], int]
"""Of a year: what was refused, what was warned of, and how many deliveries there were."""


@dataclass(frozen=True)
class Fault:
    """A planted fault."""

    name: str
    source: str
    pillar: str
    """The pillar that should find it."""
    change: Change


def some(frame: pd.DataFrame, share: float) -> np.ndarray:
    """Which rows a change meets, always the same."""
    return np.asarray(np.random.default_rng(0).random(len(frame)) < share)


def thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Half of the rows from the 20th on: fewer than usual, and still within the contract's range."""
    late = (frame["date"].str[-2:].astype(int) >= 20).to_numpy()
    return frame.iloc[np.flatnonzero(~late | (np.arange(len(frame)) % 2 == 1))]


def stuck(frame: pd.DataFrame) -> pd.DataFrame:
    """The pressure at one airport stands still for a week."""
    day = frame["observed_at"].str[8:10].astype(int)
    return frame.assign(pressure=frame["pressure"].mask((frame["origin"] == "JFK") & day.between(10, 16), 1013.2))


def flipped(frame: pd.DataFrame) -> pd.DataFrame:
    """Punctual flights are told as late, late ones as punctual."""
    late = frame["dep_time"].isna() | (frame["dep_delay"] >= 15)
    known = frame["dep_time"].fillna(1200)
    return frame.assign(dep_delay=np.where(late, 0.0, 60.0), dep_time=known)


def forgetful(frame: pd.DataFrame) -> pd.DataFrame:
    """Three of ten aircraft are missing."""
    return frame.assign(aircraft=frame["aircraft"].mask(some(frame, 0.3)))


def taken_over(frame: pd.DataFrame) -> pd.DataFrame:
    """All flights of one airline are another's."""
    return frame.assign(carrier=frame["carrier"].replace("EV", "UA"))


def lower_case(frame: pd.DataFrame) -> pd.DataFrame:
    """A fifth of the destinations is written otherwise."""
    return frame.assign(dest=frame["dest"].str.lower().where(some(frame, 0.2), frame["dest"]))


FAULTS = (
    Fault("a source is late: no weather for two months", "weather", "freshness", lambda frame: frame.iloc[:0]),
    Fault("half the rows", "schedule", "volume", lambda frame: frame.iloc[::2]),
    Fault("half the rows of the last ten days", "schedule", "volume", thinned),
    Fault("a column is renamed", "schedule", "schema", lambda frame: frame.rename(columns={"distance": "miles"})),
    Fault("a column that no expectation names is gone", "schedule", "schema", lambda frame: frame.drop(columns="sched_arr_time")),
    Fault("a number becomes text", "schedule", "schema", lambda frame: frame.assign(flight="F" + frame["flight"].astype(str))),
    Fault("temperature in Celsius", "weather", "distribution", lambda frame: frame.assign(temp=((frame["temp"] - 32) / 1.8).round(2))),
    Fault("wind in metres a second", "weather", "distribution", lambda frame: frame.assign(wind_speed=frame["wind_speed"] * 0.447)),
    Fault("distance in kilometres", "schedule", "distribution", lambda frame: frame.assign(distance=frame["distance"] * 1.609)),
    Fault("a burst of missing values", "schedule", "distribution", forgetful),
    Fault("a sensor stands still for a week", "weather", "distribution", stuck),
    Fault("duplicated keys", "weather", "duplicates", lambda frame: pd.concat([frame, frame.tail(30)])),
    Fault("labels flipped", "outcomes", "distribution", flipped),
    Fault("a sudden drift: one airline takes over another", "schedule", "distribution", taken_over),
    Fault("destinations in another code", "schedule", "distribution", lambda frame: frame.assign(dest="K" + frame["dest"])),
    Fault("a fifth of the destinations in lower case", "schedule", "distribution", lower_case),
)
CREEPS: dict[str, tuple[str, str, Callable[[pd.Series, int], pd.Series]]] = {
    "a measure of distances that loses 3% each month": ("schedule", "distance", lambda values, months: values * (1 - 0.03 * months)),
    "a barometer that gains 1.5 hPa each month": ("weather", "pressure", lambda values, months: (values + 1.5 * months).round(1)),
}
"""What creeps: source, column, and what becomes of its values after so many months."""


class Year:
    """A home into which the year is delivered."""

    def __init__(self, home: Path) -> None:
        self.home, self.landing = home, home / "landing"
        self.journal = Journal(f"sqlite:///{home / 'journal.db'}")
        doctor = Doctor(home, self.journal, PROBLEM)
        self.intake = Intake(home, ROOT / "expectations", self.journal, render, doctor)

    def ingest(self) -> list[Judged]:
        """Judge what lies in the landing folders and was not judged."""
        known = {(row["source"], row["name"]) for row in self.journal.rows(tables.deliveries)}
        ready = [one for one in find(self.landing, PROBLEM, settle_seconds=0, now=NOW).ready if (one.source, one.name) not in known]
        return [ingest_one(one, PROBLEM.source(one.source), intake=self.intake, now=NOW) for one in ready]

    def frame(self) -> Frame:
        """What would be learnt from now."""
        return build_frame(self.home, published_now(self.journal, PROBLEM), PROBLEM)

    def learnt(self) -> str:
        """Digest of everything that would be learnt from now; why nothing would be, where the rows cannot be joined."""
        try:
            return content_digest(self.frame().rows)
        except JoinError as error:
            return str(error)

    def copy(self, to: Path) -> Year:
        """Another home, that has come as far as this one."""
        self.journal.close()
        shutil.copytree(self.home, to, dirs_exist_ok=True)
        return Year(to)


def deliver(year: Year, through: str, fault: Fault | None = None) -> None:
    """Have everything arrive until a month is over, one source with its fault; a source is late once it has left out two months."""
    feed.deliver(year.landing, MONTH if fault and fault.pillar == "freshness" else through)
    if fault is None:
        return
    if fault.pillar == "freshness":
        (year.landing / fault.source / "2013-09.csv").unlink()
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
    late = [one for one in of_sources(year.journal, PROBLEM, NOW) if one.is_stale]
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
        health = {row["delivery"]: row for row in year.journal.rows(tables.checkups)}
        names = {(row["source"], row["name"]): row["facts"]["findings"] for row in health.values()}
        for one in judged:
            warned += [f"{one.source}/{one.name}: {each['sentence']}" for each in names[one.source, one.name] if each["state"] == "warn"]
        late = [f"{one.source} is late" for one in of_sources(year.journal, PROBLEM, NOW) if one.is_stale]
        apart: list[str] = []
        if month >= feed.FIRST:
            frame = year.frame()
            apart = [one.sentence for one in joined(PROBLEM, frame, frame.rows) if one.state != "ok"]
        refused += [f"{month}: {sentence}" for sentence in [*late, *apart]]
    year.journal.close()
    return refused, warned, count


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


def page(told: list[tuple[Fault, str, str, str]], joins: str, whole: Whole, crept: dict[str, list[Crept]]) -> str:
    """The tables, as Markdown."""
    refused, warned, count = whole
    lines = [
        *("# Data health, measured", "", "Written by `make bench-health` from the flights of 2013, by the default `HealthPolicy`."),
        *("", "## Planted faults", ""),
        f"Each comes with the deliveries of one month ({MONTH}; outcomes: {BEFORE}), after clean ones, and is found in that very delivery.",
        "What is in quarantine is kept from the models: the rows that a training would learn from are those of a home where it never came.",
        *("", "| fault | in | found by | kept from the models by | what was said |", "|---|---|---|---|---|"),
        *(f"| {one.name} | {one.source} | {pillars or 'nothing'} | {kept or 'nothing'} | {said} |" for one, pillars, said, kept in told),
        *(
            "",
            "Newest rows whose key has another form than the table they are joined with; the join finds it:",
            "",
            f"> {joins}",
        ),
        *("", "## The year as it is", ""),
        f"{count} deliveries, month by month: {len(refused)} refused, told as late or apart; {len(warned)} warnings, which alert nobody:",
        *("", *(f"- {sentence}" for sentence in warned or ["none"])),
        *("", "## What creeps", ""),
        "No delivery is far from the last one, so each is accepted. It shows as drift of a serving model's features, which starts a",
        "training, and the gate judges what comes of that. Against a champion that learnt until May, each month's newest 30 days:",
    ]
    for name, months in crept.items():
        lines += ["", f"### {name.capitalize()}", "", "| delivered to | distance | usual | drift |", "|---|---|---|---|"]
        lines += [f"| {one.month} | {one.distance:.2f} | {one.usual:.2f} | {'found' if one.is_found else 'no'} |" for one in months]
    return "\n".join([*lines, ""])


def main() -> int:
    """Print the tables and write the page; 1 where a fault was missed, or a clean delivery refused."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        base = Year(place / "base")
        deliver(base, "2013-06")
        base.ingest()
        told = plant(base, place / "planted")
        joins = unmatched(base, place / "joins")
        refused, warned, count = clean(place / "clean")
        crept = {name: creeping(place / f"creep {number}", *how) for number, (name, how) in enumerate(CREEPS.items())}
    for sentence in refused:
        print(f"clean, and refused: {sentence}")
    missed = [fault.name for fault, pillars, _, kept in told if fault.pillar not in pillars.split(", ") or not kept]
    PAGE.write_text(page(told, joins, (refused, warned, count), {name: months for name, (months, _) in crept.items()}))
    print(f"{len(told) - len(missed)} of {len(told)} faults found and kept away; {len(refused)} of {count} clean deliveries refused.")
    unseen = [name for name, (months, gone) in crept.items() if gone or not any(one.is_found for one in months)]
    for name in unseen:
        print(f"{name}: {'; '.join(crept[name][1]) or 'its drift was not found'}")
    return 1 if missed or refused or not joins or unseen else 0


if __name__ == "__main__":
    raise SystemExit(main())
