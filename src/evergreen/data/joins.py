"""The contract's joins, executed with guards: no row multiplied, no row lost, nothing observed after the prediction time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from evergreen.contract import Problem
from evergreen.errors import ContractError, JoinError
from evergreen.policies import AsOfJoin, LookupJoin
from evergreen.quoting import quoted

PREDICTION_TIME = "prediction_time"
EXAMPLES = 3


@dataclass(frozen=True)
class JoinReport:
    """How one join went."""

    source: str
    rows: int
    matched: int
    unused: int
    """Rows of the source that no row asked for."""
    missed: frozenset[int] = field(default=frozenset(), repr=False, compare=False)
    """Fingerprints of the rows, by the entity's key, that found none."""

    @property
    def match_rate(self) -> float:
        """Share of rows that found a partner, 0..1; 1 when there were none to match."""
        return self.matched / self.rows if self.rows else 1.0


def join_sources(problem: Problem, tables: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[JoinReport]]:
    """Give every row of the entity source what the contract's joins add, and the time of its prediction.

    Parameters
    ----------
    tables
        One frame for each source, by name.

    Returns
    -------
    frame, reports
        The entity's rows in order of time and key, and one report for each join. For an as-of join the frame also has the column
        `<source>.<time>`: when the row that was joined became known.

    Raises
    ------
    JoinError
        A guard is broken; names the source, the key and example rows.
    ContractError
        The contract names a column that the data do not have.
    """
    _refuse_reserved(problem, list(tables[problem.entity].columns))
    frame = _with_prediction_time(problem, tables[problem.entity])
    reports = []
    for index, join in enumerate(problem.joins):
        right = tables[join.source]
        key = list(problem.source(join.source).key)
        _check_columns(f"joins.{index}", join, frame, right, key=key)
        _check_unique(join.source, key, right)
        joined = _as_of(join, problem, frame, right) if isinstance(join, AsOfJoin) else _lookup(join, frame, right)
        reports.append(_report(join, frame, right, joined, key=problem.key))
        _check_match_rate(join, reports[-1], joined, _reach(join, problem, right, joined) if isinstance(join, AsOfJoin) else "")
        frame = joined.drop(columns="_found")
    if late := late_features(problem, frame):
        _refuse_late(problem, frame, late[0])
    order = [column for column in (problem.time, problem.key) if column]
    return frame.sort_values(order, kind="stable", ignore_index=True), reports


def _refuse_reserved(problem: Problem, entity: list[str]) -> None:
    """See that no column would be overwritten by one that the joins make."""
    seen = {f"{join.source}.{problem.source(join.source).time}" for join in problem.joins if isinstance(join, AsOfJoin)}
    ours = {*([PREDICTION_TIME] if problem.time else []), *seen}
    for source, columns in ((problem.entity, entity), *((join.source, join.take) for join in problem.joins)):
        if taken := sorted(ours & set(columns)):
            raise ContractError(
                f"sources.{source}: the column {taken[0]!r} has the name of one that Evergreen makes itself. Give it another in the reader."
            )


def late_features(problem: Problem, frame: pd.DataFrame) -> list[str]:
    """Sources from which some row was given something observed after its prediction time."""
    late = []
    for join in problem.joins:
        if isinstance(join, AsOfJoin):
            seen = frame[f"{join.source}.{problem.source(join.source).time}"]
            if bool((seen > frame[PREDICTION_TIME]).any()):
                late.append(join.source)
    return late


def _with_prediction_time(problem: Problem, entity: pd.DataFrame) -> pd.DataFrame:
    _check_unique(problem.entity, [problem.key], entity)
    if problem.time is None:
        return entity
    return entity.assign(**{PREDICTION_TIME: entity[problem.time] - pd.Timedelta(problem.prediction_lead)})


def _as_of(join: AsOfJoin, problem: Problem, left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Add the newest row known `offset` before the entity's time, not older than `tolerance`."""
    time = str(problem.source(join.source).time)
    seen = f"{join.source}.{time}"
    cutoff = left[str(problem.time)] - pd.Timedelta(join.offset)
    # merge_asof would pair a missing key with a missing key, and wants the very same types on both sides.
    known = right[[*join.on.values(), time, *join.take]].dropna(subset=list(join.on.values()))
    known = known.rename(columns={there: here for here, there in join.on.items()} | {time: seen})
    known = known.astype({here: left[here].dtype for here in join.on} | {seen: cutoff.dtype})
    joined = pd.merge_asof(
        left.assign(_cutoff=cutoff).sort_values("_cutoff", kind="stable"),
        known.sort_values(seen, kind="stable"),
        left_on="_cutoff",
        right_on=seen,
        by=list(join.on),
        tolerance=pd.Timedelta(join.tolerance),
    )
    return joined.drop(columns="_cutoff").assign(_found=joined[seen].notna())


def _lookup(join: LookupJoin, left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Add the one row with the same key; an unknown key finds nothing, even where the table has a row without key."""
    known = right[[*join.on.values(), *join.take]].dropna(subset=list(join.on.values()))
    known = known.rename(columns={there: here for here, there in join.on.items()})
    joined = left.merge(known.assign(_found=True), on=list(join.on), how="left", validate="many_to_one")
    return joined.assign(_found=joined["_found"].notna())


def _report(join: AsOfJoin | LookupJoin, left: pd.DataFrame, right: pd.DataFrame, joined: pd.DataFrame, *, key: str) -> JoinReport:
    asked = pd.MultiIndex.from_frame(left[list(join.on)])
    there = pd.MultiIndex.from_frame(right[list(join.on.values())])
    missed = pd.util.hash_pandas_object(joined.loc[~joined["_found"], key], index=False)  # as `snapshots.row_fingerprints` has them
    return JoinReport(join.source, len(joined), int(joined["_found"].sum()), int((~there.isin(asked)).sum()), frozenset(missed.tolist()))


def _check_columns(where: str, join: AsOfJoin | LookupJoin, left: pd.DataFrame, right: pd.DataFrame, *, key: list[str]) -> None:
    for place, columns, frame, name in [("on", join.on, left, "the rows so far"), ("on", join.on.values(), right, join.source)]:
        if missing := sorted(set(columns) - set(frame.columns)):
            raise ContractError(f"{where}.{place}: {missing} not in {name}, which has {', '.join(frame.columns)}. Mend the contract.")
    if missing := sorted(set(join.take) - set(right.columns)):
        raise ContractError(f"{where}.take: {missing} not in {join.source}, which has {', '.join(right.columns)}. Mend the contract.")
    if taken := sorted(set(join.take) & (set(left.columns) | set(key))):
        raise ContractError(f"{where}.take: {taken} of {join.source} is there already. Take it out, or rename it in the reader.")
    for here, there in join.on.items():
        check_same_kind(f"Join with {join.source}", left[here], right[there])


def check_same_kind(what: str, here: pd.Series, there: pd.Series) -> None:
    """See that two key columns can be equal at all.

    Raises
    ------
    JoinError
        One is text and the other a number, for instance.
    """
    kinds = {"string" if pd.api.types.is_string_dtype(column) else column.dtype.kind for column in (here, there)}
    if len(kinds) > 1:
        types = f"{here.name} is {here.dtype}, {there.name} there is {there.dtype}"
        raise JoinError(f"{what}: {types}; nothing would match. Read both as the same type.").of(what.rpartition(" ")[2])


def _check_unique(source: str, key: list[str], frame: pd.DataFrame) -> None:
    repeated = frame[frame.duplicated(key, keep=False)]
    if len(repeated):
        raise JoinError(
            f"Join with {source}: {len(repeated):,} rows share their key ({', '.join(key)}), so rows would multiply; for example "
            f"{examples(repeated[key])}. Expected each key once: mend the delivery, or the key in the contract."
        ).of(source)


def _reach(join: AsOfJoin, problem: Problem, right: pd.DataFrame, joined: pd.DataFrame) -> str:
    """How many of the rows without a partner lie farther ahead than the joined source reaches, in a sentence; empty where none does."""
    newest = right[str(problem.source(join.source).time)].max()
    asked = joined.loc[~joined["_found"], str(problem.time)] - pd.Timedelta(join.offset)
    ahead = int((asked - pd.Timedelta(join.tolerance) > newest).sum())
    if not ahead:
        return ""
    return f" {ahead:,} of them lie farther ahead than {join.source} reaches, whose newest row is of {newest:%Y-%m-%d %H:%M}."


def _check_match_rate(join: AsOfJoin | LookupJoin, report: JoinReport, joined: pd.DataFrame, reach: str) -> None:
    if not report.match_rate >= join.min_match:
        lost = joined[~joined["_found"]]
        raise JoinError(
            f"Join with {join.source}: {report.match_rate:.1%} of {report.rows:,} rows found a partner by {', '.join(join.on)}; expected "
            f"at least {join.min_match:.1%}. Without one, for example: {examples(lost[list(join.on)])}.{reach} "
            f"Is a delivery of {join.source} missing?"
        ).of(join.source, is_lacking=True)


def _refuse_late(problem: Problem, frame: pd.DataFrame, source: str) -> None:
    seen = f"{source}.{problem.source(source).time}"
    late = frame[frame[seen] > frame[PREDICTION_TIME]]
    raise JoinError(
        f"Join with {source}: {len(late):,} rows were given something observed after their prediction time, which production will "
        f"not have; for example {examples(late[[problem.key, PREDICTION_TIME, seen]])}. Expected offset >= prediction_lead "
        f"({problem.prediction_lead}) in the contract."
    ).of(source)


def examples(rows: pd.DataFrame) -> str:
    """The first few of these rows, as they are put into a sentence."""
    few = rows.drop_duplicates().head(EXAMPLES).astype(str)
    return quoted("; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in few.to_dict("records")))
