"""Which hours a schedule names; a schedule is five fields of cron, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cronsim import CronSim


def last_due(cron: str, now: datetime) -> datetime:
    """The newest moment that the schedule names, at or before `now`."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    return next(CronSim(cron, minute + timedelta(minutes=1), reverse=True))


def next_due(cron: str, now: datetime) -> datetime:
    """The first moment that the schedule names after `now`."""
    return next(CronSim(cron, now.astimezone(UTC)))


def cadence(cron: str, now: datetime) -> timedelta:
    """The time between the two newest moments that the schedule names."""
    last = last_due(cron, now)
    return last - next(CronSim(cron, last, reverse=True))
