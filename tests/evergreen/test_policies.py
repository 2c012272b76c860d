import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evergreen.errors import ContractError
from evergreen.policies import BinaryCosts, GatePolicy, RetrainingPolicy, Source

NOTHING = pd.DataFrame()


def test_binary_costs_price_the_two_errors_and_nothing_else():
    costs = BinaryCosts(missed=50, false_alarm=10)
    y, decision = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert costs(NOTHING, y, decision).tolist() == [0, 10, 50, 0]
    assert costs(NOTHING, y, decision.astype(bool)).tolist() == [0, 10, 50, 0]
    assert costs.ratio == 5


def test_another_ratio_keeps_the_false_alarm():
    assert BinaryCosts(missed=50, false_alarm=10, ratio_range=(3, 8)).at_ratio(3) == BinaryCosts(missed=30, false_alarm=10)


@given(missed=st.floats(0.1, 1000), false_alarm=st.floats(0.1, 1000))
def test_the_threshold_is_the_cheapest_one_for_calibrated_probabilities(missed: float, false_alarm: float):
    costs = BinaryCosts(missed=missed, false_alarm=false_alarm)
    p = np.linspace(0, 1, 401)

    def expected(threshold: float) -> float:
        act = p >= threshold
        return float(np.where(act, (1 - p) * false_alarm, p * missed).sum())

    assert expected(costs.threshold) <= min(expected(t) for t in np.linspace(0, 1.01, 203)) + 1e-9 * (missed + false_alarm)


@pytest.mark.parametrize("ratio_range", [(6.0, 8.0), (1.0, 4.9), (8.0, 3.0)])
def test_a_range_of_ratios_without_the_ratio_itself_is_refused(ratio_range: tuple[float, float]):
    with pytest.raises((ValidationError, ContractError), match=r"ratio_range . to .* must contain missed / false_alarm = 5"):
        BinaryCosts(missed=50, false_alarm=10, ratio_range=ratio_range)


@pytest.mark.parametrize("price", [0, -1, float("nan")])
def test_an_error_must_cost_something(price: float):
    with pytest.raises((ValidationError, ContractError), match="missed"):
        BinaryCosts(missed=price, false_alarm=10)


def test_one_gate_may_spend_its_share_of_the_year():
    assert GatePolicy(alpha_per_year=0.12, gates_per_year=12).alpha == pytest.approx(0.01)


def test_the_suite_of_a_source_has_its_name_unless_another_is_given():
    assert Source(name="weather", key=("hour",), read=pd.read_csv).suite == "weather"
    assert Source(name="weather", suite="readings", key=("hour",), read=pd.read_csv).suite == "readings"
    with pytest.raises(ContractError, match=r"in the Source 'weather':\n  - suite: got '../readings'; expected: "):
        Source(name="weather", suite="../readings", key=("hour",), read=pd.read_csv)


@pytest.mark.parametrize(("values", "told"), [({"name": "W"}, ["name: got 'W'"]), ({}, ["name: is missing."])])
def test_a_wrong_name_is_told_once_though_the_suite_follows_it(values: dict[str, str], told: list[str]):
    with pytest.raises(ContractError) as error:
        Source(key=("hour",), read=pd.read_csv, **values)
    assert [line.removeprefix("  - ").partition(";")[0] for line in str(error.value).splitlines()[1:]] == told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((40_000, 20_000), r"rows: got \(40000, 20000\); expected: the fewest rows, then the most\."),
        ((-1, 20_000), r"rows\.0: got -1; expected: .*greater than or equal to 0\."),
        ((0, 0), r"rows\.1: got 0; expected: .*greater than or equal to 1\."),
    ],
)
def test_numbers_of_rows_that_no_delivery_can_have_are_refused(rows: tuple[int, int], told: str):
    with pytest.raises(ContractError, match=rf"in the Source 'weather':\n  - {told}"):
        Source(name="weather", key=("hour",), read=pd.read_csv, rows=rows)


@pytest.mark.parametrize(
    "cron", ["* * * * *", "30 3 * * *", "*/15 6-20 * * mon-fri", "0 0 1,15 * 0,7", "0-59/5 * * * *", "0 0 1 JAN-mar,dec Sun", " 5 4 * * 1 "]
)
def test_a_schedule_in_plain_cron_is_taken_as_it_is(cron: str):
    assert RetrainingPolicy(cron=cron).cron == cron


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("", "these are 0"),
        ("@daily", "these are 1"),
        ("3 * * *", "these are 4"),
        ("0 30 3 * * *", "these are 6"),
        ("60 3 * * *", "'60' is no minute (0 to 59"),
        ("30 24 * * *", "'24' is no hour (0 to 23"),
        ("30 3 0 * *", "'0' is no day (1 to 31"),
        ("30 3 * 13 *", "'13' is no month (1 to 12"),
        ("30 3 * * 8", "'8' is no weekday (0 to 7"),
        ("30 3 * * monday", "'monday' is no weekday"),
        ("mon 3 * * *", "'mon' is no minute"),
        ("5-1 3 * * *", "'5-1' is no minute"),
        ("*/0 3 * * *", "'*/0' is no minute"),
        ("1,,2 3 * * *", "'1,,2' is no minute"),
        ("x 3 * * *", "'x' is no minute"),
        ("0 0 31 2 *", "these name none"),
    ],
)
def test_what_is_no_cron_is_refused_with_the_field_that_is_wrong(cron: str, told: str):
    with pytest.raises(ContractError) as error:
        RetrainingPolicy(cron=cron)
    assert f"in RetrainingPolicy:\n  - cron: got {cron!r}; expected: five fields of cron" in str(error.value)
    assert told in str(error.value)
