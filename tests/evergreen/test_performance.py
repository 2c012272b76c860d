from pathlib import Path

import pandas as pd
import pytest
from workspaces import changed, toy_frame

from evergreen.data.publishing import Order, publish
from evergreen.errors import StoreError
from evergreen.monitoring.performance import realized
from evergreen.workspace import Workspace

# Four orders of the first day: a miss costs 20, a false alarm 10, and the shop's rule distrusts shoes.
ROWS = toy_frame(2).head(4).assign(product=["shoe", "book", "shoe", "book"], returned=[1, 1, 0, 0])
SAID = [1, 1, 1, 0]


def predict(files: list[tuple[Path, Path]]) -> None:
    for rows, out in files:
        said = pd.read_parquet(rows)[["order_id"]]
        said.assign(decision=said["order_id"].map(dict(zip(ROWS["order_id"], SAID, strict=True)))).to_parquet(out, index=False)


def put(space: Workspace, rows: pd.DataFrame = ROWS, version: int = 1) -> None:
    publish(
        space.settings.root, space.journal, space.problem, Order(rows, version, "a" * 64, "s" * 64, space.problem.features), predict=predict
    )


def worth(space: Workspace, labelled: pd.DataFrame) -> list[dict]:
    return realized(space.settings.root, space.journal, space.problem, labelled)


def test_what_was_published_is_priced_against_the_rule_of_thumb_and_no_model(empty_space: Workspace):
    put(empty_space)
    (told,) = worth(empty_space, ROWS)
    assert (told["partition"], told["version"], told["rows"]) == ("2026-01-05", 1, 4)
    # The model: one false alarm, 10. The rule: one miss and one false alarm, 30. Always calling back: two false alarms, 20.
    assert told["realized"] == {
        "rows": 4,
        "cost_per_1000": 2500,
        "rule_of_thumb_per_1000": 7500,
        "no_model_per_1000": 5000,
        "saved": 20,
        "saved_against_no_model": 10,
    }


def test_only_rows_with_outcomes_count(empty_space: Workspace):
    put(empty_space)
    (told,) = worth(empty_space, ROWS.iloc[[0, 2]])
    # The model and the rule: a false alarm each. One outcome of each kind: always calling back costs a false alarm too.
    assert (told["rows"], told["realized"]["rows"]) == (4, 2)
    assert (told["realized"]["saved"], told["realized"]["saved_against_no_model"]) == (0, 0)


def test_outcomes_of_other_rows_say_nothing(empty_space: Workspace):
    put(empty_space)
    assert worth(empty_space, toy_frame(2).iloc[4:])[0]["realized"] is None


def test_before_any_outcome_nothing_is_realized(empty_space: Workspace):
    put(empty_space)
    assert worth(empty_space, ROWS.head(0)) == [{"partition": "2026-01-05", "version": 1, "rows": 4, "realized": None}]


def test_without_publications_nothing_is_told(empty_space: Workspace):
    assert worth(empty_space, ROWS) == []


def test_each_partition_is_told_once_in_order_with_its_newest_version(empty_space: Workspace):
    later = ROWS.tail(2).assign(prediction_time=ROWS["prediction_time"] + pd.Timedelta(days=1))
    for rows, version in ((later, 1), (ROWS.head(2), 1), (ROWS.head(2), 2)):
        put(empty_space, rows, version)
    assert [(row["partition"], row["version"]) for row in worth(empty_space, ROWS)] == [("2026-01-05", 2), ("2026-01-06", 1)]


def test_an_order_that_was_predicted_twice_counts_once_by_its_last_prediction(empty_space: Workspace):
    put(empty_space, ROWS, 1)
    again = ROWS.tail(2).assign(prediction_time=ROWS["prediction_time"] + pd.Timedelta(days=1))
    put(empty_space, again, 2)
    told = worth(empty_space, ROWS)
    assert [(row["partition"], row["version"], row["rows"]) for row in told] == [("2026-01-05", 1, 2), ("2026-01-06", 2, 2)]
    assert sum(row["realized"]["rows"] for row in told) == len(ROWS)


def test_predictions_that_are_not_what_was_published_are_not_priced(empty_space: Workspace):
    put(empty_space)
    (file,) = (empty_space.settings.root / "predictions").rglob("*.parquet")
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(StoreError, match="is not what was published"):
        worth(empty_space, ROWS)


def test_a_problem_in_other_terms_is_priced_in_those(empty_space: Workspace):
    put(empty_space)
    business = changed(empty_space.problem.business, row_cost=lambda rows, y, decision: 7.0 * (y != decision))
    (told,) = realized(empty_space.settings.root, empty_space.journal, changed(business=business), ROWS)
    assert told["realized"]["saved"] == 7
