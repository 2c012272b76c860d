"""Series as promtool's tests write them, and what Prometheus 2 makes of a range of them. Times are seconds since the test began."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Samples = list[float | None]
"""One at each interval, None where there is none; NaN is the mark of a series that ended."""
Ranges = list[tuple[Labels, list[tuple[float, float]]]]
"""Of each series its labels, and its times and values."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LOOKBACK = 300.0
STEP = re.compile(r"(?P<mark>_|stale|-?[\d.]+)(?P<rise>[+-][\d.]+)?(?:x(?P<times>\d+))?")
LABELLED = re.compile(r'(?P<name>[a-zA-Z_:][\w:]*)\{(?P<labels>(?:\w+="[^"\\]*",?)*)\}')


class RefusedError(Exception):
    """What stands there is no PromQL, or more of it than is known here."""


class Matcher(NamedTuple):
    """What a label must be."""

    label: str
    sign: str
    value: str

    def holds(self, labels: dict[str, str]) -> bool:
        found = labels.get(self.label, "")
        same = bool(re.fullmatch(self.value, found)) if "~" in self.sign else found == self.value
        return same is (self.sign in {"=", "=~"})


@dataclass(frozen=True)
class Series:
    """What a test puts in: name, labels and samples of each series, a sample at each interval."""

    interval: float
    known: list[tuple[str, dict[str, str], Samples]]

    def newest(self, name: str, matchers: list[Matcher], now: float) -> Vector:
        """The newest value of each series that fits, unless it ended or is too old."""
        told = ((labels, own[-1][1]) for labels, own in self._told(name, matchers, now, LOOKBACK) if own)
        return {labels: value for labels, value in told if not math.isnan(value)}

    def within(self, name: str, matchers: list[Matcher], now: float, span: float) -> Ranges:
        """The samples of `span` seconds until now, both ends included, without marks of an end."""
        return [(labels, [one for one in own if not math.isnan(one[1])]) for labels, own in self._told(name, matchers, now, span)]

    def _told(self, name: str, matchers: list[Matcher], now: float, span: float) -> Iterator[tuple[Labels, list[tuple[float, float]]]]:
        first, last = max(0, math.ceil((now - span) / self.interval)), math.floor(now / self.interval)
        for own, labels, samples in self.known:
            if own == name and all(one.holds(labels) for one in matchers):
                numbered = enumerate(samples[first : last + 1], first)
                yield frozenset(labels.items()), [(at * self.interval, value) for at, value in numbered if value is not None]


def seconds(text: str) -> float:
    """`75m` is 4500.0."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise RefusedError(f"{text!r} is no duration")
    return float(found[1]) * UNITS[found[2]]


def labelled(text: str) -> tuple[str, dict[str, str]]:
    """`up{job="a"}` is `up` and its labels."""
    found = LABELLED.fullmatch(text)
    if not found:
        raise RefusedError(f"{text!r} is no series")
    return found["name"], dict(re.findall(r'(\w+)="([^"]*)"', found["labels"]))


def samples(notation: str) -> Samples:
    """`1 0x2` is 1, 0, 0, 0 and `0+60x2` is 0, 60, 120: `x` says how many more; `_` is none, `stale` the end."""
    found: Samples = []
    for word in notation.split():
        step = STEP.fullmatch(word)
        if not step or (step["rise"] and not step["times"]):
            raise RefusedError(f"{word!r} is no sample")
        times = int(step["times"] or 0)
        if step["mark"] in {"_", "stale"}:
            found += [math.nan] if step["mark"] == "stale" else [None] * (times or 1)
        else:
            found += [float(step["mark"]) + float(step["rise"] or 0) * at for at in range(times + 1)]
    return found


def put_in(case: dict[str, Any]) -> Series:
    """The series of one test of a file."""
    told = [(*labelled(one["series"]), samples(one["values"])) for one in case["input_series"]]
    return Series(seconds(case["interval"]), told)


def quotient(one: float, other: float) -> float:
    """Divided as floating-point numbers are."""
    if other:
        return one / other
    return math.copysign(math.inf, one) if one else math.nan


def _increase(ranges: Ranges, now: float, span: float) -> Vector:
    """What counters rose by, spread to the ends of the span as Prometheus does (promql/functions.go, extrapolatedRate)."""
    found: Vector = {}
    for labels, own in ranges:
        if len(own) < 2:
            continue
        rise = own[-1][1] - own[0][1] + sum(before for (_, before), (_, value) in pairwise(own) if value < before)
        seen = own[-1][0] - own[0][0]
        between = seen / (len(own) - 1)
        before, after = own[0][0] - (now - span), now - own[-1][0]
        if rise > 0 and own[0][1] >= 0:
            before = min(before, seen * own[0][1] / rise)
        whole = seen + sum(part if part < 1.1 * between else between / 2 for part in (before, after))
        found[labels] = rise * whole / seen
    return found


def _rate(ranges: Ranges, now: float, span: float) -> Vector:
    return {labels: value / span for labels, value in _increase(ranges, now, span).items()}


def _changes(ranges: Ranges, _: float, __: float) -> Vector:
    return {labels: float(sum(a[1] != b[1] for a, b in pairwise(own))) for labels, own in ranges if own}


OVER: dict[str, Callable[[Ranges, float, float], Vector]] = {"rate": _rate, "increase": _increase, "changes": _changes}
"""Functions of a range."""


def quantiles(share: float, buckets: Vector) -> Vector:
    """The quantile of each histogram, by a straight line within the bucket that it falls into."""
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        upper = dict(labels).get("le")
        if upper is not None:
            rest = frozenset(one for one in labels if one[0] != "le")
            histograms.setdefault(rest, []).append((float(upper), count))
    return {labels: _quantile(share, sorted(own)) for labels, own in histograms.items()}


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    if len(buckets) < 2 or buckets[-1][0] != math.inf or not buckets[-1][1] or not 0 <= share <= 1:
        return math.nan
    rank = share * buckets[-1][1]
    at = next((at for at, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    upper, count = buckets[at]
    if at == len(buckets) - 1:
        return buckets[-2][0]
    if at == 0 and upper <= 0:
        return upper
    start, below = buckets[at - 1] if at else (0.0, 0.0)
    return start + (upper - start) * (rank - below) / (count - below) if count > below else start
