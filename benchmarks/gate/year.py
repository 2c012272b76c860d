"""A simulated year of gates at the level of paired cluster sums: false promotions, the slide downhill, power; beside rules others use.

Amounts are in margins: a model that is worse by more than 1 is worse than the gate tolerates. Every rule sees the same candidates (as far
better or worse than *its* champion) and the same noise. Usage: year.py [YEARS].
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.gate.errors import WORLDS, Sample, World, draw, gate, plain, rows_of
from evergreen.gate.checks_model import CLEARLY_WORSE, non_inferiority
from evergreen.gate.finding import Outcome
from evergreen.gate.statistics import paired_interval
from evergreen.policies import GatePolicy

MARGIN = 1.0
GATES = (12, 52)
DAYS = 30
NOISE, NOISY = 0.4, 1.0
"""True standard error of a difference over 30 days, in margins: about the median on flights, and that of a small problem."""
BAD_SHARE, BAD_BY = 0.10, (1.0, 3.0)
"""How many candidates are bad, and by how much they are worse than the champion they challenge."""
OTHERS = (-0.5, 0.5)
"""How much better the others are; below 0 worse, but by less than the margin."""
SLIDING = (-0.8, 0.0)
"""The same when every candidate is a little worse."""
DRIFT = 0.5
"""Standard deviation of what is added to all models' cost from one gate to the next."""
KINDS = {
    "independent": WORLDS["normal"],
    "unequal": WORLDS["unequal"],
    "skewed": WORLDS["skewed down"],
    "serial": WORLDS["serial 0.3"],
    "all of it": WORLDS["all, down"],
}
WORSE_BY = 2.0
LIKELY = 0.95


@dataclass(frozen=True)
class Seen:
    """What gates see of candidates against one other; everything has shape (years,)."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    high_clearly: np.ndarray
    """Upper bound at the level of "clearly worse"."""
    low_nightly: np.ndarray
    """Lower bound of an ordinary 95% interval, as one without a budget would compute it."""

    @property
    def outcome(self) -> np.ndarray:
        """The gate's rule, `non_inferiority`, for many at once; `verify` compares the two."""
        refused = (self.high < -MARGIN) | ((self.high_clearly < 0) & (self.estimate < -MARGIN / 2))
        return np.where(self.low > -MARGIN, Outcome.PASS.value, np.where(refused, Outcome.REJECT.value, Outcome.HOLD.value))


def look(noise: Sample, unit: float, difference: np.ndarray | float, alpha: float) -> Seen:
    """The bounds around true differences; `unit` turns the noise's unit into margins."""
    estimate = difference + noise.mean * unit
    (low, high), clearly, nightly = gate(noise, alpha), gate(noise, CLEARLY_WORSE)[1], plain(noise, 0.025)[0]
    return Seen(estimate, estimate - low * unit, estimate + high * unit, estimate + clearly * unit, estimate - nightly * unit)


@cache
def unit_of(world: World, days: int = DAYS, noise: float = NOISE) -> float:
    """What makes `noise` of the true standard error over 30 days; more days make it smaller."""
    return noise * float(np.sqrt(DAYS / days)) / float(draw(world, 5_000, days, np.random.default_rng(0)).mean.std())


Rule = Callable[[Seen, Seen, np.ndarray], np.ndarray]
"""Which candidates are promoted: from what is seen against champion and anchor, and by how much they beat the champion's recorded cost."""
RULES: dict[str, Rule] = {
    "the gate": lambda champion, anchor, _: (champion.outcome == Outcome.PASS.value) & (anchor.outcome == Outcome.PASS.value),
    "the gate without anchor": lambda champion, _, __: champion.outcome == Outcome.PASS.value,
    "within tolerance": lambda champion, _, __: champion.estimate > -MARGIN,
    "better than champion": lambda champion, _, __: champion.estimate > 0,
    "better than its record": lambda _, __, recorded: recorded > 0,
    "nightly 95%, better": lambda champion, _, __: champion.low_nightly > 0,
    "nightly 95%, within margin": lambda champion, _, __: champion.low_nightly > -MARGIN,
}


@dataclass
class Fleet:
    """The deployed models of many years under one rule; quality is saved cost, 0 for the first champion."""

    years: int
    champion: np.ndarray = field(init=False)
    anchor: np.ndarray = field(init=False)
    best: np.ndarray = field(init=False)
    recorded: np.ndarray = field(init=False)
    """What the champion's cost was measured to save when it was promoted."""
    false: np.ndarray = field(init=False)
    promoted: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.champion, self.anchor, self.best, self.recorded, self.false, self.promoted = np.zeros((6, self.years))

    def decide(self, rule: Rule, better: np.ndarray, seen: Seen, anchor: Seen, measured: np.ndarray) -> None:
        """Promote what the rule promotes; `measured` is what the candidate's cost is measured to save, whatever the champion."""
        promoted = rule(seen, anchor, measured - self.recorded)
        candidate = self.champion + better
        self.false += promoted & (better < -MARGIN)
        self.promoted += promoted
        self.champion = np.where(promoted, candidate, self.champion)
        self.recorded = np.where(promoted, measured, self.recorded)
        self.anchor = np.where(promoted & (anchor.low > 0), candidate, self.anchor)
        self.best = np.maximum(self.best, self.champion)

    def summary(self) -> dict[str, Any]:
        """Chances and means over the years; `below best` is how much the last champion is worse than the best one of its year."""
        wrong = int((self.false > 0).sum())
        return {
            "years with a false promotion": wrong / self.years,
            "at most": share_at_most(wrong, self.years),
            "promotions": float(self.promoted.mean()),
            "end": float(self.champion.mean()),
            "below best": float((self.best - self.champion).mean()),
            "below best, 95%": float(np.quantile(self.best - self.champion, LIKELY)),
        }


def share_at_most(hits: int, trials: int) -> float:
    """Upper bound of a share that errs with chance 5% at most (Clopper & Pearson 1934)."""
    return float(stats.binomtest(hits, trials, alternative="less").proportion_ci(LIKELY, method="exact").high)


@dataclass(frozen=True)
class Year:
    """What kind of year."""

    kind: str = "independent"
    gates: int = 12
    drift: bool = False
    """Whether all models' cost moves together."""
    noise: float = NOISE
    others: tuple[float, float] = OTHERS


def simulate(year: Year, years: int = 1_000) -> list[dict[str, Any]]:
    """One row for each rule: what a year of gates, on 30 new days each, makes of the deployed model."""
    world, alpha = KINDS[year.kind], GatePolicy(gates_per_year=year.gates).alpha
    unit, rng = unit_of(world, noise=year.noise), np.random.default_rng([year.gates, list(KINDS).index(year.kind)])
    fleets, easier = {rule: Fleet(years) for rule in RULES}, np.zeros(years)
    for _ in range(year.gates):
        better = np.where(rng.random(years) < BAD_SHARE, -rng.uniform(*BAD_BY, years), rng.uniform(*year.others, years))
        noise, own = draw(world, years, DAYS, rng), draw(world, years, DAYS, rng)
        # both comparisons share the candidate's part of the noise; an anchor that serves is compared once
        apart = Sample((noise.sums + own.sums * noise.sizes / own.sizes) / np.sqrt(2), noise.sizes, noise.within)
        seen, beside = look(noise, unit, better, alpha), look(apart, unit, 0.0, alpha)
        easier = easier + DRIFT * rng.normal(size=years) * year.drift
        for rule, fleet in fleets.items():
            anchor = _anchored(seen, beside, better, fleet)
            fleet.decide(RULES[rule], better, seen, anchor, fleet.champion + seen.estimate + easier)
    return [vars(year) | {"years": years, "rule": rule} | fleet.summary() for rule, fleet in fleets.items()]


def _anchored(seen: Seen, beside: Seen, better: np.ndarray, fleet: Fleet) -> Seen:
    """What is seen against the anchor: the same as against the champion where they are one."""
    one, away = fleet.champion == fleet.anchor, fleet.champion + better - fleet.anchor
    return Seen(*(np.where(one, mine, other + away) for mine, other in zip(vars(seen).values(), vars(beside).values(), strict=True)))


def never_promoted(trials: int = 3_000) -> list[dict[str, Any]]:
    """One row for each kind of clusters and number of gates: how many of the candidates that are worse by two margins get promoted."""
    rows = []
    for kind, world in KINDS.items():
        noise = draw(world, trials, DAYS, np.random.default_rng([2, list(KINDS).index(kind)]))
        for gates in GATES:
            promoted = int(
                (look(noise, unit_of(world), -WORSE_BY, GatePolicy(gates_per_year=gates).alpha).outcome == Outcome.PASS.value).sum()
            )
            rows.append({"kind": kind, "gates": gates, "trials": trials, "promoted": promoted, "at most": share_at_most(promoted, trials)})
    return rows


def power(trials: int = 4_000, gates: int = 12) -> list[dict[str, Any]]:
    """One row for each kind of clusters, number of days and true difference: how often the check `champion` says what."""
    alpha, rows = GatePolicy(gates_per_year=gates).alpha, []
    for kind, world in KINDS.items():
        for days in (20, 30, 60, 90):
            noise = draw(world, trials, days, np.random.default_rng([3, days]))
            for difference in np.linspace(-3, 3, 13):
                said = Counter(look(noise, unit_of(world, days), float(difference), alpha).outcome.tolist())
                shares = {name: said[outcome.value] / trials for name, outcome in _SAID.items()}
                rows.append({"kind": kind, "days": days, "difference": float(difference), "trials": trials, **shares})
    return rows


_SAID = {"PROMOTE": Outcome.PASS, "HOLD": Outcome.HOLD, "REJECT": Outcome.REJECT}


def verify(samples: int = 10) -> None:
    """That the simulated rule answers as the gate's own functions do on rows with the same sums.

    Raises
    ------
    AssertionError
        It does not.
    """
    alpha = GatePolicy().alpha
    for kind, world in KINDS.items():
        noise = draw(world, samples, DAYS, np.random.default_rng(4))
        for difference in (-3.0, -1.0, 0.0, 1.0):
            outcomes = look(noise, unit_of(world), difference, alpha).outcome
            for at in range(samples):
                rows, days = rows_of(noise, at)
                told = non_inferiority(paired_interval(difference + rows * unit_of(world), days, alpha=alpha), MARGIN)
                if told.value != outcomes[at]:
                    raise AssertionError(f"{kind}, {difference}: the gate says {told}, the benchmark {outcomes[at]}")


def plan() -> list[Year]:
    """The years that are simulated: every kind, little and much noise; with drift; and one that slides downhill."""
    every = [Year(kind, gates, noise=noise) for noise in (NOISE, NOISY) for kind in KINDS for gates in GATES]
    return [*every, *(Year(gates=gates, drift=True) for gates in GATES), *(Year(gates=gates, others=SLIDING) for gates in GATES)]


def main(years: int) -> None:
    """Print the year, the candidates that are worse by two margins, and the power."""
    verify()
    for year in plan():
        _print(simulate(year, years))
    _print(never_promoted())
    _print(power())


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print("  ".join(f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
