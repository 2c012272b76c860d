"""A BentoML service with adaptive batching: `bentoml serve flights_bentoml:Flights` in this folder."""

from __future__ import annotations

from typing import Any

import bentoml
from loading import Champion


@bentoml.service(workers=1, traffic={"timeout": 30})  # type: ignore[untyped-decorator, unused-ignore]  # installed in an environment of its own
class Flights:
    """Answers lists of rows; BentoML lays requests together along the list."""

    def __init__(self) -> None:
        self.champion = Champion()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=64, max_latency_ms=10_000)  # type: ignore[untyped-decorator, unused-ignore]  # installed in an environment of its own
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Decision and probability of each row."""
        columns = {name: [row[name] for row in rows] for name in self.champion.types}
        decisions, probabilities = self.champion.answer(columns)
        return [{"decision": one, "probability": other} for one, other in zip(decisions, probabilities, strict=True)]
