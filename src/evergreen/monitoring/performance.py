"""What published predictions were worth, once their outcomes are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import DECISION, is_answer
from evergreen.contract import Problem
from evergreen.errors import StoreError
from evergreen.evaluation import Predicted, central_cost, rule_of_thumb, trivial_policies
from evergreen.files import digest_file
from evergreen.journal import Journal
from evergreen.training import training_target


def last_predictions(root: Path, journal: Journal, problem: Problem) -> pd.DataFrame:
    """The last published prediction of every entity.

    It has the key, `decision`, the probabilities if there are some, `model_version`, and the `partition` that it stands in.

    Raises
    ------
    StoreError
        A published file is missing or not what was published.
    """
    parts, removed = [], {row["name"] for row in journal.rows(tables.removals, kind="prediction")}
    for row in journal.rows(tables.publications):
        path = root / row["path"]
        if row["path"] in removed and not path.exists():
            continue  # later ones say all that it said
        if not path.is_file() or digest_file(path) != row["content"]:
            raise StoreError(f"{path} is not what was published. Restore it from a backup; nothing was changed.")
        said = pd.read_parquet(path)
        columns = [problem.key, *filter(is_answer, said.columns), "model_version"]
        parts.append(said[columns].assign(partition=row["partition"]))
    if not parts:
        return pd.DataFrame(columns=[problem.key, DECISION, "model_version", "partition"])
    return pd.concat(parts, ignore_index=True).drop_duplicates(problem.key, keep="last")


def realized(root: Path, journal: Journal, problem: Problem, labelled: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Cost of every published partition against the rule of thumb and against no model; each entity counts once, by its last prediction.

    Without labelled rows no outcome is known.

    Returns
    -------
    list of dict
        `partition`, `version` (the newest in it), `rows`, and `realized`: None while no outcome is known, else `rows` with outcomes,
        and per 1,000 rows `cost_per_1000`, `rule_of_thumb_per_1000`, `no_model_per_1000` (the constant decision that turned out
        cheapest), and in all `saved` (against the rule of thumb) and `saved_against_no_model`, in the contract's unit.
    """
    predictions = last_predictions(root, journal, problem)
    said = predictions[[problem.key, DECISION, "partition"]].rename(columns={"partition": "_partition"})
    rows = None if labelled is None else labelled.merge(said, on=problem.key, validate="one_to_one")
    known = {} if rows is None else dict(list(rows.groupby("_partition")))
    return [
        {
            "partition": str(partition),
            "version": int(rows["model_version"].max()),
            "rows": len(rows),
            "realized": priced(problem, known[partition]) if partition in known else None,
        }
        for partition, rows in predictions.groupby("partition", sort=True)
    ]


def priced(problem: Problem, rows: pd.DataFrame) -> dict[str, float]:
    """What decisions cost, as `realized` tells it; `rows` are labelled and have a column `decision`."""
    y = training_target(rows, problem)

    def mean_cost(decision: np.ndarray) -> float:
        return float(central_cost(problem, rows, y, Predicted(decision)).mean())

    model = mean_cost(rows[DECISION].to_numpy())
    rule = mean_cost(rule_of_thumb(problem, rows).decision)
    nothing = min(mean_cost(policy.decision) for policy in trivial_policies(problem.task, y, len(y)).values())
    return {
        "rows": len(rows),
        "cost_per_1000": 1000 * model,
        "rule_of_thumb_per_1000": 1000 * rule,
        "no_model_per_1000": 1000 * nothing,
        "saved": len(rows) * (rule - model),
        "saved_against_no_model": len(rows) * (nothing - model),
    }
