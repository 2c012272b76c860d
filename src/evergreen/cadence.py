"""Which hours a schedule names; a schedule is five fields of cron, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from cronsim import CronSim, CronSimError


def ever_comes(cron: str) -> bool:
    """Whether the schedule names any moment at all; the 31st of February never comes."""
    try:
        return next(CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)), None) is not None
    except CronSimError:
        return False


def last_due(cron: str, now: datetime) -> datetime:
    """The newest moment that the schedule names, at or before `now`."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    return next(CronSim(cron, minute + timedelta(minutes=1), reverse=True))


def next_due(cron: str, now: datetime) -> datetime:
    """The first moment that the schedule names after `now`."""
    return next(CronSim(cron, now.astimezone(UTC)))


def missed(cron: str, last: datetime) -> tuple[datetime, datetime]:
    """The first two moments that the schedule names after `last`: when both have passed without a sign, it is not kept."""
    first = next_due(cron, last)
    return first, next_due(cron, first)


def times_a_year(cron: str, *, most: int = 1_000) -> int:
    """How many moments the schedule names in a year, by the mean of four; counted up to `most`."""
    begin, end = datetime(2001, 1, 1, tzinfo=UTC), datetime(2005, 1, 1, tzinfo=UTC)
    named = takewhile(lambda at: at < end, CronSim(cron, begin - timedelta(minutes=1)))
    return max(1, round(sum(1 for _ in islice(named, 4 * most)) / 4))
