"""The pillars of data health over time: what each delivery showed, and what each look at all that was accepted shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.contract import Problem
from evergreen.data.checkups import Checkup, Finding, State, name_of
from evergreen.data.snapshots import Frame, published_now, row_fingerprints
from evergreen.data.targets import FOUND, refuse_orphans, why_so_few
from evergreen.errors import DataError, JoinError
from evergreen.files import digest_text
from evergreen.journal import Journal
from evergreen.monitoring.freshness import Freshness, of_sources
from evergreen.monitoring.windows import successive
from evergreen.quoting import apart, in_words
from evergreen.revocations import given, taken_back

PILLARS = ("freshness", "volume", "schema", "distribution", "duplicates", "joins")
UNJOINED, MATCH_RATE = "it can be joined", "match rate"
UNFIT = (UNJOINED, MATCH_RATE)
"""Rules without which nothing is learnt from the data."""
LOOK = "look"
"""What the journal has for the name of a delivery where all that was accepted was looked at."""
WINDOW_DAYS, WINDOWS = 30, 13
LOST, TIMES_USUAL = 0.05, 1.5
"""A match rate that falls by more than this, and by more than so many times what it ever did, warns."""
KEPT = 12
"""Of each source so many deliveries, and as many looks, are told."""
ORDER: tuple[State, ...] = ("fail", "warn", "ok", "unjudged")


@dataclass(frozen=True)
class Cell:
    """What a pillar of a source came to at one time."""

    state: State
    sentences: tuple[str, ...]
    """What was found, the worst first; of a pillar that is well the first rule's."""
    at: str
    """ISO time (UTC)."""
    name: str
    """The delivery's file, or LOOK."""
    delivery: str
    """sha256 of the file, or the snapshot that was looked at."""
    is_refused: bool = False
    """Whether the delivery was kept from the models."""
    is_taken_back: bool = False
    """Whether a person has taken its batch back."""


def look(journal: Journal, problem: Problem, frame: Frame | JoinError, *, snapshot: str, now: datetime) -> list[Finding]:
    """See how fresh the sources are, and how well the newest rows find their partners; what is found is kept, once for each state.

    `frame` may be why there is none: then the source that cannot be joined fails.
    """
    found: list[Finding] = []
    lag = {one.source: one for one in of_sources(journal, problem, now)}
    rates = {one.column: one for one in (_rates(problem, frame) if isinstance(frame, Frame) else [unjoined(problem, frame)])}
    for source in problem.sources:
        own = [freshness(lag[source.name])] if source.name in lag else []
        last = journal.last(tables.checkups, source=source.name, name=LOOK)
        own += [rates[source.name]] if source.name in rates else _over(last, frame)
        if not own:
            continue
        found += own
        states = " ".join(one.state for one in own)
        day = f"{now:%Y-%m-%d}" if problem.clock == "wall" else ""
        key = digest_text("look", source.name, snapshot, problem.digest(), day, states)
        if last is None or not last["checkup"].startswith(key):  # what was so before, and otherwise since, is news again
            after = str(last["seq"]) if last else "0"
            row = {"checkup": f"{key} {after}", "source": source.name, "name": LOOK, "delivery": snapshot}
            journal.add(tables.checkups, **row, facts={**Checkup(tuple(own)).facts, "contract": problem.digest()})
    return found


def _rates(problem: Problem, frame: Frame) -> Iterator[Finding]:
    yield from joined(problem, frame, frame.rows)
    yield from outcomes_found(problem, frame)


def unjoined(problem: Problem, error: JoinError) -> Finding:
    """That nothing can be joined, and why; `column` names the source."""
    source = error.source if error.source in {one.name for one in problem.sources} else problem.entity
    said = in_words(error)
    return Finding("joins", UNJOINED, "fail", f"nothing can be joined: {said if said.endswith('..') else said.removesuffix('.')}", source)


def why_apart(journal: Journal, problem: Problem, *, rules: Collection[str] = (UNJOINED,)) -> str:
    """Why nothing can be joined, as the newest look found it; empty where it can, and where nobody has looked at what counts now.

    With the rule MATCH_RATE also why the newest rows are too far apart to learn from.
    """
    for source in problem.sources:
        last = journal.last(tables.checkups, source=source.name, name=LOOK)
        for one in last["facts"]["findings"] if last else ():
            if last and one.get("rule") in rules and one["state"] == "fail" and _is_of_today(journal, problem, last):
                return f"{source.name}: {apart(one['sentence'])}" if one["rule"] == MATCH_RATE else apart(one["sentence"])
    return ""


def _is_of_today(journal: Journal, problem: Problem, row: dict[str, Any]) -> bool:
    """Whether a look was at the batches that count now, by the contract of now."""
    if row["facts"].get("contract") != problem.digest():
        return False
    with suppress(DataError):
        return bool(published_now(journal, problem).id == row["delivery"])
    return False


def _over(last: dict[str, Any] | None, frame: Frame | JoinError) -> list[Finding]:
    """Of a source that could not be joined at the last look: that this is over, or that another one keeps it from being known."""
    if last is None or not any(one["rule"] == UNJOINED and one["state"] == "fail" for one in last["facts"]["findings"]):
        return []
    state: State = "ok" if isinstance(frame, Frame) else "unjudged"
    return [Finding("joins", UNJOINED, state, "it can be joined" if state == "ok" else "another source cannot be joined")]


def freshness(one: Freshness) -> Finding:
    """Whether a source's newest row is as young as the contract wants it."""
    if one.behind is None or one.max_age is None:
        said = "nothing was accepted yet" if one.behind is None else "the contract does not say how old its newest row may be"
        return Finding("freshness", "age", "unjudged", said)
    behind, most = one.behind.total_seconds() / 86_400, one.max_age.total_seconds() / 86_400
    said = f"its newest row, {one.newest:%Y-%m-%d %H:%M}, lies {behind:.1f} days behind {one.clock}; the contract allows {most:.1f}"
    return Finding("freshness", "age", "fail" if one.is_stale else "ok", said, value=behind, threshold=most)


def joined(problem: Problem, frame: Frame, rows: pd.DataFrame) -> Iterator[Finding]:
    """Of each joined source, the share of the newest of these rows of the frame that found a partner; `column` names the source.

    Among the rows of all times a source that has just stopped to match would not be noticed for long.
    """
    windows = successive(rows, frame.time, days=WINDOW_DAYS, most=WINDOWS)
    for join, report in zip(problem.joins, frame.joins, strict=True):
        missed = np.array(sorted(report.missed), dtype=np.uint64)
        rates = [1 - float(np.isin(row_fingerprints(each, problem.key), missed).mean()) for each in windows if len(each)]
        if not rates:
            continue
        state, before, usual = _fallen(rates, join.min_match)
        said = f"{rates[-1]:.1%} of the newest {problem.things} find their partner; the contract wants {join.min_match:.1%}{before}"
        yield Finding("joins", MATCH_RATE, state, said, join.source, rates[-1], join.min_match, usual)


def outcomes_found(problem: Problem, frame: Frame) -> Iterator[Finding]:
    """The share of the newest outcomes that belong to a row at all; `column` names their source. Nothing where rows bring their own."""
    if frame.outcomes is None or problem.target.source == problem.entity:
        return
    windows = successive(frame.outcomes.rows, frame.outcomes.time, days=WINDOW_DAYS, most=WINDOWS)
    rates = [float(each[FOUND].mean()) for each in windows if len(each)]
    if not rates:
        return
    state, before, usual = _fallen(rates, frame.outcomes.least)
    said = f"{rates[-1]:.1%} of the newest outcomes belong to a row of {problem.entity}{before}"
    if state != "ok":
        said += f". {frame.outcomes.apart}"
    yield Finding("joins", MATCH_RATE, state, said, problem.target.source, rates[-1], frame.outcomes.least, usual)


def _fallen(rates: list[float], least: float) -> tuple[State, str, float]:
    """What a match rate, the newest last, comes to; what it was before, in words; how far it usually falls."""
    falls = [before - now for before, now in pairwise(rates)]
    usual = max([0.0, *falls[:-1]])
    has_fallen = len(falls) > 1 and falls[-1] > max(LOST, TIMES_USUAL * usual)
    state: State = "fail" if rates[-1] < least else "warn" if has_fallen else "ok"
    return state, f"; {rates[-2]:.1%} did before" if len(rates) > 1 else "", usual


def refuse_apart(problem: Problem, frame: Frame) -> None:
    """See that outcomes find their rows, and the newest rows with outcomes what they are joined with: guards of joins look at all rows.

    Raises
    ------
    JoinError
        They do not.
    DataError
        No outcome counts.
    """
    if frame.outcomes is not None:
        refuse_orphans(problem, frame.outcomes)
    if broken := [one for one in (*outcomes_found(problem, frame), *joined(problem, frame, frame.labelled)) if one.state == "fail"]:
        said = "; ".join(f"{one.column}: {one.sentence}" for one in broken)
        error = JoinError(f"{said}. Is a delivery missing, or its key of another form? No model was trained.")
        raise error.of(broken[0].column, is_lacking=True)
    if frame.labelled.empty:
        told = "No row has an outcome that counts yet, so there is nothing to learn from."
        raise DataError(f"{told} {why_so_few(frame.rows, problem) or 'Wait for outcomes.'}")


def history(journal: Journal, problem: Problem) -> dict[str, dict[str, list[Cell]]]:
    """What became of each pillar of each source, oldest first: for the contract's sources in its order, and all of `PILLARS`.

    Of each source the newest `KEPT` deliveries and looks are told.
    """
    told: dict[str, dict[str, list[Cell]]] = {one.name: {pillar: [] for pillar in PILLARS} for one in problem.sources}
    for source, pillars in told.items():
        for row, fate in _newest(journal, source):
            findings = row["facts"]["findings"]
            for pillar in PILLARS:
                if own := [one for one in findings if one["pillar"] in (pillar, "check")]:
                    pillars[pillar].append(_cell(row, own, fate))
    return told


def _newest(journal: Journal, source: str) -> list[tuple[dict[str, Any], dict[str, bool]]]:
    """The newest check-ups of a source, oldest first, and what became of the delivery that each is of."""
    judged, gone, found = journal.newest(tables.deliveries, KEPT, source=source), taken_back(journal), []
    for row in judged:
        fate = {"is_refused": row["outcome"] == "quarantined", "is_taken_back": row["outcome"] == "published" and row["batch"] in gone}
        name = name_of(row["source"], row["name"], row["delivery"], row["after"])
        if checkup := journal.last(tables.checkups, checkup=name):
            found.append((checkup, fate))
    found += [(row, {}) for row in journal.newest(tables.checkups, KEPT, source=source, name=LOOK)]
    return sorted(found, key=lambda one: int(one[0]["seq"]))


def failing(journal: Journal, cells: list[tuple[str, str, Cell]]) -> list[tuple[str, str, Cell]]:
    """Those of accepted data that fail and are neither told otherwise, as an old source is late, nor accepted by a person."""
    failed = [one for one in cells if one[2].state == "fail" and one[1] != "freshness"]
    forgiven = given(journal)
    return [one for one in failed if one[2].delivery not in forgiven]


def accepted(journal: Journal, problem: Problem) -> list[tuple[str, str, Cell]]:
    """Source, pillar and the newest cell of each that is of accepted data.

    A refused delivery is told as one in quarantine; one that a person has taken back is as if it had never come.
    """
    told = [(name, pillar, own) for name, pillars in history(journal, problem).items() for pillar, own in pillars.items()]
    left = [(name, pillar, [one for one in own if not one.is_taken_back and not one.is_refused]) for name, pillar, own in told]
    return [(name, pillar, own[-1]) for name, pillar, own in left if own]


def _cell(row: dict[str, Any], findings: Iterable[dict[str, Any]], fate: dict[str, bool]) -> Cell:
    ordered = sorted(findings, key=lambda one: ORDER.index(one["state"]))
    worst = ordered[0]["state"]
    said = tuple(apart(one["sentence"]) for one in ordered if one["state"] == worst)
    return Cell(worst, said if worst in {"fail", "warn"} else said[:1], row["at"], row["name"], row["delivery"], **fate)
