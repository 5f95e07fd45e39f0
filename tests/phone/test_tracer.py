"""The tracer: turns at each boundary, scans more when someone comes, less when alone at night."""

import asyncio

import numpy as np

from bluezone.clock import LoopClock
from bluezone.phone.diary import Diary
from bluezone.phone.notices import Notice
from bluezone.phone.phone import Phone
from bluezone.protocol.beacon import decode_metadata
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.keys import associated_encrypted_metadata_key, crypt_metadata
from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting
from tests.phone.conftest import EPOCH, World

NIGHT = EPOCH + 17 * 3600  # 01:00 in Vietnam


class Record:
    """A radio that keeps a log of what the phone asks, and hears what it is told to."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.state = RadioState.ON
        self.capabilities = Capabilities("log", "log", broadcasts=True)
        self.tx_power = 0
        self.advertised: list[tuple[float, bytes]] = []
        self.scans: list[float] = []
        self.audible: list[bytes] = []
        self.broken = False

    async def advertise(self, payload: bytes) -> None:
        if self.broken:
            raise RadioError("unplugged")
        self.advertised.append((self.clock.now(), payload))

    async def stop(self) -> None:
        pass

    async def scan(self, seconds: float) -> list[Sighting]:
        if self.broken:
            raise RadioError("unplugged")
        now = self.clock.now()
        self.scans.append(now)
        await self.clock.sleep(seconds)
        return [Sighting(bytes(6), payload, now, (-60, -62)) for payload in self.audible]

    async def close(self) -> None:
        pass


def _traced(world: World, **options: object) -> tuple[Phone, Record]:
    phone = world.phone(**options)
    radio = Record(world.clock)
    phone._tracer._radio = radio
    return phone, radio


async def _live(world: World, phone: Phone, seconds: float) -> None:
    running = asyncio.create_task(phone._tracer.run())
    await world.clock.sleep(seconds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _gaps(radio: Record) -> list[float]:
    return [float(gap) for gap in np.diff(radio.scans)]


def test_the_beacon_turns_at_every_boundary_and_never_during_a_scan(world: World) -> None:
    phone, radio = _traced(world)
    radio.audible = [bytes(20)]
    world.run(_live(world, phone, 6 * 3600))
    times = [time for time, _ in radio.advertised]
    assert len(times) == 36
    assert all(time % 600 < 0.01 for time in times)
    assert len({payload for _, payload in radio.advertised}) == 36
    assert not any(scan < time < scan + 4 for scan in radio.scans for time in times)


def test_a_usual_day_scans_every_four_minutes_or_so(world: World) -> None:
    phone, radio = _traced(world)
    radio.audible = [bytes(20)]
    world.run(_live(world, phone, 6 * 3600))
    gaps = _gaps(radio)
    assert 220 < sum(gaps) / len(gaps) < 260
    assert 190 <= min(gaps) < max(gaps) <= 300


def test_alone_it_scans_less_and_least_at_night(world: World) -> None:
    phone, radio = _traced(world)
    world.run(_live(world, phone, 3 * 3600))
    day = _gaps(radio)[5:]
    world.run(world.clock.sleep(NIGHT - world.clock.now()))
    radio.scans.clear()
    world.run(_live(world, phone, 3 * 3600))
    night = _gaps(radio)[5:]
    assert 270 < sum(day) / len(day) < 330
    assert 520 < sum(night) / len(night) < 680


def test_who_comes_is_measured_closely(world: World) -> None:
    phone, radio = _traced(world)
    radio.audible = [bytes(20)]

    async def story() -> None:
        running = asyncio.create_task(_live(world, phone, 2 * 3600))
        await world.clock.sleep(3600)
        radio.audible = [bytes(20), b"n" * 20, b"m" * 20]
        radio.scans.clear()
        await running

    world.run(story())
    assert _gaps(radio)[0] <= 150 * 1.2 + 5


def test_each_scan_stands_for_the_time_since_the_last(world: World) -> None:
    phone, radio = _traced(world, scan_every=600)
    radio.audible = [b"a" * 20]

    async def story() -> None:
        await _live(world, phone, 3600)
        radio.state = RadioState.OFF
        await _live(world, phone, 3600)
        radio.state = RadioState.ON
        await _live(world, phone, 300)

    world.run(story())
    today = utc_day_number(EPOCH)
    records = Diary(phone._store).records(today, today)
    since = records["since_last_scan"].tolist()
    assert since[0] == 4, "the first scan speaks for itself alone"
    assert set(since[1:-1]) == {300}, "no scan stands for more than five minutes"
    assert since[-1] == 4, "nor for the time without Bluetooth"


def test_its_own_echo_is_not_written_down(world: World) -> None:
    phone, radio = _traced(world, scan_every=60)

    async def story() -> None:
        running = asyncio.create_task(_live(world, phone, 500))
        await world.clock.sleep(1)
        radio.audible = [radio.advertised[0][1]]
        await running

    world.run(story())
    assert phone.status().scans > 3
    assert phone.diary_days() == []


def test_a_radio_that_breaks_is_tried_again(world: World) -> None:
    phone, radio = _traced(world)
    radio.audible = [b"a" * 20]

    async def story() -> None:
        running = asyncio.create_task(_live(world, phone, 4 * 3600))
        await world.clock.sleep(3600)
        radio.broken = True
        await world.clock.sleep(3600)
        assert len(phone.status().notices) == 1
        scans = len(radio.scans)
        radio.broken = False
        await world.clock.sleep(3600)
        assert phone.status().notices == ()
        assert len(radio.scans) > scans + 8
        await running

    world.run(story())


async def test_a_radio_that_only_listens_is_said(world: World) -> None:
    phone, radio = _traced(world)
    radio.capabilities = Capabilities("log", "log", broadcasts=False)
    assert await phone._tracer.turn_beacon()
    assert Notice.ONLY_LISTENS in phone.status().notices
    radio.capabilities = Capabilities("log", "log", broadcasts=False, offers_gatt=True)
    assert await phone._tracer.turn_beacon()
    assert Notice.ONLY_LISTENS not in phone.status().notices


async def test_a_known_model_says_the_power_that_leaves_it(world: World) -> None:
    """Only who has the key can read it: a receiver learns the level, not the model."""
    said = []
    for model in (None, "SM-A405FN", "no such model"):
        phone, radio = _traced(world, model=model)
        radio.tx_power = -20
        assert await phone._tracer.turn_beacon()
        (key,) = phone._identity.keys(world.clock.now())[-1:]
        rpi, aem = radio.advertised[0][1][:16], radio.advertised[0][1][16:]
        metadata = crypt_metadata(associated_encrypted_metadata_key(key.key), rpi, aem)
        said.append(decode_metadata(metadata))
        await phone.close()
    assert said == [-20, -16, -20]
