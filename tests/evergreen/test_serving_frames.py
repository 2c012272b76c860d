"""Rows on their way to a model come out with the types and values that it was trained with."""

import datetime as dt
from typing import Any

import msgpack
import pandas as pd
import pytest

from evergreen.errors import ModelError
from evergreen.serving.frames import Framer, plain_columns

TIMES = pd.to_datetime(["2026-01-02 03:04:05.123456", None])
FRAME = pd.DataFrame(
    {
        **{dtype: pd.Series([1, 0], dtype=dtype) for dtype in ("int8", "uint8", "int64", "uint64", "float32", "bool")},
        **{dtype: pd.Series([1, None], dtype=dtype) for dtype in ("Int64", "UInt8", "Float64", "boolean")},
        "edge": pd.Series([2**64 - 1, 0], dtype="uint64"),
        "number": [0.1, None],
        "text": pd.Series(["é", None], dtype="str"),
        "kind": pd.Categorical(["b", None], categories=["a", "b"], ordered=True),
        "object": pd.Series([True, None], dtype=object),
        "naive": TIMES,
        "zoned": TIMES.tz_localize("UTC").tz_convert("Europe/Berlin"),
        "coarse": TIMES.astype("datetime64[s]"),
        "fine": TIMES.astype("datetime64[ns]") + pd.Timedelta(1, "ns"),
    }
)


def test_a_frame_comes_back_as_it_was_after_it_has_travelled():
    travelled = msgpack.unpackb(msgpack.packb(plain_columns(FRAME)))
    pd.testing.assert_frame_equal(Framer(FRAME).frame(travelled), FRAME, check_exact=True)


def test_a_time_with_another_offset_is_the_same_moment():
    framed = Framer(FRAME[["zoned"]]).frame({"zoned": ["2026-01-02T05:04:05.123456+02:00", None]})
    pd.testing.assert_frame_equal(framed, FRAME[["zoned"]])


@pytest.mark.parametrize(("value", "is_known"), [("a", True), (None, True), ("c", False)])
def test_what_is_no_category_is_refused_and_not_made_a_missing_value(value: Any, is_known: bool):
    framer = Framer(FRAME[["kind"]])
    if is_known:
        assert framer.frame({"kind": [value]})["kind"].astype(object).where(lambda x: x.notna(), None).tolist() == [value]
    else:
        with pytest.raises(ModelError, match="kind: 'c' is none of the 2 categories"):
            framer.frame({"kind": [value]})


@pytest.mark.parametrize("value", [dt.date(2026, 1, 2), dt.timedelta(0), (1,)])
def test_a_value_that_no_request_can_have_is_told(value: Any):
    with pytest.raises(ModelError, match=f"The feature odd has values of the kind .*{type(value).__name__}"):
        plain_columns(pd.DataFrame({"odd": pd.Series([value], dtype=object)}))
