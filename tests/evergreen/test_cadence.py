from datetime import UTC, datetime, timedelta, timezone

import pytest

from evergreen.cadence import last_due, missed, next_due, times_a_year

NIGHTLY = "30 3 * * *"


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        (at(25, 3, 29, 59), at(24, 3, 30), at(25, 3, 30)),
        (at(25, 3, 30), at(25, 3, 30), at(26, 3, 30)),
        (at(25, 3, 30, 59), at(25, 3, 30), at(26, 3, 30)),
        (at(25, 12, 0), at(25, 3, 30), at(26, 3, 30)),
    ],
)
def test_a_moment_lies_between_two_of_the_schedule(now: datetime, last: datetime, following: datetime):
    assert last_due(NIGHTLY, now) == last
    assert next_due(NIGHTLY, now) == following


def test_a_schedule_is_in_utc_whatever_the_clock_on_the_wall_says():
    in_new_york = datetime(2026, 11, 24, 22, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert last_due(NIGHTLY, in_new_york) == at(25, 3, 30)


@pytest.mark.parametrize(
    ("cron", "last", "first", "second"),
    [
        (NIGHTLY, at(25, 12, 0), at(26, 3, 30), at(27, 3, 30)),
        (NIGHTLY, at(25, 3, 30), at(26, 3, 30), at(27, 3, 30)),
        ("*/15 * * * *", at(25, 12, 1), at(25, 12, 15), at(25, 12, 30)),
        ("30 3 * * 1-5", at(20, 4, 0), at(23, 3, 30), at(24, 3, 30)),
        ("30 3 * * 1-5", at(19, 4, 0), at(20, 3, 30), at(23, 3, 30)),
    ],
)
def test_what_is_missed_are_the_next_two_moments_however_far_apart(cron: str, last: datetime, first: datetime, second: datetime):
    assert missed(cron, last) == (first, second)


@pytest.mark.parametrize(
    ("cron", "times"),
    [(NIGHTLY, 365), ("30 3 1 * *", 12), ("30 3 * * 1", 52), ("0 0 1 1 *", 1), ("0 0 29 2 *", 1), ("* * * * *", 1_000)],
)
def test_a_schedule_is_counted_by_the_year_up_to_a_thousand(cron: str, times: int):
    assert times_a_year(cron) == times
