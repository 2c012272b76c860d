"""The backtest from what is published to its document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evergreen.backtest.fits import Fits
from evergreen.backtest.judging import Gate
from evergreen.backtest.periods import Stretch, find_period
from evergreen.backtest.plans import USUAL, plans_of
from evergreen.backtest.replay import Stage, play
from evergreen.backtest.world import World
from evergreen.backtest.worth import count_costs, document
from evergreen.data.snapshots import frame_of, published_now
from evergreen.workspace import Workspace

FOLDER = "backtest"
"""Where in the home the answers of fitted candidates are kept; nothing depends on it, and it may be removed at any time."""


def run_backtest(
    space: Workspace,
    *,
    policies: Sequence[str] = USUAL,
    stretch: Stretch | None = None,
    seed: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Play what is published again under each policy, and tell what each would have cost.

    Nothing is registered and nothing is written to the journal. What was fitted before is found again, so a run that was cut short goes on.

    Raises
    ------
    RefusedError
        A policy is unknown, the period cannot be played, or the problem has no time.
    DataError
        Nothing has been published yet, or what was cannot be used.
    """
    problem = space.problem
    if seed is not None:
        problem = problem.model_copy(update={"retraining": problem.retraining.model_copy(update={"seed": seed})})
    plans = plans_of(policies, problem.retraining)
    progress("read the data")
    frame = frame_of(space.settings.root, space.journal, published_now(space.journal, problem), problem)
    period = find_period(frame, problem, stretch or Stretch())
    world = World(problem, frame, space.settings.expectations / "training_data.json", space.settings.lock)
    fits = Fits(world, space.settings.root / FOLDER, progress)
    stage = Stage(period, fits, Gate(fits), progress=progress)
    fits.at(period.first)
    fits.prepare({at for plan in plans if plan.is_sure_to_train for at in plan.times(period)})
    courses = [play(plan, stage) for plan in plans]
    progress("count what it costs")
    return document(courses, count_costs(courses, stage), stage)
