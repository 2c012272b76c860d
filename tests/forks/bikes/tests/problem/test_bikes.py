"""The bikes' own tests: deliveries are read as they arrive, and the whole problem passes the check."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from problem import data


def delivered(landing: Path, *, days: int = 120) -> tuple[Path, Path]:
    """Four months of two stations, from Christmas on."""
    rng = np.random.default_rng(7)
    at = pd.date_range("2025-12-20", periods=days, tz="UTC").repeat(2)
    station = np.tile(["harbour", "market"], days)
    degrees = rng.normal(10, 6, 2 * days).round(1)
    rows = pd.DataFrame({"station_day": [f"d{number}" for number in range(2 * days)], "at": at, "station": station, "degrees": degrees})
    bikes = rng.poisson(np.clip(np.where(station == "market", 60, 20) + 2 * degrees, 1, None))
    outcomes = rows[["station_day"]].assign(at=at + pd.Timedelta(days=1), bikes=bikes)
    files = landing / "stations" / "winter.csv", landing / "hires" / "winter.csv"
    for file, frame in zip(files, (rows, outcomes), strict=True):
        file.parent.mkdir(parents=True)
        frame.to_csv(file, index=False)
    return files


def test_christmas_is_a_holiday_and_the_day_before_it_is_none(tmp_path: Path):
    stations = data.read_stations(delivered(tmp_path)[0]).set_index("at")
    assert not stations.loc["2025-12-24", "holiday"].any()
    assert stations.loc["2025-12-25", "holiday"].all()


def test_a_missing_bike_costs_four_times_what_a_needless_one_does():
    costs = data.price_of_error(pd.DataFrame(index=range(3)), np.array([10.0, 10.0, 10.0]), np.array([9.0, 10.0, 11.0]))
    np.testing.assert_array_equal(costs, [2.0, 0.0, 0.5])


def test_the_problem_passes_its_check(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    delivered(tmp_path / "landing")
    command = [sys.executable, "-c", "from flows.cli import main; main()", "contract", "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stations 240 rows, hires 240 rows" in done.stdout
