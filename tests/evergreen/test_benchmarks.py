"""What the benchmarks conclude from their figures."""

import numpy as np
import pytest

from benchmarks.estimates import Month, accuracy, in_short


def month(number: int, estimated: float, realized: float, *, said: float = 0.7) -> Month:
    """A month whose AUC was 0.7 and a hundredth more for each month of the year, and was said to be that and `said` - 0.7 more."""
    auc = 0.7 + number / 100
    return Month(f"2013-{number:02d}", (estimated, auc + said - 0.7), (realized, auc))


def test_estimates_are_held_against_what_was_realized_the_month_before():
    found = accuracy([month(7, 9000, 6000), month(8, 6150, 6200), month(9, 6500, 6300)])
    assert (found.months, found.estimate[0], found.as_before[0], found.nearer[0]) == (2, pytest.approx(125), pytest.approx(150), 1)
    assert found.is_better


def test_estimates_that_miss_by_as_much_as_the_month_before_are_not_better():
    found = accuracy([month(7, 6000, 6000), month(8, 6400, 6200, said=0.8), month(9, 6400, 6300, said=0.6)])
    assert (found.estimate, found.as_before) == (pytest.approx((150, 0.1)), pytest.approx((150, 0.01)))
    assert not found.is_better


def test_one_month_alone_shows_nothing():
    found = accuracy([month(7, 6000, 6000)])
    assert found.months == 0
    assert np.isnan(found.estimate).all()
    assert not found.is_better


def test_a_difference_within_its_standard_error_is_said_to_be_chance_perhaps():
    said = "\n".join(in_short(accuracy([month(7, 0, 6000), month(8, 6190, 6200), month(9, 6600, 6300), month(10, 6500, 6700)])))
    assert "of the cost better by 27%, which by its standard error may be chance" in said
