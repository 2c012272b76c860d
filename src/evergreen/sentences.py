"""Expectations in plain words, for the people who read why a delivery was refused."""

from __future__ import annotations

from datetime import date
from typing import Any

_STATISTICS = {"mean": "mean", "median": "median", "min": "smallest", "max": "largest", "sum": "sum", "stdev": "standard deviation"}
_SENTENCES = {
    f"expect_column_{name}_to_be_between": f"the {words} of `{{column}}` lies {{bounds}}" for name, words in _STATISTICS.items()
} | {
    "expect_column_to_exist": "there is a column `{column}`",
    "expect_column_values_to_not_be_null": "`{column}` is never missing",
    "expect_column_values_to_be_null": "`{column}` is always missing",
    "expect_column_values_to_be_unique": "every `{column}` appears once",
    "expect_compound_columns_to_be_unique": "every combination of {column_list} appears once",
    "expect_column_values_to_be_between": "`{column}` lies {bounds}",
    "expect_column_values_to_be_in_set": "`{column}` is one of {value_set}",
    "expect_column_values_to_not_be_in_set": "`{column}` is none of {value_set}",
    "expect_column_values_to_match_regex": "`{column}` looks like `{regex}`",
    "expect_column_values_to_not_match_regex": "`{column}` does not look like `{regex}`",
    "expect_column_values_to_be_of_type": "`{column}` is of type {type_}",
    "expect_column_value_lengths_to_be_between": "the length of `{column}` lies {bounds}",
    "expect_column_distinct_values_to_contain_set": "`{column}` has, among others, the values {value_set}",
    "expect_column_unique_value_count_to_be_between": "the number of different values of `{column}` lies {bounds}",
    "expect_column_proportion_of_non_null_values_to_be_between": "the share of rows that have `{column}` lies {bounds}",
    "expect_column_pair_values_a_to_be_greater_than_b": "`{column_A}` is greater than `{column_B}`",
    "expect_table_columns_to_match_set": "it has the columns {column_set}",
    "expect_table_row_count_to_be_between": "the number of rows lies {bounds}",
}


def sentence(expectation: str, kwargs: dict[str, Any]) -> str:
    """What an expectation asks for; one that is not listed here is spelt out from its name and arguments.

    >>> sentence("expect_column_values_to_be_between", {"column": "pressure", "min_value": 950, "max_value": 1060, "mostly": 0.98})
    '`pressure` lies between 950 and 1060, for at least 98% of the values'
    """
    arguments = {name: words(value) for name, value in kwargs.items() if value is not None}
    if template := _SENTENCES.get(expectation):
        arguments["column_list"] = " and ".join(f"`{column}`" for column in kwargs.get("column_list") or [])
        text = template.format(**arguments, bounds=_bounds(kwargs))
    else:
        text = f"{expectation.removeprefix('expect_').replace('_', ' ')} ({', '.join(f'{n}: {v}' for n, v in arguments.items())})"
    if kwargs.get("mostly", 1) != 1:
        share = f"at least {100 * kwargs['mostly']:.6g}% of the"
        missing = expectation == "expect_column_values_to_not_be_null"
        text = f"`{arguments['column']}` is there in {share} rows" if missing else f"{text}, for {share} values"
    return f"{text}, where {kwargs['row_condition']}" if kwargs.get("row_condition") else text


def words(value: Any) -> str:
    """A value as one would write it: 29.92 or EWR or `origin` EWR, `temp` 39.02."""
    if isinstance(value, dict):
        return ", ".join(f"`{name}` {words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple | set):
        return ", ".join(words(item) for item in value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.6g}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _bounds(kwargs: dict[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None:
        return f"at or below {words(high)}"
    return f"at or above {words(low)}" if high is None else f"between {words(low)} and {words(high)}"
