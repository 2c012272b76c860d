"""A home into which the flights of 2013 are delivered, without a server, a model or a round."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from evergreen import journal as tables
from evergreen.data.batches import Intake, Judged, ingest_one
from evergreen.data.landing import find
from evergreen.data.snapshots import Frame, build_frame, content_digest, published_now
from evergreen.errors import JoinError
from evergreen.journal import Journal
from evergreen.monitoring.doctor import Doctor
from evergreen.report.quarantine import render
from problem.contract import PROBLEM

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Year:
    """A home into which the year is delivered."""

    def __init__(self, home: Path) -> None:
        self.home, self.landing = home, home / "landing"
        self.journal = Journal(f"sqlite:///{home / 'journal.db'}")
        doctor = Doctor(home, self.journal, PROBLEM)
        self.intake = Intake(home, ROOT / "expectations", self.journal, render, doctor)

    def ingest(self) -> list[Judged]:
        """Judge what lies in the landing folders and was not judged."""
        known = {(row["source"], row["name"]) for row in self.journal.rows(tables.deliveries)}
        ready = [one for one in find(self.landing, PROBLEM, settle_seconds=0, now=NOW).ready if (one.source, one.name) not in known]
        return [ingest_one(one, PROBLEM.source(one.source), intake=self.intake, now=NOW) for one in ready]

    def frame(self) -> Frame:
        """What would be learnt from now."""
        return build_frame(self.home, published_now(self.journal, PROBLEM), PROBLEM)

    def learnt(self) -> str:
        """Digest of everything that would be learnt from now; why nothing would be, where the rows cannot be joined."""
        try:
            return content_digest(self.frame().rows)
        except JoinError as error:
            return str(error)

    def copy(self, to: Path) -> Year:
        """Another home, that has come as far as this one."""
        self.journal.close()
        shutil.copytree(self.home, to, dirs_exist_ok=True)
        return Year(to)
