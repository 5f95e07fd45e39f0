"""The truth is what positions say, added up by the days that the risk rule uses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluezone.town.truth import CLOSE_SECONDS, Nearness, Truth

DAY = 86400
NOON = 18645 * DAY + 5 * 3600  # 12:00 in Vietnam
TODAY = 18645


def test_fifteen_minutes_within_two_metres_make_a_close_contact():
    truth = Truth(3, NOON)
    truth.move(0, 7, 1.0, 1.0)
    truth.move(1, 7, 2.9, 1.0)
    truth.move(2, 7, 3.1, 1.0)
    truth.advance(NOON + CLOSE_SECONDS)
    assert truth.close_contacts({0: [TODAY]}) == {1}
    assert truth.close_contacts({2: [TODAY]}) == {1}
    assert truth.most(Nearness.NEAR, {0: [TODAY]})[2] == CLOSE_SECONDS


def test_a_wall_ends_a_contact():
    truth = Truth(2, NOON)
    truth.move(0, 7, 1.0, 1.0)
    truth.move(1, 8, 1.0, 1.0)
    truth.advance(NOON + 3600)
    assert truth.most(Nearness.TOGETHER, {0: [TODAY]})[1] == 0
    assert truth.close_contacts({0: [TODAY]}) == set()


def test_minutes_add_up_over_a_day_but_not_over_days():
    truth = Truth(2, NOON)
    truth.move(0, 1, 0.0, 0.0)
    for day in range(2):
        for hour in (0, 1):
            start = NOON + day * DAY + hour * 3600
            truth.advance(start)
            truth.move(1, 1, 1.0, 0.0)
            truth.advance(start + CLOSE_SECONDS / 2 - (60 if day == 0 else 0))
            truth.move(1, 2, 1.0, 0.0)
    assert truth.close_contacts({0: [TODAY]}) == set()
    assert truth.close_contacts({0: [TODAY + 1]}) == {1}


def test_an_encounter_across_seven_oclock_is_one_encounter():
    seven = TODAY * DAY  # 07:00 in Vietnam, 00:00 UTC: the key turns
    truth = Truth(2, seven - CLOSE_SECONDS / 2)
    truth.move(0, 1, 0.0, 0.0)
    truth.move(1, 1, 1.0, 0.0)
    truth.advance(seven + CLOSE_SECONDS / 2)
    truth.move(1, 2, 0.0, 0.0)
    assert truth.close_contacts({0: [TODAY - 1, TODAY]}) == {1}
    # Half of it lies in a key day on which the case was not infectious.
    assert truth.close_contacts({0: [TODAY]}) == set()


def test_midnight_in_vietnam_ends_a_day():
    midnight = TODAY * DAY - 7 * 3600
    truth = Truth(2, midnight - CLOSE_SECONDS / 2)
    truth.move(0, 1, 0.0, 0.0)
    truth.move(1, 1, 1.0, 0.0)
    truth.advance(midnight + CLOSE_SECONDS / 2)
    assert truth.most(Nearness.CLOSE, {0: [TODAY - 1]})[1] == CLOSE_SECONDS / 2


def test_two_cases_add_up():
    truth = Truth(3, NOON)
    for person in range(3):
        truth.move(person, 1, 0.5 * person, 0.0)
    truth.advance(NOON + CLOSE_SECONDS / 2)
    assert truth.close_contacts({0: [TODAY]}) == set()
    assert truth.close_contacts({0: [TODAY], 1: [TODAY]}) == {2}


PLACES = st.tuples(st.integers(0, 2), st.floats(0, 6), st.floats(0, 6))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), PLACES, st.floats(1, 40_000)), max_size=30))
def test_it_equals_a_slow_count(steps):
    truth = Truth(4, NOON)
    places: list[tuple[int, float, float]] = [(-9 - n, 0.0, 0.0) for n in range(4)]
    now = float(NOON)
    expected: dict[int, np.ndarray] = {}
    for person, place, wait in steps:
        truth.move(person, *place)
        places[person] = place
        until = now + wait
        while now < until:  # in pieces that do not cross 17:00 or 00:00 UTC
            end = min(until, (now // 3600 + 1) * 3600)
            local = int((now + 7 * 3600) // DAY)
            table = expected.setdefault(local, np.zeros((4, 4)))
            for a in range(4):
                for b in range(4):
                    same = a != b and places[a][0] == places[b][0]
                    apart = np.hypot(places[a][1] - places[b][1], places[a][2] - places[b][2])
                    table[a, b] += (end - now) * (same and apart <= 2.0)
            now = end
        truth.advance(now)
    every_day = range(TODAY - 2, TODAY + 40)
    for case in range(4):
        most = truth.most(Nearness.CLOSE, {case: every_day})
        slow = np.max([table[case] for table in expected.values()] or [np.zeros(4)], axis=0)
        assert most == pytest.approx(slow, abs=1e-3)
