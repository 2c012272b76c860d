"""What a version may be asked: the fields of a row, how a request is checked against them, and how they are told to people."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import AwareDatetime, ConfigDict, Field, NaiveDatetime, StringConstraints, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, from_json, to_json
from typing_extensions import TypedDict  # before 3.12 pydantic does not take Python's own

from evergreen.columns import Column

MAX_FAULTS = 100
"""So many faults of one request are listed; of the others it is told how many there are."""
MAX_TEXT = 10_000
"""Characters of one text."""
SHOWN = 80
"""Characters of a wrong value that are repeated."""


class UnfitError(Exception):
    """A request that cannot be answered, with all that is wrong with it."""

    def __init__(self, faults: Sequence[dict[str, Any]], more: int = 0) -> None:
        super().__init__(f"{len(faults) + more} faults")
        self.faults = list(faults)
        """Each with `field`, `got`, `expected`, and where there are several rows `row`, from 0."""
        self.more = more


@dataclass
class Asked:
    """Rows that are to be predicted, column by column."""

    columns: dict[str, list[Any]]
    entities: list[Any]
    """The key of each row; None where the request gave none."""
    is_single: bool
    """Whether the request was one row, not a list of rows."""

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.entities)


class Schema:
    """The fields of one row: a model's features, and as a field that may be left out the key of the thing to predict.

    Parameters
    ----------
    columns
        The model's features, in their order.
    key
        The contract's key column.
    max_rows
        So many rows may be asked for at once.
    """

    def __init__(self, columns: Sequence[Column], key: str, *, max_rows: int) -> None:
        self.columns = tuple(columns)
        self.key = key
        self.max_rows = max_rows
        self.names = [column.name for column in columns]
        self._times = [column.name for column in columns if column.kind == "time"]
        fields: dict[str, Any] = {column.name: _type_of(column) for column in columns}
        if key not in fields:
            fields[key] = NotRequired[Annotated[int | str | None, Field(description="The key of the thing to predict; it is logged.")]]
        row: Any = with_config(ConfigDict(extra="forbid", strict=True))(TypedDict("Row", fields))  # type: ignore[operator]
        self._one: TypeAdapter[dict[str, Any]] = TypeAdapter(row)
        self._many: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[row])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and (self.columns, self.key, self.max_rows) == (other.columns, other.key, other.max_rows)

    def __hash__(self) -> int:
        return hash((self.columns, self.key, self.max_rows))

    def read(self, body: bytes) -> Asked:
        """Check the JSON of one row or of a list of rows.

        Raises
        ------
        UnfitError
            Something is wrong with it.
        """
        is_many = body.lstrip(b" \t\r\n")[:1] == b"["
        try:
            rows = self._many.validate_json(body) if is_many else [self._one.validate_json(body)]
        except ValidationError as error:
            raise self._unfit(error, is_many=is_many) from None
        return self._asked(rows, is_single=not is_many)

    def read_rows(self, rows: Sequence[Any]) -> Asked:
        """Check rows that came in another form, as Python's own values.

        Raises
        ------
        UnfitError
            Something is wrong with them.
        """
        try:
            return self._asked(self._many.validate_json(to_json(list(rows), inf_nan_mode="constants")), is_single=False)
        except ValidationError as error:
            raise self._unfit(error, is_many=True) from None

    def read_texts(self, rows: Sequence[dict[str, str]]) -> Asked:
        """Check rows whose values are all texts, as a CSV file has them; an empty text is a missing value.

        Raises
        ------
        UnfitError
            Something is wrong with them.
        """
        try:
            texts = to_json([self._with_nulls(row) for row in rows])
            return self._asked(self._many.validate_json(texts, strict=False), is_single=False)
        except ValidationError as error:
            raise self._unfit(error, is_many=True) from None

    def document(self) -> dict[str, Any]:
        """The JSON schema of one row."""
        return self._one.json_schema(ref_template="#/components/schemas/{model}")

    def _asked(self, rows: list[dict[str, Any]], *, is_single: bool) -> Asked:
        if not 1 <= len(rows) <= self.max_rows:
            got, expected = f"{len(rows)} rows", f"1 to {self.max_rows} rows in one request"
            raise UnfitError([{"field": "rows", "got": got, "expected": expected}])
        columns = {name: [row[name] for row in rows] for name in self.names}
        for name in self._times:
            columns[name] = [None if value is None else value.isoformat() for value in columns[name]]
        return Asked(columns, [row.get(self.key) for row in rows], is_single)

    def _with_nulls(self, row: dict[str, str]) -> dict[str, Any]:
        nullable = {column.name for column in self.columns if column.nullable} | {self.key}
        return {name: None if value == "" and name in nullable else value for name, value in row.items()}

    def _unfit(self, error: ValidationError, *, is_many: bool) -> UnfitError:
        found = error.errors(include_url=False, include_context=False)
        told: dict[tuple[Any, ...], dict[str, Any]] = {}
        for fault in found:
            told.setdefault(fault["loc"][: 1 + is_many], self._fault(fault, is_many=is_many))
        listed = list(told.values())
        return UnfitError(listed[:MAX_FAULTS], max(len(listed) - MAX_FAULTS, 0))

    def _fault(self, fault: ErrorDetails, *, is_many: bool) -> dict[str, Any]:
        """One thing that is wrong, in the words of people who know the columns and not pydantic."""
        place = fault["loc"]
        row = {"row": place[0]} if is_many and place else {}
        if fault["type"] == "json_invalid":
            return {"field": "body", "got": fault["msg"], "expected": "JSON in UTF-8: one row as an object, or a list of rows"}
        if len(place) <= is_many:
            return {
                **row,
                "field": "row" if row else "body",
                "got": shown(fault["input"]),
                "expected": "an object with a value for each field",
            }
        name = str(place[is_many])
        got = "nothing" if fault["type"] == "missing" else shown(fault["input"])
        if fault["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, self.names, n=1)
            fields = f"is {near[0]} meant?" if near else f"the fields are {', '.join(self.names)}"
            return {**row, "field": shorten(name), "got": got, "expected": f"no such field; {fields}"}
        known = {column.name: column for column in self.columns}
        expected = expectation(known[name]) if name in known else "a text, a whole number or null"
        return {**row, "field": name, "got": got, "expected": expected}


def expectation(column: Column) -> str:
    """What a value of a column must be, in words."""
    words = {
        "integer": "a whole number from {} to {}".format(*_bounds(column)) if column.kind == "integer" else "",
        "number": "a finite number",
        "boolean": "true or false",
        "text": f"a text of at most {MAX_TEXT} characters",
        "time": f"a time in ISO 8601 {'with' if ',' in column.dtype else 'without'} its offset from UTC",
    }
    return words[column.kind] + (" or null" if column.nullable else "")


def read_json(body: bytes) -> Any:
    """Parse JSON of any form.

    Raises
    ------
    UnfitError
        It is none.
    """
    try:
        return from_json(body, allow_inf_nan=True)
    except ValueError as error:
        raise UnfitError([{"field": "body", "got": str(error), "expected": "JSON in UTF-8"}]) from None


def shown(value: Any) -> str:
    """A wrong value as it is repeated to whoever sent it: short, in JSON."""
    try:
        return shorten(json.dumps(value, default=str, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "something that cannot be shown"


def shorten(text: str) -> str:
    """At most `SHOWN` characters of a text."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _type_of(column: Column) -> Any:
    """The pydantic type of a column's values, and what the document says of it."""
    told = Field(description=_description(column), examples=list(column.categories[:3]) or None)
    if column.kind == "integer":
        low, high = _bounds(column)
        kind: Any = Annotated[int, Field(ge=low, le=high)]
    elif column.kind == "number":
        kind = Annotated[float, Field(allow_inf_nan=False)]
    elif column.kind == "boolean":
        kind = bool
    elif column.kind == "time":
        kind = AwareDatetime if "," in column.dtype else NaiveDatetime
    else:
        kind = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
    return Annotated[kind | None if column.nullable else kind, told]


def _description(column: Column) -> str:
    seen = ""
    if column.categories:
        seen = f"In training: {', '.join(column.categories)}."
    elif column.low is not None:
        seen = f"In training: {column.low:g} to {column.high:g}."
    return f"{expectation(column).capitalize()}. {seen}".strip()


def _bounds(column: Column) -> tuple[int, int]:
    """The least and the greatest whole number that the column's type can hold."""
    try:
        limits = np.iinfo(column.dtype.lower())
    except (TypeError, ValueError):
        limits = np.iinfo("int64")
    return int(limits.min), int(limits.max)
