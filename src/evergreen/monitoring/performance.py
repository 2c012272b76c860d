"""What published predictions were worth, once their outcomes are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import journal as tables
from evergreen.candidate import DECISION
from evergreen.contract import Problem
from evergreen.data.publishing import read_published
from evergreen.evaluation import Predicted, central_cost, rule_of_thumb, trivial_policies
from evergreen.journal import Journal
from evergreen.training import training_target


def published_partitions(journal: Journal) -> list[dict[str, Any]]:
    """The newest publication of each partition, as journal rows in order of the partitions."""
    newest = {row["partition"]: row for row in journal.rows(tables.publications)}
    return [newest[name] for name in sorted(newest)]


def realized(root: Path, journal: Journal, problem: Problem, labelled: pd.DataFrame) -> list[dict[str, Any]]:
    """Cost of every published partition against the rule of thumb and against no model.

    Returns
    -------
    list of dict
        `partition`, `version`, `rows`, and `realized`: None while no outcome is known, else `rows` with outcomes, and per 1,000 rows
        `cost_per_1000`, `rule_of_thumb_per_1000`, `no_model_per_1000` (the constant decision that turned out cheapest), and in all
        `saved` (against the rule of thumb) and `saved_against_no_model`, in the contract's unit.
    """
    return [
        {
            "partition": row["partition"],
            "version": row["version"],
            "rows": row["row_count"],
            "realized": _realized(root, problem, labelled, row),
        }
        for row in published_partitions(journal)
    ]


def _realized(root: Path, problem: Problem, labelled: pd.DataFrame, row: dict[str, Any]) -> dict[str, float] | None:
    published = read_published(root, row["partition"])[[problem.key, DECISION]]
    rows = labelled.merge(published, on=problem.key, how="inner", validate="one_to_one")
    if rows.empty:
        return None
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
