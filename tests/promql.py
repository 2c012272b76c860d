"""Alerting rules evaluated as Prometheus 2 does, for the part of PromQL that alerts.yml uses; anything else is refused.

Instant selectors, numbers, `+ - * /`, comparisons (as filters or with `bool`), `and or unless`, `on` and `ignoring`, `sum`, `min`, `max`,
`avg` and `count` `by`, `time`, `rate`, `increase`, `changes` and `histogram_quantile`. Times are seconds since the test began.
"""

import re
from collections.abc import Callable, Iterator
from operator import add, eq, ge, gt, le, lt, mul, ne, sub
from typing import NamedTuple

from prom_series import OVER, Labels, Matcher, RefusedError, Series, Vector, quantiles, quotient, seconds

Value = float | Vector
Evaluated = Callable[[Series, float], Value]
COMPARED: dict[str, Callable[[float, float], bool]] = {"==": eq, "!=": ne, ">": gt, "<": lt, ">=": ge, "<=": le}
COUNTED: dict[str, Callable[[float, float], float]] = {"+": add, "-": sub, "*": mul, "/": quotient}
INVERSE = {"==": "!=", ">": "<", ">=": "<=", "=~": "!~", "and": "unless"}
INVERSE |= {other: one for one, other in INVERSE.items()}
ORDER = [("or",), ("and", "unless"), tuple(COMPARED), ("+", "-"), ("*", "/")]
"""From what binds least."""
AGGREGATED: dict[str, Callable[[list[float]], float]] = {
    "sum": sum, "min": min, "max": max, "count": len, "avg": lambda values: sum(values) / len(values)
}  # fmt: skip
RESERVED = {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless"}
TOKEN = re.compile(r'\s*("[^"\\]*"|\d+(?:\.\d+)?(?:[smhdw](?!\w))?|[a-zA-Z_:][\w:]*|=~|!~|!=|==|>=|<=|[-+*/<>=,(){}\[\]])')


def tokens(expression: str) -> list[str]:
    """The words and signs of an expression."""
    found, at = [], 0
    while at < len(expression.rstrip()):
        match = TOKEN.match(expression, at)
        if not match:
            raise RefusedError(f"nobody knows {expression[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def inversions(expression: str) -> list[str]:
    """The expression with one comparison, one matcher by pattern or one `and` turned round, for each that it has."""
    parts = tokens(expression)
    turned = [at for at, part in enumerate(parts) if part in INVERSE]
    return [" ".join([*parts[:at], INVERSE[parts[at]], *parts[at + 1 :]]) for at in turned]


def evaluated(expression: str) -> Evaluated:
    """The expression as a function of series and time."""
    parser = _Parser(tokens(expression))
    found = parser.binary()
    if parser.left:
        raise RefusedError(f"nobody knows what {parser.left[0]!r} is for in {expression!r}")
    return found


class _Parser:
    """Takes token after token, and makes a function of them."""

    def __init__(self, parts: list[str]) -> None:
        self.left = parts

    def take(self, *wanted: str) -> str:
        if not self.left or (wanted and self.left[0] not in wanted):
            raise RefusedError(f"{' or '.join(wanted) or 'more'} is wanted, and there is {self.left[:1]}")
        return self.left.pop(0)

    def is_next(self, *wanted: str) -> bool:
        return bool(self.left) and self.left[0] in wanted

    def binary(self, level: int = 0) -> Evaluated:
        if level == len(ORDER):
            return self.operand()
        found = self.binary(level + 1)
        while self.is_next(*ORDER[level]):
            sign = self.take()
            is_bool = sign in COMPARED and self.is_next("bool") and bool(self.take())
            on = (self.take(), self.names()) if self.is_next("on", "ignoring") else ("ignoring", [])
            found = _joined(_Operation(sign, is_bool, on[0] == "on", frozenset(on[1])), found, self.binary(level + 1))
        return found

    def operand(self) -> Evaluated:
        word = self.take()
        if word == "(":
            found = self.binary()
            self.take(")")
            return found
        if re.fullmatch(r"\d+(\.\d+)?", word):
            number = float(word)
            return lambda _, __: number
        if not re.fullmatch(r"[a-zA-Z_:][\w:]*", word) or word in RESERVED:
            raise RefusedError(f"an operand is wanted, and there is {word!r}")
        if word in AGGREGATED and self.is_next("by"):
            return self.aggregation(word)
        return self.call(word) if self.is_next("(") else self.selector(word)

    def aggregation(self, word: str) -> Evaluated:
        by = (self.take("by"), frozenset(self.names()))[1]
        of = self.arguments(1)[0]

        def found(series: Series, now: float) -> Value:
            groups: dict[Labels, list[float]] = {}
            for labels, value in _vector(of(series, now)).items():
                groups.setdefault(frozenset(one for one in labels if one[0] in by), []).append(value)
            return {labels: float(AGGREGATED[word](values)) for labels, values in groups.items()}

        return found

    def call(self, word: str) -> Evaluated:
        if word == "time":
            self.arguments(0)
            return lambda _, now: now
        if word == "histogram_quantile":
            share, of = self.arguments(2)
            return lambda series, now: quantiles(_number(share(series, now)), _vector(of(series, now)))
        if word not in OVER:
            raise RefusedError(f"{word} is not known here")
        self.take("(")
        name = self.take()
        matchers = self.matchers()
        self.take("[")
        span = seconds(self.take())
        self.take("]")
        self.take(")")

        return lambda series, now: OVER[word](series.within(name, matchers, now, span), now, span)

    def arguments(self, count: int) -> list[Evaluated]:
        self.take("(")
        found = []
        for at in range(count):
            found.append(self.binary())
            if at < count - 1:
                self.take(",")
        self.take(")")
        return found

    def selector(self, name: str) -> Evaluated:
        matchers = self.matchers()
        if self.is_next("[", "offset", "("):
            raise RefusedError(f"{self.left[0]} behind {name} is not known here")

        return lambda series, now: series.newest(name, matchers, now)

    def matchers(self) -> list[Matcher]:
        found: list[Matcher] = []
        if not self.is_next("{"):
            return found
        self.take("{")
        while not self.is_next("}"):
            label, sign, value = self.take(), self.take("=", "!=", "=~", "!~"), self.take()
            if not value.startswith('"'):
                raise RefusedError(f"{label} is matched with {value}")
            found.append(Matcher(label, sign, value.strip('"')))
            if not self.is_next("}"):
                self.take(",")
        self.take("}")
        return found

    def names(self) -> list[str]:
        found: list[str] = []
        self.take("(")
        while not self.is_next(")"):
            found.append(self.take())
            if not self.is_next(")"):
                self.take(",")
        self.take(")")
        return found


class _Operation(NamedTuple):
    """A sign between two operands, and by which labels their series find one another."""

    sign: str
    is_bool: bool
    is_on: bool
    names: frozenset[str]

    def key(self, labels: Labels) -> Labels:
        return frozenset(one for one in labels if (one[0] in self.names) is self.is_on)

    def of(self, left: float, right: float, kept: float) -> float | None:
        if self.sign in COUNTED:
            return COUNTED[self.sign](left, right)
        holds = COMPARED[self.sign](left, right)
        return float(holds) if self.is_bool else kept if holds else None


def _joined(operation: _Operation, left: Evaluated, right: Evaluated) -> Evaluated:
    def found(series: Series, now: float) -> Value:
        one, other = left(series, now), right(series, now)
        if operation.sign in {"and", "or", "unless"}:
            return _sets(operation, _vector(one), _vector(other))
        if not isinstance(one, dict) and not isinstance(other, dict):
            value = operation.of(one, other, one)
            if (operation.sign in COMPARED and not operation.is_bool) or value is None:
                raise RefusedError("two numbers are compared with bool only")
            return value
        told = _pairs(operation, one, other)
        return {labels: value for labels, a, b, kept in told if (value := operation.of(a, b, kept)) is not None}

    return found


def _pairs(operation: _Operation, one: Value, other: Value) -> Iterator[tuple[Labels, float, float, float]]:
    """Labels of the result, both operands, and what a filter keeps."""
    if not isinstance(other, dict):
        yield from ((labels, a, other, a) for labels, a in _vector(one).items())
    elif not isinstance(one, dict):
        yield from ((labels, one, b, b) for labels, b in other.items())
    else:
        keys, against = [operation.key(labels) for labels in one], {operation.key(labels): b for labels, b in other.items()}
        if len(set(keys)) < len(one) or len(against) < len(other):
            raise RefusedError("several series would be matched with one")
        yield from ((key, a, against[key], a) for key, a in zip(keys, one.values(), strict=True) if key in against)


def _sets(operation: _Operation, one: Vector, other: Vector) -> Vector:
    keys = {operation.key(labels) for labels in one}, {operation.key(labels) for labels in other}
    if operation.sign == "or":
        return one | {labels: value for labels, value in other.items() if operation.key(labels) not in keys[0]}
    return {labels: value for labels, value in one.items() if (operation.key(labels) in keys[1]) is (operation.sign == "and")}


def _vector(value: Value) -> Vector:
    if not isinstance(value, dict):
        raise RefusedError(f"series are wanted, and there is the number {value}")
    return value


def _number(value: Value) -> float:
    if isinstance(value, dict):
        raise RefusedError("a number is wanted, and there are series")
    return value
