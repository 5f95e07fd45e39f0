"""Contacts of a day: people are counted, not identifiers; what is deleted is gone."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

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
    history = History(diary)
    now = early + 3600
    days = {day.day: len(day.contacts) for day in history.days(now)}
    assert len(days) == 14
    assert {day: count for day, count in days.items() if count} == {_TODAY: 1, _TODAY + 1: 1}
    history.forget(_TODAY)
    diary.fold(_TODAY + 9)
    after = {day.day: len(day.contacts) for day in history.days(now)}
    assert (after[_TODAY], after[_TODAY + 1]) == (0, 1)
    history.forget_all()
    assert not any(day.contacts for day in history.days(now))
    assert store.execute("SELECT count(*) FROM scan") == [(0,)]
