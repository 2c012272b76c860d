"""The toy shop's other contracts: a number and one of several classes as well as a yes, with a time column and without one."""

from typing import Any

import numpy as np
import pandas as pd

from evergreen import policies as p
from evergreen.contract import Problem
from toy import contract, data, recipes, results

CONFUSION = np.array([[0.0, 6.0, 8.0], [5.0, 0.0, 9.0], [6.0, 10.0, 0.0]])
"""What it costs (EUR) to take the wish of the row for that of the column, in the order of `results.CLASSES`."""


def profit(outcomes: pd.DataFrame) -> pd.Series:
    """What the order earned, EUR."""
    return outcomes["profit"]


def wish(outcomes: pd.DataFrame) -> pd.Series:
    """What the customer wanted, in a word."""
    return outcomes["wish"]


def wish_number(outcomes: pd.DataFrame) -> pd.Series:
    """What the customer wanted, as the number of the class."""
    return outcomes["wish"].map(results.CLASSES.index)


def price_of_error(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """Half a EUR for each EUR that the forecast is off."""
    return 0.5 * np.abs(y_true - decision)


def price_of_confusion(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """What it costs to take one wish for another."""
    number = results.CLASSES.index
    return CONFUSION[[number(label) for label in y_true], [number(label) for label in decision]]


def price_of_confused_numbers(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """The same for numbered wishes; numbers that are no whole ones are no index, and fail here."""
    return CONFUSION[y_true, decision]


def expect_the_usual(rows: pd.DataFrame) -> pd.Series:
    """Sofas lose, all else earns."""
    return rows["product"].map({"sofa": -15.0}).fillna(10.0)


def guess_wish(rows: pd.DataFrame) -> pd.Series:
    """Shoes do not fit, all else is kept."""
    return rows["product"].map({"shoe": "exchange"}).fillna("keep")


def guess_wish_number(rows: pd.DataFrame) -> pd.Series:
    """The same as the number of the class."""
    return guess_wish(rows).map(results.CLASSES.index)


def _changed(part: Any, **values: Any) -> Any:
    return type(part)(**{**dict(part), **values})


def _asking(name: str, question: str, **values: Any) -> dict[str, Any]:
    """The fields of a contract that asks something else about the same orders."""
    toy = contract.PROBLEM
    rule = p.RuleOfThumb(sentence=str(values["rule"].__doc__), decide=values["rule"])
    business = _changed(toy.business, question=question, row_cost=values["row_cost"], rule_of_thumb=rule)
    label, target = values["label"], values["target"]
    asked = _changed(toy.target, name=target, label=label, meaning=str(label.__doc__))
    return {"name": name, "task": values["task"], "business": business, "target": asked}


_PROFIT = _asking(
    "profit",
    "What will the order earn?",
    task="regression",
    target="earned",
    label=profit,
    row_cost=price_of_error,
    rule=expect_the_usual,
)
_WISH = _asking(
    "wish",
    "What will the customer want?",
    task="multiclass",
    target="wanted",
    label=wish,
    row_cost=price_of_confusion,
    rule=guess_wish,
)
_WISH_NUMBER = _asking(
    "wish_number",
    "Which number has what the customer will want?",
    task="multiclass",
    target="wanted",
    label=wish_number,
    row_cost=price_of_confused_numbers,
    rule=guess_wish_number,
)
_TIMELESS = {
    "sources": (
        p.Source(name="orders", key=("order_id",), read=data.read_orders),
        p.Source(name="customers", key=("customer_id",), read=data.read_customers),
        p.Source(name="outcomes", key=("order_id",), read=data.read_outcomes),
    ),
    "joins": contract.PROBLEM.joins[1:],
    "features": ("product", "amount"),
    "split": p.HashedSplit(group="customer_id"),
    "gate": p.GatePolicy(cluster="customer_id"),
}

REGRESSION = _changed(contract.PROBLEM, **_PROFIT, build_estimator=recipes.build_regressor)
MULTICLASS = _changed(contract.PROBLEM, **_WISH_NUMBER, build_estimator=recipes.build_classifier)
REGRESSION_WITHOUT_TIME = _changed(
    contract.PROBLEM,
    **{**_PROFIT, **_TIMELESS, "name": "profit_without_time", "gate": p.GatePolicy(cluster="row")},
    build_estimator=recipes.build_plain_regressor,
)
MULTICLASS_WITHOUT_TIME = _changed(
    contract.PROBLEM, **{**_WISH, **_TIMELESS, "name": "wish_without_time"}, build_estimator=recipes.build_plain_classifier
)
BINARY_WITHOUT_TIME = _changed(contract.PROBLEM, **_TIMELESS, name="toy_without_time", build_estimator=recipes.build_plain_classifier)

TASKS: dict[str, Problem] = {
    "regression": REGRESSION,
    "multiclass": MULTICLASS,
    "regression without time": REGRESSION_WITHOUT_TIME,
    "multiclass without time": MULTICLASS_WITHOUT_TIME,
    "binary without time": BINARY_WITHOUT_TIME,
}
