"""Contacts of a day: people are counted, not identifiers; what is deleted is gone."""

from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from bluezone.phone import history
from bluezone.phone.diary import Diary, pack_page
from bluezone.phone.history import History, summarise
from bluezone.phone.store import Store
from bluezone.protocol.intervals import vietnam_day_number
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.radio.interface import Sighting
from tests.phone.conftest import EPOCH

_TODAY = vietnam_day_number(EPOCH)
_PERIOD = 240


def _identifier(person: int, time: float) -> bytes:
    """Turns every ten minutes, as real ones do."""
    return (person * 10_000_000 + int(time) // 600).to_bytes(16, "big") + bytes(4)


def _together(person: int, start: float, minutes: int, level: int) -> list[Sighting]:
    return [
        Sighting(bytes(6), _identifier(person, time), time, (level,))
        for time in range(int(start), int(start) + minutes * 60, _PERIOD)
    ]


def _records(*sightings: list[Sighting]) -> ScanRecords:
    pages = b"".join(pack_page([one], _PERIOD, True) for many in sightings for one in many)
    return np.frombuffer(pages, SCAN_RECORD)


def _invented_day() -> ScanRecords:
    """240 scans, each with 1,000 identifiers that nobody hears again."""
    rng = np.random.default_rng(1)
    records = np.zeros(240_000, SCAN_RECORD)
    records["rpi"] = np.frombuffer(rng.bytes(16 * len(records)), "V16")
    records["time"] = int(EPOCH) + 300 * (np.arange(len(records)) // 1000)
    records["since_last_scan"] = 300
    records["rssi_mean"] = rng.integers(-10_000, -4_000, len(records))
    return records


def test_an_hour_with_one_companion_is_one_person() -> None:
    day = summarise(_TODAY, _records(_together(1, EPOCH, 60, -62)))
    (contact,) = day.contacts
    assert day.least == 1
    assert day.most in (6, 7)
    assert contact.seconds == 15 * _PERIOD
    assert contact.closeness == "near"
    assert day.seconds == day.near_seconds == 15 * _PERIOD


def test_two_at_once_are_two_however_alike() -> None:
    day = summarise(
        _TODAY, _records(_together(1, EPOCH, 60, -70), _together(2, EPOCH + 30, 60, -71))
    )
    assert len(day.contacts) == day.least == 2


def test_someone_near_and_someone_far_are_told_apart_by_level() -> None:
    day = summarise(_TODAY, _records(_together(1, EPOCH, 40, -55), _together(2, EPOCH, 40, -92)))
    assert sorted(contact.closeness for contact in day.contacts) == ["far", "near"]
    assert all(contact.seconds == 10 * _PERIOD for contact in day.contacts)


def test_who_comes_hours_later_is_not_joined() -> None:
    day = summarise(
        _TODAY, _records(_together(1, EPOCH, 20, -60), _together(2, EPOCH + 7200, 20, -60))
    )
    assert (len(day.contacts), day.least) == (2, 1)


@pytest.mark.parametrize("minutes_off", range(1, 10))
@pytest.mark.parametrize("pause", [240, 270, 300, 600])
def test_a_companion_whose_clock_is_wrong_is_one_person(minutes_off: int, pause: int) -> None:
    """Their identifiers turn in the middle of our intervals."""
    sightings = [
        Sighting(bytes(6), _identifier(1, time + minutes_off * 60), time, (-62,))
        for time in range(int(EPOCH) + 10, int(EPOCH) + 3 * 3600, pause)
    ]
    day = summarise(_TODAY, _records(sightings))
    assert len(day.contacts) == day.least == 1


def test_an_identifier_that_turns_during_a_scan_is_one_person() -> None:
    heard = _together(1, EPOCH, 60, -62)
    at = next(one.time for one in heard if one.time >= EPOCH + 1200)
    before = Sighting(bytes(6), _identifier(1, at - 600), at, (-62,))
    day = summarise(_TODAY, _records([*heard, before]))
    assert len(day.contacts) == day.least == 1


def test_of_a_crowd_in_one_scan_half_is_certain() -> None:
    crowd = [_together(person, EPOCH, 1, -40 - person) for person in range(9)]
    day = summarise(_TODAY, _records(*crowd))
    assert (day.least, len(day.contacts)) == (5, 9)


def test_a_day_of_invented_identifiers_is_told() -> None:
    """1,000 in each scan, each heard once: the bounds hold, and no pair is weighed by itself."""
    records = _invented_day()
    with mock.patch.object(history, "_pairs_in_order", wraps=history._pairs_in_order) as ordered:
        day = summarise(_TODAY, records)
    assert day.most == len(records) == 240_000
    assert day.least == 500
    assert 1000 <= len(day.contacts) <= day.most
    assert ordered.call_count == 239  # each scan but the first
    assert max(len(call.args[1]) for call in ordered.call_args_list) < 5000


# Who, from which minute on, for how many minutes, at which level.
_MEETINGS = st.tuples(
    st.integers(1, 6), st.integers(0, 600), st.integers(1, 90), st.integers(-100, -40)
)


@given(st.lists(_MEETINGS, max_size=8))
def test_the_estimate_lies_between_its_bounds(meetings: list[tuple[int, int, int, int]]) -> None:
    records = _records(
        *[
            _together(who, EPOCH + start * 60, minutes, level)
            for who, start, minutes, level in meetings
        ]
    )
    day = summarise(_TODAY, records)
    assert day.least <= len(day.contacts) <= day.most
    assert day.near_seconds <= day.seconds
    total = sum(contact.seconds for contact in day.contacts)
    assert abs(total - float(records["since_last_scan"].sum() if len(records) else 0)) < 1e-6


def test_days_are_vietnamese_and_can_be_deleted_one_by_one(store: Store) -> None:
    diary = Diary(store)
    # 23:00 and 01:00 in Vietnam are two days there, and one day of the UTC pages.
    late, early = EPOCH + 15 * 3600, EPOCH + 17 * 3600
    for person, start in ((1, late), (2, early)):
        for one in _together(person, start, 20, -60):
            diary.add(one.time, pack_page([one], _PERIOD, True))
    contacts = History(diary)
    now = early + 3600
    days = {day.day: len(day.contacts) for day in contacts.days(now)}
    assert len(days) == 14
    assert {day: count for day, count in days.items() if count} == {_TODAY: 1, _TODAY + 1: 1}
    contacts.forget(_TODAY)
    diary.fold(_TODAY + 9)
    after = {day.day: len(day.contacts) for day in contacts.days(now)}
    assert (after[_TODAY], after[_TODAY + 1]) == (0, 1)
    contacts.forget_all()
    assert not any(day.contacts for day in contacts.days(now))
    assert store.execute("SELECT count(*) FROM scan") == [(0,)]
