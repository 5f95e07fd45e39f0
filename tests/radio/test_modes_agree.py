"""The direct mode hears what the full-HCI mode hears: packets in a window, levels, duty, crowds."""

from collections.abc import Sequence

import numpy as np
import pytest

from bluezone.clock import LoopClock
from bluezone.radio.air import Air, Position
from bluezone.radio.direct import DirectRadio
from bluezone.radio.hci import HciRadio
from bluezone.radio.interface import Radio
from bluezone.radio.link import AirController, AirLink
from tests.radio.virtual import in_virtual_time

WINDOWS = 60
PLACES: Sequence[Position] = [(0.0, 0.0), (0.7, 0.0), (2.0, 1.0), (6.0, 0.0), (0.0, 14.0)]
CROWD: Sequence[Position] = [(0.9 * (i % 6), 0.9 * (i // 6)) for i in range(30)]
Heard = dict[int, list[tuple[int, ...]]]  # by sender: levels of each window


async def _observe(clock: LoopClock, radios: Sequence[Radio], gap: float) -> Heard:
    """What the first radio hears of the others in 4-s windows, `gap` seconds between them."""
    for i, radio in enumerate(radios[1:], start=1):
        await radio.advertise(bytes([i]) * 20)
        await clock.sleep(0.0171)  # nobody starts in step
    heard: Heard = {i: [] for i in range(1, len(radios))}
    for _ in range(WINDOWS):
        await clock.sleep(gap)
        window = {s.payload[0]: s.rssi for s in await radios[0].scan(4.0)}
        for i, windows in heard.items():
            windows.append(window.get(i, ()))
    return heard


def _direct(places: Sequence[Position], seed: int, gap: float = 236.0) -> Heard:
    async def scene(clock: LoopClock) -> Heard:
        air = Air(clock, seed=seed)
        return await _observe(clock, [DirectRadio(air, place) for place in places], gap)

    return in_virtual_time(scene)


def _hci(places: Sequence[Position], seed: int, gap: float = 236.0) -> Heard:
    async def scene(clock: LoopClock) -> Heard:
        link = AirLink(Air(clock, seed=seed))
        radios = [await HciRadio.attach(AirController(link, p), clock) for p in places]
        return await _observe(clock, radios, gap)

    return in_virtual_time(scene)


def _packets(windows: Sequence[tuple[int, ...]]) -> float:
    return float(np.mean([len(window) for window in windows]))


def _levels(windows: Sequence[tuple[int, ...]]) -> list[int]:
    return [level for window in windows for level in window]


def test_packets_in_a_window_and_their_levels_agree() -> None:
    direct, hci = _direct(PLACES, 5), _hci(PLACES, 5)
    for sender in direct:
        assert _packets(direct[sender]) == pytest.approx(_packets(hci[sender]), rel=0.04)
        quantiles = [5, 25, 50, 75, 95]
        assert np.percentile(_levels(direct[sender]), quantiles) == pytest.approx(
            np.percentile(_levels(hci[sender]), quantiles), abs=1.5
        )
        # The same seed puts the same people in each other's way at the same time.
        means = [
            [np.mean(window) for window in windows if window]
            for windows in (direct[sender], hci[sender])
        ]
        if len(means[0]) == len(means[1]) == WINDOWS:
            assert np.corrcoef(means[0], means[1])[0, 1] > 0.9
    near = _packets(direct[1])
    assert near == pytest.approx(4.0 / 0.255 * 0.96, rel=0.04)


def test_the_spread_of_counts_agrees() -> None:
    direct, hci = _direct(PLACES, 6), _hci(PLACES, 6)
    for sender in (1, 2):
        counts = [[len(w) for w in heard[sender]] for heard in (direct, hci)]
        assert np.std(counts[0]) == pytest.approx(np.std(counts[1]), abs=0.4)


def test_a_crowd_collides_alike() -> None:
    direct, hci = _direct(CROWD, 7, gap=16.0), _hci(CROWD, 7, gap=16.0)
    means = [np.mean([_packets(w) for w in heard.values()]) for heard in (direct, hci)]
    assert means[0] == pytest.approx(means[1], rel=0.02)
    assert means[0] < 4.0 / 0.255 * 0.94  # thirty phones cost each other packets
