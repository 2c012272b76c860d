"""MLflow's own store, made so that nobody ever finds it half made."""

from __future__ import annotations

from pathlib import Path

from evergreen.files import atomic_path

SQLITE = "sqlite:///"


def prepare_store(uri: str) -> None:
    """Make the tables of a new SQLite store under another name, and give it its own when they are all there.

    MLflow makes them in place, one after the other; a process that is killed meanwhile, or a full disk, would leave a store that no
    later run can use. Call it under a lock. Stores that are there already, and servers, are left alone.
    """
    database = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or database.exists():
        return
    from mlflow import MlflowClient

    with atomic_path(database) as temporary:
        client = MlflowClient(f"{SQLITE}{temporary}", f"{SQLITE}{temporary}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
