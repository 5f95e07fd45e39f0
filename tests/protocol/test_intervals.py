"""Intervals and days: the key day turns at 00:00 UTC, which is 07:00 in Vietnam."""

import datetime as dt

import hypothesis.strategies as st
from hypothesis import given

from bluezone.protocol.intervals import (
    day_date,
    day_number,
    day_start_interval,
    interval_number,
    interval_start,
    utc_day,
    utc_day_number,
    vietnam_day,
    vietnam_day_number,
    vietnam_time,
)

_times = st.integers(0, 2**32 - 1)


@given(_times)
def test_an_interval_contains_its_time(time: int) -> None:
    number = interval_number(time)
    assert interval_start(number) <= time < interval_start(number + 1)


@given(_times)
def test_a_day_of_keys_is_a_utc_day(time: int) -> None:
    first = day_start_interval(interval_number(time))
    assert first % 144 == 0
    assert utc_day(interval_start(first)) == utc_day(time)
    assert utc_day(interval_start(first) - 1) == utc_day(time) - dt.timedelta(days=1)


@given(_times)
def test_day_numbers_count_calendar_days(time: int) -> None:
    assert day_date(utc_day_number(time)) == utc_day(time)
    assert day_date(vietnam_day_number(time)) == vietnam_day(time)


@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)))
def test_days_and_dates_are_inverse(date: dt.date) -> None:
    assert day_date(day_number(date)) == date


def test_the_boundary_at_seven_in_the_morning() -> None:
    midnight = dt.datetime(2021, 1, 20, tzinfo=dt.UTC).timestamp()
    assert vietnam_time(midnight).isoformat() == "2021-01-20T07:00:00+07:00"
    assert (utc_day(midnight - 1), vietnam_day(midnight - 1)) == (
        dt.date(2021, 1, 19),
        dt.date(2021, 1, 20),
    )
    evening = midnight + 17 * 3600  # 00:00 in Vietnam
    assert vietnam_day(evening - 1) == dt.date(2021, 1, 20)
    assert vietnam_day(evening) == dt.date(2021, 1, 21)
    assert utc_day(evening) == dt.date(2021, 1, 20)


def test_the_specifications_interval() -> None:
    # EN Cryptography Specification v1.2: ENIntervalNumber = timestamp / 600, rounded down.
    assert interval_number(1_585_785_600.9) == 2_642_976
