"""How deliveries are read, what counts, what an error costs, and what the drivers do today."""

from pathlib import Path

import holidays
import numpy as np
import pandas as pd

TOO_FEW, TOO_MANY = 2.0, 0.5  # EUR for each bike that is missing, and for each that stands there for nothing


def read_stations(path: Path) -> pd.DataFrame:
    """Read one delivery of station days with their weather forecast; `at` is the midnight they begin with."""
    rows = pd.read_csv(path, dtype={"station_day": "str", "station": "str", "degrees": "float64"}, parse_dates=["at"])
    free = holidays.country_holidays("DE", years=sorted(set(rows["at"].dt.year)))
    return rows.assign(weekday=rows["at"].dt.day_of_week, holiday=[day in free for day in rows["at"].dt.date])


def read_hires(path: Path) -> pd.DataFrame:
    """Read one delivery of what was hired."""
    return pd.read_csv(path, dtype={"station_day": "str"}, parse_dates=["at"])


def bikes_hired(hires: pd.DataFrame) -> pd.Series:
    """Bikes that were hired."""
    return hires["bikes"].astype("float64")


def forty_bikes(rows: pd.DataFrame) -> pd.Series:
    """What the drivers do today."""
    return pd.Series(40.0, index=rows.index)


def price_of_error(rows: pd.DataFrame, y_true: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """EUR for the bikes that were too few or too many."""
    missing = y_true - decision
    costs: np.ndarray = np.where(missing > 0, TOO_FEW * missing, -TOO_MANY * missing)
    return costs
