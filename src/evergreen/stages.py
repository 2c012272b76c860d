"""What a model makes of one row on its way to an answer: the row after each step of its pipeline, and what gives the score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

SHOWN = 40
"""So many columns of a stage are kept. Of a wider one those come first that are not 0: most columns of an encoded text are."""


def unfold(estimator: Any, X: pd.DataFrame) -> dict[str, Any]:
    """The way of one row through a fitted estimator; only for the process of its own that has loaded it.

    Parameters
    ----------
    X
        A frame with that row.

    Returns
    -------
    dict
        JSON values. `threshold`: the probability from which the decision is 1, None where none is fixed; `model`: the name of what gives
        the score; `stages`: what is shown of the row after each step of a scikit-learn Pipeline but the last (see `shown`), with the
        step's `name` and `kind`; None where the estimator is none.
    """
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.pipeline import Pipeline

    threshold, inner = None, estimator
    if isinstance(estimator, FixedThresholdClassifier):
        threshold, inner = float(estimator.threshold), estimator.estimator_
    if not isinstance(inner, Pipeline):
        return {"threshold": threshold, "model": type(inner).__name__, "stages": None}
    stages, rows, before = [], X, shown_frame(X)
    *steps, (_, last) = _steps(inner)
    for name, step in steps:
        rows = step.transform(rows)
        before = shown(rows, _names(step, before["names"]))
        stages.append({"name": name, "kind": type(step).__name__, **_cut(before)})
    return {"threshold": threshold, "model": type(last).__name__, "stages": stages}


def shown_frame(X: pd.DataFrame) -> dict[str, Any]:
    """The first row of a frame as JSON values, see `shown`."""
    return shown(X, [str(name) for name in X.columns])


def shown(rows: Any, names: list[str] | None) -> dict[str, Any]:
    """The first row of a frame, an array or a sparse matrix as JSON values.

    Returns
    -------
    dict
        `columns`: how many there are; `values`: by column, None where one is missing; `names`: of all columns.
    """
    if isinstance(rows, pd.DataFrame):
        names = [str(name) for name in rows.columns]
        values = [rows.iloc[0, at] for at in range(len(names))]
    else:
        whole = np.asarray(rows[:1].toarray() if hasattr(rows, "toarray") else rows)
        values = list(whole[0].ravel()) if whole.ndim > 1 else list(whole[:1])
    if names is None or len(names) != len(values) or len(set(names)) != len(names):
        names = [f"column {number}" for number in range(1, len(values) + 1)]
    return {"columns": len(values), "values": {name: _plain(value) for name, value in zip(names, values, strict=True)}, "names": names}


def _cut(stage: dict[str, Any]) -> dict[str, Any]:
    values = stage["values"]
    if len(values) > SHOWN:
        telling = {name: value for name, value in values.items() if value != 0} or values
        values = dict(list(telling.items())[:SHOWN])
    return {"columns": stage["columns"], "values": values}


def _steps(pipeline: Any) -> Iterator[tuple[str, Any]]:
    """The steps that do something, those of pipelines inside too."""
    from sklearn.pipeline import Pipeline

    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from ((f"{name}, {inner}", one) for inner, one in _steps(step))
        elif step is not None and step != "passthrough":
            yield name, step


def _names(step: Any, before: list[str]) -> list[str] | None:
    """What a step calls its columns; None where it does not say."""
    for given in ((), (before,)):
        try:
            return [str(name) for name in step.get_feature_names_out(*given)]
        except Exception:  # noqa: S112 - a step of anybody's; without names its columns are numbered
            continue
    return None


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is no number, truth or text is told as one."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return None if np.isnan(value) else value if np.isfinite(value) else str(value)
    return value if isinstance(value, bool | int | str) else str(value)
