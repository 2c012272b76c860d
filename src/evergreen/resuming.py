"""Judging a held candidate again when more outcomes have matured: the same model, on every row that it could not have seen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.brakes import barred, refuse_removed, removed
from evergreen.data.snapshots import Snapshot, row_fingerprints
from evergreen.errors import DataError, RefusedError
from evergreen.gate.finding import Verdict
from evergreen.moves import standing
from evergreen.policies import HashedSplit
from evergreen.provenance import provenance_digests
from evergreen.registry import Version
from evergreen.retraining import Material, prepare
from evergreen.revocations import learnt_by
from evergreen.splitting import Split, leave_out, split_rows
from evergreen.workspace import Workspace


def held_version(space: Workspace, number: int | None = None) -> Version:
    """The version to be judged again: the one named, or the newest whose last verdict is HOLD and that has learnt from nothing taken back.

    Raises
    ------
    RefusedError
        It is not held, or none is.
    StoreError
        A clean-up has removed its model.
    """
    last = {row["candidate"]: row["verdict"] for row in space.journal.rows(tables.decisions)}
    out = barred(space.journal) | {standing(space.journal).champion} | set(removed(space.journal))
    held = [one for one in sorted(last) if last[one] == Verdict.HOLD and one not in out]
    sound = [one for one in held if not learnt_by(space.journal, one)] if number is None else held
    if number is None and not sound:
        raise RefusedError("No version is held. See what was decided: evergreen history")
    chosen = sound[-1] if number is None else space.registry.version(number).number
    if chosen in held:
        return space.registry.version(chosen)
    refuse_removed(space.journal, chosen)
    why = f"was judged {last[chosen].upper()}" if chosen in last else "was not judged"
    if chosen in out:
        why = "serves already" if chosen == standing(space.journal).champion else "is barred"
    raise RefusedError(f"Version {chosen} {why}; only one that is held is judged again. See: evergreen history")


def prepare_again(space: Workspace, snapshot: Snapshot, version: Version) -> Material:
    """The material of a snapshot, split for a version that is there already: it is judged on all matured rows that it has not seen.

    Raises
    ------
    RefusedError
        Contract, code or locked packages are no longer those that it was trained with, or it was trained before there were such trials.
    DataError
        As `prepare` does, or there is no such row.
    """
    refuse_changed(space, snapshot, version)
    material = prepare(space, snapshot)
    now = standing(space.journal)
    others = {number for number in (now.champion, now.anchor) if number not in (None, version.number)}
    compared = [version, *(space.registry.version(number) for number in sorted(others))]
    split = _unseen(space, material, compared)
    return dataclasses.replace(material, split=split, again=True)


def refuse_changed(space: Workspace, snapshot: Snapshot, version: Version) -> None:
    """Refuse a version whose contract, code or packages are no longer those it was trained with."""
    now, then = provenance_digests(space.problem, snapshot=snapshot.id, lock=space.settings.lock), version.facts["provenance"]
    names = {"contract": "the contract", "code": "the problem's code", "lock": "the locked packages"}
    changed = [told for name, told in names.items() if now[name] != then[name]]
    if not {"promise", "seeds", "seeds_se", "random_without_seed", "holdout_rows"} <= {*version.facts}:
        changed.append("what the gate asks of a candidate")
    if changed:
        raise RefusedError(
            f"Version {version.number} cannot be judged again: {' and '.join(changed)} changed since it was trained. "
            "Put that back as it was, or train a new one: evergreen train"
        )


def standing_verdict(space: Workspace, material: Material, version: Version) -> dict[str, Any] | None:
    """The version's last decision record, when nothing has matured since; None when there is something new to judge it on."""
    known = space.journal.last(tables.decisions, candidate=version.number)
    if known is None:
        return None
    window, split = known["record"]["window"], material.split
    if split.start is None or split.end is None:  # drawn by lot
        return known["record"] if len(split.holdout) <= window["rows"] else None
    return known["record"] if split.end <= pd.Timestamp(window["end"]) else None


def _unseen(space: Workspace, material: Material, compared: list[Version]) -> Split:
    """All matured rows that none of the compared versions has seen; the first of them is the one that is judged."""
    problem, labelled = space.problem, material.frame.labelled
    learnt = [space.registry.training_rows(one) for one in compared]
    rows, anyone = row_fingerprints(labelled, problem.key), np.concatenate(learnt)
    own, seen = np.isin(rows, learnt[0]), np.isin(rows, anyone)
    ends = [one.facts["training_end"] for one in compared]
    if isinstance(problem.split, HashedSplit) or None in ends:
        held = split_rows(labelled, problem)  # the reserved groups, with all that has come to them since
        return leave_out(dataclasses.replace(held, train=labelled[own]), anyone, problem)
    start = max(map(pd.Timestamp, ends)) + problem.embargo
    late = (labelled[problem.time] > start).to_numpy()
    holdout = labelled[late & ~seen]
    if holdout.empty:
        raise DataError(
            f"No outcome has matured since {start:%Y-%m-%d %H:%M}, up to when version {compared[0].number} or the champion has learnt. "
            "Wait for outcomes."
        )
    return Split(labelled[own], holdout, start, holdout[problem.time].max(), left_out=int((late & seen).sum()))
