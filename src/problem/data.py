"""How the flights' deliveries are read, what counts as late, and the rule of thumb that people use today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

LATE_MINUTES = 15
WARN_FROM = 1500  # local scheduled departure, HHMM


def read_schedule(path: Path) -> pd.DataFrame:
    """Read one month's schedule: a row for each flight, as known two hours before its departure."""
    text = dict.fromkeys(["flight_id", "date", "carrier", "origin", "dest", "aircraft"], "str")
    frame = pd.read_csv(path, dtype=text | {"distance": "float64"}, parse_dates=["scheduled_at"])
    return frame.assign(weekday=pd.to_datetime(frame["date"], format="%Y-%m-%d").dt.day_of_week)


def read_weather(path: Path) -> pd.DataFrame:
    """Read one month's hourly observations at the three airports."""
    return pd.read_csv(path, dtype={"origin": "str"}, parse_dates=["observed_at"]).astype(
        dict.fromkeys(["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"], "float64")
    )


def read_outcomes(path: Path) -> pd.DataFrame:
    """Read what became of one month's flights; a cancelled one has no departure."""
    numbers = dict.fromkeys(["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"], "float64")
    return pd.read_csv(path, dtype={"flight_id": "str", "tailnum": "str"} | numbers, parse_dates=["recorded_at"])


def read_planes(path: Path) -> pd.DataFrame:
    """Read the register of aircraft."""
    text = dict.fromkeys(["tailnum", "type", "manufacturer", "model", "engine"], "str")
    return pd.read_csv(path, dtype=text | dict.fromkeys(["built", "engines", "seats"], "float64"))


def read_airports(path: Path) -> pd.DataFrame:
    """Read the list of airports."""
    return pd.read_csv(path, dtype=dict.fromkeys(["faa", "name", "tzone"], "str") | dict.fromkeys(["lat", "lon", "alt"], "float64"))


def read_airlines(path: Path) -> pd.DataFrame:
    """Read the list of airlines."""
    return pd.read_csv(path, dtype="str").rename(columns={"name": "airline"})


def label_late(outcomes: pd.DataFrame) -> np.ndarray:
    """1 where a flight left at least 15 minutes late or never, else 0; shape (n,)."""
    return (outcomes["dep_time"].isna() | (outcomes["dep_delay"] >= LATE_MINUTES)).to_numpy(dtype=np.int64)


def warn_in_the_afternoon(rows: pd.DataFrame) -> np.ndarray:
    """Rule of thumb: warn (1) for every departure scheduled from 15:00 local time on; shape (n,)."""
    return (rows["sched_dep_time"] >= WARN_FROM).to_numpy(dtype=np.int64)
