"""MLflow made fit to be relied on: a store that nobody finds half made, runs that say what was done, complaints in sentences."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.candidate import Trained
from evergreen.errors import RegistryError, UnreachableError, what_helps, without_passwords
from evergreen.files import atomic_path
from evergreen.gate.evidence import CANDIDATE

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Set before MLflow is imported, unless somebody has set them: no telemetry, no chatter, an answer within a minute when a server is away.
# What it would log of an error is in the error as well, with a traceback that nobody should see.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
PARAMETERS_AT_ONCE, NAME_LENGTH, VALUE_LENGTH = 100, 250, 6_000
"""What MLflow takes."""
SQLITE, POSTGRESQL = "sqlite:///", "postgresql+psycopg://"
ANSWER_SECONDS = 10
"""How long a database may take to answer; MLflow itself would ask again for minutes."""
SETTING = "EVERGREEN_MLFLOW_URI"
REFUSED = re.compile(r"failed with error code 4\d\d")
"""What MLflow's client says of a server that answers and does not want to."""
OTHER_SCHEMA = re.compile(r"database schema \(found version (\w+), but expected (\w+)\)")


def is_database(uri: str) -> bool:
    """Whether MLflow's tables are reached without a server of MLflow's; such a store keeps no files."""
    return uri.startswith(("sqlite:", "postgresql"))


def prepare_store(uri: str) -> None:
    """Make the tables of a new SQLite store under another name, and give it its own when they are all there.

    MLflow makes them in place, one after the other; a process that is killed meanwhile, or a full disk, would leave a store that no
    later run can use. Call it under a lock. Stores that are there already, and servers, are left alone; a PostgreSQL must answer.
    """
    if uri.startswith(POSTGRESQL):
        _see_that_it_answers(uri.replace(POSTGRESQL, "postgresql://", 1))
    database = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or database.exists():
        return
    from mlflow import MlflowClient

    with atomic_path(database) as temporary:
        client = MlflowClient(f"{SQLITE}{temporary}", f"{SQLITE}{temporary}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)


def _see_that_it_answers(url: str) -> None:
    import psycopg

    # Nothing of a wrong one is repeated: it would be a part of the password.
    wrong = RegistryError(
        "The URL of MLflow's database cannot be used: expected postgresql://user:password@host/database, "
        f"with @ and % in a password written as %40 and %25. Correct {SETTING}."
    )
    if url.count("@") > 1:
        raise wrong
    try:
        psycopg.connect(url, connect_timeout=ANSWER_SECONDS).close()
    except psycopg.ProgrammingError:
        raise wrong from None


def log_training(client: MlflowClient, run_id: str, trained: Trained) -> None:
    """Write to a run what it was set to, what cross-validation measured, and which data it learnt from."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    now = int(time.time() * 1000)
    parameters = [Param(name, value) for name, value in run_parameters(trained).items()]
    for start in range(0, len(parameters), PARAMETERS_AT_ONCE):
        client.log_batch(run_id, params=parameters[start : start + PARAMETERS_AT_ONCE])
    client.log_batch(run_id, metrics=[Metric(name, float(value), now, 0) for name, value in trained.metrics.items()])
    # MLflow keeps 36 characters of a data set's digest; the source has all of them.
    data = Dataset(name="training", digest=trained.snapshot[:36], source_type="snapshot", source=trained.snapshot)
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def log_holdout(client: MlflowClient, run_id: str, record: dict[str, Any]) -> None:
    """Write the candidate's numbers on the holdout to its run; they bear the decision's time, so that again is no second point.

    Of unsound evidence there are none.
    """
    from mlflow.entities import Metric

    at = int(datetime.fromisoformat(record["made_at"]).timestamp() * 1000)
    costs = [row["cost_per_1000"] for row in record["money"] if row["name"] == CANDIDATE]
    known = {**record["metrics"].get(CANDIDATE, {}), **({"cost_per_1000": costs[0]} if costs else {})}
    metrics = [Metric(f"holdout_{name}", float(value), at, 0) for name, value in known.items() if value is not None]
    client.log_batch(run_id, metrics=metrics)


def run_parameters(trained: Trained) -> dict[str, str]:
    """The training's own parameters (seed, what was tuned) and every plain value that the estimator is set to, as MLflow takes them."""
    from sklearn.model_selection import FixedThresholdClassifier

    recipe, threshold = trained.estimator, {}
    if isinstance(recipe, FixedThresholdClassifier):  # below it, parameters have the names by which a search sets them
        recipe, threshold = recipe.estimator, {"decision_threshold": recipe.threshold}
    found = {**recipe.get_params(), **threshold, **trained.parameters}
    plain = {name: value for name, value in found.items() if value is None or np.isscalar(value)}
    return {re.sub(r"[^\w.\- ]", "_", name)[:NAME_LENGTH]: str(value)[:VALUE_LENGTH] for name, value in plain.items()}


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Work with the MLflow at `uri`, which stays silent; what it or the database below it complains of is told in a sentence.

    Raises
    ------
    RegistryError
        It cannot be used; the message says what to do.
    """
    _quieten()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except Exception as error:
        if not isinstance(error, MlflowException) and not type(error).__module__.startswith(("sqlalchemy", "psycopg")):
            raise
        kind = UnreachableError if "API request to" in str(error) and not REFUSED.search(str(error)) else RegistryError
        raise kind(_sentence(error, without_passwords(uri))) from error


def _sentence(error: Exception, uri: str) -> str:
    if schema := OTHER_SCHEMA.search(str(error)):
        return (
            f"MLflow's database {uri} is of another schema ({schema[1]}) than the installed MLflow needs ({schema[2]}): "
            f"back it up, then run `mlflow db upgrade {uri}`; if a newer MLflow made it, install that one instead."
        )
    if cause := _database_cause(error):
        return f"MLflow's database {uri} cannot be used: {cause}. {what_helps(cause, program='MLflow', setting=SETTING)}"
    cause = shorten(without_passwords(str(error)), 300, placeholder=" …").rstrip(".")
    return f"MLflow at {uri} cannot be used: {cause}. Check {SETTING}, and that it is up."


def _database_cause(error: BaseException | None) -> str | None:
    """What the database itself said, without the statement; None where the error does not come from one. SQLAlchemy calls it `orig`."""
    while error is not None:
        if said := getattr(error, "orig", None):
            return shorten(without_passwords(str(said)), 300, placeholder=" …").rstrip(".")
        error = error.__cause__
    return None


def _quieten() -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it would announce every retry
