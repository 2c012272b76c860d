"""What is claimed of the API, as ratios with limits."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.contenders import BENTO, MLFLOW, MLSERVER, OURS

REFUSAL_MILLISECONDS = 50


@dataclass(frozen=True)
class Verdict:
    """A claim, its limit, and what was measured; None where nothing was."""

    what: str
    sign: str
    limit: float
    measured: float | None
    form: str = ".2f"

    @property
    def is_met(self) -> bool:
        """Whether it holds; what was not measured does not."""
        if self.measured is None:
            return False
        return self.measured <= self.limit if self.sign == "at most" else self.measured >= self.limit


def median(cells: list[dict[str, Any]], server: str, connections: int, what: str) -> float:
    """The median over the rounds."""
    return float(statistics.median(cell[what] for cell in cells if (cell["server"], cell["connections"]) == (server, connections)))


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    """All claims."""
    cells = results["cells"]

    def ratio(connections: int, what: str, server: str = MLFLOW) -> float:
        return median(cells, OURS, connections, what) / median(cells, server, connections, what)

    batching = [name for name in (BENTO, MLSERVER) if name in results["versions"]]
    overload = results["overload"][OURS]
    refusal = overload["p99"].get("503")
    return [
        Verdict("1 connection: p50 against mlflow's", "at most", 0.7, ratio(1, "p50")),
        Verdict("8 connections: throughput against mlflow's", "at least", 12, ratio(8, "rate"), ".1f"),
        Verdict("64 connections: throughput against mlflow's", "at least", 60, ratio(64, "rate"), ".1f"),
        Verdict(
            "64 connections: throughput against the better of BentoML and MLServer",
            *("at least", 4),
            min((ratio(64, "rate", name) for name in batching), default=None),
            ".1f",
        ),
        Verdict(
            "64 connections: p99 against the lower of theirs",
            "at most",
            0.25,
            max((ratio(64, "p99", name) for name in batching), default=None),
        ),
        Verdict(
            "asked at five times its best rate: share of it that is answered",
            "at least",
            0.8,
            overload["statuses"].get("200", 0.0) / overload["best"],
        ),
        Verdict("p99 of refusals then, ms", "at most", REFUSAL_MILLISECONDS, refusal, ".0f"),
    ]
