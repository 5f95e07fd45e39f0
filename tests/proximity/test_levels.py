"""Readings of a pair: cleaned, in order, put into minutes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.proximity import Levels

NAN = float("nan")
POWER = -21.0  # dBm: attenuation is this minus the level
times = st.floats(-1e6, 2e9)
packets = st.lists(st.tuples(times, st.floats(0, 100), st.booleans()), max_size=40)


def of_packets(rows: list[tuple[float, float, bool]]) -> Levels:
    time, attenuation, own = zip(*rows, strict=True) if rows else ((), (), ())
    return Levels.of_packets(time, attenuation, own)


def same(one: Levels, other: Levels) -> bool:
    return all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-6)
        for name in Levels.__dataclass_fields__
    )


def test_packets_of_a_minute_are_one_reading_their_mean() -> None:
    levels = Levels.of_packets([3, 15, 59, 61], [50, 52, 57, 70])
    assert levels.attenuation.tolist() == [53, 70]
    assert levels.packets.tolist() == [3, 1]
    assert levels.time.tolist() == [pytest.approx(77 / 3), 61]
    assert levels.moment_time.tolist() == [30, 90]
    assert levels.seconds.tolist() == [60, 60]


def test_both_phones_in_one_minute_are_two_readings_of_one_moment() -> None:
    levels = Levels.of_packets([10, 20, 70], [50, 60, 55], [True, False, False])
    assert sorted(zip(levels.own.tolist(), levels.attenuation.tolist(), strict=True)) == [
        (False, 55),
        (False, 60),
        (True, 50),
    ]
    assert levels.moment.tolist() == [0, 0, 1]
    assert len(levels.seconds) == 2


def test_a_minute_stands_for_the_time_since_the_last_but_for_five_minutes_at_most() -> None:
    levels = Levels.of_packets([0, 60, 240, 3600], [50, 50, 50, 50])
    assert levels.seconds.tolist() == [60, 60, 180, 300]


def test_a_scan_stands_for_five_minutes_at_most() -> None:
    levels = Levels.of_scans([0, 300, 600], [50, 50, 50], [-5, 240, 4000])
    assert levels.seconds.tolist() == [0, 240, 300]


@pytest.mark.parametrize("level", [127, 0, 12, NAN, -170])
def test_levels_that_are_none_are_dropped(level: float) -> None:
    attenuation = [POWER - -80, POWER - level, POWER - -82]
    assert Levels.of_packets([0, 60, 120], attenuation).attenuation.tolist() == [59, 61]
    assert Levels.of_scans([0, 60, 120], attenuation, 60).attenuation.tolist() == [59, 61]


@pytest.mark.parametrize("nothing", [NAN, float("inf"), float("-inf")])
def test_times_that_are_none_are_dropped(nothing: float) -> None:
    assert Levels.of_packets([0, nothing], [50, 60]).attenuation.tolist() == [50]
    assert Levels.of_scans([0, nothing], [50, 60], 60).attenuation.tolist() == [50]
    assert Levels.of_scans([0, 60], [50, 60], [60, nothing]).attenuation.tolist() == [50]


def test_a_scan_with_an_unknown_number_of_packets_is_dropped() -> None:
    assert Levels.of_scans([0, 60], [50, 60], 60, [3, NAN]).attenuation.tolist() == [50]


def test_a_time_that_comes_twice_keeps_its_first_scan() -> None:
    levels = Levels.of_scans([60, 0, 60, 0], [51, 41, 52, 42], 60, [1, 2, 3, 4])
    assert levels.attenuation.tolist() == [41, 51]
    assert levels.packets.tolist() == [2, 1]


def test_nothing_heard_is_no_reading() -> None:
    assert len(Levels.of_packets([], [])) == 0
    assert len(Levels.of_scans([], [], [])) == 0
    assert len(Levels.of_packets([NAN], [50])) == 0
    assert Levels.of_packets([], []).moment_time.shape == (0,)


def test_part_of_the_moments_numbers_them_anew() -> None:
    levels = Levels.of_packets([0, 60, 61, 120], [50, 51, 52, 53], [True, True, False, True])
    part = levels.between(1, 3)
    assert part.moment.tolist() == [0, 0, 1]
    assert sorted(part.attenuation.tolist()) == [51, 52, 53]
    assert part.moment_time.tolist() == [90, 150]


@given(packets, st.randoms(use_true_random=False))
def test_the_order_of_packets_is_free(
    rows: list[tuple[float, float, bool]], random: "np.random.Generator"
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert same(of_packets(rows), of_packets(shuffled))


@given(st.lists(st.tuples(times, st.floats(0, 100)), max_size=40, unique_by=lambda row: row[0]))
def test_the_order_of_scans_is_free(rows: list[tuple[float, float]]) -> None:
    def of_scans(rows: list[tuple[float, float]]) -> Levels:
        return Levels.of_scans([t for t, _ in rows], [a for _, a in rows], 60)

    assert same(of_scans(rows), of_scans(rows[::-1]))
    assert same(of_scans(rows), of_scans(sorted(rows)))


@given(packets)
def test_no_packet_is_lost_and_no_time_is_made_up(rows: list[tuple[float, float, bool]]) -> None:
    levels = of_packets(rows)
    assert np.sum(levels.packets) == len(rows)
    assert np.isclose(levels.packets @ levels.attenuation, sum(row[1] for row in rows))
    assert np.all(np.diff(levels.moment_time) > 0)
    assert set(levels.moment.tolist()) == set(range(len(levels.moment_time)))
    if rows:
        lasted = levels.moment_time[-1] - levels.moment_time[0] + 60
        assert 0 < np.sum(levels.seconds) <= lasted + 1e-6
        assert np.max(np.abs(levels.time - levels.moment_time[levels.moment])) <= 30 + 1e-6
