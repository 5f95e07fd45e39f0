"""The air's physics: what docs/air.md promises about levels, bodies, shadows and collisions."""

import math

import numpy as np
import pytest

from bluezone.clock import ManualClock
from bluezone.radio.air import Air
from bluezone.radio.physics import (
    AirPhysics,
    Floats,
    body_loss,
    carrying_loss,
    drift,
    fading,
    influence,
    pair_offset,
    path_loss,
    reach,
    scramble,
    survival,
)

PHYSICS = AirPhysics()
KEYS = [np.uint64(scramble(np.uint64(number))) for number in range(4000)]


def _drift(step: float) -> Floats:
    return np.array([drift(key, step) for key in KEYS])


def test_path_loss_follows_its_law_and_stops_at_the_near_field() -> None:
    loss = [path_loss(PHYSICS, metres) for metres in (0.0, 0.1, 1.0, 2.0, 5.0, 50.0)]
    assert loss[0] == loss[1] < loss[2]
    assert loss[2] == pytest.approx(35.0)
    assert loss[3] - loss[2] == pytest.approx(13 * math.log10(2))
    assert loss[5] - loss[4] == pytest.approx(30.0)  # beyond what was recorded


@pytest.mark.parametrize("metres", [0.5, 4.9, 5.1, 80.0])
def test_reach_is_where_the_loss_is_reached(metres: float) -> None:
    assert reach(PHYSICS, path_loss(PHYSICS, metres)) == pytest.approx(metres)


def test_offsets_of_a_pair_add_up() -> None:
    pair, time = KEYS[7], 1e9
    noise = [influence(np.uint64(pair + n), time, s) for n, s in enumerate((3600.0, 180.0, 5.0))]
    expected = np.dot(noise, (PHYSICS.meeting_db, PHYSICS.shadowing_db, PHYSICS.sway_db))
    assert pair_offset(PHYSICS, pair, time) == pytest.approx(expected)


def test_a_third_of_the_time_in_a_hand() -> None:
    loss = [carrying_loss(PHYSICS, noise) for noise in _drift(7.3).tolist()]
    assert set(loss) == {0.0, PHYSICS.carried_db}
    assert loss.count(0.0) / len(loss) == pytest.approx(1 / 3, abs=0.03)


def test_two_metres_lie_across_the_published_thresholds() -> None:
    """Rules at 55 and 63 dB must be right often and wrong realistically often."""
    attenuations = []
    for seed in range(400):
        air = Air(ManualClock(0.0), seed=seed)
        receiver, sender = air.join((0.0, 0.0)), air.join((2.0, 0.0))
        level = air.levels(receiver.neighbours(), 0.0)[0]
        attenuations.append(sender.tx_power - level)
    low, median, high = np.percentile(attenuations, [10, 50, 90])
    assert 56 < median < 62
    assert low < 55
    assert high > 63


def test_body_loss_runs_from_nothing_to_its_maximum() -> None:
    loss = [body_loss(PHYSICS, angle) for angle in (0.0, math.pi / 2, math.pi)]
    assert loss == pytest.approx([0.0, PHYSICS.body_db / 2, PHYSICS.body_db])


def test_drift_is_standard_normal_at_any_moment() -> None:
    for moment in (0.0, 0.25, 0.5, 1e7 + 0.9):
        values = _drift(moment)
        assert abs(values.mean()) < 0.06
        assert abs(values.std() - 1.0) < 0.05


def test_drift_forgets_within_two_steps_and_not_sooner() -> None:
    start = _drift(5.2)

    def likeness(step: float) -> float:
        return float(np.corrcoef(start, _drift(5.2 + step))[0, 1])

    assert likeness(0.02) > 0.99
    assert 0.2 < likeness(0.5) < 0.95
    assert abs(likeness(2.0)) < 0.06


def test_drift_is_continuous_across_a_step() -> None:
    before = _drift(6.0 - 1e-6)
    after = _drift(6.0 + 1e-6)
    assert np.abs(before - after).max() < 1e-3


def test_fading_keeps_the_mean_power() -> None:
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((20_000, 2)).tolist()
    gains = np.array([fading(PHYSICS.rician_k, *draw) for draw in draws])
    assert np.mean(10 ** (gains / 10)) == pytest.approx(1.0, abs=0.02)


def test_crowds_collide_and_the_strong_are_spared() -> None:
    alone = survival(PHYSICS, np.array([-60.0]), 0.255)
    assert alone == pytest.approx([1 - PHYSICS.packet_loss])
    crowd = survival(PHYSICS, np.concatenate(([-40.0], np.full(199, -70.0))), 0.255)
    assert crowd[0] == pytest.approx(1 - PHYSICS.packet_loss)
    assert 0.5 < crowd[1] < 0.6


def test_levels_within_the_capture_ratio_destroy_each_other() -> None:
    near, far = survival(PHYSICS, np.array([-60.0, -60.0 - PHYSICS.capture_db - 1]), 0.255)
    assert near > far
    pair = survival(PHYSICS, np.array([-60.0, -60.0 - PHYSICS.capture_db + 1]), 0.255)
    assert pair[0] == pair[1]
