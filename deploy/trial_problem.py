"""What the loop is tried on in a container: the example, which delivers to itself, or in a fork, which has none, the tests' toy shop.

A fork's own data are seldom where its image is built, and its contract need not have an API.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLE, TOY = Path("src/problem/feed.py"), Path("tests/toy")
THERE = "/trial"
"""Where the toy shop lies in the container."""
SOURCES = ("orders", "stock", "customers", "outcomes", "training_data")
ANY_ROWS = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "critical"}
DELIVER = """
import os
from pathlib import Path
from toy.data import write_deliveries
landing = Path(os.environ["EVERGREEN_HOME"], "landing")
write_deliveries(landing, days=90)
for ahead in write_deliveries(landing, start_day=90, days=10, period=10):
    if ahead.parent.name == "outcomes":
        ahead.unlink()
"""


@dataclass(frozen=True)
class TrialProblem:
    """A problem, and what a container needs besides so that the loop can be gone round on it."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine, by their places in the container."""
    deliver: str = ""
    """Python that has data arrive; empty where they come by themselves."""


@contextmanager
def trial_problem() -> Iterator[TrialProblem]:
    """The problem that this checkout's image is tried on; what it needs stays until the end."""
    if EXAMPLE.is_file():
        yield TrialProblem("the example")
        return
    with tempfile.TemporaryDirectory(prefix="evergreen-trial-") as name:
        folder = Path(name)
        shutil.copytree(TOY, folder / "toy", ignore=shutil.ignore_patterns("__pycache__"))
        suites = folder / "expectations"
        suites.mkdir()
        for source in SOURCES:
            (suites / f"{source}.json").write_text(json.dumps({"name": source, "expectations": [ANY_ROWS]}))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # whoever the container's account is
        settings = {
            "PYTHONPATH": THERE,
            "EVERGREEN_PROBLEM": "toy.online:PROBLEM",
            "EVERGREEN_EXPECTATIONS": f"{THERE}/expectations",
            "EVERGREEN_SETTLE_SECONDS": "0",
        }
        yield TrialProblem("the toy shop of the tests", settings, {THERE: folder}, DELIVER)
