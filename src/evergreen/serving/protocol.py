"""MLflow's scoring protocol: the forms of a request that its clients send to `/invocations`."""

from __future__ import annotations

import csv
import io
from typing import Any

from evergreen.serving.schema import Asked, Schema, UnfitError, read_json, shown

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
CSV = "text/csv"


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
    return schema.read_texts(_rows_of_csv(body)) if kind == CSV else schema.read_rows(_rows_of_json(body))


def _rows_of_json(body: bytes) -> list[Any]:
    told = read_json(body)
    if not isinstance(told, dict) or sum(form in told for form in FORMS) != 1:
        got = f"the keys {', '.join(map(shown, told))}" if isinstance(told, dict) else shown(told)
        raise _fault("body", got, f"an object with exactly one of {', '.join(FORMS)}")
    (form,) = (form for form in FORMS if form in told)
    if more := sorted(set(told) - {form, "params"}):
        raise _fault("body", f"beside {form} the keys {', '.join(map(shown, more))}", f"{form} alone")
    if told.get("params"):
        raise _fault("params", shown(told["params"]), "none; the model takes no parameters")
    return _rows(form, told[form])


def _rows(form: str, given: Any) -> list[Any]:
    if form == "dataframe_split":
        return _rows_of_split(given)
    if form == "inputs" and isinstance(given, dict):
        return _rows_of_columns(form, given)
    if not isinstance(given, list):
        raise _fault(form, shown(given), "a list of objects, one for each row")
    return given


def _rows_of_split(given: Any) -> list[Any]:
    if not isinstance(given, dict) or not isinstance(given.get("columns"), list) or not isinstance(given.get("data"), list):
        raise _fault("dataframe_split", shown(given), 'an object with "columns", a list of names, and "data", a list of rows')
    names, rows = given["columns"], given["data"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise _fault("dataframe_split.columns", shown(names), "each name once, as a text")
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise _fault(f"dataframe_split.data[{at}]", shown(row), f"a list of {len(names)} values, as many as there are columns")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _rows_of_columns(form: str, given: dict[str, Any]) -> list[Any]:
    columns = {name: values if isinstance(values, list) else [values] for name, values in given.items()}
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise _fault(form, lengths, "as many values in each column")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_of_csv(body: bytes) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True, restkey="", restval="")
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _fault("body", str(error), "CSV in UTF-8 with a line of column names") from None
    names = reader.fieldnames or []
    if len(set(names)) < len(names):
        raise _fault("body", f"the columns {', '.join(names)}", "each name once")
    for at, row in enumerate(rows):
        if "" in row:
            raise UnfitError([{"row": at, "field": "row", "got": "more values than columns", "expected": f"{len(names)} values"}])
    return rows


def _fault(field: str, got: str, expected: str) -> UnfitError:
    return UnfitError([{"field": field, "got": got, "expected": expected}])
