"""The changes of a flight that the model is tried with: they do what their claims say, and nothing else."""

import pandas as pd

from problem import behaviour
from problem.contract import PROBLEM

ROWS = pd.DataFrame(
    {
        "carrier": ["UA", "DL", "B6"],
        "sched_dep_time": [600, 2100, 2359],
        "temp": [40.0, None, 60.0],
        "dewp": [30.0, None, 55.0],
        "pressure": [1010.0, None, None],
        "visib": [10.0, 0.5, None],
        "precip": [0.0, 0.3, None],
    }
)


def changed(change) -> pd.DataFrame:
    """The columns that a change touches."""
    before = ROWS.copy(deep=True)
    after = change(ROWS)
    pd.testing.assert_frame_equal(ROWS, before)
    return after[[name for name in after if not after[name].equals(ROWS[name])]]


def test_fog_and_rain_only_make_the_weather_worse():
    after = changed(behaviour.fog_and_rain)
    assert after["visib"].tolist()[:2] == [1.0, 0.5]
    assert after["precip"].tolist()[:2] == [0.1, 0.3]
    assert list(after) == ["visib", "precip"]


def test_three_hours_later_is_the_same_day_and_never_earlier():
    assert changed(behaviour.three_hours_later).to_dict("list") == {"sched_dep_time": [900, 2200, 2359]}


def test_half_a_degree_moves_the_instruments_alone():
    after = changed(behaviour.half_a_degree)
    assert list(after) == ["temp", "dewp", "pressure"]
    assert after["temp"].tolist()[::2] == [40.5, 60.5]


def test_the_contract_makes_all_three_claims():
    assert [claim.expect for claim in PROBLEM.behaviour] == ["up", "up", "same"]
