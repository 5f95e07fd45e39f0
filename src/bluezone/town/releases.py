"""When a case's keys became public: reads the published files as anybody can."""

from collections.abc import Collection

from bluezone.phone import Service
from bluezone.protocol.deployment import MAX_EXPORT_BYTES, ROLLING_PERIOD
from bluezone.protocol.exports import read_export
from bluezone.protocol.index import read_index
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.matching import find_matches
from bluezone.protocol.trust import Pins, read_certificates
from bluezone.town.witness import Witness

_MAX_DOCUMENT_BYTES = 1024 * 1024


class Releases:
    """Which keys of the cases have been published, and when each first was."""

    def __init__(self, service: Service, pins: Pins, witness: Witness) -> None:
        self.by_day: dict[tuple[int, int], float] = {}  # (case, UTC day) -> released at
        self._service = service
        self._pins = pins
        self._witness = witness
        self._keys: dict[str, KeyTable] = {}  # of each file, by its name: no file ever changes
        self._compared: set[tuple[str, int]] = set()  # (file, case)

    def before(self, time: float | None) -> float | None:
        """The last release before `time`: what a phone that warned then had just learnt."""
        if time is None:
            return None
        return max((at for at in self.by_day.values() if at <= time), default=None)

    async def look(self, cases: Collection[int], now: float) -> float:
        """Read what is new; returns when the next index is due (Unix seconds).

        Raises ServiceError, EnvelopeError, ExportError: a published file must be readable.
        """
        trust = read_certificates(await self._fetch("trust.json", _MAX_DOCUMENT_BYTES), self._pins)
        index = read_index(
            await self._fetch("index.json", _MAX_DOCUMENT_BYTES), trust, int(now), last_sequence=0
        )
        for case in sorted(cases):
            for file in index.files:
                if (file.name, case) not in self._compared:
                    self._compare(case, await self._keys_of(file.name), file.released_at)
                    self._compared.add((file.name, case))
        return float(index.next_at)

    def _compare(self, case: int, keys: KeyTable, released_at: int) -> None:
        matches = find_matches(keys, self._witness.broadcasts([case]))
        for start in {int(keys.rolling_start[row]) for row in matches.key_row}:
            key_day = (case, start // ROLLING_PERIOD)
            known = self.by_day.get(key_day, float("inf"))
            self.by_day[key_day] = min(known, float(released_at))

    async def _keys_of(self, name: str) -> KeyTable:
        if name not in self._keys:
            data = await self._fetch(f"exports/{name}", MAX_EXPORT_BYTES)
            self._keys[name] = read_export(data, name, None).keys
        return self._keys[name]

    async def _fetch(self, path: str, max_bytes: int) -> bytes:
        return (await self._service.fetch(f"/v1/{path}", max_bytes)).body or b""
