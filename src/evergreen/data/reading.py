"""One delivered file as a tidy frame, or the sentence that says why it cannot be one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from evergreen.errors import ContractError, DataError
from evergreen.policies import Source
from evergreen.quoting import quoted

TEXT = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
OFFSET = r":\d{2}(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})$"
"""What a time ends with that says where it was told; a date such as 2026-03-28 ends with none."""
MANY = 3
"""So many offsets are shown."""


def read_delivery(path: Path, source: Source) -> pd.DataFrame:
    """Read a file with the source's reader; times in UTC, rows in order of time and key.

    Raises
    ------
    DataError
        The file is empty, cut off or cannot be read, or its key or time cannot be used; the message completes "the delivery ...".
    OSError
        The system does not let us read it: that is not the file's fault.
    ContractError
        The reader itself is broken.
    """
    _check_bytes(path)
    frame = _read(path, source)
    if frame.empty:
        raise DataError("is empty: it has no rows")
    if faults := list(_faults(frame, source)):
        raise DataError("; ".join(faults))
    return _tidy(frame, source)


def _check_bytes(path: Path) -> None:
    if path.stat().st_size == 0:
        raise DataError("is empty: it has no bytes")
    if path.name.lower().endswith(TEXT):
        with path.open("rb") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                raise DataError("is cut off: the last line has no end; a complete file ends with a line break")


def _read(path: Path, source: Source) -> pd.DataFrame:
    try:
        frame = source.read(path)
    except (MemoryError, ImportError) as error:
        raise ContractError(f"The reader of {source.name!r} cannot work on this machine: {error!r}. Nothing was judged.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(_unreadable(error)) from error  # broken gzip and parquet files are told like this
    except Exception as error:
        raise DataError(_unreadable(error)) from error
    if not isinstance(frame, pd.DataFrame):
        raise ContractError(f"The reader of {source.name!r} returned {type(frame).__name__}; expected a pandas DataFrame.")
    return frame


def _unreadable(error: Exception) -> str:
    return f"cannot be read: {type(error).__name__}: {quoted(' '.join(str(error).split())[:300])}"


def _faults(frame: pd.DataFrame, source: Source) -> Iterator[str]:
    columns = quoted(", ".join(f"`{column}`" for column in frame.columns))  # of a file without a header they are its first row
    if doubled := sorted({str(column) for column in frame.columns[frame.columns.duplicated()]}):
        yield f"has more than one column {quoted(', '.join(f'`{name}`' for name in doubled))}"
        return
    needed = dict.fromkeys([*source.key, *([source.time] if source.time else [])])
    if absent := [column for column in needed if column not in frame.columns]:
        yield f"lacks `{'`, `'.join(absent)}`, which name{'s' if len(absent) == 1 else ''} its rows; it has the columns {columns}"
    elif source.time:
        time = frame[source.time]
        if not isinstance(time.dtype, pd.DatetimeTZDtype):
            yield _why_no_zone(time)
        elif missing := int(time.isna().sum()):
            yield f"lacks `{source.time}` in {missing:,} of {len(time):,} rows"


def _why_no_zone(time: pd.Series) -> str:
    """Times whose offsets differ, as local ones do once the clocks have changed, are left as text by pandas."""
    offsets = sorted(set(time.dropna().astype("str").str.extract(OFFSET, expand=False).dropna()))
    if len(offsets) > 1 and not pd.api.types.is_datetime64_dtype(time.dtype):
        found = quoted(", ".join(offsets[:MANY]))
        return (
            f"has times with different offsets in `{time.name}` ({found}): have the reader make them UTC, by pd.to_datetime(..., utc=True)"
        )
    return f"has no time zone in `{time.name}`: got {time.dtype}; expected times such as 2026-01-31T23:00:00Z"


def _tidy(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    zoned = [name for name in frame.columns if isinstance(frame[name].dtype, pd.DatetimeTZDtype)]
    order = [*([source.time] if source.time else []), *(name for name in source.key if name != source.time)]
    try:
        tidy = frame.assign(**{name: frame[name].dt.tz_convert("UTC") for name in zoned})
        return tidy.sort_values(order, kind="stable", ignore_index=True)
    except TypeError as error:
        raise DataError(f"cannot be put in order by `{'`, `'.join(order)}`: {quoted(error)}") from error
