"""What the tests of the API ask, and what the versions of `moves.four_versions` say to it in this process."""

import json
from typing import Any

import pandas as pd
from candidates import toy_candidate, toy_rows
from toy.contract import PROBLEM

from evergreen.candidate import predicted

FEATURES = list(PROBLEM.features)
ROWS = toy_rows(range(20, 23))


def row(at: int = 0) -> dict[str, Any]:
    """One row as a request has it."""
    return json.loads(ROWS[FEATURES].iloc[[at]].to_json(orient="records"))[0]


def said_by(version: int) -> pd.DataFrame:
    """What a version says of the rows."""
    return predicted(toy_candidate(f"version {version}", days=7 + version).estimator, ROWS[FEATURES])
