"""Evidence that is broken on purpose: the gate must answer, and must not promote."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gate.evidence import collect
from benchmarks.gate.kinds_good import differing
from benchmarks.gate.scene import make_scene
from benchmarks.gate.trial import budget
from evergreen.gate.decision import judge
from evergreen.gate.evidence import (
    ANCHOR,
    CANDIDATE,
    CHAMPION,
    DUMMY,
    RULE_OF_THUMB,
    Contender,
    DataVerdict,
    Evidence,
    Shadowed,
    SideBySide,
)

PARTS = ("measure", "cost", "decision", "probability")
POISON = {"missing": np.nan, "infinite": np.inf, "minus infinite": -np.inf, "huge": 1e308}


def answers() -> list[dict[str, Any]]:
    """What the gate says of each broken evidence: a verdict, or the traceback that must never be."""
    scene = make_scene("rides", "medium", 0)
    sound = collect(differing("clearly better", 3.0)(scene), scene)
    found = []
    for name, broken in {"nothing is broken": lambda: sound, **_cases(sound)}.items():
        try:
            decision = judge(broken(), scene.problem.gate, budget=budget(scene.problem.gate))
        except Exception:  # that it raises is the result
            found.append({"case": name, "verdict": f"traceback: {traceback.format_exc(limit=1)}", "findings": {}})
            continue
        found.append(
            {"case": name, "verdict": str(decision.verdict), "findings": {one.check: str(one.outcome) for one in decision.findings}}
        )
    return found


def _cases(sound: Evidence) -> dict[str, Callable[[], Evidence]]:
    return {**_of_contenders(sound), **_of_rows(sound), **_of_parts(sound)}


def _of_contenders(sound: Evidence) -> dict[str, Callable[[], Evidence]]:
    cases: dict[str, Callable[[], Evidence]] = {}
    for who in (CANDIDATE, CHAMPION, ANCHOR):
        for part in PARTS:
            for word, value in POISON.items():
                if word != "huge" or part == "probability":
                    cases[f"{who}'s {part} is {word} on a row"] = partial(_changed, sound, who, part, partial(_poison, value=value))
            cases[f"{who}'s {part} is too short"] = partial(_changed, sound, who, part, _shorter)
            cases[f"{who}'s {part} is text"] = partial(_changed, sound, who, part, _as_text)
        cases[f"{who}'s training rows are not known"] = partial(_with, sound, who, training_rows=None)
        cases[f"{who} has learnt from no row"] = partial(_with, sound, who, training_rows=np.array([], dtype=np.uint64))
        cases[f"{who}'s training has no end"] = partial(_with, sound, who, training_end=None)
        cases[f"{who}'s training rows are floats"] = partial(_with, sound, who, training_rows=np.array([1.0]))
    for who in (CANDIDATE, CHAMPION, ANCHOR, DUMMY, RULE_OF_THUMB):
        rest = {name: one for name, one in sound.contenders.items() if name != who}
        cases[f"{who} is not there"] = partial(replace, sound, contenders=rest)
    cases["no footprint"] = partial(_with, sound, CANDIDATE, footprint=None)
    return cases


def _of_rows(sound: Evidence) -> dict[str, Callable[[], Evidence]]:
    n = len(sound.y)
    chosen = {
        "no row": np.arange(0),
        "one row": np.arange(1),
        "ten rows": np.arange(10),
        "one day": np.flatnonzero(sound.cluster == sound.cluster[0]),
        "one class": np.flatnonzero(sound.y == 0),
        "every row twice": np.repeat(np.arange(n), 2),
    }
    cut = np.array([*sound.cluster[:-1], None], dtype=object)
    return {
        **{name: partial(taken, sound, order) for name, order in chosen.items()},
        "one row twice": partial(replace, sound, rows=np.append(sound.rows[:-1], sound.rows[0])),
        "all in one cluster": partial(replace, sound, cluster=np.full(n, "a", dtype=object)),
        "a cluster is missing": partial(replace, sound, cluster=cut),
        "outcomes are missing": partial(replace, sound, y=np.full(n, np.nan)),
        "outcomes are text": partial(replace, sound, y=sound.y.astype(str)),
        "features of other rows": partial(replace, sound, features=sound.features.head(7)),
        "slices of other rows": partial(replace, sound, slices=sound.slices.head(7)),
        "no features": partial(replace, sound, features=pd.DataFrame()),
    }


def _of_parts(sound: Evidence) -> dict[str, Callable[[], Evidence]]:
    changes: dict[str, dict[str, Any]] = {
        "there is no contender": {"contenders": {}},
        "there is no trivial policy": {"trivial": {}},
        "no verdict on the data": {"data": ()},
        "unclean data": {"data": (DataVerdict("weather", passed=False, failed=("temperatures are plausible",)),)},
        "no digests": {"provenance": {}},
        "other digests now": {"provenance_now": {**sound.provenance_now, "code": "other"}},
        "a feature from the future": {"late_features": ("weather",)},
        "the holdout's start is no time": {"holdout_start": "yesterday"},
        "no replay": {"replays": ()},
        "no promise": {"promise": None},
        "no seeds": {"seeds": None},
        "a seed's cost is missing": {"seeds": {0: np.nan, 1: 5.0, 2: 5.0}},
        "no support": {"support": None},
        "a claim is contradicted": {"reactions": tuple(replace(one, moved=one.moved - 1) for one in sound.reactions)},
        "it fails at half of the rows in shadow": {"shadow": _shadowed(sound, failed=50, fault="no")},
        "it is worse in shadow by ten margins": {"shadow": _shadowed(sound, lost=10 * (sound.margin or 0.0))},
        "a cost in shadow is missing": {"shadow": _shadowed(sound, lost=np.nan)},
        **{f"the margin is {value}": {"margin": value} for value in (None, np.nan, np.inf, -1.0)},
    }
    return {name: partial(replace, sound, **change) for name, change in changes.items()}


def _shadowed(sound: Evidence, *, failed: int = 0, fault: str = "", lost: float = 0.0) -> Shadowed:
    """The candidate in shadow of the champion on the holdout's rows: 50 answers and some failures, and what it loses on each row."""
    served = sound.contenders[CHAMPION]
    things = SideBySide(replace(served, name=CANDIDATE, measure=served.measure + lost), served, sound.cluster)
    return Shadowed(50, failed, fault, 0.05, {served.version or 0: 50}, things)


def _with(sound: Evidence, who: str, **changes: Any) -> Evidence:
    return replace(sound, contenders={**sound.contenders, who: replace(sound.contenders[who], **changes)})


def _changed(sound: Evidence, who: str, part: str, change: Callable[[np.ndarray], np.ndarray]) -> Evidence:
    return _with(sound, who, **{part: change(np.array(getattr(sound.contenders[who], part)))})


def _poison(values: np.ndarray, value: float) -> np.ndarray:
    values = values.astype(float)
    values[len(values) // 2] = value
    return values


def _shorter(values: np.ndarray) -> np.ndarray:
    return values[:-1]


def _as_text(values: np.ndarray) -> np.ndarray:
    return values.astype(str)


def taken(sound: Evidence, order: np.ndarray) -> Evidence:
    """The same evidence with these rows in this order."""

    def cut(one: Contender) -> Contender:
        parts: dict[str, Any] = {part: None if getattr(one, part) is None else getattr(one, part)[order] for part in PARTS}
        return replace(one, **parts)

    arrays: dict[str, Any] = {part: getattr(sound, part)[order] for part in ("rows", "y", "cluster")}
    return replace(
        sound,
        **arrays,
        features=sound.features.iloc[order],
        slices=sound.slices.iloc[order],
        contenders={name: cut(one) for name, one in sound.contenders.items()},
        trivial={name: cut(one) for name, one in sound.trivial.items()},
    )
