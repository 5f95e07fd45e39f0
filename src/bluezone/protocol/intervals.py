"""Interval numbers and days (EN Cryptography Specification v1.2, "ENIntervalNumber").

Keys turn at 00:00 UTC, which is 07:00 in Vietnam; whatever people see uses Vietnamese days.
"""

import datetime as dt
from typing import Final

from bluezone.protocol.deployment import (
    INTERVAL_SECONDS,
    ROLLING_PERIOD,
    VIETNAM_UTC_OFFSET_SECONDS,
)

DAY_SECONDS: Final = 86_400
_EPOCH: Final = dt.date(1970, 1, 1)
VIETNAM = dt.timezone(dt.timedelta(seconds=VIETNAM_UTC_OFFSET_SECONDS), "ICT")


def interval_number(unix_time: float) -> int:
    """The ten-minute interval that contains `unix_time` (seconds, UTC)."""
    return int(unix_time // INTERVAL_SECONDS)


def interval_start(interval: int) -> int:
    """Unix time at which an interval begins."""
    return interval * INTERVAL_SECONDS


def day_start_interval(interval: int) -> int:
    """First interval of the UTC day that contains `interval`."""
    return interval // ROLLING_PERIOD * ROLLING_PERIOD


def utc_day(unix_time: float) -> dt.date:
    """UTC calendar day, the day of a temporary exposure key."""
    return dt.datetime.fromtimestamp(unix_time, dt.UTC).date()


def vietnam_time(unix_time: float) -> dt.datetime:
    """Local time in Vietnam (UTC+7, no daylight saving)."""
    return dt.datetime.fromtimestamp(unix_time, VIETNAM)


def vietnam_day(unix_time: float) -> dt.date:
    """Local calendar day in Vietnam, the day of everything people see."""
    return vietnam_time(unix_time).date()


def utc_day_number(unix_time: float) -> int:
    """UTC days since 1970-01-01."""
    return int(unix_time // DAY_SECONDS)


def vietnam_day_number(unix_time: float) -> int:
    """Vietnamese days since 1970-01-01."""
    return utc_day_number(unix_time + VIETNAM_UTC_OFFSET_SECONDS)


def day_number(date: dt.date) -> int:
    """Days from 1970-01-01 to a calendar day."""
    return (date - _EPOCH).days


def day_date(day: int) -> dt.date:
    """The calendar day of a number of days since 1970-01-01."""
    return _EPOCH + dt.timedelta(days=day)
