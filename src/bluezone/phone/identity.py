"""Who this phone is on the air: a fresh random key each UTC day, kept for fourteen days."""

import os
from typing import Final

import msgspec

from bluezone.phone.sealing import Entropy
from bluezone.phone.store import Store
from bluezone.protocol.beacon import RPI_BYTES, Beacon, encode_metadata
from bluezone.protocol.commitment import MAX_POWERS
from bluezone.protocol.deployment import (
    RETENTION_DAYS,
    ROLLING_PERIOD,
    UPLOAD_KEY_SLOTS,
)
from bluezone.protocol.intervals import day_start_interval, interval_number
from bluezone.protocol.keys import (
    KEY_BYTES,
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.protocol.unprintable import Unprintable

_PUT: Final = "INSERT OR REPLACE INTO tek (rolling_start, sealed) VALUES (?, ?)"


class _Kept(Unprintable, frozen=True):
    key: bytes
    rolling_period: int
    reported: bool = False
    powers: tuple[int, ...] = ()  # dBm, that its beacons said


class _OnAir(Unprintable, frozen=True):
    """A key of this phone and what is derived from it for its day."""

    sealed: bytes  # the row it was read from: while that is the same, so is all of this
    tek: TemporaryExposureKey
    identifiers: bytes
    aem_key: bytes
    powers: tuple[int, ...]

    def covers(self, interval: int) -> bool:
        return self.tek.rolling_start <= interval < self.tek.rolling_end

    def rpi(self, interval: int) -> bytes:
        place = (interval - self.tek.rolling_start) * RPI_BYTES
        return self.identifiers[place : place + RPI_BYTES]


class Identity:
    """The temporary exposure keys of this phone.

    What is derived from a key is kept, but never without a look at its row: a report made in
    another process takes effect at the next beacon.
    """

    def __init__(self, store: Store, entropy: Entropy = os.urandom) -> None:
        self._store = store
        self._entropy = entropy
        self._on_air: _OnAir | None = None

    def current(self, now: float) -> TemporaryExposureKey:
        """The key for the interval of `now`, made if there is none. Raises StoreError."""
        interval = interval_number(now)
        tek, start = self._find(interval)
        if tek is not None:
            return tek
        with self._store.transaction():  # another process may be making the day's key as well
            tek, start = self._find(interval)
            return tek or self._make(start, day_start_interval(interval) + ROLLING_PERIOD - start)

    def _find(self, interval: int) -> tuple[TemporaryExposureKey | None, int]:
        """The key of `interval`, or where in its day a new one has to start."""
        start = day = day_start_interval(interval)
        for tek, _ in self._between(day, day + ROLLING_PERIOD - 1):
            if tek.rolling_start <= interval < tek.rolling_end:
                return tek, tek.rolling_start
            if tek.rolling_start <= interval:
                start = tek.rolling_end
        return None, start

    def beacon(self, now: float, tx_power: int) -> Beacon:
        """What to broadcast at `now` with a power of `tx_power` dBm. Raises StoreError."""
        interval, on_air = interval_number(now), self._on_air
        if (
            on_air is None
            or not on_air.covers(interval)
            or self._sealed(on_air.tek.rolling_start) != on_air.sealed
        ):
            on_air = self._on_air = self._derive(self.current(now).rolling_start)
        if tx_power not in on_air.powers:  # kept before it is on the air: it may be asked for
            on_air = self._on_air = self._add_power(on_air, tx_power)
        rpi = on_air.rpi(interval)
        return Beacon(rpi, crypt_metadata(on_air.aem_key, rpi, encode_metadata(tx_power)))

    def _derive(self, start: int) -> _OnAir:
        sealed = self._sealed(start)
        kept = self._store.open(sealed, f"tek:{start}", _Kept)
        return _OnAir(
            sealed,
            TemporaryExposureKey(kept.key, start, kept.rolling_period),
            # Of a whole day: the key may be cut short and lengthened again.
            rolling_proximity_identifiers(TemporaryExposureKey(kept.key, start)),
            associated_encrypted_metadata_key(kept.key),
            kept.powers,
        )

    def _add_power(self, on_air: _OnAir, tx_power: int) -> _OnAir:
        start = on_air.tek.rolling_start
        with self._store.transaction():
            kept = self._store.open(self._sealed(start), f"tek:{start}", _Kept)
            # A radio that says another power each time is out of order: the last ones count.
            powers = sorted((*kept.powers[-(MAX_POWERS - 1) :], tx_power))
            self._keep(start, msgspec.structs.replace(kept, powers=tuple(powers)))
        return self._derive(start)

    def powers(self, tek: TemporaryExposureKey) -> tuple[int, ...]:
        """Every power (dBm) that beacons of this key said. Raises StoreError."""
        sealed = self._sealed(tek.rolling_start)
        if not sealed:
            return ()
        return self._store.open(sealed, f"tek:{tek.rolling_start}", _Kept).powers

    def of_day(self, day: int) -> list[TemporaryExposureKey]:
        """The keys of a UTC day (since 1970-01-01), oldest first. Raises StoreError."""
        first = day * ROLLING_PERIOD
        return [tek for tek, _ in self._between(first, first + ROLLING_PERIOD - 1)]

    def _sealed(self, start: int) -> bytes:
        rows = self._store.execute("SELECT sealed FROM tek WHERE rolling_start = ?", (start,))
        sealed: bytes = rows[0][0] if rows else b""
        return sealed

    def keys(self, now: float) -> list[TemporaryExposureKey]:
        """All keys of the traced period, oldest first."""
        return [tek for tek, _ in self._between(_oldest_start(now), interval_number(now))]

    def reportable(self, now: float) -> list[TemporaryExposureKey]:
        """The keys a report publishes, oldest first, the newest if there are too many.

        Keys of an earlier report are among them: the service keeps what it has, and takes the
        rest of a day only together with its beginning.
        """
        chosen = self.keys(now)[-UPLOAD_KEY_SLOTS:]
        while chosen and chosen[0].rolling_start % ROLLING_PERIOD:
            del chosen[0]
        return chosen

    def reported(self) -> list[TemporaryExposureKey]:
        """The keys that are public, oldest first. Raises StoreError."""
        return [tek for tek, reported in self._between(0, 2**32) if reported]

    def truncate(self, now: float) -> None:
        """End the current key with this interval, so that it can be published today.

        A key that is public already stays as it is.
        """
        start = self.current(now).rolling_start
        ((tek, reported),) = self._between(start, start)
        if not reported:
            self._put(start, tek.key, interval_number(now) + 1 - start)

    def restore(self, now: float) -> None:
        """Undo `truncate` after a refused report, if no later key has been on the air."""
        day = day_start_interval(interval_number(now))
        today = self._between(day, day + ROLLING_PERIOD - 1)
        if today and not today[-1][1]:
            last = today[-1][0]
            self._put(last.rolling_start, last.key, day + ROLLING_PERIOD - last.rolling_start)

    def mark_reported(self, teks: list[TemporaryExposureKey]) -> None:
        """Remember that these keys are public as they are: none may grow any more."""
        for tek in teks:
            # Not if its owner has deleted it meanwhile: a mark must not bring it back.
            if self._between(tek.rolling_start, tek.rolling_start):
                self._put(tek.rolling_start, tek.key, tek.rolling_period, reported=True)

    def forget_before(self, day: int) -> int:
        """Delete the keys of all UTC days before `day`; return how many."""
        first = day * ROLLING_PERIOD
        gone = self._store.execute("SELECT count(*) FROM tek WHERE rolling_start < ?", (first,))
        self._store.execute("DELETE FROM tek WHERE rolling_start < ?", (first,))
        return int(gone[0][0])

    def _make(self, start: int, period: int) -> TemporaryExposureKey:
        key = self._entropy(KEY_BYTES)
        self._put(start, key, period)
        return TemporaryExposureKey(key, start, period)

    def _put(self, start: int, key: bytes, period: int, *, reported: bool = False) -> None:
        sealed = self._sealed(start)
        kept = self._store.open(sealed, f"tek:{start}", _Kept) if sealed else None
        powers = kept.powers if kept and kept.key == key else ()
        self._keep(start, _Kept(key, period, reported, powers))

    def _keep(self, start: int, kept: _Kept) -> None:
        self._store.execute(_PUT, (start, self._store.seal(kept, f"tek:{start}")))

    def _between(self, first: int, last: int) -> list[tuple[TemporaryExposureKey, bool]]:
        rows = self._store.execute(
            "SELECT rolling_start, sealed FROM tek WHERE rolling_start BETWEEN ? AND ?"
            " ORDER BY rolling_start",
            (first, last),
        )
        result: list[tuple[TemporaryExposureKey, bool]] = []
        for start, sealed in rows:
            kept = self._store.open(sealed, f"tek:{start}", _Kept)
            tek = TemporaryExposureKey(kept.key, start, kept.rolling_period)
            result.append((tek, kept.reported))
        return result


def _oldest_start(now: float) -> int:
    return day_start_interval(interval_number(now)) - RETENTION_DAYS * ROLLING_PERIOD
