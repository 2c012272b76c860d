"""What the columns of one batch look like, as far as an expectation can be made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evergreen.columns import Kind, kind_of

MOST_VALUES = 30
"""Of a text with more values none is listed."""
FINE = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|.", re.DOTALL)
COARSE = re.compile(r"[A-Za-z0-9]+|.", re.DOTALL)
CLASSES = {"upper": "[A-Z]", "lower": "[a-z]", "digits": "[0-9]", "word": "[A-Za-z0-9]"}


@dataclass(frozen=True)
class Numbers:
    """The finite values of a number."""

    low: float
    high: float
    body: tuple[float, float]
    """Between these are all but one in a thousand at either end."""
    mean: float
    std: float


@dataclass(frozen=True)
class Shape:
    """How all texts of a column are built: runs of a class of signs, or single other signs, each with its least and greatest length."""

    parts: tuple[str, ...]
    lengths: tuple[tuple[int, int], ...]

    def joined(self, other: Shape) -> Shape | None:
        """The shape of both; None where they are built otherwise."""
        if self.parts != other.parts:
            return None
        pairs = zip(self.lengths, other.lengths, strict=True)
        return Shape(self.parts, tuple((min(one[0], two[0]), max(one[1], two[1])) for one, two in pairs))

    @property
    def coarse(self) -> Shape:
        """The same with neighbouring runs of letters and digits as one."""
        parts, lengths = list[str](), list[tuple[int, int]]()
        for part, (low, high) in zip(self.parts, self.lengths, strict=True):
            if part in CLASSES and parts and parts[-1] == "word":
                lengths[-1] = (lengths[-1][0] + low, lengths[-1][1] + high)
            else:
                parts.append("word" if part in CLASSES else part)
                lengths.append((low, high))
        return Shape(tuple(parts), tuple(lengths))

    @property
    def open(self) -> Shape:
        """The same with runs of any length."""
        return Shape(self.parts, tuple((1, 2) if part in CLASSES else ends for part, ends in zip(self.parts, self.lengths, strict=True)))

    @property
    def regex(self) -> str:
        """A pattern for the whole text; empty where it would say next to nothing: one run of any length."""
        if len(self.parts) == 1 and self.lengths[0][0] != self.lengths[0][1]:
            return ""
        return f"^{''.join(_pattern(part, ends) for part, ends in zip(self.parts, self.lengths, strict=True))}$"


@dataclass(frozen=True)
class Look:
    """One column of one batch."""

    kind: Kind
    rows: int
    known: int
    numbers: Numbers | None = None
    values: tuple[str, ...] | None = None
    """Of a text that has few, in their order."""
    shapes: tuple[Shape | None, Shape | None] = (None, None)
    """How its texts are built, with upper and lower case and digits told apart, and without."""

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.known / self.rows


def look(frame: pd.DataFrame) -> dict[str, Look]:
    """What each column looks like, by its name."""
    return {str(name): _look(frame[name]) for name in frame.columns}


def _look(values: pd.Series) -> Look:
    known, kind = values.dropna(), kind_of(values)
    seen = Look(kind, len(values), len(known))
    if kind in {"integer", "number"}:
        return Look(kind, len(values), len(known), numbers=_numbers(known.to_numpy(dtype=float)))
    if kind != "text" or not all(isinstance(value, str) for value in known.unique()):
        return seen
    texts = sorted(map(str, known.unique()))
    few = len(texts) <= MOST_VALUES and 5 * len(texts) <= len(known)
    fine = _shape(texts, FINE)
    shapes = (fine, fine.coarse if fine else _shape(texts, COARSE))
    return Look(kind, len(values), len(known), values=tuple(texts) if few else None, shapes=shapes)


def _numbers(values: np.ndarray) -> Numbers | None:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    # Of few values the outermost are left out: one that is wild must not be taken for a part of the body.
    least, most = float(np.quantile(finite, 0.001, method="higher")), float(np.quantile(finite, 0.999, method="lower"))
    return Numbers(low, high, (least, most), float(finite.mean()), float(finite.std()))


def _shape(texts: Iterable[str], runs: re.Pattern[str]) -> Shape | None:
    """The one shape of all of them; None where there are several, or none."""
    whole: Shape | None = None
    for text in texts:
        found = runs.findall(text)
        one = Shape(tuple(map(_class, found)) if runs is FINE else tuple(map(_word, found)), tuple((len(run), len(run)) for run in found))
        whole = one if whole is None else whole.joined(one)
        if whole is None or not whole.parts:
            return None
    return whole


def _class(run: str) -> str:
    if not run.isascii() or not run.isalnum():
        return run
    return "digits" if run.isdigit() else "upper" if run.isupper() else "lower"


def _word(run: str) -> str:
    return "word" if run.isascii() and run.isalnum() else run


def _pattern(part: str, ends: tuple[int, int]) -> str:
    if part not in CLASSES:
        return re.escape(part)
    low, high = ends
    count = "+" if low != high else f"{{{low}}}" if low > 1 else ""
    return f"{CLASSES[part]}{count}"
