"""The town's eyes on the air: who broadcast what, and whose scans heard whom.

No phone or service can know this: only a simulation sees both ends.
"""

from collections.abc import Collection

import numpy as np

from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.radio.air import Broadcast, Position
from bluezone.radio.direct import DirectRadio
from bluezone.radio.interface import Capabilities, RadioState, Sighting
from bluezone.town.messages import Report, Sent


class Witness:
    """What all radios of a town sent and heard."""

    def __init__(self, people: int) -> None:
        self.scans = 0
        self._broadcasts: list[list[Broadcast]] = [[] for _ in range(people)]
        self._sender: dict[bytes, int] = {}
        self._heard: list[tuple[int, ...]] = [()] * people

    def take(self, reports: Collection[Report]) -> None:
        """Learn what happened in all quarters during one stretch."""
        for report in reports:
            for sent in report.sent:
                self._broadcasts[sent.person].append(sent.broadcast)
                self._sender[sent.broadcast.payload] = sent.person
        for report in reports:
            self.scans += len(report.heard)
            for person, payloads in report.heard:
                self._heard[person] = tuple(self._sender[payload] for payload in payloads)

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
        for record, sent in zip(records, rows, strict=True):
            record["rpi"], record["aem"] = sent.payload[:16], sent.payload[16:]
            record["time"], record["trusted_clock"] = int(sent.start), True
        return records


class WitnessedRadio:
    """A person's radio on the virtual air, which adds to `report` what it sends and hears."""

    def __init__(self, person: int, radio: DirectRadio, report: Report) -> None:
        self._person = person
        self._radio = radio
        self._report = report

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
        assert self._radio.on_air is not None  # noqa: S101 - it has just begun
        self._report.sent.append(Sent(self._person, self._radio.on_air))

    async def stop(self) -> None:
        await self._radio.stop()

    async def scan(self, seconds: float) -> list[Sighting]:
        sightings = await self._radio.scan(seconds)
        self._report.heard.append((self._person, [one.payload for one in sightings]))
        return sightings

    async def close(self) -> None:
        await self._radio.close()
