"""A model's folder as MLflow stores it: which types it may hold, and how it is loaded with its own code.

Nothing here asks whether the folder is the right one: `Registry.folder` has compared its digest with the journal's before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.errors import ModelError

MODEL_FILE = "model.skops"
CODE_FOLDER = "code"

TRUSTED = (
    "functools.partial",  # what it calls is judged by itself
    "numpy.dtype",
    "numpy.number",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    # The two kinds of tree hold node numbers that scikit-learn follows without looking: a forged file could crash the process.
    # They are trusted because a folder is loaded only when its digest is the journal's.
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)
"""Types that skops does not trust by itself and that we have reviewed, for the usual models of tables."""


@dataclass(frozen=True)
class Artefact:
    """A model that is ready to predict in this process."""

    estimator: Any
    features: list[str]
    """Its columns, in the order of training."""


def check_trusted(file: Path, *, trusted: Sequence[str], packages: Sequence[str]) -> list[str]:
    """The types in a skops file that skops does not trust by itself; all of them are reviewed, or of the model's own `packages`.

    Raises
    ------
    ModelError
        Some are neither; the message names them.
    """
    import skops.io

    found: list[str] = skops.io.get_untrusted_types(file=file)
    unknown = [name for name in found if name not in {*TRUSTED, *trusted} and name.partition(".")[0] not in packages]
    if unknown:
        raise ModelError(
            f"The model holds types that nobody has reviewed: {', '.join(unknown)}. "
            "Review them, then add them to trusted_types in the contract; or use another estimator."
        )
    return found


def load_artefact(folder: Path, *, trusted: Sequence[str] = ()) -> Artefact:
    """Load a model with the code it was trained with. Only for a process of its own: the code stays importable in it.

    Parameters
    ----------
    folder
        What `Registry.folder` returned.
    trusted
        The contract's `trusted_types` at the time of registration.

    Raises
    ------
    ModelError
        The folder holds no such model, unreviewed types, or code that another copy has taken the place of.
    """
    import skops.io

    features, recorded = _read_description(folder)
    code = folder / CODE_FOLDER
    packages = [path.stem for path in sorted(code.iterdir())]
    # Functions of the model's own package are trusted because the digest covers their source. It leaves bytecode out,
    # so Python is told to look for that elsewhere, where there is none.
    own = [name for name in recorded if name.partition(".")[0] in packages]
    sys.pycache_prefix, sys.dont_write_bytecode = str(folder / "no-bytecode"), True
    sys.path.insert(0, str(code))
    try:
        estimator = skops.io.load(folder / MODEL_FILE, trusted=[*TRUSTED, *trusted, *own])
    except skops.io.exceptions.UntrustedTypesFoundException:
        check_trusted(folder / MODEL_FILE, trusted=trusted, packages=packages)
        raise
    _check_origin(code, packages)
    return Artefact(estimator, features)


def _read_description(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the features, and the types that were found at registration."""
    import yaml  # type: ignore[import-untyped]  # its stubs are not among the locked packages

    try:
        description = yaml.safe_load((folder / "MLmodel").read_text())
        columns = json.loads(description["signature"]["inputs"])
        return [column["name"] for column in columns], description["flavors"]["sklearn"]["skops_trusted_types"]
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ModelError(
            f"{folder} is not a model that Evergreen registered ({type(error).__name__}: {error}). Register the candidate again."
        ) from None


def _check_origin(code: Path, packages: Sequence[str]) -> None:
    """The model's own modules came from its own folder: another copy of the features would silently change its predictions."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages and file and not Path(file).is_relative_to(code):
            raise ModelError(
                f"The module {name} was imported from {file}, not from the model's own folder {code}. "
                "Load a model only in a process of its own that has not imported the problem's package."
            )
