"""People live plausible days, the same ones for the same seed."""

import numpy as np
import pytest

from bluezone.town.days import live
from bluezone.town.people import settle
from bluezone.town.places import Kind


def town(people: int = 60, seed: int = 3):
    return settle(people, np.random.default_rng(seed))


def day(residents, weekday: int, seed: int = 5):
    return live(residents, weekday, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_town_and_days():
    assert town() == town()
    assert day(town(), 2) == day(town(), 2)
    assert day(town(), 2, seed=6) != day(town(), 2)


def test_one_person_alone_is_no_town():
    with pytest.raises(ValueError, match="at least 2"):
        settle(1, np.random.default_rng(0))


@pytest.mark.parametrize("people", [2, 3, 12, 100])
def test_everybody_is_somewhere_within_walls_at_all_times(people):
    residents = town(people)
    for weekday in (0, 5, 6):
        moves = day(residents, weekday)
        assert [move.time for move in moves] == sorted(move.time for move in moves)
        first = {move.person: move for move in reversed(moves)}
        assert set(first) == set(range(people))
        for move in moves:
            space = residents.spaces[move.space]
            assert 0 <= move.x <= space.width
            assert 0 <= move.y <= space.depth
        for person, move in first.items():
            assert move.time == 0
            assert move.space == residents.people[person].home
        last = {move.person: move for move in moves}
        assert all(last[p.number].space == p.home for p in residents.people)


def kinds(residents, moves, who) -> set[Kind]:
    chosen = {person.number for person in residents.people if who(person)}
    return {residents.spaces[move.space].kind for move in moves if move.person in chosen}


def test_pupils_learn_on_weekdays_and_not_on_sunday():
    residents = town()
    pupil = lambda person: person.is_pupil  # noqa: E731 - reads as a noun below
    assert Kind.SCHOOL in kinds(residents, day(residents, 0), pupil)
    assert Kind.SCHOOL not in kinds(residents, day(residents, 6), pupil)
    assert Kind.OFFICE not in kinds(residents, day(residents, 0), pupil)


def test_a_weekday_has_work_lunch_bus_and_market():
    residents = town()
    seen = kinds(residents, day(residents, 1), lambda person: True)
    assert {Kind.HOME, Kind.OFFICE, Kind.SCHOOL, Kind.MARKET, Kind.CANTEEN, Kind.BUS} <= seen
    assert Kind.HOSPITAL not in seen


def test_distances_vary():
    """Neither everybody in a heap nor nobody near anybody: the radio has something to judge."""
    residents = town(100)
    at_ten = {move.person: move for move in day(residents, 0) if move.time <= 10 * 3600}
    apart = [
        np.hypot(a.x - b.x, a.y - b.y)
        for a in at_ten.values()
        for b in at_ten.values()
        if a.person < b.person and a.space == b.space
    ]
    close = np.mean(np.array(apart) <= 2)
    assert 0.1 < close < 0.6
    assert max(apart) > 4


def test_spaces_of_a_block_do_not_overlap():
    residents = town(100)
    for index, one in enumerate(residents.spaces):
        for other in residents.spaces[index + 1 :]:
            if one.block == other.block:
                across = abs(one.origin[0] - other.origin[0]) >= min(one.width, other.width)
                along = abs(one.origin[1] - other.origin[1]) >= min(one.depth, other.depth)
                assert across or along
