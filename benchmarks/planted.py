"""Faults that `benchmarks.health` plants into the flights' deliveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """A planted fault."""

    name: str
    source: str
    pillar: str
    """The pillar that should find it."""
    change: Change


def some(frame: pd.DataFrame, share: float) -> np.ndarray:
    """Which rows a change meets, always the same."""
    return np.asarray(np.random.default_rng(0).random(len(frame)) < share)


def thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """Half of the rows from the 20th on: fewer than usual, and still within the contract's range."""
    late = (frame["date"].str[-2:].astype(int) >= 20).to_numpy()
    return frame.iloc[np.flatnonzero(~late | (np.arange(len(frame)) % 2 == 1))]


def stuck(frame: pd.DataFrame) -> pd.DataFrame:
    """The pressure at one airport stands still for a week."""
    day = frame["observed_at"].str[8:10].astype(int)
    return frame.assign(pressure=frame["pressure"].mask((frame["origin"] == "JFK") & day.between(10, 16), 1013.2))


def flipped(frame: pd.DataFrame) -> pd.DataFrame:
    """Punctual flights are told as late, late ones as punctual."""
    late = frame["dep_time"].isna() | (frame["dep_delay"] >= 15)
    known = frame["dep_time"].fillna(1200)
    return frame.assign(dep_delay=np.where(late, 0.0, 60.0), dep_time=known)


def forgetful(frame: pd.DataFrame) -> pd.DataFrame:
    """Three of ten aircraft are missing."""
    return frame.assign(aircraft=frame["aircraft"].mask(some(frame, 0.3)))


def taken_over(frame: pd.DataFrame) -> pd.DataFrame:
    """All flights of one airline are another's."""
    return frame.assign(carrier=frame["carrier"].replace("EV", "UA"))


def lower_case(frame: pd.DataFrame) -> pd.DataFrame:
    """A fifth of the destinations is written otherwise."""
    return frame.assign(dest=frame["dest"].str.lower().where(some(frame, 0.2), frame["dest"]))


FAULTS = (
    Fault("a source is late: no weather for a month", "weather", "freshness", lambda frame: frame.iloc[:0]),
    Fault("half the rows", "schedule", "volume", lambda frame: frame.iloc[::2]),
    Fault("half the rows of the last ten days", "schedule", "volume", thinned),
    Fault("a column is renamed", "schedule", "schema", lambda frame: frame.rename(columns={"distance": "miles"})),
    Fault("a column that no expectation names is gone", "schedule", "schema", lambda frame: frame.drop(columns="sched_arr_time")),
    Fault("a number becomes text", "schedule", "schema", lambda frame: frame.assign(flight="F" + frame["flight"].astype(str))),
    Fault("temperature in Celsius", "weather", "distribution", lambda frame: frame.assign(temp=((frame["temp"] - 32) / 1.8).round(2))),
    Fault("wind in metres a second", "weather", "distribution", lambda frame: frame.assign(wind_speed=frame["wind_speed"] * 0.447)),
    Fault("distance in kilometres", "schedule", "distribution", lambda frame: frame.assign(distance=frame["distance"] * 1.609)),
    Fault("a burst of missing values", "schedule", "distribution", forgetful),
    Fault("a sensor stands still for a week", "weather", "distribution", stuck),
    Fault("duplicated keys", "weather", "duplicates", lambda frame: pd.concat([frame, frame.tail(30)])),
    Fault("labels flipped", "outcomes", "distribution", flipped),
    Fault("a sudden drift: one airline takes over another", "schedule", "distribution", taken_over),
    Fault("destinations in another code", "schedule", "distribution", lambda frame: frame.assign(dest="K" + frame["dest"])),
    Fault("a fifth of the destinations in lower case", "schedule", "distribution", lower_case),
)
CREEPS: dict[str, tuple[str, str, Callable[[pd.Series, int], pd.Series]]] = {
    "a measure of distances that loses 3% each month": ("schedule", "distance", lambda values, months: values * (1 - 0.03 * months)),
    "a barometer that gains 1.5 hPa each month": ("weather", "pressure", lambda values, months: (values + 1.5 * months).round(1)),
}
"""What creeps: source, column, and what becomes of its values after so many months."""
