"""Evidence for a made candidate, collected in this process as the pipeline collects it in several."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gate.kinds_good import Made
from benchmarks.gate.scene import Model, Recipe, Scene, predicted, target
from evergreen.contract import Problem
from evergreen.data.snapshots import clusters, row_fingerprints
from evergreen.data.support import outside_support
from evergreen.evaluation import measure, trivial_policies
from evergreen.gate.collection import ModelAnswer, Origin, Trials, collect_evidence
from evergreen.gate.evidence import ANCHOR, CANDIDATE, CHAMPION, DataVerdict, Evidence, Footprint, Promise, Reaction, Replay, Support
from evergreen.gate.statistics import paired_interval
from evergreen.splitting import Split, rolling_origin

DIGESTS = {name: name * 4 for name in ("snapshot", "contract", "code", "lock", "artefact")}
CALLS, REPEATS = 15, 3
"""Rows that are answered alone, and how often all in turn: the first time of each is its time; the least processor time is compared."""
SPEED_ROWS = 5_000
SAME = 1e-9
SERVED = 2_000
"""Rows, as they are served, that are held against the training rows."""
TRIED = 1_000
"""Rows on which replays and reactions are tried."""


def collect(made: Made, scene: Scene) -> Evidence:
    """Everything that the gate is shown of this candidate."""
    problem = scene.problem.model_copy(update={"features": (*scene.problem.features, *made.extra), **made.changes})
    holdout = scene.holdout if made.holdout is None else made.holdout
    train = made.train if made.learnt is None else pd.concat([made.train, made.learnt])
    model = candidate_of(made, scene)
    end = problem.time and holdout[problem.time].max()
    split = Split(made.train, holdout, holdout[problem.time].min() if problem.time else None, end or None)
    said = answer_of(made, scene)
    ours, theirs = _footprints(made, scene, model)
    champion = replace(_champion(scene), footprint=theirs)
    answers = {
        CANDIDATE: ModelAnswer(3, predicted(problem, said), row_fingerprints(train, problem.key), _end(made.train, problem), ours),
        CHAMPION: champion,
        ANCHOR: champion,
    }
    trials = Trials(
        replays=_replays(model, holdout, said),
        replayable=len(holdout),
        promise=_promise(made, scene, problem),
        **_seeds(made, scene, holdout, said),
        reactions=_reactions(problem, model, holdout),
        support=_support(problem, made, scene),
    )
    origin = Origin(DIGESTS, DIGESTS, (DataVerdict("training data", passed=True),), scene.margin, {}, trials)
    return collect_evidence(problem, split, answers, origin)


def candidate_of(made: Made, scene: Scene) -> Model:
    """The fitted candidate, fitted once."""
    rows = made.train if made.learnt is None else pd.concat([made.train, made.learnt])
    model: Model = scene.kept(("candidate", made.kind), lambda: scene.fitted(made.recipe, rows, made.seed))
    return model


def answer_of(made: Made, scene: Scene) -> np.ndarray:
    """What the candidate says of the holdout, as in training, asked once."""
    holdout = scene.holdout if made.holdout is None else made.holdout
    return np.asarray(scene.kept(("answer", made.kind), lambda: candidate_of(made, scene).answer(holdout)))


def _champion(scene: Scene) -> ModelAnswer:
    """All of it but the footprint, which is measured beside each candidate's."""

    def make() -> ModelAnswer:
        problem, said = scene.problem, predicted(scene.problem, scene.champion.answer(scene.holdout))
        return ModelAnswer(2, said, row_fingerprints(scene.earlier, problem.key), _end(scene.earlier, problem))

    answer: ModelAnswer = scene.kept("champion's answer", make)
    return answer


def _end(rows: pd.DataFrame, problem: Problem) -> str | None:
    return rows[problem.time].max().isoformat() if problem.time else None


def _footprints(made: Made, scene: Scene, model: Model) -> tuple[Footprint, Footprint]:
    """What predicting with candidate and champion takes, timed in turn: the machine does other things too, and noise only adds."""
    holdout = scene.holdout if made.holdout is None else made.holdout
    pair, times = (model, scene.champion), np.empty((2, REPEATS, CALLS, 2))
    rows = [holdout.iloc[[i]] for i in range(CALLS)]
    for one in pair:
        _seconds(one, holdout.iloc[[CALLS]])  # what only the first call does
    for repeat in range(REPEATS):
        for call, row in enumerate(rows):
            for which, one in enumerate(pair):
                times[which, repeat, call] = _seconds(one, row)
    ours, theirs = (_footprint(one, holdout.head(SPEED_ROWS), took) for one, took in zip(pair, times, strict=True))
    return (ours if made.footprint is None else made.footprint(ours)), theirs


def _footprint(model: Model, rows: pd.DataFrame, took: np.ndarray) -> Footprint:
    """What was timed, by clock and processor, shape (repeats, calls, 2); memory is taken for three times the stored model and some."""
    stored = pickle.dumps(model.estimator)
    began = time.perf_counter()
    pickle.loads(stored)  # noqa: S301 - made a line above
    loads = time.perf_counter() - began
    megabytes, family = len(stored) / 1e6, type(model.estimator.steps[-1][1]).__name__
    first, cheapest = took[0, :, 0], float(took[..., 1].min())
    return Footprint(first, cheapest, len(rows) / _seconds(model, rows)[0], 80.0 + 3 * megabytes, loads, megabytes, family)


def _seconds(model: Model, rows: pd.DataFrame) -> tuple[float, float]:
    """How long the estimator takes, by clock and by processor; how an answer is bent afterwards is no part of it."""
    X = rows[list(model.columns)]
    began, worked = time.perf_counter(), time.process_time()
    (model.estimator.predict_proba if model.binary else model.estimator.predict)(X)
    return time.perf_counter() - began, time.process_time() - worked


def _replays(model: Model, holdout: pd.DataFrame, said: np.ndarray) -> tuple[Replay, ...]:
    rows = holdout.head(TRIED)
    order = np.random.default_rng(0).permutation(len(rows))
    again = np.empty(len(rows))
    for part in np.array_split(order, 10):
        again[part] = model.serve(rows.iloc[part])
    return (
        _replay("in a process of its own", model.serve(holdout)[:TRIED], said[:TRIED]),
        _replay("in another order, in other batches", again, said[:TRIED]),
    )


def _replay(how: str, now: np.ndarray, then: np.ndarray) -> Replay:
    off = np.abs(now - then) / np.maximum(1.0, np.abs(then))
    return Replay(how, len(now), int((~(off <= SAME)).sum()), float(off.max()), int((~np.isfinite(now)).sum()))


def _promise(made: Made, scene: Scene, problem: Problem) -> Promise:
    """What the recipe saves in folds of the training rows against the best constant answer there."""
    costs, rows = _folds(made.recipe, made.train, scene, problem)
    best = min((name for name in costs if name != "model"), key=lambda name: float(costs[name].mean()))
    saved = paired_interval(costs[best] - costs["model"], clusters(rows, problem.gate.cluster), alpha=0.05)
    return Promise(saved.estimate, saved.se, saved.clusters, saved.n)


def _folds(recipe: Recipe, train: pd.DataFrame, scene: Scene, problem: Problem) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    parts: dict[str, list[np.ndarray]] = {}
    judged = []
    for fit, judge in rolling_origin(train, problem):
        learnt, rows = train.iloc[fit], train.iloc[judge]
        y, y_fit = target(scene.world.binary, rows), target(scene.world.binary, learnt)
        said = {
            "model": predicted(problem, scene.fitted(recipe, learnt, 0).answer(rows)),
            **trivial_policies(problem.task, y_fit, len(rows)),
        }
        for name, one in said.items():
            parts.setdefault(name, []).append(measure(problem, rows, y, one))
        judged.append(rows)
    return {name: np.concatenate(part) for name, part in parts.items()}, pd.concat(judged)


def _seeds(made: Made, scene: Scene, holdout: pd.DataFrame, said: np.ndarray) -> dict[str, Any]:
    """Cost by seed, and the largest standard error of a difference between two."""
    problem, y = scene.problem, target(scene.world.binary, holdout)
    rows = made.train if made.learnt is None else pd.concat([made.train, made.learnt])
    found = {made.seed: said}
    for seed in (made.seed + 1, made.seed + 2):
        found[seed] = scene.fitted(made.recipe, rows, seed).answer(holdout)
    costs = {seed: measure(problem, holdout, y, predicted(problem, one)) for seed, one in found.items()}
    cluster = clusters(holdout, problem.gate.cluster)
    noise = max(paired_interval(one - other, cluster, alpha=0.05).se for one, other in combinations(costs.values(), 2))
    return {"seeds": {seed: float(cost.mean()) for seed, cost in costs.items()}, "seeds_se": noise}


def _reactions(problem: Problem, model: Model, holdout: pd.DataFrame) -> tuple[Reaction, ...]:
    rows = holdout.head(TRIED)
    before = model.answer(rows)
    return tuple(Reaction(claim, model.answer(claim.change(rows)) - before) for claim in problem.behaviour)


def _support(problem: Problem, made: Made, scene: Scene) -> Support:
    """Rows as they are served against what candidate and champion have learnt from."""
    served = (scene.oracle if made.oracle is None else made.oracle).head(SERVED)
    outside = _outside(problem, made.train, served)
    theirs = int(_outside(scene.problem, scene.earlier, scene.oracle.head(SERVED)).any(axis=1).sum())
    counts = {str(name): int(count) for name, count in outside.sum().items() if count}
    return Support(len(served), int(outside.any(axis=1).sum()), counts, theirs)


def _outside(problem: Problem, learnt: pd.DataFrame, served: pd.DataFrame) -> pd.DataFrame:
    features = list(problem.features)
    gate = problem.gate
    return outside_support(learnt[features], served[features], slack=gate.range_slack, shift=gate.max_missing_shift)
