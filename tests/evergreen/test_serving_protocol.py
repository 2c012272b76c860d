"""MLflow's forms of a request, as they should be and as they should not."""

import json
import time
from typing import Any

import pytest

from evergreen.columns import Column
from evergreen.serving.protocol import read_invocation
from evergreen.serving.schema import Schema
from evergreen.serving.unfit import UnfitError

COLUMNS = [
    *(Column("a", "integer", "int64", nullable=False), Column("x", "number", "float64", nullable=True)),
    *(Column("t", "text", "str", nullable=True), Column("z", "time", "datetime64[us, UTC]", nullable=True)),
]
SCHEMA = Schema(COLUMNS, "id", max_rows=3)
ROW = {"a": 1, "x": 2.5, "t": "u", "z": None}
HEAD = "a,x,t,z\n"


def read(sent: Any, kind: str = "application/json") -> Any:
    return read_invocation(SCHEMA, sent if isinstance(sent, bytes) else json.dumps(sent).encode(), kind=kind)


def fault(sent: Any, kind: str = "application/json") -> dict[str, Any]:
    with pytest.raises(UnfitError) as caught:
        read(sent, kind)
    return caught.value.faults[0]


@pytest.mark.parametrize(
    "sent",
    [
        *({form: [ROW, ROW]} for form in ("dataframe_records", "instances", "inputs")),
        {"inputs": {name: [value, value] for name, value in ROW.items()}},
        {"dataframe_split": {"index": [7, 8], "columns": list(ROW), "data": [list(ROW.values())] * 2}},
        {"instances": [ROW, ROW], "params": {}},
    ],
)
def test_each_form_gives_the_same_rows(sent: Any):
    asked = read(sent)
    assert (asked.columns, asked.is_single) == ({name: [value, value] for name, value in ROW.items()}, False)


@pytest.mark.parametrize(
    ("sent", "field", "got"),
    [
        ([ROW], "body", "["),
        ({}, "body", "the keys "),
        ({"instances": [ROW], "inputs": [ROW]}, "body", 'the keys "instances", "inputs"'),
        ({"instances": [ROW], "b": 1}, "body", 'beside instances the keys "b"'),
        ({"instances": [ROW], "params": {"a": 1}}, "params", '{"a": 1}'),
        ({"instances": [ROW], "params": 0}, "params", "0"),
        ({"instances": ROW}, "instances", "{"),
        ({"instances": []}, "rows", "0 rows"),
        ({"instances": [ROW] * 4}, "rows", "4 rows"),
        ({"inputs": {}}, "rows", "0 rows"),
        ({"inputs": {"a": [1, 2], "x": [1]}}, "inputs", "a: 2, x: 1"),
        ({"dataframe_split": {"columns": ["a"]}}, "dataframe_split", "{"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "dataframe_split.columns", '["a", "a"]'),
        ({"dataframe_split": {"columns": ["a", "x"], "data": [[1]]}}, "dataframe_split.data[0]", "[1]"),
        (b'{"instances":[{"t":"\\ud800"}]}', "body", "no JSON: "),
        (b'{"instances":[],"instances":[%s]}' % json.dumps(ROW).encode(), "body", "a field that is there twice"),
        (b'{"instances":[{"a":2,%s]}' % json.dumps(ROW).encode()[1:], "body", "a field that is there twice"),
    ],
)
def test_what_is_no_form_is_refused(sent: Any, field: str, got: str):
    told = fault(sent)
    assert told["field"] == field
    assert told["got"].startswith(got)


def test_csv_is_read_with_or_without_a_mark_and_an_empty_text_is_missing():
    sent = (HEAD + '1,2.5,u_1,\n2,,"a ""b"", c",2026-01-02T03:04:05Z\n').encode()
    for mark in (b"", b"\xef\xbb\xbf"):
        asked = read(mark + sent, "text/csv")
        assert asked.columns == {"a": [1, 2], "x": [2.5, None], "t": ["u_1", 'a "b", c'], "z": [None, "2026-01-02T03:04:05Z"]}


@pytest.mark.parametrize(
    ("sent", "field", "got"),
    [
        (b"", "rows", "0 rows"),
        (HEAD.encode() + b"1,1,u,\n" * 4, "rows", "4 rows"),
        (HEAD.encode() + b"1,1,u", "row", "3 values"),  # none is filled in
        (HEAD.encode() + b"1,1,u,,5", "row", "5 values"),
        (b"a,x,t,z,\n1,1,u,,5", "", '"5"'),
        (b"a,x,t,a\n1,1,u,1", "body", 'the columns "a", "x", "t", "a"'),
        (HEAD.encode() + b"1,1,u,20260102", "z", '"20260102"'),
        (HEAD.encode() + b"1,nan,u,", "x", '"nan"'),
        (HEAD.encode() + b",1,u,", "a", '""'),
        (HEAD.encode() + b"1_0,1,u,", "a", '"1_0 (with _)"'),
        (HEAD.encode() + b"1,1_0.5,u,", "x", '"1_0.5 (with _)"'),
        (HEAD.encode() + b"1,1,\xe9,", "body", "'utf-8' codec"),
        (HEAD.encode() + b'1,1,"' + b"u" * 140_000, "body", "field larger"),
    ],
)
def test_csv_that_is_not_as_it_should_be_is_refused(sent: bytes, field: str, got: str):
    told = fault(sent, "text/csv")
    assert told["field"] == field
    assert told["got"].startswith(got)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b'{"instances":[' + b"{}," * 300_000 + b"{}]}", "application/json"),
        (b'{"dataframe_split":{"columns":[],"data":[' + b"[]," * 300_000 + b"[]]}}", "application/json"),
        (b'{"inputs":{"a":[' + b"1," * 500_000 + b"1]}}", "application/json"),
        (b"{" + b",".join(b'"k%d":1' % at for at in range(90_000)) + b"}", "application/json"),
        (b"a\n" + b"1\n" * 500_000, "text/csv"),
        (b"a" + b",b" * 500_000, "text/csv"),
    ],
)
def test_a_request_far_beyond_the_limits_holds_up_nobody_and_gets_a_short_answer(sent: bytes, kind: str):
    began = time.process_time()
    assert len(json.dumps(fault(sent, kind))) < 500
    assert time.process_time() - began < 5  # it was half a minute
