"""The health of a delivery: whether it is like those that were accepted before it. Each rule is one small function over profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from evergreen.contract import Problem, called
from evergreen.data.batches import load
from evergreen.data.checkups import Checkup, Finding, State, keep_profile, kept_profile
from evergreen.data.landing import active, batch_path
from evergreen.errors import StoreError
from evergreen.journal import Journal
from evergreen.monitoring.likeness import Gap, gap_of_missing, gap_of_values, unseen
from evergreen.monitoring.profiles import LABEL, MAKER, profile
from evergreen.policies import Source
from evergreen.watches import HealthPolicy

Profile = dict[str, Any]
SAME_WEEKDAY = 3
"""So many of the same weekday make a median."""
APART = 0.9
"""A column in which two deliveries have so little in common, such as a date, says nothing of a third."""
TEXTS = {"category", "name"}


@dataclass(frozen=True)
class Doctor:
    """Who checks deliveries up: a `CheckUp` that knows what was accepted before."""

    root: Path
    journal: Journal
    problem: Problem

    def __call__(self, source: Source, name: str, frame: pd.DataFrame) -> Checkup:
        """Hold a delivery against those before it; what cannot be checked fails."""
        try:
            rows = [row for row in active(self.journal, source.name) if row["name"] != name][-source.health.compared :]
            before = [(row["batch"], known) for row in rows if (known := self._profile(source, row["batch"]))]
            now = profile(frame, source, self._label(source))
            repeated = list(self._repeated(source, frame, now, before))
            profiles = [known for _, known in before]
            findings = (*judge(source, profiles, now), *_own_keys(source, frame), *repeated)
        except Exception as error:  # whatever a delivery has that nobody thought of: it is not waved through
            said = f"its health cannot be checked: {type(error).__name__}: {' '.join(str(error).split()):.200}"
            return Checkup((Finding("check", "it ran", "fail", said),))
        return Checkup(findings, now, profiles[-1] if profiles else {}, self._maker(source))

    def _label(self, source: Source) -> Callable[[pd.DataFrame], Any] | None:
        """What makes the outcomes of the rows, where this source has them."""
        target = self.problem.target
        return (lambda rows: called("target.label", target.label, rows)) if source.name == target.source else None

    def _maker(self, source: Source) -> str:
        """Names what a profile is made by: other code or another label makes another one."""
        return f"{MAKER} {self.problem.digest()}" if source.name == self.problem.target.source else MAKER

    def _profile(self, source: Source, batch: str) -> Profile | None:
        """The profile of an accepted delivery, made from its batch where nobody has kept one; None where that is missing or torn.

        Whoever trains is told of such a batch; and its file in the landing folder, if it lies there still, is judged again.
        """
        if known := kept_profile(self.root, source.name, batch, maker=self._maker(source)):
            return known
        try:
            made = profile(load(self.root, source.name, batch), source, self._label(source))
        except StoreError:
            return None
        keep_profile(self.root, source.name, batch, Checkup(profile=made, maker=self._maker(source)))
        return made

    def _repeated(self, source: Source, frame: pd.DataFrame, now: Profile, before: list[tuple[str, Profile]]) -> Iterator[Finding]:
        """Rows that an earlier delivery under another name has brought already; only what lies in the same days can."""
        if source.time is None or not before:
            return
        keys = list(source.key)
        near = [batch for batch, known in before if known["first"] <= now["last"] and known["last"] >= now["first"]]
        parts = [load(self.root, source.name, digest)[keys] for digest in near if batch_path(self.root, source.name, digest).exists()]
        there = pd.MultiIndex.from_frame(pd.concat(parts, ignore_index=True)) if parts else None
        share = 0.0 if there is None else float(pd.MultiIndex.from_frame(frame[keys]).isin(there).mean())
        limit = source.health.max_repeated
        said = f"{share:.1%} of its rows were delivered before, under another name; expected at most {limit:.1%}"
        yield Finding("duplicates", "repeated", "warn" if share > limit else "ok", said, value=share, threshold=limit)


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
            yield Finding("schema", "retyped", "fail", f"`{name}` is {kinds[1]} now; it was {kinds[0]}", name)
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
        short = [each["rows"] for each in before if not each["days"] and date.fromisoformat(each["last"]).weekday() == day]
        yield _against(source.health, "rows of a delivery that ends on this weekday", now["rows"], short)
    elif before:
        yield _days(source.health, before, now)


def _against(policy: HealthPolicy, what: str, rows: int, usual: list[int]) -> Finding:
    if len(usual) < SAME_WEEKDAY:
        return Finding("volume", "usual", "unjudged", f"fewer than {SAME_WEEKDAY} accepted before tell how many {what} are usual")
    middle = median(usual)
    low, high = (share * middle for share in policy.day_range)
    said = f"it has {rows:,} rows; usual for {what} are {middle:,.0f}, and {low:,.0f} to {high:,.0f} are expected"
    return Finding("volume", "usual", "ok" if low <= rows <= high else "fail", said, value=rows, threshold=low, usual=middle)


def _days(policy: HealthPolicy, before: Sequence[Profile], now: Profile) -> Finding:
    """Each whole day, against the median of its weekday."""
    known: dict[int, list[int]] = {}
    for day, rows in (item for each in before for item in each["days"].items()):
        known.setdefault(date.fromisoformat(day).weekday(), []).append(rows)
    usual = {day: median(rows) for day, rows in known.items() if len(rows) >= SAME_WEEKDAY}
    judged = {day: (rows, usual[weekday]) for day, rows in now["days"].items() if (weekday := date.fromisoformat(day).weekday()) in usual}
    if not judged:
        return Finding("volume", "days", "unjudged", "too few days were accepted before to know a weekday's median")
    low, high = policy.day_range
    odd = {day: found for day, found in judged.items() if not low * found[1] <= found[0] <= high * found[1]}
    empty = [day for day, (rows, middle) in odd.items() if not rows and middle]
    state: State = "fail" if len(odd) >= policy.days or empty else "warn" if odd else "ok"
    first = next(iter(empty or odd), "")
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
        history = [each["columns"][name] for each in before if name in each["columns"]]
        if len(history) == len(before):
            yield from _moved(policy, name, history, column)
            yield from _unseen(policy, name, history, column)
            yield from _stuck(policy, name, history, column)


def _span(before: Sequence[Profile]) -> float:
    """Days from the first to the last of them; without end where they have no time."""
    if "last" not in before[-1]:
        return float("inf")
    return (date.fromisoformat(max(each["last"] for each in before)) - date.fromisoformat(min(each["first"] for each in before))).days


def _moved(policy: HealthPolicy, name: str, history: list[dict[str, Any]], now: dict[str, Any]) -> Iterator[Finding]:
    chain = [*history, now]
    values = [gap_of_values(one, other) for one, other in pairwise(chain)]
    missing = [gap_of_missing(one, other) for one, other in pairwise(chain)]
    enough = min(history[-1]["known"], now["known"]) >= policy.min_rows
    if values[-1] is not None and enough:
        usual = max((gap.distance for gap in values[:-1] if gap), default=1.0)
        yield _gap(policy, "values", name, values[-1], usual)
    if now["known"] or history[-1]["known"]:
        yield _gap(policy, "missing", name, missing[-1], max(gap.distance for gap in missing[:-1]))


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


def _unseen(policy: HealthPolicy, name: str, history: list[dict[str, Any]], now: dict[str, Any]) -> Iterator[Finding]:
    if not now.get("shares") or now["known"] < policy.min_rows or any("shares" not in column for column in history):
        return
    usual = max(unseen(history[:place], history[place]) for place in range(1, len(history)))
    share, limit = unseen(history, now), max(policy.max_unseen, policy.times_usual * usual)
    said = f"{share:.1%} of its rows have a `{name}` that no accepted delivery had; expected at most {min(limit, 1):.1%}"
    yield Finding("distribution", "unseen", "fail" if share > limit else "ok", said, name, share, limit, usual)


def _stuck(policy: HealthPolicy, name: str, history: list[dict[str, Any]], now: dict[str, Any]) -> Iterator[Finding]:
    if "longest" not in now or any("longest" not in column for column in history):
        return
    usual = max(column["longest"] for column in history)
    limit = max(policy.stuck_rows, policy.stuck_times * usual)
    said = f"`{name}` stands still for {now['longest']:,} rows in turn; before, for {usual:,} at most"
    yield Finding("distribution", "stuck", "fail" if now["longest"] >= limit else "ok", said, name, now["longest"], limit, usual)


def _own_keys(source: Source, frame: pd.DataFrame) -> Iterator[Finding]:
    """Rows of the delivery that share their key; its expectations refuse it for them too."""
    if set(source.key) <= set(frame.columns):
        share = float(frame.duplicated(list(source.key), keep=False).mean())
        said = f"{share:.1%} of its rows share their key ({', '.join(source.key)}) with another one"
        yield Finding("duplicates", "own keys", "fail" if share else "ok", said, value=share, threshold=0.0)


def _family(kind: str) -> str:
    return "text" if kind in TEXTS else kind
