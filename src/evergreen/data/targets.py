"""Outcomes: how rows are given theirs, up to where they count, and which are of things that nobody has delivered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evergreen.contract import Problem, called
from evergreen.data.joins import check_same_kind, examples
from evergreen.errors import ContractError, JoinError

FOUND = "_found"
HARDLY = 0.01
"""Where fewer of the outcomes than this share belong to a row, their keys are taken to be of another form."""


@dataclass(frozen=True)
class Outcomes:
    """All delivered outcomes, and which of them belong to a row of the entity source."""

    rows: pd.DataFrame
    """Key, time where the source has one, and `FOUND`."""
    time: str | None
    ours: pd.DataFrame = field(repr=False)
    """A few keys of the entity source."""
    entities: int
    """How many rows that has."""

    @property
    def least(self) -> float:
        """The share of outcomes that must belong to a row: less where they are about more things than were delivered."""
        return HARDLY * min(1.0, self.entities / max(1, len(self.rows)))

    @property
    def orphans(self) -> int:
        """How many belong to no row."""
        return int((~self.rows[FOUND]).sum())

    @property
    def apart(self) -> str:
        """Keys of outcomes that belong to no row, and keys of rows, as they are told."""
        key = self.rows.columns[0]
        return f"Of an outcome, for example: {examples(self.rows.loc[~self.rows[FOUND], [key]])}; of a row: {examples(self.ours)}"


@dataclass(frozen=True)
class Maturity:
    """How many of the known outcomes count, and how many a usual day has."""

    known: int
    counting: int
    usual: float
    """Share of a day's rows that have an outcome: the median of the days from the first outcome to the last. NaN where there is none."""
    settled: pd.Timestamp | None


def settled_until(rows: pd.DataFrame, problem: Problem) -> pd.Timestamp | None:
    """The newest row with an outcome, among whose neighbours of the last day at least the contract's share have one too.

    Some outcomes are known early, such as cancellations; taken alone they would stand for a day that has not happened yet.
    """
    time = problem.time
    if time is None or rows.empty:
        return None
    known = rows[problem.target.name].notna()
    share = pd.Series(known.to_numpy(dtype=float), index=pd.DatetimeIndex(rows[time])).rolling("1D").mean().to_numpy()
    matured = rows.loc[known.to_numpy() & (share >= problem.target.settled_share), time]
    return matured.max() if len(matured) else None


def maturity(rows: pd.DataFrame, problem: Problem) -> Maturity:
    """Count the outcomes of rows that are in order of time."""
    known, time = rows[problem.target.name].notna(), problem.time
    if time is None or not known.any():
        return Maturity(int(known.sum()), int(known.sum()), float(known.mean()) if known.any() else float("nan"), None)
    settled = settled_until(rows, problem)
    counting = 0 if settled is None else int((known & (rows[time] <= settled)).sum())
    having = rows.loc[known, time]
    between = (rows[time] >= having.min()) & (rows[time] <= having.max())
    usual = known[between].groupby(rows.loc[between, time].dt.floor("D")).mean().median()
    return Maturity(int(known.sum()), counting, float(usual), settled)


def why_so_few(rows: pd.DataFrame, problem: Problem) -> str:
    """Why most known outcomes do not count, and what to set, in sentences; empty where most do, or where the days have enough."""
    found, wanted = maturity(rows, problem), problem.target.settled_share
    if 2 * found.counting >= found.known or not found.usual < wanted:
        return ""
    until = f", up to {found.settled:%Y-%m-%d %H:%M}" if found.settled is not None else ""
    return (
        f"{found.known:,} outcomes are known, and {found.counting:,} of them count{until}: they count up to the last day of which "
        f"{wanted:.0%} of the rows have one (target.settled_share), and on a usual day {found.usual:.1%} have. "
        f"If the others never get one, waiting does not help: set target.settled_share to less than that, such as {_lower(found.usual):g}."
    )


def with_target(problem: Problem, rows: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, Outcomes]:
    """Add the target by the entity's key; rows without outcome keep an empty one."""
    source = problem.source(problem.target.source)
    key = source.key[0]
    if problem.target.name in rows:
        raise ContractError(f"target.name: {problem.target.name!r} is a column of the data already. Give the target another name.")
    label = np.asarray(called("target.label", problem.target.label, outcomes))
    if label.shape != (len(outcomes),):
        raise ContractError(f"target.label: got shape {label.shape}; expected one value for each of the {len(outcomes)} outcomes.")
    check_same_kind(f"Outcomes of {problem.target.source}", rows[problem.key], outcomes[key])
    if label.dtype.kind in "biu":
        label = label.astype(float)  # as rows without outcome would make it: the same rows have the same digest either way
    known = pd.DataFrame({problem.key: outcomes[key].astype(rows[problem.key].dtype).to_numpy(), problem.target.name: label})
    merged = rows.merge(known, on=problem.key, how="left", validate="one_to_one")
    told = outcomes[list(dict.fromkeys([key, *([source.time] if source.time else [])]))]
    found = known[problem.key].isin(rows[problem.key]).to_numpy()
    return merged, Outcomes(told.assign(**{FOUND: found}), source.time, rows[[problem.key]].head(), len(rows))


def refuse_orphans(problem: Problem, outcomes: Outcomes) -> None:
    """See that outcomes find the rows that they are about.

    Raises
    ------
    JoinError
        None or hardly any does; names keys of both sides.
    """
    total, found = len(outcomes.rows), len(outcomes.rows) - outcomes.orphans
    if found < outcomes.least * total:
        raise JoinError(
            f"Outcomes of {problem.target.source}: {found:,} of {total:,} belong to a row of {problem.entity} by {problem.key}. "
            f"{outcomes.apart}. Read both keys in the same form, or leave out in the reader what is about other things."
        ).of(problem.target.source, is_lacking=True)


def _lower(share: float) -> float:
    """A share with one digit that the days of a usual share reach on most days."""
    return max(float(f"{share * 0.7:.1g}"), 0.001)
