"""What the benchmarks conclude from their figures."""

import numpy as np
import pytest

from benchmarks.alerts import ALLOWED, Told, false_a_month, lines
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


def told(kind: str, *, month: str = "2013-05", cause: str = "a", is_new: bool = True) -> Told:
    return Told(month, kind, cause, f"What {kind} says. Affected: everybody. Run: evergreen status", is_new)


@pytest.mark.parametrize("kind", ["health", "quarantine", "late", "drift", "decay", "bias", "estimate", "silence", "failure"])
def test_in_a_clean_year_an_alert_of_data_drift_or_loop_is_false(kind: str):
    assert false_a_month([told(kind)], set(), 12) == pytest.approx(1 / 12)


def test_a_verdict_is_true_only_where_the_journal_has_it_and_that_it_is_over_is_no_alarm():
    assert false_a_month([told("verdict"), told("resolved")], {"a"}, 12) == 0
    assert false_a_month([told("verdict", cause="b")], {"a"}, 12) > 0


def test_more_than_one_false_alert_a_month_is_too_many_and_one_that_holds_on_counts_each_month():
    year = [told("late", month=f"2013-{at:02d}", is_new=at == 1) for at in range(1, 13)]
    assert false_a_month(year, set(), 12) == ALLOWED
    assert false_a_month([*year, told("drift")], set(), 12) > ALLOWED


def test_the_table_has_each_month_and_says_of_each_alert_what_it_is():
    text = lines([told("verdict"), told("late", month="2013-06", cause="b", is_new=False)], {"a"}, ["2013-04", "2013-05", "2013-06"])
    assert text[:3] == [
        "3 months replayed with the real rounds, one a month and nothing planted: 2 alerts, 1 of them false, 0.33 a",
        "month (at most 1 is allowed; were all of them false, it would be 0.67). An alert that still holds a",
        "month later counts again.",
    ]
    assert text[6:9] == [
        "| 2013-04 | none | | |",
        "| 2013-05 | verdict | true | What verdict says. |",
        "| 2013-06 | late, still | false | What late says. |",
    ]
