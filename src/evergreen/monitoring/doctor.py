"""Who checks deliveries up: holds each against those that were accepted before it, whose profiles are kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.contract import Problem, called
from evergreen.data.batches import load
from evergreen.data.checkups import Checkup, Finding, keep_profile, kept_profile
from evergreen.data.landing import active
from evergreen.errors import JournalError, StoreError
from evergreen.files import digest_file, digest_text
from evergreen.journal import Journal
from evergreen.monitoring.health import ACCEPTED, GAPS, Profile, gaps, judge, own_keys
from evergreen.monitoring.profiles import MAKER, profile
from evergreen.policies import Source
from evergreen.quoting import quoted
from evergreen.revocations import given


@dataclass(frozen=True)
class Doctor:
    """Who checks deliveries up: a `CheckUp` that knows what was accepted before."""

    root: Path
    journal: Journal
    problem: Problem

    def __call__(self, source: Source, name: str, frame: pd.DataFrame) -> Checkup:
        """Hold a delivery against those before it, by the time of their rows; what cannot be checked fails.

        What is not the delivery's fault, such as a full disk or a locked journal, is raised: it is judged again then.
        """
        maker = self._maker(source)
        try:
            now = profile(frame, source, self._label(source))
            before = self._before(source, name, now, maker)
            profiles = [known for _, known in before]
            findings = [*judge(source, profiles, now), *own_keys(source, frame), *self._repeated(source, frame, now, before)]
        except (JournalError, OSError, MemoryError):
            raise
        except Exception as error:  # whatever a delivery has that nobody thought of: it is not waved through
            said = f"its health cannot be checked: {type(error).__name__}: {quoted(' '.join(str(error).split())[:200])}"
            return Checkup((Finding("check", "it ran", "fail", said),))
        last = profiles[-1] if profiles else {}
        return Checkup(tuple(findings), now | {GAPS: gaps(last, now)}, last, maker)

    def _before(self, source: Source, name: str, now: Profile, maker: str) -> list[tuple[str, Profile]]:
        """Batch and profile of the deliveries before this one: of those whose rows end no later, the newest; without what it replaces."""
        rows = [row for row in active(self.journal, source.name) if row["name"] != name][-source.health.compared :]
        accepted = given(self.journal)
        known = [
            (row["batch"], found, row["delivery"] in accepted) for row in rows if (found := self._profile(source, row["batch"], maker))
        ]
        told = [(batch, found | {ACCEPTED: is_accepted}) for batch, found, is_accepted in known]
        if source.time is None:
            return told
        return sorted((one for one in told if one[1]["last"] <= now["last"]), key=lambda one: str(one[1]["last"]))

    def _label(self, source: Source) -> Callable[[pd.DataFrame], Any] | None:
        """What makes the outcomes of the rows, where this source has them."""
        target = self.problem.target
        return (lambda rows: called("target.label", target.label, rows)) if source.name == target.source else None

    def _maker(self, source: Source) -> str:
        """Names what a profile is made by: other code, another time, key or label makes another one."""
        label = self.problem.target.label if source.name == self.problem.target.source else None
        code = digest_file(Path(inspect.getfile(inspect.unwrap(label)))) if inspect.isfunction(label) else repr(type(label))
        return digest_text(MAKER, str(source.time), *source.key, code)

    def _profile(self, source: Source, batch: str, maker: str) -> Profile | None:
        """The profile of an accepted delivery, made from its batch where nobody has kept one; None where that is missing or torn.

        Whoever trains is told of such a batch; and its file in the landing folder, if it lies there still, is judged again.
        """
        if known := kept_profile(self.root, source.name, batch, maker=maker):
            return known
        if (rows := self._rows(source, batch)) is None:
            return None
        made = profile(rows, source, self._label(source))
        with suppress(OSError):  # it saves time only
            keep_profile(self.root, source.name, batch, Checkup(profile=made, maker=maker))
        return made

    def _rows(self, source: Source, batch: str) -> pd.DataFrame | None:
        try:
            return load(self.root, source.name, batch)
        except StoreError:
            return None

    def _repeated(self, source: Source, frame: pd.DataFrame, now: Profile, before: list[tuple[str, Profile]]) -> Iterator[Finding]:
        """Rows that an earlier delivery under another name has brought already; only what lies in the same days can."""
        if source.time is None or not before:
            return
        keys = list(source.key)
        near = [batch for batch, known in before if known["first"] <= now["last"] and known["last"] >= now["first"]]
        parts = [rows[keys] for digest in near if (rows := self._rows(source, digest)) is not None]
        there = pd.MultiIndex.from_frame(pd.concat(parts, ignore_index=True)) if parts else None
        share = 0.0 if there is None else float(pd.MultiIndex.from_frame(frame[keys]).isin(there).mean())
        limit = source.health.max_repeated
        said = f"{share:.1%} of its rows were delivered before, under another name; expected at most {limit:.1%}"
        yield Finding("duplicates", "repeated", "warn" if share > limit else "ok", said, value=share, threshold=limit)
