"""Whether a delivery is like those that were accepted before it: each rule is one small function over profiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

import pandas as pd

from evergreen.data.checkups import Finding, State
from evergreen.monitoring.likeness import Gap, gap_of_missing, gap_of_values, rows_of, unseen
from evergreen.monitoring.profiles import LABEL
from evergreen.policies import Source
from evergreen.watches import HealthPolicy

Profile = dict[str, Any]
SAME_WEEKDAY = 3
"""So many of the same weekday make a median."""
APART = 0.9
"""A column in which two deliveries have so little in common, such as a date, says nothing of a third."""
NEWEST = 8
"""The median of a weekday is that of its newest so many."""
CHANCE = 4.0
"""How many times the root of a count another count must be away before it is no chance (Poisson)."""
GAPS, ACCEPTED = "gaps", "accepted"
"""Of a profile: how far it was from the one before, and whether a person has accepted it."""
TEXTS = {"category", "name"}


def judge(source: Source, before: Sequence[Profile], now: Profile) -> list[Finding]:
    """All rules that profiles are enough for; `before` are those of the accepted deliveries, oldest first."""
    return [*schema(before, now), *volume(source, before, now), *distribution(source.health, before, now)]


def schema(before: Sequence[Profile], now: Profile) -> Iterator[Finding]:
    """Against the last accepted delivery: a column that is gone or of another kind fails, one that is new warns."""
    if not before:
        yield Finding("schema", "columns", "unjudged", "nothing was accepted before it")
        return
    then, columns = before[-1]["columns"], now["columns"]
    for name in [name for name in then if name not in columns]:
        yield Finding("schema", "removed", "fail", f"`{name}` is gone; the last accepted delivery had it", name)
    for name in [name for name in columns if name not in then]:
        yield Finding("schema", "added", "warn", f"`{name}` is new; the last accepted delivery did not have it", name)
    both = [name for name in columns if name in then]
    for name in both:
        kinds = [_family(column["kind"]) for column in (then[name], columns[name])]
        if "empty" not in kinds and kinds[0] != kinds[1]:
            state: State = "warn" if kinds == ["text", "number"] and _has_digits(then[name]) else "fail"
            yield Finding("schema", "retyped", state, f"`{name}` is {kinds[1]} now; it was {kinds[0]}", name)
    yield Finding("schema", "columns", "ok", f"{len(both)} columns are there as before")


def volume(source: Source, before: Sequence[Profile], now: Profile) -> Iterator[Finding]:
    """Rows of the delivery and of each of its days, against the contract's range and the same weekday's median."""
    low, high = source.rows
    state: State = "ok" if low <= now["rows"] <= high else "fail"
    said = f"it has {now['rows']:,} rows; the contract allows {low:,} to {high:,}"
    yield Finding("volume", "rows", state, said, value=now["rows"], threshold=low if now["rows"] < low else high)
    if before and source.time is None:
        yield _against(source.health, "rows of a delivery", now["rows"], [each["rows"] for each in before])
    elif before and not now["days"]:
        day = date.fromisoformat(now["last"]).weekday()
        short = [each for each in before if not each["days"] and date.fromisoformat(each["last"]).weekday() == day]
        if len({each["last"] for each in short}) < len(short):
            yield Finding("volume", "usual", "unjudged", "several deliveries a day: how many rows one has depends on the hour")
        else:
            yield _against(source.health, "rows of a delivery that ends on this weekday", now["rows"], [each["rows"] for each in short])
    elif before:
        yield _days(source.health, before, now)


def _against(policy: HealthPolicy, what: str, rows: int, usual: list[int]) -> Finding:
    if len(usual) < SAME_WEEKDAY:
        return Finding("volume", "usual", "unjudged", f"fewer than {SAME_WEEKDAY} accepted before tell how many {what} are usual")
    middle = median(usual[-NEWEST:])
    said = f"it has {rows:,} rows; usual for {what} are {middle:,.0f}"
    state: State = "fail" if _is_odd(policy, rows, middle) else "ok"
    return Finding("volume", "usual", state, said, value=rows, threshold=policy.day_range[0] * middle, usual=middle)


def _is_odd(policy: HealthPolicy, rows: int, usual: float) -> bool:
    """Whether so many rows are outside the range, and farther from the usual than counts are by chance."""
    low, high = policy.day_range
    return not low * usual <= rows <= high * usual and abs(rows - usual) > CHANCE * math.sqrt(max(usual, 1.0))


def _days(policy: HealthPolicy, before: Sequence[Profile], now: Profile) -> Finding:
    """Each whole day, against the median of the newest days of its weekday: what grows is not held against its beginnings."""
    known: dict[int, list[int]] = {}
    for day, rows in (item for each in before for item in each["days"].items()):
        known.setdefault(date.fromisoformat(day).weekday(), []).append(rows)
    usual = {day: median(rows[-NEWEST:]) for day, rows in known.items() if len(rows) >= SAME_WEEKDAY}
    judged = {day: (rows, usual[weekday]) for day, rows in now["days"].items() if (weekday := date.fromisoformat(day).weekday()) in usual}
    if not judged:
        return Finding("volume", "days", "unjudged", "too few days were accepted before to know a weekday's median")
    odd = {day: found for day, found in judged.items() if _is_odd(policy, *found)}
    state: State = "fail" if len(odd) >= policy.days else "warn" if odd else "ok"
    first, (low, high) = next(iter(odd), ""), policy.day_range
    told = f", such as {first} with {odd[first][0]:,} (usual {odd[first][1]:,.0f})" if first else ""
    said = f"{len(odd)} of {len(judged)} days have less than {low:g} or more than {high:g} times the rows of their weekday's median{told}"
    return Finding("volume", "days", state, said, value=len(odd), threshold=policy.days)


def distribution(policy: HealthPolicy, before: Sequence[Profile], now: Profile) -> Iterator[Finding]:
    """Column by column: known values, missing ones, categories that were never seen, numbers that stand still."""
    if len(before) < policy.history or (days := _span(before)) < policy.history_days:
        got = f"{len(before)} deliveries" if len(before) < policy.history else f"deliveries of {days} days"
        least = f"{policy.history} over {policy.history_days} days"
        said = f"{got} were accepted before; {least} are needed to know how far apart two of them usually are"
        yield Finding("distribution", "history", "unjudged", said)
        return
    for name, column in now["columns"].items():
        history = [(each["columns"][name], _gap_of(one, each, name), each.get(ACCEPTED, False)) for one, each in _chain(before, name)]
        if len(history) >= policy.history and name in before[-1]["columns"]:
            past = History([one for one, *_ in history], [gap for _, gap, is_accepted in history if gap and not is_accepted])
            yield from _moved(policy, name, past, column)
            yield from _unseen(policy, name, past, column)
            yield from _stuck(policy, name, past, column)


def _span(before: Sequence[Profile]) -> float:
    """Days from the first to the last of them; without end where they have no time."""
    if "last" not in before[-1]:
        return float("inf")
    return (date.fromisoformat(max(each["last"] for each in before)) - date.fromisoformat(min(each["first"] for each in before))).days


@dataclass(frozen=True)
class History:
    """One column in the accepted deliveries that have it, and how far each of them was from the one before.

    A distance that a person has accepted is not among them: the next step as large is one to ask about again.
    """

    columns: list[dict[str, Any]]
    gaps: list[dict[str, float | None]]

    def usual(self, rule: str, otherwise: float) -> float:
        """The largest of these distances."""
        return max((gap[rule] or 0.0 for gap in self.gaps if gap.get(rule) is not None), default=otherwise)


def gaps(one: Profile, other: Profile) -> dict[str, dict[str, float | None]]:
    """How far two deliveries are apart in each column that both have, by known values and by missing ones."""
    columns = one.get("columns", {})
    return {name: _apart(columns[name], column) for name, column in other["columns"].items() if name in columns}


def _apart(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float | None]:
    values = gap_of_values(one, other)
    return {"values": values.distance if values else None, "missing": gap_of_missing(one, other).distance}


def _chain(before: Sequence[Profile], name: str) -> Iterator[tuple[Profile | None, Profile]]:
    """Each delivery that has the column, with the one before it that has it."""
    last: Profile | None = None
    for each in before:
        if name in each["columns"]:
            yield last, each
            last = each


def _gap_of(one: Profile | None, other: Profile, name: str) -> dict[str, float | None] | None:
    """How far a delivery was from the one before, as it was found when it came; or found now."""
    if one is None:
        return None
    kept: dict[str, float | None] | None = other.get(GAPS, {}).get(name)
    return kept or _apart(one["columns"][name], other["columns"][name])


def _moved(policy: HealthPolicy, name: str, past: History, now: dict[str, Any]) -> Iterator[Finding]:
    last = past.columns[-1]
    values = gap_of_values(last, now)
    if values is not None and min(last["known"], now["known"]) >= policy.min_rows:
        yield _gap(policy, "values", name, values, past.usual("values", 1.0))
    if (last["known"] or now["known"]) and min(rows_of(last), rows_of(now)) >= policy.min_rows:
        yield _gap(policy, "missing", name, gap_of_missing(last, now), past.usual("missing", 1.0))


def _gap(policy: HealthPolicy, rule: str, name: str, gap: Gap, usual: float) -> Finding:
    moved = gap.psi >= policy.min_psi and gap.distance >= policy.min_distance and usual < APART
    limit = min(policy.times_usual * usual, (1 + usual) / 2)  # no distance is above 1: where seasons are far apart, half of what is left
    state: State = "fail" if moved and gap.distance > limit else "warn" if moved and gap.distance > (usual + limit) / 2 else "ok"
    what = "the outcome" if name == LABEL else f"`{name}`"
    subject = what if rule == "values" else f"the share of missing values of {what}"
    said = (
        f"{subject} differs by {gap.distance:.2f} (PSI {gap.psi:.2f}) from the last accepted delivery; two in turn differed by up to "
        f"{usual:.2f}"
    )
    return Finding("distribution", rule, state, said, name, gap.distance, max(limit, policy.min_distance), usual)


def _unseen(policy: HealthPolicy, name: str, past: History, now: dict[str, Any]) -> Iterator[Finding]:
    history = [column for column in past.columns if "shares" in column]
    if not now.get("shares") or now["known"] < policy.min_rows or len(history) < policy.history:
        return
    usual = max(unseen(history[:place], history[place]) for place in range(1, len(history)))
    share, limit = unseen(history, now), max(policy.max_unseen, policy.times_usual * usual)
    said = f"{share:.1%} of its rows have a `{name}` that no accepted delivery had; expected at most {min(limit, 1):.1%}"
    yield Finding("distribution", "unseen", "fail" if share > limit else "ok", said, name, share, limit, usual)


def _stuck(policy: HealthPolicy, name: str, past: History, now: dict[str, Any]) -> Iterator[Finding]:
    """A number that always stands still, such as a constant, cannot be stuck."""
    history = [column for column in past.columns if column.get("quantiles") and "longest" in column]
    is_constant = any(column["quantiles"][0] == column["quantiles"][-1] for column in history)
    if "longest" not in now or len(history) < policy.history or is_constant or now["known"] < policy.min_rows:
        return
    usual = max(column["longest"] for column in history)
    limit = max(policy.stuck_rows, policy.stuck_times * usual)
    said = f"`{name}` stands still for {now['longest']:,} rows in turn; before, for {usual:,} at most"
    yield Finding("distribution", "stuck", "fail" if now["longest"] >= limit else "ok", said, name, now["longest"], limit, usual)


def _has_digits(column: dict[str, Any]) -> bool:
    """Whether a text has values that are read as numbers where there are no others."""
    return any(name.lstrip("-").replace(".", "", 1).isdigit() for name in column.get("shares", {}))


def own_keys(source: Source, frame: pd.DataFrame) -> Iterator[Finding]:
    """Rows of the delivery that share their key; its expectations refuse it for them too."""
    if set(source.key) <= set(frame.columns):
        share = float(frame.duplicated(list(source.key), keep=False).mean())
        said = f"{share:.1%} of its rows share their key ({', '.join(source.key)}) with another one"
        yield Finding("duplicates", "own keys", "fail" if share else "ok", said, value=share, threshold=0.0)


def _family(kind: str) -> str:
    return "text" if kind in TEXTS else kind
