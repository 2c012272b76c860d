"""A small source and its deliveries, for the tests of data coming in: readings of a gauge."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from toy.contract import PROBLEM as TOY

from evergreen.contract import Problem
from evergreen.data import batches, landing
from evergreen.journal import Journal
from evergreen.policies import Source
from evergreen.report import quarantine
from evergreen.validation import rules_of

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
HEADER = "reading,at,level\n"


def read_gauge(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype={"reading": "str", "level": "float64"})
    return frame.assign(at=pd.to_datetime(frame["at"])) if "at" in frame else frame


GAUGE = Source(name="gauge", key=("reading",), time="at", read=read_gauge, rows=(2, 50))
PROBLEM = TOY.model_copy(update={"sources": (GAUGE,)})
assert isinstance(PROBLEM, Problem)


def expectation(kind: str, severity: str = "critical", **kwargs: object) -> dict[str, object]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


RULES = (
    expectation("column_values_to_not_be_null", column="level"),
    expectation("column_values_to_be_between", column="level", min_value=0, max_value=100),
    expectation("column_values_to_be_unique", column="reading"),
    expectation("column_mean_to_be_between", "warning", column="level", min_value=0, max_value=50),
)


def write_suite(path: Path, *expectations: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": path.stem, "expectations": list(expectations)}))
    return path


def rows(*levels: float | str, day: int = 1) -> str:
    return HEADER + "".join(f"{day:02d}-{hour:02d},2026-02-{day:02d}T{hour:02d}:00:00Z,{level}\n" for hour, level in enumerate(levels))


class House:
    """One installation under a folder: landing, suites, store and journal, and the round of the flow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.suite = write_suite(root / "expectations" / "gauge.json", *RULES)
        (root / "landing" / "gauge").mkdir(parents=True, exist_ok=True)
        self.journal = Journal(f"sqlite:///{root / 'journal.db'}")
        self.intake = batches.Intake(root, self.suite.parent, self.journal, quarantine.render)

    def deliver(self, name: str, content: str | bytes) -> Path:
        path = self.root / "landing" / "gauge" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def look(self) -> list[landing.Delivery]:
        found = landing.find(self.root / "landing", PROBLEM, settle_seconds=0, now=NOW)
        return landing.unjudged(found, landing.known(self.journal), rules_of(PROBLEM, self.suite.parent), root=self.root)

    def ingest(self) -> list[batches.Judged]:
        return [batches.ingest_one(delivery, GAUGE, intake=self.intake, now=NOW) for delivery in self.look()]

    def levels(self) -> list[list[float]]:
        """What the active batches hold."""
        digests = [row["batch"] for row in batches.active(self.journal, "gauge")]
        return [batches.load(self.root, "gauge", digest)["level"].tolist() for digest in digests]

    def files(self) -> dict[str, bytes]:
        """All that was published or quarantined."""
        folders = [self.root / "batches", self.root / "quarantine"]
        return {str(path.relative_to(self.root)): path.read_bytes() for f in folders for path in sorted(f.rglob("*")) if path.is_file()}
