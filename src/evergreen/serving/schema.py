"""What a version may be asked: the fields of a row, how a request is checked against them, and how they are told to people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    with_config,
)
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict  # before 3.12 pydantic does not take Python's own

from evergreen.columns import Column
from evergreen.serving.unfit import (
    MAX_FAULTS,
    MAX_KEY,
    MAX_TEXT,
    UnfitError,
    bounds,
    expectation,
    fault_of,
    has_zone,
    is_narrow,
    one_fault,
)

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps no text with a NUL."""
_DAY = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
NAIVE = rf"{_DAY}({_CLOCK})?$"
AWARE = rf"{_DAY}{_CLOCK}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')


@dataclass
class Asked:
    """Rows that are to be predicted, column by column."""

    columns: dict[str, list[Any]]
    """Plain values; a time is its ISO text, as it was sent."""
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
        fields: dict[str, Any] = {column.name: _type_of(column) for column in columns}
        if key not in fields:
            fields[key] = NotRequired[_key_type()]
        row: Any = with_config(ConfigDict(extra="forbid", strict=True))(TypedDict("Row", fields))  # type: ignore[operator]  # its fields are known at run time only
        self._one: TypeAdapter[dict[str, Any]] = TypeAdapter(row)
        # Only whether all is well: what is wrong is looked for apart, and not in more rows than there may be.
        self._many: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(
            Annotated[list[row], Field(min_length=1, max_length=max_rows), FailFast()]
        )

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
        except ValidationError:
            given = read_json(body)
            raise self._unfit(given if is_many else [given], is_many=is_many) from None
        insist_once(body, sum(map(len, rows)))
        return self._asked(rows, is_single=not is_many)

    def read_rows(self, rows: Sequence[Any], *, as_texts: bool = False) -> Asked:
        """Check rows that came in another form, as Python's own values.

        Parameters
        ----------
        as_texts
            Whether all values are texts, as a CSV file has them; an empty text is then a missing value.

        Raises
        ------
        UnfitError
            Something is wrong with them.
        """
        self.insist_on_number(rows)
        given = [self._as_given(row) for row in rows] if as_texts else rows
        strict = False if as_texts else None
        try:
            checked = self._many.validate_json(to_json(given, inf_nan_mode="constants"), strict=strict)
        except ValidationError:
            raise self._unfit(given, is_many=True, strict=strict) from None
        return self._asked(checked, is_single=False)

    def insist_on_number(self, rows: Sequence[Any]) -> None:
        """See that there are neither too many rows nor none, before anybody looks at them.

        Raises
        ------
        UnfitError
            There are.
        """
        if not 1 <= len(rows) <= self.max_rows:
            raise one_fault("rows", f"{len(rows)} rows", f"1 to {self.max_rows} rows in one request")

    def document(self) -> dict[str, Any]:
        """The JSON schema of one row."""
        return self._one.json_schema(ref_template="#/components/schemas/{model}")

    def _asked(self, rows: list[dict[str, Any]], *, is_single: bool) -> Asked:
        if len(rows) == 1:  # most are: half of what the other line takes
            (row,) = rows
            columns = {name: [row[name]] for name in self.names}
        else:
            columns = {name: [row[name] for row in rows] for name in self.names}
        return Asked(columns, [row.get(self.key) for row in rows], is_single)

    def _as_given(self, row: dict[str, str]) -> dict[str, Any]:
        """One line of a CSV file: an empty text may be a missing value, and what only Python takes for a number is none."""
        nullable = {column.name for column in self.columns if column.nullable} | {self.key}
        numbers = {column.name for column in self.columns if column.kind in {"integer", "number"}}
        given: dict[str, Any] = {name: None if value == "" and name in nullable else value for name, value in row.items()}
        return given | {name: f"{row[name]} (with _)" for name in numbers if "_" in row.get(name, "")}

    def _unfit(self, rows: Sequence[Any], *, is_many: bool, strict: bool | None = None) -> UnfitError:
        """All that is wrong, as far as it is listed: row by row, so that a request of many faults costs no more than one of some."""
        try:
            self.insist_on_number(rows)
        except UnfitError as error:
            return error
        told: list[dict[str, Any]] = []
        for at, row in enumerate(rows):
            told += self._faults(row, at=at if is_many else None, strict=strict)
            if len(told) > MAX_FAULTS:
                break
        return UnfitError(told[:MAX_FAULTS], has_more=len(told) > MAX_FAULTS)

    def _faults(self, row: Any, *, at: int | None, strict: bool | None) -> list[dict[str, Any]]:
        """What is wrong with one row, one fault for each field."""
        if isinstance(row, dict) and len(row) > len(self.names) + MAX_FAULTS:
            others = islice((name for name in row if name not in self.names), MAX_FAULTS + 2)
            row = {name: row[name] for name in (*(name for name in self.names if name in row), *others)}
        try:
            self._one.validate_json(to_json(row, inf_nan_mode="constants"), strict=strict)
        except ValidationError as error:
            found: dict[Any, Any] = {}
            for fault in error.errors(include_url=False, include_context=False):
                if fault["loc"][:1] not in found:
                    found[fault["loc"][:1]] = fault_of(fault, self.columns, row=at)
            return list(found.values())
        return []


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
        raise one_fault("body", f"no JSON: {error}", "JSON in UTF-8") from None


def insist_once(body: bytes, fields: int) -> None:
    """See that a JSON text, which is sound, names no more fields than were read from it: of a field that is there twice one would be lost.

    Raises
    ------
    UnfitError
        One is there twice.
    """
    if body.count(b":") != fields and _STRING.sub(b"", body).count(b":") != fields:
        raise one_fault("body", "a field that is there twice in one object", "each field once")


def _key_type() -> Any:
    # What the log can keep: msgpack has 64 bits, and PostgreSQL no NUL.
    number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    text = Annotated[str, StringConstraints(max_length=MAX_KEY, pattern=NO_NUL)]
    return Annotated[number | text | None, Field(description="The key of the thing to predict; it is logged.")]


def _type_of(column: Column) -> Any:
    """The pydantic type of a column's values, and what the document says of it."""
    told = Field(description=_description(column), examples=list(column.categories[:3]) or None)
    low, high = bounds(column)
    if column.kind == "integer":
        kind: Any = Annotated[int, Field(ge=low, le=high)]
    elif column.kind == "number":
        kind = Annotated[float, Field(allow_inf_nan=False, **({"ge": low, "le": high} if is_narrow(column) else {}))]
    elif column.kind == "boolean":
        kind = bool
    elif column.kind == "time":
        kind = _time_type(has_zone=has_zone(column))
    else:
        kind = Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=NO_NUL)]
    return Annotated[kind | None if column.nullable else kind, told]


def _time_type(*, has_zone: bool) -> Any:
    """A time as its text: pydantic's own would take a number in quotes for seconds since 1970."""
    pattern = AWARE if has_zone else NAIVE
    told = {"type": "string", "pattern": pattern, **({"format": "date-time"} if has_zone else {})}
    return Annotated[str, StringConstraints(pattern=pattern), AfterValidator(_sound_time), WithJsonSchema(told)]


def _sound_time(text: str) -> str:
    datetime.fromisoformat(text)  # 30 February
    return text


def _description(column: Column) -> str:
    told = expectation(column)
    seen = ""
    if column.categories:
        seen = f" In training: {', '.join(column.categories)}."
    elif column.low is not None:
        seen = f" In training: {column.low:g} to {column.high:g}."
    return f"{told[0].upper()}{told[1:]}.{seen}"
