"""The tracer: broadcasts the phone's beacon, listens now and then, writes down who was near."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bluezone.clock import Clock
from bluezone.phone.diary import Diary, pack_page
from bluezone.phone.identity import Identity
from bluezone.phone.notices import RADIO_NOTICES, Notice
from bluezone.phone.store import StoreError, StoreFault
from bluezone.protocol.deployment import REPLAY_TOLERANCE_SECONDS
from bluezone.protocol.exposure import MAX_SECONDS_PER_SCAN
from bluezone.protocol.intervals import interval_number, interval_start, vietnam_time
from bluezone.proximity import SHIPPED, calibrated_power
from bluezone.radio.interface import Radio, RadioError, RadioState, Sighting

SCAN_SECONDS: Final = 4.0
# How long from one scan to the next, in seconds. The battery pays for listening, not for
# broadcasting; what is between two scans is inferred.
USUAL_PERIOD: Final = 240.0
NEWCOMER_PERIOD: Final = 150.0  # someone new is near: measure the beginning of it well
ALONE_PERIOD: Final = 300.0  # a scan stands for at most 300 s, so a longer gap loses time
# To save battery: as rarely as loses no time in company, and half as often alone.
SAVING_PERIOD: Final = 270.0
SAVING_ALONE_PERIOD: Final = 600.0
NIGHT_PERIOD: Final = 600.0  # alone at night: who arrives is noticed within ten minutes
_SCANS_TO_BE_ALONE: Final = 3
_NIGHT_HOURS: Final = frozenset({23, 0, 1, 2, 3, 4})  # Vietnamese local time
_JITTER: Final = 0.2  # scans of two phones must not fall out of step with each other for good
_RADIO_RETRY_SECONDS: Final = 30.0
# Levels for the words "near" and "far" on the live display only. The power of a sender that
# has not reported is unknown, so this is no measurement.
NEAR_DBM: Final = -70


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan heard: counts only, no identifiers."""

    time: float
    heard: int = 0
    near: int = 0
    new: int = 0


class Tracer:
    """One loop, so that broadcasting is never turned while the radio listens."""

    def __init__(
        self,
        radio: Radio,
        identity: Identity,
        diary: Diary,
        clock: Clock,
        rng: random.Random,
        *,
        server_time: Callable[[], float],
        on_scan: Callable[[int], None] | None = None,
        saving: Callable[[], bool] = lambda: False,
        scan_every: float | None = None,
        model: str | None = None,
    ) -> None:
        """`server_time` is the last signed time of the service; `scan_every` fixes the period.

        `saving` says whether the owner wants the battery saved. `model`, where known, corrects
        the power that beacons say they are sent with.
        """
        self._model = model
        self._radio = radio
        self._identity = identity
        self._diary = diary
        self._clock = clock
        self._rng = rng
        self._server_time = server_time
        self._on_scan = on_scan
        self._saving = saving
        self._scan_every = scan_every
        self.notices: set[Notice] = set()
        self.last_scan: Scan | None = None
        self.scans = 0
        self._advertised: tuple[int, bytes] | None = None  # interval and payload on the air
        self._recent: tuple[frozenset[bytes], ...] = ()  # identifiers of the last scans
        self._scanned_at: float | None = None

    @property
    def on_air(self) -> bytes:
        """The beacon that is being broadcast, or nothing."""
        return self._advertised[1] if self._advertised else b""

    def clock_trusted(self) -> bool:
        """Whether the clock is not before the last signed server time, give or take 2 h."""
        return self._clock.now() >= self._server_time() - REPLAY_TOLERANCE_SECONDS

    async def run(self) -> None:
        """Broadcast and listen until cancelled. A fault becomes a notice and is retried."""
        next_scan = self._clock.now() + self._rng.random() * min(self._period(), USUAL_PERIOD)
        try:
            while True:
                if not await self.turn_beacon():
                    await self._clock.sleep(_RADIO_RETRY_SECONDS)
                    continue
                now = self._clock.now()
                boundary = interval_start(interval_number(now) + 1)
                if next_scan - now > 2 * NIGHT_PERIOD:  # the clock was set back
                    next_scan = now
                wake = min(next_scan, boundary)
                if boundary - SCAN_SECONDS < wake < boundary:
                    wake = boundary  # turn first: the beacon must not be late for a scan
                await self._clock.sleep(wake - now)
                if self._clock.now() >= next_scan and await self.turn_beacon():
                    await self.scan()
                    next_scan = self._clock.now() + self._period() * self._rng.uniform(
                        1 - _JITTER, 1 + _JITTER
                    )
        finally:
            self._advertised = None

    async def turn_beacon(self) -> bool:
        """Put the beacon of this interval on the air, if it is not there; False on a fault."""
        if self._radio.state is not RadioState.ON:
            self._radio_fault(self._radio.state)
            return False
        now = self._clock.now()
        try:
            if not self.clock_trusted():
                # These identifiers may have been on the air before: never broadcast one twice.
                self.notices.add(Notice.CLOCK_WRONG)
                if self._advertised is not None:
                    await self._radio.stop()
                    self._advertised = None
                return True
            self.notices.discard(Notice.CLOCK_WRONG)
            if self._advertised is None or self._advertised[0] != interval_number(now):
                power = calibrated_power(self._radio.tx_power, self._model, SHIPPED)
                payload = self._identity.beacon(now, power).payload
                await self._radio.advertise(payload)
                self._advertised = interval_number(now), payload
        except RadioError as error:
            self._radio_fault(error.state)
            return False
        except StoreError as error:
            return self._store_fault(error)
        if self.notices:
            self.notices.difference_update(RADIO_NOTICES.values())
        if self._radio.capabilities.only_listens:
            self.notices.add(Notice.ONLY_LISTENS)
        else:
            self.notices.discard(Notice.ONLY_LISTENS)
        return True

    async def scan(self) -> None:
        """Listen once and write down who was heard."""
        started = self._clock.now()
        before, self._scanned_at = self._scanned_at, started
        try:
            sightings = await self._radio.scan(SCAN_SECONDS)
        except RadioError as error:
            self._radio_fault(error.state)
            return
        sightings = [sighting for sighting in sightings if sighting.payload != self.on_air]
        # A first scan speaks for itself alone: nobody knows who was here before.
        since = SCAN_SECONDS if before is None or started < before else started - before
        self._count(started, sightings)
        if sightings:
            page = pack_page(
                sightings, min(round(since), MAX_SECONDS_PER_SCAN), self.clock_trusted()
            )
            try:
                self._diary.add(started, page)
            except StoreError as error:
                self._store_fault(error)
            else:
                self.notices.discard(Notice.DISK_FULL)
        if self._on_scan is not None:
            self._on_scan(len(sightings))

    def _count(self, started: float, sightings: list[Sighting]) -> None:
        heard = frozenset(sighting.payload for sighting in sightings)
        # An identifier lives for ten minutes, so "new" also counts each phone's next identifier.
        new = len(heard.difference(*self._recent))
        near = sum(1 for one in sightings if one.rssi and max(one.rssi) >= NEAR_DBM)
        self.scans += 1
        self.last_scan = Scan(started, len(heard), near, new)
        self._recent = (*self._recent, heard)[-_SCANS_TO_BE_ALONE:]

    def _period(self) -> float:
        if self._scan_every is not None:
            return self._scan_every
        alone = len(self._recent) == _SCANS_TO_BE_ALONE and not any(self._recent)
        if alone:
            if vietnam_time(self._clock.now()).hour in _NIGHT_HOURS:
                return NIGHT_PERIOD
            return SAVING_ALONE_PERIOD if self._saving() else ALONE_PERIOD
        if self._saving():
            return SAVING_PERIOD
        # More phones than usual, not merely the same ones under their next identifier.
        counts = [len(heard) for heard in self._recent]
        if len(counts) > 1 and counts[-1] > max(counts[:-1]):
            return NEWCOMER_PERIOD
        return USUAL_PERIOD

    def _radio_fault(self, state: RadioState) -> None:
        self.notices.difference_update(RADIO_NOTICES.values())
        self.notices.add(RADIO_NOTICES.get(state, Notice.RADIO_UNAVAILABLE))
        self._advertised = None
        self._scanned_at = None  # the time without a radio is nobody's time

    def _store_fault(self, error: StoreError) -> bool:
        if error.fault is StoreFault.DAMAGED:
            raise error
        self.notices.add(Notice.DISK_FULL)
        return False
