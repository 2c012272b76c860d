"""A runtime for MLServer, which batches by its settings: `implementation` is `flights_mlserver.Flights`."""

from __future__ import annotations

from loading import Champion
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Flights(MLModel):  # type: ignore[misc, unused-ignore]  # installed in an environment of its own
    """Answers the V2 protocol: one input for each column."""

    async def load(self) -> bool:
        """Load the model once."""
        self.champion = Champion()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Decision and probability of each row."""
        decisions, probabilities = self.champion.answer({one.name: list(one.data) for one in payload.inputs})
        outputs = [
            ResponseOutput(name="decision", shape=[len(decisions)], datatype="INT64", data=decisions),
            ResponseOutput(name="probability", shape=[len(probabilities)], datatype="FP64", data=probabilities),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
