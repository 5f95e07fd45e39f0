"""The radio of a town: what a phone hears in a scan window, computed at once."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bluezone.clock import ManualClock
from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.radio.air import (
    ADV_DELAY_SECONDS,
    Air,
    Broadcast,
    Position,
    Station,
)
from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting
from bluezone.radio.physics import Window, hear


@dataclass(frozen=True, slots=True)
class Listening:
    """How a receiver spends a scan: `window` of every `interval` seconds it listens."""

    interval: float = 0.060
    window: float = 0.060


CONTINUOUS: Final = Listening()
_CAPABILITIES: Final = Capabilities("virtual air", "direct", broadcasts=True)
_ADDRESS_BITS: Final = 46
_WHY_NOT: Final = {
    RadioState.OFF: "Bluetooth is switched off",
    RadioState.NO_PERMISSION: "the system does not let this app use Bluetooth",
    RadioState.UNAVAILABLE: "the radio is closed",
}


class DirectRadio:
    """A `Radio` on an `Air`, with the statistics of the full-HCI mode and none of its cost.

    `state` may be set: switching Bluetooth off silences the beacon until the next
    `advertise`.
    """

    def __init__(
        self,
        air: Air,
        position: Position = (0.0, 0.0),
        space: str = "",
        *,
        tx_power: int | None = None,
        listening: Listening = CONTINUOUS,
    ) -> None:
        self._air = air
        self._listening = listening
        self._station = air.join(position, space, tx_power)
        self._state = RadioState.ON

    @property
    def state(self) -> RadioState:
        return self._state

    @state.setter
    def state(self, state: RadioState) -> None:
        self._state = state
        if state is not RadioState.ON:
            self._station.silence()

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def tx_power(self) -> int:
        return self._station.tx_power

    @property
    def position(self) -> Position:
        """Metres on the air's map."""
        return self._station.position

    @property
    def space(self) -> str:
        """The room, bus or market it is in."""
        return self._station.space

    @property
    def on_air(self) -> Broadcast | None:
        """What it is sending."""
        return self._station.current

    def move(self, position: Position, space: str) -> None:
        """Be somewhere else from now on."""
        self._station.move(position, space)

    async def advertise(self, payload: bytes) -> None:
        """Broadcast 20 bytes under a fresh address. ValueError for another length."""
        self._require_on()
        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"a beacon has {PAYLOAD_BYTES} bytes, not {len(payload)}")
        # Non-resolvable private: the two top bits of its 48 are zero.
        address = int(self._station.rng.integers(2**_ADDRESS_BITS)).to_bytes(6, "big")
        self._station.broadcast(address, payload)

    async def stop(self) -> None:
        self._station.silence()

    async def scan(self, seconds: float) -> list[Sighting]:
        """Who was heard from now on for `seconds`. A scan cut short hears nothing."""
        self._require_on()
        clock, station = self._air.clock, self._station
        start = clock.now()
        station.listening_since = start
        try:
            await clock.sleep(seconds)
        finally:
            station.listening_since = None
        self._require_on()
        statistics = self._air.statistics
        statistics.worst_lag = max(statistics.worst_lag, clock.now() - start - seconds)
        return hear_window(self._air, station, start, seconds, self._listening)

    async def close(self) -> None:
        self._state = RadioState.UNAVAILABLE
        self._station.leave()

    def _require_on(self) -> None:
        if self._state is not RadioState.ON:
            raise RadioError(_WHY_NOT[self._state], self._state)


def make_ready() -> None:
    """Compile or load the air's laws now: the first scan need not wait for it."""
    air = Air(ManualClock(0.0))
    listener, sender = air.join((0.0, 0.0)), air.join((1.0, 0.0))
    sender.broadcast(bytes(6), bytes(PAYLOAD_BYTES))
    hear_window(air, listener, 0.0, 1.0)


def hear_window(
    air: Air, station: Station, start: float, seconds: float, listening: Listening = CONTINUOUS
) -> list[Sighting]:
    """What `station` heard in `seconds` from `start` (Unix time), strongest physics applied.

    One sighting for each broadcast of which at least one packet arrived. People are where
    they are now: a window is seconds, a walk across a room is longer.
    """
    neighbours = station.neighbours()
    end = start + seconds
    on_air: list[tuple[int, Broadcast, float]] = [  # row of the sender, and when it stopped
        (row, sender.current, end)
        for row, sender in enumerate(neighbours.stations)
        if sender.current is not None and sender.current.start < end
    ]
    if air.last_stop > start:  # phones turn their beacons between scans, so hardly ever
        on_air += (
            (row, broadcast, stopped)
            for row, sender in enumerate(neighbours.stations)
            for broadcast, stopped in sender.ended
            if stopped > start and broadcast.start < end
        )
        on_air.sort(key=lambda sent: (sent[0], sent[1].start))
    if not on_air:
        return []
    most = math.ceil(seconds / ADVERTISING_INTERVAL_SECONDS) + 1
    # Drawn flat: for a shape, numpy first computes its size, in Python.
    shape, size = (2, len(on_air), most), 2 * len(on_air) * most
    row, broadcasts, stopped = zip(*on_air, strict=True)
    draw = station.rng
    received = hear(
        air.physics,
        Window(
            seconds,
            listening.interval,
            listening.window,
            ADVERTISING_INTERVAL_SECONDS,
            ADV_DELAY_SECONDS,
        ),
        start,
        neighbours.signals,
        np.array(row),
        np.array([broadcast.start for broadcast in broadcasts]),
        np.array(stopped),
        (
            draw.random(size).reshape(shape),
            draw.random(len(on_air)),
            draw.standard_normal(size).reshape(shape),
        ),
    )
    packets = received.rssi.tolist()
    air.statistics.offered += received.offered
    air.statistics.delivered += len(packets)
    air.statistics.faded += received.offered - len(packets)

    sightings = []
    position = 0
    for broadcast, count, first in zip(
        broadcasts, received.counts.tolist(), received.first.tolist(), strict=True
    ):
        if count:
            following = position + count
            levels = tuple(packets[position:following])
            sightings.append(Sighting(broadcast.address, broadcast.payload, start + first, levels))
            position = following
    return sightings
