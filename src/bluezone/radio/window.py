"""One scan window: what was heard in it, packet by packet, until it becomes sightings."""

from collections.abc import Callable, Iterator

from bluezone.radio.interface import Sighting

# The payload that was read at an address, if there is one that belongs to this time.
BeaconOf = Callable[[bytes, float], bytes | None]
_Levels = tuple[float, list[int]]  # time of the first packet, level of each


class ScanWindow:
    """Collects the packets of one window: beacons, and offers to read one by GATT."""

    def __init__(self) -> None:
        self._beacons: dict[tuple[bytes, bytes], _Levels] = {}
        self._offers: dict[bytes, _Levels] = {}

    def beacon(self, address: bytes, payload: bytes, rssi: int, time: float) -> None:
        """A packet that carries a beacon."""
        heard = self._beacons.get((address, payload))
        if heard is None:
            self._beacons[address, payload] = (time, [rssi])
        else:
            heard[1].append(rssi)

    def offer(self, address: bytes, rssi: int, time: float) -> None:
        """A packet of somebody whose beacon can be read."""
        heard = self._offers.get(address)
        if heard is None:
            self._offers[address] = (time, [rssi])
        else:
            heard[1].append(rssi)

    def sightings(self, beacon_of: BeaconOf) -> list[Sighting]:
        """Who was heard. `beacon_of` gives what was read of somebody who offered."""
        return [
            Sighting(address, payload, time, tuple(levels))
            for address, payload, (time, levels) in self._known(beacon_of)
        ]

    def _known(self, beacon_of: BeaconOf) -> Iterator[tuple[bytes, bytes, _Levels]]:
        for (address, payload), levels in self._beacons.items():
            yield address, payload, levels
        for address, levels in self._offers.items():
            read = beacon_of(address, levels[0])
            # Some do both: the beacon itself is then the better witness.
            if read is not None and (address, read) not in self._beacons:
                yield address, read, levels
