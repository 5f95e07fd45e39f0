"""The encounter diary: one sealed page of packed records for each scan, folded daily."""

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np

from bluezone.phone.sealing import UnsealError
from bluezone.phone.store import Store
from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.radio.interface import Sighting

# A crowd is a few hundred phones; more identifiers in four seconds are an attempt to fill
# the diary, and the strongest are the nearest.
MAX_RECORDS_PER_SCAN: Final = 1000
_RECORD: Final = struct.Struct(">20sIHhbB?x")  # SCAN_RECORD with rpi and aem in one piece
_INSERT: Final = "INSERT INTO scan (day, sealed) VALUES (?, ?)"


def pack_page(sightings: Iterable[Sighting], since_last_scan: int, trusted_clock: bool) -> bytes:
    """One scan's sightings as packed SCAN_RECORDs, the strongest kept if there are too many."""
    heard = [s for s in sightings if s.rssi and len(s.payload) == PAYLOAD_BYTES]
    if len(heard) > MAX_RECORDS_PER_SCAN:
        heard = sorted(heard, key=lambda s: max(s.rssi), reverse=True)[:MAX_RECORDS_PER_SCAN]
    pack = _RECORD.pack
    return b"".join(
        [
            pack(
                s.payload,
                max(0, int(s.time)) & 0xFFFFFFFF,
                since_last_scan,
                round(100 * sum(s.rssi) / len(s.rssi)),
                max(s.rssi),
                min(len(s.rssi), 255),
                trusted_clock,
            )
            for s in heard
        ]
    )


def _place(day: int) -> bytes:
    return b"scan:" + day.to_bytes(8, "big", signed=True)


class Diary:
    """What this phone heard, by UTC day."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._damaged: set[int] = set()  # rows

    @property
    def damaged_pages(self) -> int:
        """Kept pages that could not be unsealed when they were last read by this process."""
        return len(self._damaged)

    def add(self, time: float, page: bytes) -> None:
        """Keep one scan's page; when this returns, only a dead disk can lose it."""
        day = utc_day_number(time)
        self._store.execute(_INSERT, (day, self._store.sealer.seal(page, _place(day))))

    def records(self, first_day: int, last_day: int) -> ScanRecords:
        """All records of the days from `first_day` to `last_day`, both included.

        A page that cannot be unsealed is left where it is, counted, and passed over: one
        damaged page must not silence thirteen good days.
        """
        pages: list[bytes] = []
        for row, day, sealed in self._store.execute(
            "SELECT id, day, sealed FROM scan WHERE day BETWEEN ? AND ? ORDER BY day, id",
            (first_day, last_day),
        ):
            page = self._unseal(row, day, sealed)
            if page is not None:
                pages.append(page)
        return np.frombuffer(b"".join(pages), SCAN_RECORD)

    def fold(self, before_day: int) -> None:
        """Join the pages of each finished day into one: fourteen pages to unseal, not 5,000."""
        for (day,) in self._store.execute(
            "SELECT day FROM scan WHERE day < ? GROUP BY day HAVING count(*) > 1", (before_day,)
        ):
            with self._store.transaction():
                kept: list[bytes] = []
                rows: list[int] = []
                for row, sealed in self._store.execute(
                    "SELECT id, sealed FROM scan WHERE day = ? ORDER BY id", (day,)
                ):
                    page = self._unseal(row, day, sealed)
                    if page is not None:
                        kept.append(page)
                        rows.append(row)
                if len(rows) < 2:
                    continue
                for row in rows:
                    self._store.execute("DELETE FROM scan WHERE id = ?", (row,))
                sealed = self._store.sealer.seal(b"".join(kept), _place(day))
                self._store.execute(_INSERT, (day, sealed))

    def forget_before(self, day: int) -> int:
        """Delete the pages of all earlier days; return how many."""
        gone = self._store.execute("SELECT count(*) FROM scan WHERE day < ?", (day,))[0][0]
        self._store.execute("DELETE FROM scan WHERE day < ?", (day,))
        if self._damaged:
            self._damaged &= {row for (row,) in self._store.execute("SELECT id FROM scan")}
        return int(gone)

    def forget_between(self, start: int, end: int) -> None:
        """Delete what was heard from Unix time `start` to `end`, without the end."""
        with self._store.transaction():
            for row, day, sealed in self._store.execute(
                "SELECT id, day, sealed FROM scan WHERE day BETWEEN ? AND ?",
                (utc_day_number(start), utc_day_number(end)),
            ):
                page = self._unseal(row, day, sealed)
                if page is None:
                    continue
                records = np.frombuffer(page, SCAN_RECORD)
                kept = records[(records["time"] < start) | (records["time"] >= end)]
                if len(kept) == len(records):
                    continue
                if len(kept):
                    resealed = self._store.sealer.seal(kept.tobytes(), _place(day))
                    self._store.execute("UPDATE scan SET sealed = ? WHERE id = ?", (resealed, row))
                else:
                    self._store.execute("DELETE FROM scan WHERE id = ?", (row,))
        self._store.forget_deleted()

    def forget_all(self) -> None:
        """Delete every page, those that cannot be unsealed too."""
        self._store.execute("DELETE FROM scan")
        self._damaged.clear()
        self._store.forget_deleted()

    def days(self) -> list[int]:
        """The days of which something is kept, oldest first."""
        return [row[0] for row in self._store.execute("SELECT DISTINCT day FROM scan ORDER BY day")]

    def _unseal(self, row: int, day: int, sealed: bytes) -> bytes | None:
        try:
            page = self._store.sealer.unseal(sealed, _place(day))
        except UnsealError:
            page = b"?"
        if len(page) % SCAN_RECORD.itemsize:
            self._damaged.add(row)
            return None
        self._damaged.discard(row)
        return page
