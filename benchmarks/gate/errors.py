"""How often the bounds of the gate's interval really err, and what that costs in power, beside other intervals.

One error is a bound beyond the truth: `pass` is a lower bound above it (something worse than the margin allows would pass), `reject` an
upper bound below it. Power is the chance that the lower bound clears a limit so many true standard errors below the truth.
Usage: errors.py [REPS].
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from evergreen.gate.statistics import effective_dof, paired_interval, serial_se

ALPHAS = (0.05, 0.10 / 12, 0.10 / 52)
CLUSTERS = (20, 30, 60)
AWAY = (2, 3, 5)
"""Distances of the limit from the truth, in true standard errors, at which power is measured."""
DRAWS = 3119
"""Of the bootstrap: with one more, each alpha times the number of draws is a whole number."""
ROWS, SHARED = 300, 0.1
"""Rows of a cluster, and standard deviation of the effect that they share; each row's own is 1."""
SETTLED = 20
"""Clusters before the first, so that a serial process has forgotten where it began."""


@dataclass(frozen=True)
class World:
    """Where clusters come from: their shared effect's distribution, how like the one before it is, how unequal their sizes are."""

    shape: str = "normal"
    sign: float = 1.0
    serial: float = 0.0
    unequal: float = 0.0
    """Standard deviation of the logarithm of sizes."""


WORLDS = {
    "normal": World(),
    "unequal": World(unequal=1.0),
    "skewed up": World("exponential"),
    "skewed down": World("exponential", -1.0),
    "lognormal down": World("lognormal", -1.0),
    "heavy": World("t3"),
    "serial 0.3": World(serial=0.3),
    "serial 0.5": World(serial=0.5),
    "all, up": World("exponential", 1.0, 0.3, 0.3),
    "all, down": World("exponential", -1.0, 0.3, 0.3),
}
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: (rng.lognormal(0, 0.75, shape) - np.exp(0.75**2 / 2)) / 1.153,
    "t3": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
}


@dataclass(frozen=True)
class Sample:
    """Many samples of clusters at once, the true mean being 0: everything has shape (samples, clusters) or (samples,)."""

    sums: np.ndarray
    sizes: np.ndarray
    within: np.ndarray
    """Each cluster's sum of squared deviations of its rows from their own mean."""

    @property
    def n(self) -> np.ndarray:
        """Rows."""
        return np.asarray(self.sizes.sum(axis=1))

    @property
    def mean(self) -> np.ndarray:
        """Of all rows."""
        return np.asarray(self.sums.sum(axis=1) / self.n)

    @property
    def rest(self) -> np.ndarray:
        """Clusters' sums of residuals."""
        return np.asarray(self.sums - self.sizes * self.mean[:, None])

    @property
    def se(self) -> np.ndarray:
        """CR1."""
        clusters = self.sums.shape[1]
        return np.asarray(np.sqrt(clusters / (clusters - 1) * (self.rest**2).sum(axis=1)) / self.n)


def draw(world: World, samples: int, clusters: int, rng: np.random.Generator) -> Sample:
    """Samples from this world."""
    effect = SHAPES[world.shape](rng, (samples, clusters + SETTLED)) * world.sign
    for at in range(1, effect.shape[1] if world.serial else 0):
        effect[:, at] = world.serial * effect[:, at - 1] + np.sqrt(1 - world.serial**2) * effect[:, at]
    sizes = ROWS * rng.lognormal(-(world.unequal**2) / 2, world.unequal, (samples, clusters))
    sizes = np.maximum(np.rint(sizes), 1.0)
    sums = sizes * SHARED * effect[:, SETTLED:] + np.sqrt(sizes) * rng.normal(size=sizes.shape)
    within = np.where(sizes > 1, rng.chisquare(np.maximum(sizes - 1, 1)), 0.0)
    return Sample(sums, sizes, within)


Reaches = tuple[np.ndarray, np.ndarray]
"""How far lower and upper bound are from the mean, each of shape (samples,)."""
Method = Callable[[Sample, float], Reaches]


def plain(sample: Sample, alpha: float) -> Reaches:
    """CR1 with G-1 degrees of freedom: what the gate had before."""
    reach = stats.t.ppf(1 - alpha, sample.sums.shape[1] - 1) * sample.se
    return reach, reach


def dof(sample: Sample) -> np.ndarray:
    """The gate's effective degrees of freedom."""
    squares = (sample.within + sample.rest**2 / sample.sizes).sum(axis=1)
    return np.asarray(effective_dof(sample.rest, sample.sizes, squares))


def unequal(sample: Sample, alpha: float) -> Reaches:
    """CR1 with effective degrees of freedom (Bell & McCaffrey 2002, Imbens & Kolesar 2016)."""
    reach = stats.t.ppf(1 - alpha, dof(sample)) * sample.se
    return reach, reach


def lean(sample: Sample, t: Any) -> np.ndarray:
    """Johnson's correction for skewness (1978): above 0 where the upper bound has to move up."""
    clusters = sample.sums.shape[1]
    skewness = stats.skew(sample.rest, axis=1, bias=False)
    return np.asarray(skewness * (1 + 2 * t**2) / (6 * np.sqrt(clusters)) * sample.se)


def johnson(sample: Sample, alpha: float) -> Reaches:
    """CR1, each bound moved outwards where Johnson's correction says so."""
    moved = lean(sample, stats.t.ppf(1 - alpha, sample.sums.shape[1] - 1))
    reach, _ = plain(sample, alpha)
    return reach + np.maximum(-moved, 0), reach + np.maximum(moved, 0)


def hall(sample: Sample, alpha: float) -> Reaches:
    """Hall's cubic transformation (1992), inverted: it corrects for skewness both ways."""
    clusters = sample.sums.shape[1]
    skewed = stats.skew(sample.rest, axis=1, bias=False) / np.sqrt(clusters)
    skewed = np.where(np.abs(skewed) < 1e-6, 1e-6, skewed)
    t = stats.t.ppf(1 - alpha, clusters - 1)
    low, high = (3 / skewed * (np.cbrt(1 + skewed * (side * t - skewed / 6)) - 1) for side in (1, -1))
    return low * sample.se, -high * sample.se


def blocks(count: int) -> Method:
    """Neighbouring clusters made one, to leave so many (0: of seven each); Ibragimov & Mueller 2010."""

    def method(sample: Sample, alpha: float) -> Reaches:
        clusters = sample.sums.shape[1]
        starts = np.unique(np.arange(clusters) * (count or round(clusters / 7)) // clusters, return_index=True)[1]
        parts = (np.add.reduceat(part, starts, axis=1) for part in (sample.sums, sample.sizes, sample.within))
        return plain(Sample(*parts), alpha)

    return method


def newey_west(sample: Sample, alpha: float, lags: int = 3) -> Reaches:
    """Newey & West 1987 with three lags; the quantile is simulated for independent normal clusters (fixed b: Kiefer & Vogelsang 2005)."""
    reach = _fixed_b(sample.sums.shape[1], lags, alpha) * np.sqrt(_bartlett(sample.rest, lags)) / sample.n
    return reach, reach


def _bartlett(rest: np.ndarray, lags: int) -> np.ndarray:
    total = (rest**2).sum(axis=1)
    for lag in range(1, lags + 1):
        total = total + 2 * (1 - lag / (lags + 1)) * (rest[:, lag:] * rest[:, :-lag]).sum(axis=1)
    return np.asarray(total)


@cache
def _fixed_b(clusters: int, lags: int, alpha: float) -> float:
    x = np.random.default_rng(7).normal(size=(200_000, clusters))
    return float(np.quantile(x.sum(axis=1) / np.sqrt(_bartlett(x - x.mean(axis=1, keepdims=True), lags)), 1 - alpha))


def cosines(sample: Sample, alpha: float) -> Reaches:
    """The serial standard error alone, G^(2/3) cosines (Lazarus, Lewis, Stock & Watson 2018)."""
    clusters = sample.sums.shape[1]
    reach = stats.t.ppf(1 - alpha, min(clusters - 1, round(clusters ** (2 / 3)))) * serial_se(sample.rest, sample.n)
    return reach, reach


def unordered(sample: Sample, alpha: float) -> Reaches:
    """The gate's interval where clusters have no order: effective degrees of freedom, and Johnson's correction outwards."""
    t = stats.t.ppf(1 - alpha, dof(sample))
    moved = lean(sample, t)
    return t * sample.se + np.maximum(-moved, 0), t * sample.se + np.maximum(moved, 0)


def gate(sample: Sample, alpha: float) -> Reaches:
    """The gate's interval for days: the same, or the serial standard error where that reaches farther."""
    base, serial = unequal(sample, alpha)[0], cosines(sample, alpha)[0]
    low, high = unordered(sample, alpha)
    return low + np.maximum(serial - base, 0), high + np.maximum(serial - base, 0)


METHODS: dict[str, Method] = {
    "CR1, t (before)": plain,
    "effective dof": unequal,
    "Johnson outwards": johnson,
    "Hall": hall,
    "weeks": blocks(0),
    "8 blocks": blocks(8),
    "Newey-West 3, fixed b": newey_west,
    "cosines": cosines,
    "max(CR1, Newey-West 3)": lambda sample, alpha: (np.maximum(plain(sample, alpha)[0], newey_west(sample, alpha)[0]),) * 2,
    "the gate's, no order": unordered,
    "the gate's, days": gate,
}
BOOTSTRAP = "wild bootstrap"


def wild_bootstrap(sample: Sample, alpha: float, away: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Which samples clear a limit `away` below the truth, and which lie surely below one above it.

    Signs of clusters flipped with the null hypothesis imposed (Cameron, Gelbach & Miller 2008); Rademacher weights.
    """
    clusters = sample.sums.shape[1]
    signs = np.random.default_rng(5).choice(np.array([-1, 1], dtype=np.float32), size=(clusters, DRAWS))
    sums, sizes = (sample.sums + away * sample.sizes).astype(np.float32), sample.sizes.astype(np.float32)
    n, told = sample.n[:, None].astype(np.float32), ((sample.mean + away) / sample.se)[:, None]
    mean = sums @ signs / n
    rest = (sums**2).sum(axis=1, keepdims=True) - 2 * mean * ((sums * sizes) @ signs) + mean**2 * (sizes**2).sum(axis=1, keepdims=True)
    t = mean * n / np.sqrt(clusters / (clusters - 1) * np.maximum(rest, 1e-6))
    enough = alpha * (DRAWS + 1) + 1e-6
    return 1 + (t >= told - 1e-5).sum(axis=1) <= enough, 1 + (t <= told + 1e-5).sum(axis=1) <= enough


def measure(reps: int = 20_000, clusters: tuple[int, ...] = CLUSTERS, alphas: tuple[float, ...] = ALPHAS) -> list[dict[str, Any]]:
    """One row for each number of clusters, world, alpha and method: `pass` and `reject` errors in units of alpha, and power."""
    rows = []
    for count in clusters:
        for number, (name, world) in enumerate(WORLDS.items()):
            sample = draw(world, reps, count, np.random.default_rng([count, number]))
            true_se = float(sample.mean.std())
            for alpha in alphas:
                common = {"clusters": count, "world": name, "alpha": alpha, "reps": reps}
                rows += [
                    common | {"method": label} | _errors(sample, method(sample, alpha), alpha, true_se) for label, method in METHODS.items()
                ]
                rows.append(common | {"method": BOOTSTRAP} | _bootstrapped(sample, alpha, true_se))
    return rows


def _errors(sample: Sample, reaches: Reaches, alpha: float, true_se: float) -> dict[str, float]:
    low, high = reaches
    found = {"pass": float((sample.mean > low).mean()) / alpha, "reject": float((sample.mean < -high).mean()) / alpha}
    return found | {f"power {away}": float((sample.mean + away * true_se > low).mean()) for away in AWAY}


def _bootstrapped(sample: Sample, alpha: float, true_se: float, at_once: int = 1000) -> dict[str, float]:
    """The bootstrap takes long: a quarter of the samples must do for the errors, a twentieth for power."""
    parts = [
        Sample(*(part[start : start + at_once] for part in (sample.sums, sample.sizes, sample.within)))
        for start in range(0, max(len(sample.sums) // 4, 1), at_once)
    ]
    above, below = (np.concatenate(found) for found in zip(*(wild_bootstrap(part, alpha) for part in parts), strict=True))
    powers = {f"power {away}": float(wild_bootstrap(parts[0], alpha, away * true_se)[0].mean()) for away in AWAY}
    return {"pass": float(above.mean()) / alpha, "reject": float(below.mean()) / alpha} | powers


def verify(samples: int = 5) -> None:
    """That what is measured here is what the gate computes from rows.

    Raises
    ------
    AssertionError
        It is not.
    """
    for world in WORLDS.values():
        sample = draw(world, samples, 30, np.random.default_rng(1))
        for at in range(samples):
            for method, name in ((gate, "2013-05-{:02d}"), (unordered, "customer {:02d}")):
                interval = paired_interval(*rows_of(sample, at, name), alpha=0.01)
                low, high = (reach[at] for reach in method(sample, 0.01))
                got, expected = (interval.low, interval.high), (sample.mean[at] - low, sample.mean[at] + high)
                if not np.allclose(got, expected, rtol=1e-7, atol=1e-12):
                    raise AssertionError(f"{world}: the gate's bounds are {got}, the benchmark's {expected}")


def rows_of(sample: Sample, at: int, name: str = "2013-05-{:02d}") -> tuple[np.ndarray, np.ndarray]:
    """Differences and clusters of rows that have the sums and the spread of one of the samples."""
    sizes = sample.sizes[at].astype(int)
    parts = []
    for total, size, within in zip(sample.sums[at], sizes, sample.within[at], strict=True):
        around = np.arange(size) - (size - 1) / 2
        parts.append(total / size + around * np.sqrt(within / max(float(around @ around), 1e-12)))
    return np.concatenate(parts), np.repeat(np.array([name.format(one) for one in range(len(sizes))], dtype=object), sizes)


def main(reps: int) -> None:
    """Print errors in units of alpha and power, a line for each world and method."""
    verify()
    for row in measure(reps):
        powers = "  ".join(f"{row[f'power {away}']:.2f}" for away in AWAY)
        print(
            f"G={row['clusters']:<3} alpha={row['alpha']:.4f}  {row['world']:15} {row['method']:24}"
            f" pass {row['pass']:5.2f}  reject {row['reject']:5.2f}  power at {', '.join(map(str, AWAY))} SE: {powers}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
