"""What a file says is cleaned and counted before anybody learns from it."""

from typing import Any

import numpy as np
import pytest

from bluezone.proximity import UNKNOWN
from bluezone.proximity.study.recordings import Recording, recording

NAN = float("nan")


def made(**columns: Any) -> Recording:
    count = len(columns["time"])
    columns = {"rssi": [-70] * count, "receiver": [0] * count, "sender": [1] * count} | columns
    return recording(
        collection="c", scenario="s", session="s", columns=columns, phones=[UNKNOWN] * 3
    )


def test_packets_come_in_order_of_time() -> None:
    rows = made(time=[3.5, 1.5, 2.5], rssi=[-73, -71, -72], sender=[1, 2, 1])
    assert rows.time.tolist() == [1.5, 2.5, 3.5]
    assert rows.rssi.tolist() == [-71, -72, -73]
    assert rows.sender.tolist() == [2, 1, 1]
    assert rows.dropped == {}


@pytest.mark.parametrize("level", [127, 0, 5, -128, -200, NAN])
def test_a_level_that_is_none_is_left_out_and_counted(level: float) -> None:
    rows = made(time=[1.5, 2.5, 3.5], rssi=[-60, level, -62])
    assert rows.rssi.tolist() == [-60, -62]
    assert list(rows.dropped.values()) == [1]
    assert "no level" in next(iter(rows.dropped))


def test_a_phone_that_hears_itself_is_left_out_and_counted() -> None:
    rows = made(time=[1.5, 2.5], receiver=[0, 1], sender=[1, 1])
    assert rows.time.tolist() == [1.5]
    assert rows.dropped == {"a phone that hears itself": 1}


def test_a_packet_without_a_time_is_left_out_and_counted() -> None:
    rows = made(time=[NAN, 2.5, float("inf")])
    assert rows.time.tolist() == [2.5]
    assert rows.dropped == {"no time": 2}


def test_a_row_with_two_faults_counts_once() -> None:
    rows = made(time=[NAN, 1.5], rssi=[127, -60], receiver=[1, 0])
    assert sum(rows.dropped.values()) == 1


def test_a_row_that_stands_twice_counts_once() -> None:
    rows = made(time=[1.5, 1.5, 1.5], rssi=[-60, -60, -61])
    assert rows.rssi.tolist() == [-60, -61]
    assert rows.dropped == {"twice the same row": 1}


def test_by_a_clock_of_whole_seconds_equal_rows_are_other_packets() -> None:
    assert len(made(time=[1, 1, 2], rssi=[-60, -60, -60]).time) == 3


def test_a_distance_below_zero_is_not_known_but_zero_is() -> None:
    rows = made(time=[1.5, 2.5, 3.5, 4.5], distance=[-1, NAN, 0, 2.5])
    assert np.isnan(rows.distance[:2]).all()
    assert rows.distance[2:].tolist() == [0, 2.5]


def test_what_a_file_does_not_say_is_not_known() -> None:
    rows = made(time=[1.5])
    assert np.isnan(rows.tx_power[0])
    assert np.isnan(rows.distance[0])


def test_no_row_at_all_is_a_recording_of_nothing() -> None:
    assert len(made(time=[]).time) == 0


@pytest.mark.parametrize("every", [60.0, 240.0, 300.0])
def test_a_thinned_recording_keeps_four_seconds_of_every_so_many(every: float) -> None:
    time = np.arange(0.5, 7200, 1.0)
    rows = made(time=np.tile(time, 2), receiver=np.repeat([0, 1], len(time)),
                sender=np.repeat([1, 0], len(time))).thinned(every)  # fmt: skip
    for receiver in (0, 1):
        mine = rows.time[rows.receiver == receiver]
        assert len(mine) == pytest.approx(4 * 7200 / every, abs=4)
        begins = mine[np.flatnonzero(np.diff(mine, prepend=-99) > 1.5)]
        assert np.all(np.abs(np.diff(begins)[1:] - every) <= 1)
    first, second = (rows.time[rows.receiver == receiver] for receiver in (0, 1))
    assert not set(first.tolist()) & set(second.tolist()), "phones begin at moments of their own"
