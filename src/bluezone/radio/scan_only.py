"""A radio that hears others and is not heard: where the system lets nobody broadcast a beacon.

macOS advertises a name and service UUIDs only; Windows keeps the data types that a beacon
needs to itself (docs/radio.md).
"""

from bluezone.clock import Clock
from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.radio.bleak_scan import BleakScan, system_name
from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting


class ScanOnlyRadio:
    """A `Radio` whose `advertise` does nothing, as its capabilities say."""

    # No system tells how strong what is never sent would be.
    tx_power = 0

    def __init__(self, clock: Clock) -> None:
        self._scan = BleakScan(clock, {})
        self._state = RadioState.ON

    @property
    def state(self) -> RadioState:
        """As the last scan found it: there is no asking without scanning."""
        return self._state

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(system_name(), "default", broadcasts=False, reads_gatt=True)

    async def advertise(self, payload: bytes) -> None:
        """Nothing goes on the air."""
        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"a beacon has {PAYLOAD_BYTES} bytes, not {len(payload)}")
        await self._scan.let_go()  # whoever turns the beacon waits for nobody

    async def stop(self) -> None:
        pass

    async def scan(self, seconds: float) -> list[Sighting]:
        try:
            sightings = await self._scan.listen(seconds)
        except RadioError as fault:
            self._state = fault.state
            raise
        self._state = RadioState.ON
        return sightings

    async def close(self) -> None:
        await self._scan.close()
        self._state = RadioState.UNAVAILABLE
