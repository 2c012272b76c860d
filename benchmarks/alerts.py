"""Alerts of a clean year: the flights of 2013 arrive month by month, nothing is planted, and real rounds are gone.

    make bench-alerts                                     about five minutes on two cores; prints the table
    make bench-health                                     does it too, and writes the table into docs/health-measured.md

Before there is enough for a first model a month is only taken in, and a look tells its alerts. The broken delivery that the example plays
is left out. Counted are the alerts that the journal was told of and, month by month, each that still holds. It ends with 1 where more than
one a month is false.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen import journal as tables
from evergreen.causes import find_alerts
from evergreen.gate.finding import Verdict
from evergreen.journal import Journal
from evergreen.monitoring.alerts import RESOLVED, cause_of
from evergreen.monitoring.telling import AGAIN, SENT
from evergreen.settings import load_settings
from evergreen.workspace import Workspace, load_problem
from flows.alerting import tell_alerts

ALLOWED = 1.0
"""False alerts a month."""
WHY = {
    "verdict": "true where the journal has that verdict: a version does not serve, and people must know or decide. Whether the gate is "
    "right is another question, measured in [gate-measured.md](gate-measured.md)",
    "budget": "true: it is counted in the journal, and no candidate can be promoted until it has room",
}
"""Kinds that may be true in a clean year, and when."""
OTHERWISE = "false: nothing was planted, so whatever it says of data, drift, decay or the loop, nobody had anything to do"


@dataclass(frozen=True)
class Told:
    """An alert of a month."""

    month: str
    kind: str
    cause: str
    text: str
    is_new: bool
    """Whether it was told then, or holds still."""


def replay(home: Path) -> tuple[list[Told], set[str]]:
    """Play the year in a home; its alerts, and the causes of verdicts that the journal has."""
    feed, told = importlib.import_module("problem.feed"), list[Told]()
    os.environ["EVERGREEN_HOME"] = str(home)
    settings = load_settings()
    seen = 0
    for month in feed.MONTHS:
        feed.deliver(settings.landing, month)
        evergreen(*(("ingest",) if month < feed.FIRST else ("run", "--through", month)))
        space = Workspace(settings, load_problem(settings.problem), Journal(settings.journal))
        if month < feed.FIRST:
            tell_alerts(space, datetime.now(UTC))
        found = told_in(space, month, seen)
        told += found
        seen = max((row["seq"] for row in space.journal.rows(tables.alerts)), default=0)
        verdicts = {cause_of("verdict", row["decision"]) for row in refusals(space)}
        space.journal.close()
        print(f"{month}: {', '.join(one.kind for one in found) or 'none'}", flush=True)
    return told, verdicts


def refusals(space: Workspace) -> list[dict[str, Any]]:
    """Decisions that let no version serve."""
    return [row for row in space.journal.rows(tables.decisions) if row["verdict"] != Verdict.PROMOTE]


def told_in(space: Workspace, month: str, seen: int) -> list[Told]:
    """What people were told of since a row of the journal, and what holds besides: a month on it would be told again."""
    rows = [row for row in space.journal.rows(tables.alerts) if row["seq"] > seen and row["kind"] not in {AGAIN, SENT}]
    new = [Told(month, row["kind"], row["cause"], row["text"], is_new=True) for row in rows]
    causes = {one.cause for one in new if one.kind != RESOLVED}
    holds = [one for one in find_alerts(space, datetime.now(UTC)) if one.cause not in causes]
    return [*new, *(Told(month, one.kind, one.cause, one.text, is_new=False) for one in holds)]


def is_false(one: Told, verdicts: set[str]) -> bool:
    """Whether an alert of a clean year says what is not so, or asks for something where nothing is to be done."""
    if one.kind == "verdict":
        return one.cause not in verdicts
    return one.kind not in {*WHY, RESOLVED}


def false_a_month(told: Sequence[Told], verdicts: set[str], months: int) -> float:
    """False alerts, on average."""
    return sum(is_false(one, verdicts) for one in told) / months


def lines(told: Sequence[Told], verdicts: set[str], months: Sequence[str]) -> list[str]:
    """The tables, as Markdown."""
    mean = false_a_month(told, verdicts, len(months))
    alarms = [one for one in told if one.kind != RESOLVED]
    count = sum(is_false(one, verdicts) for one in alarms)
    every = f"{len(alarms) / len(months):.2f}"
    text = [
        f"{len(months)} months replayed with the real rounds, one a month and nothing planted: {len(alarms)} alerts, "
        f"{count} of them false, {mean:.2f} a",
        f"month (at most {ALLOWED:g} is allowed; were all of them false, it would be {every}). An alert that still holds a",
        "month later counts again.",
        *("", "| month | alert | which is | what was said |", "|---|---|---|---|"),
    ]
    for month in months:
        here = [one for one in told if one.month == month]
        text += [f"| {month} | {one.kind}{'' if one.is_new else ', still'} | {word(one, verdicts)} | {said(one)} |" for one in here]
        text += [] if here else [f"| {month} | none | | |"]
    text += ["", *(f"- `{kind}` is {why}." for kind, why in WHY.items()), f"- Any other kind is {OTHERWISE}."]
    return text


def word(one: Told, verdicts: set[str]) -> str:
    """What an alert is, in a word."""
    if one.kind == RESOLVED:
        return "no alarm"
    return "false" if is_false(one, verdicts) else "true"


def said(one: Told) -> str:
    """What happened, without whom it affects, what to run, and when what is over now was told."""
    what = one.text.partition(" Affected: ")[0]
    return f"It holds no longer: {what.partition('holds no longer: ')[2]}" if one.kind == RESOLVED else what


def evergreen(*words: str) -> None:
    """Run a command to its end; what it prints is shown only when it fails."""
    command = [str(Path(sys.executable).with_name("evergreen")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def main() -> int:
    """Play the year and print its alerts; 1 where more than one a month is false."""
    with tempfile.TemporaryDirectory() as folder:
        told, verdicts = replay(Path(folder))
    months = importlib.import_module("problem.feed").MONTHS
    print("\n".join(lines(told, verdicts, months)))
    return 1 if false_a_month(told, verdicts, len(months)) > ALLOWED else 0


if __name__ == "__main__":
    raise SystemExit(main())
