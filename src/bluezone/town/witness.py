"""The town's eyes on the air: who broadcast what, and whose scans heard whom.

No phone or service can know this: only a simulation sees both ends.
"""

from collections.abc import Collection

import numpy as np

from bluezone.clock import Clock
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.radio.air import Position
from bluezone.radio.direct import DirectRadio
from bluezone.radio.interface import Capabilities, RadioState, Sighting


class Witness:
    """What all radios of a town sent and heard."""

    def __init__(self, people: int, clock: Clock) -> None:
        self.scans = 0
        self._clock = clock
        self._broadcasts: list[list[tuple[float, bytes]]] = [[] for _ in range(people)]
        self._sender: dict[bytes, int] = {}
        self._heard: list[tuple[int, ...]] = [()] * people

    def sent(self, person: int, payload: bytes) -> None:
        """A person's phone begins to broadcast a payload."""
        self._broadcasts[person].append((self._clock.now(), payload))
        self._sender[payload] = person

    def heard(self, person: int, sightings: list[Sighting]) -> None:
        """A person's phone has ended a scan."""
        self.scans += 1
        self._heard[person] = tuple(self._sender[sighting.payload] for sighting in sightings)

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (lower number first) of whom at least one heard the other in its last scan."""
        return sorted(
            {
                (min(person, other), max(person, other))
                for person, others in enumerate(self._heard)
                for other in others
            }
        )

    def broadcasts(self, people: Collection[int]) -> ScanRecords:
        """All that these people's phones sent, as a diary that missed nothing would hold it."""
        rows = [row for person in sorted(people) for row in self._broadcasts[person]]
        records = np.zeros(len(rows), SCAN_RECORD)
        for record, (time, payload) in zip(records, rows, strict=True):
            record["rpi"], record["aem"] = payload[:16], payload[16:]
            record["time"], record["trusted_clock"] = int(time), True
        return records


class WitnessedRadio:
    """A person's radio on the virtual air, with a witness."""

    def __init__(self, person: int, radio: DirectRadio, witness: Witness) -> None:
        self._person = person
        self._radio = radio
        self._witness = witness

    @property
    def state(self) -> RadioState:
        return self._radio.state

    @property
    def capabilities(self) -> Capabilities:
        return self._radio.capabilities

    @property
    def tx_power(self) -> int:
        return self._radio.tx_power

    def move(self, position: Position, space: str) -> None:
        """Be somewhere else from now on."""
        self._radio.move(position, space)

    async def advertise(self, payload: bytes) -> None:
        await self._radio.advertise(payload)
        self._witness.sent(self._person, payload)

    async def stop(self) -> None:
        await self._radio.stop()

    async def scan(self, seconds: float) -> list[Sighting]:
        sightings = await self._radio.scan(seconds)
        self._witness.heard(self._person, sightings)
        return sightings

    async def close(self) -> None:
        await self._radio.close()
