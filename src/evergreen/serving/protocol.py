"""MLflow's scoring protocol: the forms of a request that its clients send to `/invocations`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import islice
from typing import Any

from evergreen.serving.schema import Asked, Schema, insist_once, read_json
from evergreen.serving.unfit import UnfitError, one_fault, shorten, shown

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = "text/csv"
NAMED = 10
"""So many of the names that were sent are repeated."""


def read_invocation(schema: Schema, body: bytes, *, kind: str) -> Asked:
    """Check a request in one of MLflow's forms.

    Parameters
    ----------
    kind
        Its media type: "application/json" or "text/csv".

    Raises
    ------
    UnfitError
        Something is wrong with it.
    """
    if kind == CSV:
        return schema.read_rows(_rows_of_csv(schema, body), as_texts=True)
    told = read_json(body)
    asked = schema.read_rows(_rows_of_json(schema, told))
    insist_once(body, _fields(told))
    return asked


def _rows_of_json(schema: Schema, told: Any) -> list[Any]:
    if not isinstance(told, dict) or sum(form in told for form in FORMS) != 1:
        got = f"the keys {_listed(told)}" if isinstance(told, dict) else shown(told)
        raise one_fault("body", got, f"an object with exactly one of {', '.join(FORMS)}")
    (form,) = (form for form in FORMS if form in told)
    if more := sorted(set(told) - {form, "params"}):
        raise one_fault("body", f"beside {form} the keys {_listed(more)}", f"{form} alone")
    if told.get("params") not in (None, {}):
        raise one_fault("params", shown(told["params"]), "none; the model takes no parameters")
    return _rows(schema, form, told[form])


def _fields(told: dict[str, Any]) -> int:
    """How many fields there are in a request that is as it should be."""
    parts = [part for value in told.values() for part in (value if isinstance(value, list) else [value])]
    return len(told) + sum(len(part) for part in parts if isinstance(part, dict))


def _rows(schema: Schema, form: str, given: Any) -> list[Any]:
    if form == "dataframe_split":
        return _rows_of_split(schema, given)
    if form == "inputs" and isinstance(given, dict):
        return _rows_of_columns(schema, form, given)
    if not isinstance(given, list):
        raise one_fault(form, shown(given), "a list of objects, one for each row")
    return given


def _rows_of_split(schema: Schema, given: Any) -> list[Any]:
    if not isinstance(given, dict) or not isinstance(given.get("columns"), list) or not isinstance(given.get("data"), list):
        raise one_fault("dataframe_split", shown(given), 'an object with "columns", a list of names, and "data", a list of rows')
    names, rows = given["columns"], given["data"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise one_fault("dataframe_split.columns", shown(names), "each name once, as a text")
    schema.insist_on_number(rows)
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise one_fault(f"dataframe_split.data[{at}]", shown(row), f"a list of {len(names)} values, as many as there are columns")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _rows_of_columns(schema: Schema, form: str, given: dict[str, Any]) -> list[Any]:
    columns = {name: values if isinstance(values, list) else [values] for name, values in given.items()}
    if len({len(values) for values in columns.values()}) > 1:
        lengths = shorten(", ".join(f"{name}: {len(values)}" for name, values in islice(columns.items(), NAMED)))
        raise one_fault(form, lengths, "as many values in each column")
    schema.insist_on_number(next(iter(columns.values()), []))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_of_csv(schema: Schema, body: bytes) -> list[dict[str, str]]:
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names, *rows = [line for line in lines if line] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise one_fault("body", str(error), "CSV in UTF-8 with a line of column names") from None
    if len(set(names)) < len(names):
        raise one_fault("body", f"the columns {_listed(names)}", "each name once")
    schema.insist_on_number(rows)
    for at, row in enumerate(rows):
        if len(row) != len(names):
            fault = {"field": "row", "got": f"{len(row)} values", "expected": f"{len(names)} values, one for each column"}
            raise UnfitError([{"row": at, **fault}])
    return [dict(zip(names, row, strict=True)) for row in rows]


def _listed(names: Iterable[str]) -> str:
    """The first of some names: there may be as many as the body has room for."""
    first = [shown(name) for name in islice(names, NAMED + 1)]
    return ", ".join(first[:NAMED]) + (", …" if len(first) > NAMED else "")
