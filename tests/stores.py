"""MLflow's empty tables, made once in each process that tests: making them takes two seconds, and most tests are about something else."""

import tempfile
from functools import cache
from pathlib import Path

import pytest

from evergreen.tracking import QUIET, prepare_store


def lay_store(root: Path) -> None:
    """Put an empty store where a home has its own, unless there is one."""
    file = root / "mlflow.db"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        for name, value in QUIET.items():
            patched.setenv(name, value)
        prepare_store(f"sqlite:///{folder}/mlflow.db")
        return Path(folder, "mlflow.db").read_bytes()
