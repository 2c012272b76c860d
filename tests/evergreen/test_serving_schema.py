"""Which rows are taken, which are refused, and in which words."""

import json
import time
from typing import Any

import msgpack
import pytest

from evergreen.columns import Column
from evergreen.serving.schema import Schema
from evergreen.serving.unfit import MAX_FAULTS, MAX_KEY, UnfitError

COLUMNS = [
    Column("small", "integer", "int8", nullable=False),
    Column("natural", "integer", "UInt8", nullable=True),
    Column("share", "number", "float32", nullable=True),
    Column("word", "text", "str", nullable=False),
    Column("is_new", "boolean", "bool", nullable=False),
    Column("at", "time", "datetime64[us]", nullable=False),
    Column("moment", "time", "datetime64[us, UTC]", nullable=True),
]
SCHEMA = Schema(COLUMNS, "id", max_rows=1_000)
GOOD: dict[str, Any] = {
    **{"small": 1, "natural": 2, "share": 0.5, "word": "a", "is_new": True},
    **{"at": "2026-01-02T03:04:05", "moment": "2026-01-02T03:04:05+01:00"},
}


def body(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}, ensure_ascii=False).encode()


def faults(sent: bytes, schema: Schema = SCHEMA) -> list[dict[str, Any]]:
    with pytest.raises(UnfitError) as caught:
        schema.read(sent)
    return caught.value.faults


@pytest.mark.parametrize(
    "change",
    [
        *({"small": value} for value in (-128, 127)),
        *({"natural": value} for value in (0, 255, None)),
        *({"share": value} for value in (3.4e38, 1, None)),
        {"word": "😀"},
        *({"at": value} for value in ("2026-01-02", "2026-01-02 03:04", "2024-02-29T00:00:00.123456789")),
        *({"moment": value} for value in ("2026-01-02T03:04:05Z", None)),
        *({"id": value} for value in (2**63 - 1, -(2**63), "k" * MAX_KEY, None)),
    ],
)
def test_what_a_column_can_hold_is_taken_as_it_is(change: dict[str, Any]):
    asked = SCHEMA.read(body(**change))
    ((name, value),) = change.items()
    assert (asked.entities[0] if name == "id" else asked.columns[name][0]) == value
    assert msgpack.unpackb(msgpack.packb(asked.columns)) == asked.columns


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        *(({"small": value}, "a whole number from -128 to 127") for value in (-129, 128, 10**40, True, "1", 1.5, None)),
        *(({"natural": value}, "a whole number from 0 to 255, or null") for value in (-1, 256)),
        *(({"share": value}, "a finite number from -3.40282e+38 to 3.40282e+38, or null") for value in (3.5e38, float("nan"), 10**400)),
        *(({"word": value}, "a text of at most 10000 characters, none of them NUL") for value in ("a\0", "a" * 10_001, 5, None)),
        *(({"is_new": value}, "true or false") for value in (1, "true", None)),
        *(
            ({"at": value}, "a time in ISO 8601 without its offset from UTC")
            for value in ("2026-02-30T00:00:00", "2026-01-02T03:04:05Z", "20260102", 1767322800, "x", None)
        ),
        *(
            ({"moment": value}, "a time in ISO 8601 with its offset from UTC, or null")
            for value in ("1767322800", "20260102", 1767322800, "2026-01-02T03:04:05", "2026-01-02")
        ),
        *(
            ({"id": value}, "a text of at most 500 characters, none of them NUL, a whole number of at most 64 bits, or null")
            for value in (2**63, -(2**63) - 1, "a\0b", "k" * (MAX_KEY + 1), 1.5, True)
        ),
    ],
)
def test_what_a_column_cannot_hold_or_the_log_not_keep_is_refused(change: dict[str, Any], expected: str):
    (fault,) = faults(body(**change))
    assert (fault["field"], fault["expected"]) == (next(iter(change)), expected)


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"[", b"\xef\xbb\xbf" + body(), body().decode().encode("utf-16"), b"[" * 500_000),
        *(b'{"word":"\\ud800"}', b'{"word":"\xed\xa0\x80"}', b'{"small":' + b"1" * 5_000 + b"}"),
    ],
)
def test_what_is_no_json_is_refused_as_such(sent: bytes):
    (fault,) = faults(sent)
    assert fault["field"] == "body"
    assert fault["got"].startswith("no JSON: ")


@pytest.mark.parametrize("twice", [b'{"small":5,', b'{"sm\\u0061ll" :5,', b'{"id":1, "id":2,'])
def test_a_field_that_is_there_twice_is_refused(twice: bytes):
    sent = twice + body()[1:]
    assert [fault["got"] for fault in faults(sent)] == ["a field that is there twice in one object"]
    assert faults(b"[" + body() + b"," + sent + b"]") == faults(sent)


def test_colons_and_quotes_in_texts_are_no_fields():
    for word in ('a:"b":', '\\":{', "é:\\\\"):
        assert SCHEMA.read(body(word=word)).columns["word"] == [word]


@pytest.mark.parametrize(
    "sent",
    [
        *(
            b"[" + b"{}," * 300_000 + b"{}]",
            b"[" + b"1," * 500_000 + b"1]",
            b"[" + b"{}," * 999 + b"{}]",
            b'{"' + b"k" * 1_000_000 + b'":1}',
        ),
        b"{" + b",".join(b'"k%d":1' % at for at in range(90_000)) + b"}",
        b"[" + b",".join(b"{" + b",".join(b'"k%d":1' % at for at in range(90)) + b"}" for _ in range(1_000)) + b"]",
    ],
)
def test_a_request_of_very_many_faults_holds_up_nobody(sent: bytes):
    began = time.process_time()
    assert 1 <= len(faults(sent)) <= MAX_FAULTS
    assert time.process_time() - began < 5  # it was half a minute


@pytest.mark.parametrize(("rows", "more"), [(14, False), (15, True)])
def test_so_many_faults_are_listed_and_more_are_told_of(rows: int, more: bool):
    with pytest.raises(UnfitError) as caught:
        SCHEMA.read(b"[" + b",".join([b"{}"] * rows) + b"]")
    assert (len(caught.value.faults), caught.value.has_more) == (min(7 * rows, MAX_FAULTS), more)


def test_each_row_and_field_is_told_once_and_a_near_name_is_named():
    sent = json.dumps([GOOD, {**GOOD, "smalls": 1, "id": 1.5}, 7]).encode()
    told = [(one["row"], one["field"], one["got"]) for one in faults(sent)]
    assert told == [(1, "id", "1.5"), (1, "smalls", "1"), (2, "row", "7")]
    assert faults(sent)[1]["expected"] == "no such field; is small meant?"


@pytest.mark.parametrize(("rows", "is_taken"), [(0, False), (1, True), (3, True), (4, False)])
def test_there_are_neither_too_many_rows_nor_none(rows: int, is_taken: bool):
    schema = Schema(COLUMNS, "id", max_rows=3)
    sent = b"[" + b",".join([body()] * rows) + b"]"
    if is_taken:
        assert schema.read(sent).rows == rows
    else:
        assert faults(sent, schema) == [{"field": "rows", "got": f"{rows} rows", "expected": "1 to 3 rows in one request"}]


def test_a_key_that_is_a_feature_is_both():
    for name, value in (("at", "2026-01-02T03:04:05"), ("small", 1), ("word", "a")):
        asked = Schema(COLUMNS, name, max_rows=5).read(b"[%s]" % body())
        assert (asked.entities, asked.columns[name], asked.is_single) == ([value], [value], False)
        assert msgpack.unpackb(msgpack.packb(asked.entities)) == [value]


def test_the_document_says_the_limits():
    told = SCHEMA.document()["properties"]
    assert (told["small"]["minimum"], told["small"]["maximum"]) == (-128, 127)
    assert told["at"]["description"] == "A time in ISO 8601 without its offset from UTC."
    assert "format" not in told["at"]  # date-time is one with an offset
    assert told["moment"]["anyOf"][0]["format"] == "date-time"
