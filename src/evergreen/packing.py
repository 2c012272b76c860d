"""A candidate laid into folders: the model as MLflow's own client can load it, and the evidence that it can be held to later."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evergreen.artefact import MODEL_FILE, check_trusted
from evergreen.candidate import Trained
from evergreen.contract import Problem
from evergreen.errors import ModelError, RegistryError
from evergreen.files import write_json
from evergreen.provenance import locked_packages

# What loading needs. scikit-learn and skops hold the model, pandas and pyarrow the frames whose text columns it was fitted on,
# numpy and scipy its numbers, mlflow the client that people load it with. Feature code may import nothing else.
NEEDED = ("mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")

AT_THE_TOP = "Use functions and classes that stand at the top of a module of your package."
STORED_TIMES = 10
"""The gate refuses a model that is too large and keeps it as evidence; one of this many times the limit would only fill the store."""


def requirements(lock: Path) -> list[str]:
    """The locked versions, `name==version`, of the packages that loading a model needs, as they hold for this Python.

    Raises
    ------
    RegistryError
        The lock is missing, or does not name one of them.
    """
    if not lock.is_file():
        raise RegistryError(
            f"The lock {lock.absolute()} is missing; a model records its packages from it. Set EVERGREEN_LOCK to your lock."
        )
    pinned = locked_packages(lock)
    missing = [name for name in NEEDED if name not in pinned]
    if missing:
        raise RegistryError(
            f"The lock {lock} does not pin {', '.join(missing)}; expected lines such as {missing[0]}==1.2. Run `make lock`."
        )
    return [f"{name}=={pinned[name]}" for name in NEEDED]


def pack_model(trained: Trained, problem: Problem, *, lock: Path, folder: Path) -> None:
    """Write the model to `folder`: skops, the problem's package, signature, example rows, locked requirements.

    Raises
    ------
    ModelError
        The estimator holds types that nobody has reviewed, or cannot be written without pickle.
    """
    import mlflow.sklearn

    with TemporaryDirectory() as scratch:
        types = _dump(trained.estimator, Path(scratch) / MODEL_FILE, problem)
        # MLflow would copy everything, bytecode of other Pythons included.
        code = Path(scratch) / problem.package.name
        shutil.copytree(problem.package, code, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]"))
        X = trained.golden[list(trained.features)]
        y = trained.estimator.predict(X)
        with warnings.catch_warnings():
            # MLflow's own affairs: type hints and pandas deprecations inside it, and its advice to declare whole numbers as floats
            # in case some are missing later, on which the expectations rule.
            warnings.simplefilter("ignore")
            mlflow.sklearn.save_model(
                trained.estimator,
                str(folder),
                code_paths=[str(code)],
                serialization_format="skops",
                skops_trusted_types=types,
                signature=mlflow.models.infer_signature(X, y),
                input_example=trained.example,
                pip_requirements=requirements(lock),
            )
    size, limit = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, problem.cost.max_model_megabytes
    if not size <= STORED_TIMES * limit:
        raise ModelError(
            f"The model takes {size:.1f} MB; the contract allows {limit:g} (cost.max_model_megabytes), and one of more than "
            f"{STORED_TIMES} times that is not even stored. Use a smaller one, or allow more."
        )


def pack_evidence(trained: Trained, problem: Problem, *, folder: Path) -> None:
    """Write what the version is held to later to `folder`: golden rows, fingerprints of the training rows, and the facts as JSON."""
    folder.mkdir(parents=True)
    golden = trained.golden.reset_index(drop=True)
    golden.insert(0, "golden_row", np.arange(len(golden)))
    golden.to_parquet(folder / "golden.parquet", index=False)
    np.save(folder / "training_rows.npy", np.sort(trained.training_rows.astype(np.uint64)), allow_pickle=False)
    facts = {
        **trained.facts,
        "features": list(trained.features),
        "parameters": trained.parameters,
        "metrics": {name: float(value) for name, value in trained.metrics.items()},
        "trusted_types": list(problem.trusted_types),
        "training_key": trained.training_key,
        "snapshot": trained.snapshot,
        "provenance": trained.provenance,
    }
    write_json(folder / "facts.json", _plain(facts))


def _dump(estimator: Any, file: Path, problem: Problem) -> list[str]:
    """The types in the estimator, when all of them may be in it."""
    import skops.io

    try:
        skops.io.dump(estimator, file)
    except Exception as error:  # skops says "cannot" with many kinds of errors, and a person wants one sentence
        raise ModelError(
            f"{type(estimator).__name__} cannot be stored without pickle ({type(error).__name__}: {error}). {AT_THE_TOP}"
        ) from error
    types, own = check_trusted(file, trusted=problem.trusted_types, packages=[problem.package.name]), f"{problem.package.name}."
    # skops writes down the name of a lambda, or of a function inside another, and does not find it again.
    if lost := [name for name in types if name.startswith(own) and not _is_at_the_top(name)]:
        raise ModelError(f"{type(estimator).__name__} holds {', '.join(lost)}, which nobody finds by that name. {AT_THE_TOP}")
    return types


def _is_at_the_top(name: str) -> bool:
    try:
        resolve_name(name)
    except (ValueError, ImportError, AttributeError):
        return False
    return True


def _plain(value: Any) -> Any:
    """JSON has no numpy and no not-a-number: the first become Python's numbers, the second null, anything else its text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else json.loads(json.dumps(value, default=str))
