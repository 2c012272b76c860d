"""How models grow old: versions that are still stored, asked about the newest rows with outcomes, and what their decisions would cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.brakes import removed
from evergreen.data.snapshots import Frame, content_digest
from evergreen.errors import DataError, StoreError
from evergreen.files import digest_text
from evergreen.monitoring.asking import ask, unseen
from evergreen.monitoring.figures import figures
from evergreen.monitoring.keeping import keep
from evergreen.monitoring.kinds import STALENESS
from evergreen.monitoring.windows import end_of, newest
from evergreen.moves import standing
from evergreen.policies import HashedSplit
from evergreen.registry import Version
from evergreen.splitting import split_rows
from evergreen.workspace import Workspace


@dataclass(frozen=True)
class _Window:
    rows: pd.DataFrame
    content: str
    end: str | None


def measure(space: Workspace, frame: Frame) -> list[dict[str, Any]]:
    """Ask the newest versions that are still stored about the newest outcomes; a version and a window are asked once.

    Returns
    -------
    list of dict
        The journal's rows, one for each version, oldest first. Their `facts` hold `version`, `window_end`, `training_end`, `age_days` (from
        the newest row that it learnt from to the window's end; None for data without time) and either what `figures` tells, or
        `is_judged` false and `why`: a version that has learnt from rows of the window is never asked about it.
    """
    found = _window(space, frame)
    if found is None:
        return []
    gone = removed(space.journal)
    versions = [one for one in space.registry.versions() if one.number not in gone][-space.problem.performance.versions :]
    states = {one.number: digest_text(str(one.number), found.content, space.problem.digest()) for one in versions}
    last = {row["facts"]["version"]: row for row in space.journal.rows(tables.signals, kind=STALENESS)}
    new = [one for one in versions if one.number not in last or last[one.number]["facts"].get("state") != states[one.number]]
    asked, window = _asked(space, found, new), found.end or found.content
    return [
        keep(space.journal, STALENESS, state, last=last.get(number), find=partial(_of, asked, number, window))
        for number, state in states.items()
    ]


def _of(asked: dict[int, dict[str, Any]], number: int, window: str) -> tuple[str, dict[str, Any]]:
    return window, asked[number]


def _window(space: Workspace, frame: Frame) -> _Window | None:
    """The newest rows with outcomes; of data that are dealt by lot those which no version may learn from."""
    problem, labelled = space.problem, frame.labelled
    if isinstance(problem.split, HashedSplit):
        try:
            labelled = split_rows(labelled, problem).holdout
        except DataError:
            return None
    rows = newest(labelled, frame.time, days=problem.performance.days)
    if rows.empty:
        return None
    return _Window(rows, content_digest(rows[[problem.key, problem.target.name]]), end_of(rows, frame.time))


def _asked(space: Workspace, found: _Window, versions: list[Version]) -> dict[int, dict[str, Any]]:
    champion = standing(space.journal).champion
    told = {one.number: _facts_of(one, found.end) | {"champion": champion, "is_judged": False} for one in versions}
    able = []
    for one in versions:
        if why := _left_out(space, one, found.rows):
            told[one.number]["why"] = why
        else:
            able.append(one)
    said, cannot = ask(space, able, found.rows)
    for one in able:
        is_silent = one.number in cannot
        told[one.number] |= {"why": cannot[one.number]} if is_silent else figures(space.problem, found.rows, said[one.number])
    return told


def _left_out(space: Workspace, version: Version, rows: pd.DataFrame) -> str:
    """Why a version is not asked; empty where it is."""
    try:
        learnt = len(rows) - len(unseen(space, version, rows))
    except StoreError as error:
        return str(error)
    return f"it has learnt from {learnt:,} of these {len(rows):,} rows" if learnt else ""


def _facts_of(version: Version, end: str | None) -> dict[str, Any]:
    learnt_until = version.facts.get("training_end")
    age = (pd.Timestamp(end) - pd.Timestamp(learnt_until)) / np.timedelta64(1, "D") if end and learnt_until else None
    return {"version": version.number, "window_end": end, "training_end": learnt_until, "age_days": age}
