import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evergreen.errors import ContractError
from evergreen.policies import BinaryCosts, GatePolicy

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
