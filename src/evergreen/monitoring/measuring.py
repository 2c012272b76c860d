"""What predictions in service came to, window by window, written down once: as realized, and as it was estimated before."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import DECISION, PROBABILITY, is_answer
from evergreen.contract import Problem
from evergreen.data.joins import PREDICTION_TIME
from evergreen.data.landing import active
from evergreen.data.publishing import read_published
from evergreen.data.snapshots import Frame, content_digest, frame_of, published_now
from evergreen.errors import DataError, ModelError
from evergreen.evaluation import Predicted
from evergreen.files import digest_text
from evergreen.journal import Journal, log
from evergreen.monitoring import served_features, staleness
from evergreen.monitoring.asking import ask, unseen
from evergreen.monitoring.estimating import Answered, Estimate, estimate
from evergreen.monitoring.figures import bounds, by_slice, figures
from evergreen.monitoring.keeping import keep
from evergreen.monitoring.kinds import ESTIMATE, PUBLISHED, REALIZED, SERVED
from evergreen.monitoring.outcomes import LastBefore, Outcomes, outcomes_of
from evergreen.monitoring.performance import last_predictions
from evergreen.monitoring.windows import newest
from evergreen.workspace import Workspace

ALL = "all"
"""The window of data without time."""
VERSION = "model_version"


@dataclass(frozen=True)
class Window:
    """Labelled rows with what was said of them, in service, before their outcomes were known."""

    origin: str
    """PUBLISHED, or SERVED over HTTP."""
    name: str
    """The published partition; of served things the one in whose time they fall, or the first day of their month."""
    rows: pd.DataFrame


def measure(space: Workspace, *, with_age: bool = True) -> list[dict[str, Any]]:
    """Measure what is known by now of predictions in service: realized, how versions grow old, how served features agree.

    What was measured before on the same rows is read, not measured again. Estimates are made by `estimate_published`. `with_age` false
    leaves to `measure_age` how versions grow old: a round that may still promote one asks them at its end.

    Returns
    -------
    list of dict
        The journal's rows (`signals`), realized windows first. Empty before all sources have delivered.

    Raises
    ------
    EvergreenError
        The frame cannot be built, or published predictions are not what was published.
    """
    frame, journal, problem = _frame(space), space.journal, space.problem
    if frame is None:
        return [row for origin in REALIZED for row in _emptied(journal, problem, origin, set())]
    root = space.settings.root
    outcomes = None if log.is_empty(journal) else outcomes_of(root, journal, problem, frame)
    rows = []
    for origin, windows in _windows(root, journal, problem, frame, outcomes):
        rows += [_realized(journal, problem, window) for window in windows[-problem.performance.windows :]]
        if not frame.is_unsettled:
            rows += _emptied(journal, problem, origin, {window.name for window in windows})
    rows += staleness.measure(space, frame) if with_age else []
    if outcomes is not None:
        snapshot = published_now(journal, problem).id
        compared = served_features.measure(journal, problem, frame, outcomes, snapshot=snapshot)
        rows += [compared] if compared else []
    return rows


def measure_age(space: Workspace) -> list[dict[str, Any]]:
    """See how the versions that there are now grow old: the journal's rows, as `staleness.measure` has them.

    What was measured before on the same rows is read, not measured again. Empty before all sources have delivered.
    """
    frame = _frame(space)
    return [] if frame is None else staleness.measure(space, frame)


def estimate_published(space: Workspace) -> dict[str, Any] | None:
    """Estimate what the newest published predictions are worth, unless that has been done or some of their outcomes are known already.

    Returns
    -------
    dict or None
        The journal's row. Its `facts` hold `publication`, `version`, `rows`, `is_judged`, and `why` where it is not; else `cost` per 1,000
        rows and `auc`, with bounds, `interval` (of the cost, a row, see `Interval`), and `predicted`, `way`, `losses` and `calibrated_on`
        as `Estimate` has them. One that is judged is never written anew, whatever comes to light; why none could be made may pass.
        None where nothing is to be estimated.
    """
    row = space.journal.last(tables.publications)
    if row is None:
        return None
    known = _estimate_of(space.journal, row)
    frame = None if known and known["facts"]["is_judged"] else _frame(space)
    if frame is None:
        return known
    said, problem = read_published(space.settings.root, row["partition"]), space.problem
    if said[problem.key].isin(frame.labelled[problem.key]).any():
        return known  # an estimate after the fact is none
    told = _told(_estimated(space, frame, said, version=row["version"]))
    facts = {"publication": row["publication"], "version": row["version"], "rows": len(said), **told}
    state = digest_text(row["publication"], problem.digest(), str(told.get("why", "")))
    return keep(space.journal, ESTIMATE, state, last=known, find=lambda: (row["partition"], facts))


def _estimate_of(journal: Journal, publication: dict[str, Any]) -> dict[str, Any] | None:
    """The newest estimate of a publication; None where none was made."""
    made = journal.rows(tables.signals, kind=ESTIMATE, window=publication["partition"])
    return next((one for one in reversed(made) if one["facts"]["publication"] == publication["publication"]), None)


def known_to(space: Workspace, frame: Frame, version: int, *, without: pd.Series) -> Answered | str:
    """The newest labelled rows that a version has not learnt from, without some, and what it says of them; why not, in words."""
    problem, asked = space.problem, space.registry.version(version)
    rows = frame.labelled
    try:
        fresh = newest(unseen(space, asked, rows[~rows[problem.key].isin(without)]), frame.time, days=problem.performance.days)
        said, cannot = ask(space, [asked], fresh) if len(fresh) else ({}, {version: "no row with an outcome is new to the version"})
    except (DataError, ModelError) as error:
        return str(error)
    return Answered(fresh, said[version]) if version in said else cannot[version]


def _frame(space: Workspace) -> Frame | None:
    if not all(active(space.journal, source.name) for source in space.problem.sources):
        return None
    return frame_of(space.settings.root, space.journal, published_now(space.journal, space.problem), space.problem)


def _estimated(space: Workspace, frame: Frame, said: pd.DataFrame, *, version: int) -> Estimate | str:
    known = known_to(space, frame, version, without=said[space.problem.key])
    if isinstance(known, str):
        return known
    rows = _with_answers(frame.rows, said, space.problem.key)
    return estimate(space.problem, known, Answered(rows, predicted_of(rows, space.problem.task)))


def _told(found: Estimate | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"is_judged": False, "why": found}
    told = {name: getattr(found, name) for name in ("predicted", "way", "losses", "calibrated_on")}
    return {"is_judged": True, "cost": bounds(found.cost, times=1000), "auc": bounds(found.auc), "interval": asdict(found.cost), **told}


def _realized(journal: Journal, problem: Problem, window: Window) -> dict[str, Any]:
    answers = [name for name in window.rows.columns if is_answer(name)]
    decides = [problem.key, problem.target.name, *answers, VERSION, *problem.used_columns]
    content = content_digest(window.rows[list(dict.fromkeys(decides))])
    kind, state = REALIZED[window.origin], digest_text(content, problem.digest())
    last = journal.last(tables.signals, kind=kind, window=window.name)
    return keep(journal, kind, digest_text(window.name, state), last=last, find=lambda: (window.name, _came_to(problem, window)))


def _came_to(problem: Problem, window: Window) -> dict[str, Any]:
    said = predicted_of(window.rows, problem.task)
    facts = {"origin": window.origin, "version": int(window.rows[VERSION].max()), **figures(problem, window.rows, said)}
    parts = list(window.rows.groupby(VERSION))
    own = {str(version): figures(problem, part, predicted_of(part, problem.task)) for version, part in parts} if len(parts) > 1 else {}
    slices = by_slice(problem, window.rows, said) if facts["is_judged"] else []
    return facts | {"by_version": own, "slices": slices}


def _emptied(journal: Journal, problem: Problem, origin: str, there: set[str]) -> list[dict[str, Any]]:
    """Write down of earlier windows that no outcome of them is known any more, as when a batch of outcomes was taken back."""
    kind, told = REALIZED[origin], []
    for name, last in journal.latest(tables.signals, "window", kind=kind).items():
        if name in there or not last["facts"]["rows"]:
            continue
        nothing = {"origin": origin, "version": last["facts"]["version"], "is_judged": False, "why": "no outcome is known any more"}
        facts = {**nothing, "rows": 0, "clusters": 0, "by_version": {}, "slices": []}
        told.append(keep(journal, kind, digest_text(name, problem.digest(), "nothing"), last=last, find=partial(_found, name, facts)))
    return told


def _found(name: str, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return name, facts


def _windows(root: Path, journal: Journal, problem: Problem, frame: Frame, outcomes: Outcomes | None) -> Iterator[tuple[str, list[Window]]]:
    """All windows with outcomes by origin, published ones first, each in order of time; `outcomes`: None where nothing was served."""
    said = last_predictions(root, journal, problem)
    published = _with_answers(frame.labelled, said, problem.key)
    served = _served(journal, frame, outcomes)
    starts = sorted({row["partition"] for row in journal.rows(tables.publications)})
    names = pd.Series([_name(time, starts) for time in served[PREDICTION_TIME]] if PREDICTION_TIME in served else ALL, index=served.index)
    for origin, rows, by in ((PUBLISHED, published, published["partition"]), (SERVED, served, names)):
        yield origin, [Window(origin, str(name), part) for name, part in rows.groupby(by, sort=True)]


def _name(time: pd.Timestamp, starts: list[str]) -> str:
    """The window of a thing that was served: the newest published partition that had begun by then."""
    at = bisect.bisect_right(starts, time.strftime("%Y-%m-%d"))
    return starts[at - 1] if at else time.strftime("%Y-%m-01")


def _served(journal: Journal, frame: Frame, outcomes: Outcomes | None) -> pd.DataFrame:
    """The labelled rows that were served, each by the last answer before its outcome was recorded; in memory is one for each such row."""
    empty = frame.labelled.head(0).assign(**{DECISION: [], VERSION: []})
    if outcomes is None:
        return empty
    last = LastBefore[tuple[str, int]](outcomes)
    for entity, asked_at, answer, version in log.with_entity(journal):
        last.put(entity, asked_at, (answer, version))
    rows, told = last.judged()
    if not told:
        return empty
    answers = pd.DataFrame([json.loads(answer) for answer, _ in told], index=rows.index).assign(
        **{VERSION: [version for _, version in told]}
    )
    return rows.drop(columns=list(answers.columns), errors="ignore").join(answers)


def _with_answers(rows: pd.DataFrame, said: pd.DataFrame, key: str) -> pd.DataFrame:
    """Those rows that something was said of, with it."""
    wanted = [name for name in said.columns if is_answer(name) or name in {VERSION, "partition"}]
    return rows.drop(columns=wanted, errors="ignore").merge(said[[key, *wanted]], on=key, validate="one_to_one")


def predicted_of(rows: pd.DataFrame, task: str) -> Predicted:
    """The answers among a frame's columns; probabilities of several classes only where each row has all of them."""
    decision = rows[DECISION].to_numpy()
    if task == "binary" and PROBABILITY in rows:
        return Predicted(decision, rows[PROBABILITY].to_numpy(dtype=float))
    names = [name for name in rows.columns if is_answer(name) and name.startswith(f"{PROBABILITY}_")]
    if task != "multiclass" or not names or rows[names].isna().any(axis=None):
        return Predicted(decision)
    return Predicted(decision, rows[names].to_numpy(dtype=float), tuple(name.removeprefix(f"{PROBABILITY}_") for name in names))
