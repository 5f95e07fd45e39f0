"""The air's physics: what docs/air.md promises about levels, bodies, shadows and collisions."""

import math

import numpy as np
import pytest

from bluezone.clock import ManualClock
from bluezone.radio.air import Air
from bluezone.radio.physics import AirPhysics, drift, scramble

PHYSICS = AirPhysics()
KEYS = scramble(np.arange(4000, dtype=np.uint64))


def test_path_loss_follows_its_law_and_stops_at_the_near_field() -> None:
    loss = PHYSICS.path_loss(np.array([0.0, 0.1, 1.0, 2.0, 10.0]))
    assert loss[0] == loss[1] < loss[2]
    assert loss[2] == pytest.approx(47.0)
    assert loss[3] - loss[2] == pytest.approx(20 * math.log10(2))
    assert loss[4] - loss[2] == pytest.approx(20.0)


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


def test_single_packets_err_as_often_as_published_for_a_fixed_threshold() -> None:
    """SwissCovid's table for 55 dB and 2 m: precision .77, recall .52."""
    rng = np.random.default_rng(0)
    near, warned = [], []
    for seed in range(1500):
        air = Air(ManualClock(0.0), seed=seed)
        distance = rng.uniform(0.5, 5.0)
        receiver, sender = air.join((0.0, 0.0)), air.join((distance, 0.0))
        level = air.levels(receiver.neighbours(), rng.uniform(0, 1e6))[0]
        level += PHYSICS.packet_fading(rng.standard_normal)
        near.append(distance <= 2.0)
        warned.append(sender.tx_power - level < 55.0)
    both = np.sum(np.array(near) & np.array(warned))
    assert 0.65 < both / np.sum(warned) < 0.8
    assert 0.4 < both / np.sum(near) < 0.55


def test_body_loss_runs_from_nothing_to_its_maximum() -> None:
    loss = PHYSICS.body_loss(np.array([0.0, math.pi / 2, math.pi]))
    assert loss == pytest.approx([0.0, PHYSICS.body_db / 2, PHYSICS.body_db])


def test_drift_is_standard_normal_at_any_moment() -> None:
    for moment in (0.0, 0.25, 0.5, 1e7 + 0.9):
        values = drift(KEYS, np.full(len(KEYS), moment))
        assert abs(values.mean()) < 0.06
        assert abs(values.std() - 1.0) < 0.05


def test_drift_forgets_within_two_steps_and_not_sooner() -> None:
    start = drift(KEYS, np.full(len(KEYS), 5.2))

    def likeness(step: float) -> float:
        return float(np.corrcoef(start, drift(KEYS, np.full(len(KEYS), 5.2 + step)))[0, 1])

    assert likeness(0.02) > 0.99
    assert 0.2 < likeness(0.5) < 0.95
    assert abs(likeness(2.0)) < 0.06


def test_drift_is_continuous_across_a_step() -> None:
    before = drift(KEYS, np.full(len(KEYS), 6.0 - 1e-6))
    after = drift(KEYS, np.full(len(KEYS), 6.0 + 1e-6))
    assert np.abs(before - after).max() < 1e-3


def test_fading_keeps_the_mean_power_and_both_modes_fade_alike() -> None:
    rng = np.random.default_rng(1)
    window = PHYSICS.fading(*rng.standard_normal((2, 20_000)))
    packets = np.array([PHYSICS.packet_fading(rng.standard_normal) for _ in range(20_000)])
    for gains in (window, packets):
        assert np.mean(10 ** (gains / 10)) == pytest.approx(1.0, abs=0.02)
    quantiles = [5, 25, 50, 75, 95]
    assert np.percentile(window, quantiles) == pytest.approx(
        np.percentile(packets, quantiles), abs=0.25
    )


def test_crowds_collide_and_the_strong_are_spared() -> None:
    alone = PHYSICS.survival(np.array([-60.0]), 0.255)
    assert alone == pytest.approx([1 - PHYSICS.packet_loss])
    crowd = PHYSICS.survival(np.concatenate(([-40.0], np.full(199, -70.0))), 0.255)
    assert crowd[0] == pytest.approx(1 - PHYSICS.packet_loss)
    assert 0.5 < crowd[1] < 0.6


def test_levels_within_the_capture_ratio_destroy_each_other() -> None:
    near, far = PHYSICS.survival(np.array([-60.0, -60.0 - PHYSICS.capture_db - 1]), 0.255)
    assert near > far
    pair = PHYSICS.survival(np.array([-60.0, -60.0 - PHYSICS.capture_db + 1]), 0.255)
    assert pair[0] == pair[1]
