"""What the estimator is given of a pair, and the truth beside it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bluezone.proximity import SHIPPED, UNKNOWN, Handset
from bluezone.proximity.study.pairs import Pair, attenuations, pairs_of, scale_shift
from bluezone.proximity.study.recordings import Recording, recording

NAN = float("nan")


def made(phones: int = 2, **columns: Any) -> Recording:
    count = len(columns["time"])
    columns = {"rssi": [-80] * count, "receiver": [0] * count, "sender": [1] * count} | columns
    return recording(
        collection="c",
        scenario="s",
        session="s",
        columns=columns,
        phones=[Handset(model=f"M{number}") for number in range(phones)],
        free=True,
    )


def only(rows: Recording) -> Pair:
    (pair,) = pairs_of(rows)
    return pair


def test_levels_become_attenuations_in_the_unit_of_the_published_thresholds() -> None:
    """SwissCovid's phones of -21 dBm: attenuation = -24 - (level + 5)."""
    rows = made(time=[1.5, 2.5], rssi=[-80, -60], tx_power=[-20.5, NAN])
    assert attenuations(rows).tolist() == [51, 31]


def test_every_two_phones_are_one_pair_whoever_heard() -> None:
    rows = made(3, time=[1.5, 2.5, 3.5, 4.5], receiver=[0, 1, 2, 0], sender=[1, 0, 1, 2])
    assert [pair.name for pair in pairs_of(rows)] == ["0 1", "0 2", "1 2"]
    pair = pairs_of(rows)[0]
    assert pair.beacon_own.tolist() == [True, False]
    assert (pair.own.model, pair.peer.model) == ("M0", "M1")
    assert pairs_of(made(time=[])) == []


def test_true_minutes_are_those_within_two_metres() -> None:
    time = np.arange(0.5, 3600, 60)
    pair = only(made(time=time, distance=np.where(time < 1200, 1.9, 2.1)))
    assert pair.close_minutes == pytest.approx(20)


def test_short_gaps_in_the_truth_are_bridged_and_long_ones_are_not() -> None:
    time = np.arange(0.5, 3600, 60)
    distance = np.full(60, 1.0)
    distance[10:12] = NAN
    assert only(made(time=time, distance=distance)).close_minutes == pytest.approx(60)
    distance[10:30] = NAN
    assert 40 <= (only(made(time=time, distance=distance)).close_minutes or 0) <= 44.1


def test_mostly_unknown_truth_is_none() -> None:
    time = np.arange(0.5, 3600, 60)
    assert only(made(time=time)).close_minutes is None
    assert only(made(time=time, distance=np.where(time < 600, 1.0, NAN))).close_minutes is None


def test_one_way_is_as_if_the_other_phone_had_heard_nothing() -> None:
    rows = made(
        time=np.arange(0.5, 600, 10),
        rssi=np.arange(-90, -60, 0.5),
        receiver=[0, 0, 1] * 20,
        sender=[1, 1, 0] * 20,
        distance=np.linspace(1, 3, 60),
    )
    pair = only(rows)
    for own, receiver in ((True, 0), (False, 1)):
        alone, expected = pair.one_way(own), only(rows.rows(rows.receiver == receiver))
        assert alone is not None
        assert np.allclose(alone.levels.attenuation, expected.levels.attenuation)
        assert np.allclose(alone.levels.seconds, expected.levels.seconds)
        assert np.allclose(alone.levels.moment_time, expected.levels.moment_time)
        assert np.array_equal(alone.beacon_moment, expected.beacon_moment)
        assert alone.levels.own.all()
        assert alone.own.model == f"M{receiver}"
    silent = only(rows.rows(rows.receiver == 0))
    assert silent.one_way(False) is None


def crowded(shift: float = 0.0, deaf: float = 0.0) -> Recording:
    """Six phones that all hear each other at the usual level; number 0 `deaf` dB weaker."""
    receiver, sender = np.divmod(np.arange(36), 6)
    receiver, sender = (np.tile(side, 20) for side in (receiver, sender))
    level = -20.5 - 8.5 - SHIPPED.diary_attenuation_db - shift - deaf * (receiver == 0)
    return made(6, time=np.arange(720) + 0.5, rssi=np.rint(level), receiver=receiver, sender=sender)


def test_a_diary_of_several_others_tells_of_the_phone() -> None:
    phones = {pair.own.model: pair.own for pair in pairs_of(crowded(deaf=7))}
    deaf, other = phones["M0"].diary_attenuation, phones["M1"].diary_attenuation
    assert deaf is not None
    assert other is not None
    assert deaf - other == pytest.approx(7, abs=1)
    few = made(time=[1.5, 2.5], receiver=[0, 1], sender=[1, 0])
    assert only(few).own.diary_attenuation is None


@pytest.mark.parametrize("shift", [-15, 12, 20])
def test_another_scale_is_seen_without_truth_and_taken_off(shift: float) -> None:
    rows = crowded(shift)
    found = scale_shift([rows], SHIPPED)
    assert found == pytest.approx(shift, abs=1)
    (usual, *_), (moved, *_) = pairs_of(crowded()), pairs_of(rows, found)
    assert np.allclose(moved.levels.attenuation, usual.levels.attenuation, atol=1)
    assert moved.beacon_attenuation[0] - usual.beacon_attenuation[0] == pytest.approx(shift, abs=1)


@pytest.mark.parametrize("shift", [-5, 0, 5])
def test_crowds_differ_by_some_decibels_without_another_scale(shift: float) -> None:
    assert scale_shift([crowded(shift)], SHIPPED) == 0
    assert scale_shift([replace(crowded(shift), phones=(UNKNOWN,) * 6)], SHIPPED) == 0
    assert scale_shift([made(time=[1.5])], SHIPPED) == 0


@pytest.mark.parametrize("loud", [0, 1, 2])
def test_a_level_that_no_phone_hears_is_passed_over(loud: int) -> None:
    rssi = [-60.0] * 3
    rssi[loud] = -5.0
    pair = only(
        made(time=[0.0, 60.0, 120.0], rssi=rssi, receiver=[0] * 3, sender=[1] * 3,
             distance=[1.0, 2.0, 3.0])
    )  # fmt: skip
    assert len(pair.levels.moment_time) == 2
    kept = [metres for number, metres in enumerate((1.0, 2.0, 3.0)) if number != loud]
    assert pair.distance.tolist() == kept
    assert pair.beacon_moment.tolist() == [0, 1]
