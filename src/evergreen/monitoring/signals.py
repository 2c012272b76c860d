"""Drift and decay of the champion on today's snapshot, written down once: what may set a training going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import is_answer
from evergreen.data.landing import emptied
from evergreen.data.snapshots import Frame, Snapshot, frame_of, row_fingerprints, take_snapshot
from evergreen.files import digest_text
from evergreen.journal import Journal
from evergreen.monitoring import decay, drift
from evergreen.monitoring.keeping import keep
from evergreen.monitoring.performance import last_predictions
from evergreen.monitoring.windows import end_of, newest, successive
from evergreen.moves import standing
from evergreen.registry import Version
from evergreen.watches import DriftPolicy
from evergreen.workspace import Workspace

Kind = Literal["drift", "decay"]


def measure(space: Workspace) -> list[dict[str, Any]]:
    """Judge drift and decay of the champion on what is there now; what was judged before is read, not judged again.

    Returns
    -------
    list of dict
        The journal's rows, drift first; their `facts` hold `champion`, `snapshot`, `found`, `is_judged`, `sentence` and the figures of
        `Drift` or `Decay`. Empty while there is no champion, or nothing counts any more of a source.

    Raises
    ------
    EvergreenError
        The frame cannot be built, or stored evidence or predictions are not what was recorded.
    """
    number = standing(space.journal).champion
    if number is None or any(emptied(space.journal, source.name) for source in space.problem.sources):
        return []
    champion, snapshot = space.registry.version(number), take_snapshot(space.journal, space.problem)
    return [_once(space, kind, champion, snapshot) for kind in JUDGES]


def findings(journal: Journal, kind: str, champion: int | None) -> tuple[bool, ...]:
    """Whether it was found in successive windows of one champion, the newest last; what was not judged was not found.

    A window that was judged several times, as when a correction came, counts once, by its last judgement. Windows that end later than the
    one that was judged last rested on data that were taken back: they do not count.
    """
    windows: dict[str, bool] = {}
    for row in journal.rows(tables.signals, kind=kind):
        if row["facts"]["champion"] == champion:
            windows.pop(row["window"], None)
            windows = {end: found for end, found in windows.items() if not _is_later(end, row["window"])}
            windows[row["window"]] = bool(row["facts"]["found"])
    return tuple(windows.values())


def _is_later(one: str, other: str) -> bool:
    """Whether a window ends later than another; those of data without time have no end."""
    try:
        return datetime.fromisoformat(one) > datetime.fromisoformat(other)
    except ValueError:
        return False


def _once(space: Workspace, kind: Kind, champion: Version, snapshot: Snapshot) -> dict[str, Any]:
    """The journal's row; the window follows from the snapshot, so that to find it needs no data."""

    def found() -> tuple[str, dict[str, Any]]:
        frame = frame_of(space.settings.root, space.journal, snapshot, space.problem)
        told = JUDGES[kind](space, champion, frame)
        facts = {"champion": champion.number, "snapshot": snapshot.id, **asdict(told), "is_judged": told.is_judged}
        return told.window_end or snapshot.id, facts

    published = space.journal.last(tables.publications)
    state = digest_text(str(champion.number), snapshot.id, space.problem.digest(), str(published["seq"] if published else 0))
    return keep(space.journal, kind, state, last=space.journal.last(tables.signals, kind=kind), find=found)


def _drift(space: Workspace, champion: Version, frame: Frame) -> drift.Drift:
    """The champion's own features in the newest rows, and what it said of the newest that it predicted."""
    problem = space.problem
    features = [name for name in champion.facts["features"] if name in frame.rows]
    learnt = frame.rows[np.isin(row_fingerprints(frame.rows, problem.key), space.registry.training_rows(champion))]
    return drift_of(frame, learnt, features=features, policy=problem.retraining.drift, said=_said(space, champion, frame))


def drift_of(frame: Frame, learnt: pd.DataFrame, *, features: list[str], policy: DriftPolicy, said: drift.Said | None) -> drift.Drift:
    """The newest rows of a frame, and what a model said of them, against the rows that it has learnt from."""
    windows = [window[features] for window in successive(learnt, frame.time, days=policy.days, most=policy.windows)]
    if frame.time and policy.times_usual and len(windows) == 1:
        windows = []  # nobody knows how far apart two of them usually are
    recent = frame.still_open if frame.time is None else newest(frame.rows, frame.time, days=policy.days)
    return drift.compare(windows, recent[features], policy, said=said, window_end=end_of(frame.rows, frame.time))


def _said(space: Workspace, champion: Version, frame: Frame) -> drift.Said:
    """The champion's answers to its golden rows, most of them unseen in training, and to the newest rows that it predicted."""
    golden = pd.read_parquet(space.registry.evidence_folder(champion) / "golden.parquet")
    now = newest(_predicted_by(space, champion, frame.rows), frame.time, days=space.problem.retraining.drift.days)
    then, said = ([name for name in rows.columns if is_answer(name)] for rows in (golden, now))
    return drift.Said(golden[then], now[said])


def _decay(space: Workspace, champion: Version, frame: Frame) -> decay.Decay:
    """The newest rows with outcomes, as far as the champion itself predicted them."""
    labelled = frame.labelled
    decided = space.journal.last(tables.decisions, candidate=champion.number)
    rows = _predicted_by(space, champion, newest(labelled, frame.time, days=space.problem.retraining.decay.days))
    end = end_of(labelled if len(labelled) else frame.rows, frame.time)
    return decay.judge(space.problem, rows, decided["record"] if decided else None, window_end=end)


def _predicted_by(space: Workspace, champion: Version, rows: pd.DataFrame) -> pd.DataFrame:
    """Those rows whose last published prediction is the champion's, with its answers."""
    said = last_predictions(space.settings.root, space.journal, space.problem)
    said = said[said["model_version"] == champion.number]
    answers = [name for name in said.columns if is_answer(name)]
    others = rows.drop(columns=answers, errors="ignore")
    return others.merge(said[[space.problem.key, *answers]], on=space.problem.key, validate="one_to_one")


Judge = Callable[[Workspace, Version, Frame], drift.Drift | decay.Decay]
JUDGES: dict[Kind, Judge] = {"drift": _drift, "decay": _decay}
