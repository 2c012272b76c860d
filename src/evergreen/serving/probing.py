"""Asking a server that runs, as whoever uses it would: what it serves, and whether its answers are those of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from evergreen.candidate import DECISION, is_answer
from evergreen.errors import ModelError
from evergreen.prediction import KEY, check_replay, compare_answers
from evergreen.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from evergreen.contract import Problem

ANSWER_SECONDS = 5.0
ASKED = 100
"""Golden rows of a smoke test."""


class NotNowError(Exception):
    """The server says nothing of the version that it is asked about."""


class Api:
    """The server at the settings' address; every method raises httpx.HTTPError where it does not answer."""

    def __init__(self, settings: Settings) -> None:
        key = settings.api_key.get_secret_value()
        self.url = settings.api
        self._client = httpx.Client(base_url=self.url, timeout=ANSWER_SECONDS, headers={"x-api-key": key} if key else {}, trust_env=False)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def follow(self) -> None:
        """Have it look for the champion now."""
        self._client.post("/follow").raise_for_status()

    def serves(self, problem: Problem) -> str:
        """Digest of the model that serves, empty when none does: the same number may be another home's version.

        Raises
        ------
        NotNowError
            What answers there is no server of this problem.
        """
        reply = self._client.get("/version").raise_for_status()
        told = reply.json() if reply.headers.get("content-type", "").startswith("application/json") else None
        if not isinstance(told, dict) or told.get("model") != problem.name:
            raise NotNowError(f"what answers at {self.url} is no server of {problem.name}; set EVERGREEN_API_URL or EVERGREEN_API_PORT")
        return str(told.get("artefact", ""))

    def shadow_trouble(self) -> str:
        """Why the version in shadow is not asked at this moment; empty while it is."""
        reply = self._client.get("/version").raise_for_status()
        told = reply.json() if reply.headers.get("content-type", "").startswith("application/json") else None
        return str(told.get("shadow_trouble", "")) if isinstance(told, dict) else ""

    def smoke_test(self, problem: Problem, version: int, golden: Path) -> None:
        """Ask the first golden rows over HTTP.

        Raises
        ------
        ModelError
            The version refuses a row that it has answered in training, or an answer differs by more than 1e-9.
        NotNowError
            Another version answers, or nobody does at this moment: it says nothing of this one.
        """
        import pandas as pd

        from evergreen.serving.frames import plain_rows

        most = min(ASKED, problem.online.max_rows if problem.online else ASKED)
        expected = pd.read_parquet(golden).set_index(KEY).head(most)
        rows = plain_rows(expected[[name for name in expected.columns if not is_answer(name)]])
        reply = self._client.post("/predict", json=rows)
        is_told = reply.status_code in {httpx.codes.OK, httpx.codes.UNPROCESSABLE_ENTITY}
        told = reply.json() if is_told else {}
        if told.get("model_version") != version:
            answer = f"version {told['model_version']} answers" if told else f"it answers {reply.status_code}"
            raise NotNowError(f"the server at {self.url} does not answer with version {version}: {answer}")
        if "faults" in told:
            raise ModelError(f"The server at {self.url} refuses golden rows of version {version}: {reply.text[:300]}")
        got = _as_frame(told["predictions"], expected)
        check_replay(version, compare_answers("over HTTP", expected, got))


def _as_frame(predictions: list[dict[str, Any]], expected: pd.DataFrame) -> pd.DataFrame:
    """The answers under the names that they have in training."""
    import pandas as pd

    rows = [{**one.get("probabilities", {}), **one} for one in predictions]
    names = {name: name.removeprefix("probability_") for name in expected.columns if is_answer(name)}
    if rows and "value" in rows[0]:
        names[DECISION] = "value"
    return pd.DataFrame({name: [row[told] for row in rows] for name, told in names.items()}, index=expected.index)
