"""What is written down of a model's features when it is trained."""

from typing import Any

import pandas as pd
import pytest

from evergreen.columns import columns_of, describe


@pytest.mark.parametrize(
    ("values", "kind", "nullable"),
    [
        (pd.Series([1, 2], dtype="int8"), "integer", False),
        (pd.Series([1, None], dtype="Int64"), "integer", True),
        (pd.Series([1.5, None]), "number", True),
        (pd.Series([True, False]), "boolean", False),
        (pd.Series([True, None], dtype="boolean"), "boolean", True),
        (pd.Series([True, None], dtype=object), "boolean", True),
        (pd.Series([1, None], dtype=object), "integer", True),
        (pd.Series([1.5, None], dtype=object), "number", True),
        (pd.Series(["a", None], dtype=object), "text", True),
        (pd.Series(["a", "b"]), "text", False),
        (pd.Series(["a", "b"], dtype="category"), "text", False),
        (pd.Series([1, 2], dtype="category"), "integer", False),
        (pd.to_datetime(pd.Series(["2026-01-02", None])), "time", True),
        (pd.to_datetime(pd.Series(["2026-01-02"]), utc=True), "time", False),
    ],
)
def test_the_kind_of_a_column_is_that_of_its_values(values: Any, kind: str, nullable: bool):
    (column,) = columns_of(describe(pd.DataFrame({"a": values})))
    assert (column.kind, column.nullable) == (kind, nullable)
