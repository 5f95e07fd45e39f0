"""The direct radio: windows, rotation inside a window, Bluetooth switched off."""

import asyncio
import os

import pytest

from bluezone.clock import LoopClock, ManualClock
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio, Listening
from bluezone.radio.interface import RadioError, RadioState, Sighting
from bluezone.radio.physics import AirPhysics
from tests.radio.virtual import NOON, in_virtual_time

QUIET = AirPhysics(packet_loss=0.0)  # what remains is counting


async def test_one_sighting_for_each_neighbour_with_all_its_packets() -> None:
    clock = ManualClock(NOON)
    air = Air(clock, QUIET)
    me = DirectRadio(air, (0.0, 0.0), "room")
    payloads = [os.urandom(20) for _ in range(5)]
    others = [DirectRadio(air, (1.0, float(i)), "room") for i in range(5)]
    for radio, payload in zip(others, payloads, strict=True):
        await radio.advertise(payload)
    clock.advance(60)
    heard = await me.scan(4.0)
    assert sorted(s.payload for s in heard) == sorted(payloads)
    assert len({s.address for s in heard}) == 5
    for sighting in heard:
        assert sighting.address[0] >> 6 == 0  # non-resolvable private
        assert 13 <= len(sighting.rssi) <= 16
        assert sighting.tx_power is None
    assert clock.now() == NOON + 64.0


async def test_a_phone_does_not_hear_itself_nor_the_silent() -> None:
    air = Air(ManualClock(NOON), QUIET)
    me, other = DirectRadio(air), DirectRadio(air, (1.0, 0.0))
    await me.advertise(bytes(20))
    assert await me.scan(4.0) == []
    await other.advertise(bytes(20))
    assert len(await me.scan(4.0)) == 1
    await other.stop()
    assert await me.scan(4.0) == []


def test_a_beacon_that_turns_inside_the_window_is_heard_twice_with_its_shares() -> None:
    async def scene(clock: LoopClock) -> list[Sighting]:
        air = Air(clock, QUIET)
        me, other = DirectRadio(air), DirectRadio(air, (1.0, 0.0))
        await other.advertise(b"a" * 20)
        await clock.sleep(10)

        async def turn() -> None:
            await clock.sleep(3.0)
            await other.advertise(b"b" * 20)

        heard, _ = await asyncio.gather(me.scan(4.0), turn())
        return heard

    before, after = in_virtual_time(scene)
    assert (before.payload, after.payload) == (b"a" * 20, b"b" * 20)
    assert before.address != after.address
    assert 11 <= len(before.rssi) <= 12
    assert len(after.rssi) == 4  # at once, then every quarter of a second
    assert before.time < NOON + 10.3
    assert after.time == pytest.approx(NOON + 13.0, abs=1e-5)


async def test_duty_is_the_share_of_packets() -> None:
    async def packets(listening: Listening) -> int:
        clock = ManualClock(NOON)
        air = Air(clock, QUIET)
        me, other = DirectRadio(air, listening=listening), DirectRadio(air, (1.0, 0.0))
        await other.advertise(bytes(20))
        clock.advance(1)
        scans = [await me.scan(4.0) for _ in range(60)]
        return sum(len(s.rssi) for scan in scans for s in scan)

    everything = await packets(Listening())
    quarter = await packets(Listening(interval=0.12, window=0.03))
    assert quarter / everything == pytest.approx(0.25, abs=0.05)


async def test_bluetooth_off_is_silent_says_so_and_comes_back() -> None:
    air = Air(ManualClock(NOON), QUIET)
    me, other = DirectRadio(air), DirectRadio(air, (1.0, 0.0))
    await other.advertise(bytes(20))
    other.state = RadioState.OFF
    assert await me.scan(4.0) == []
    with pytest.raises(RadioError, match="switched off") as refusal:
        await other.advertise(bytes(20))
    assert refusal.value.state is RadioState.OFF
    with pytest.raises(RadioError):
        await other.scan(4.0)
    other.state = RadioState.ON
    await other.advertise(bytes(20))
    assert len(await me.scan(4.0)) == 1


def test_bluetooth_switched_off_during_a_scan_hears_nothing() -> None:
    async def scene(clock: LoopClock) -> None:
        me = DirectRadio(Air(clock))
        scan = asyncio.ensure_future(me.scan(4.0))
        await clock.sleep(1.0)
        me.state = RadioState.NO_PERMISSION
        with pytest.raises(RadioError) as refusal:
            await scan
        assert refusal.value.state is RadioState.NO_PERMISSION

    in_virtual_time(scene)


async def test_a_closed_radio_is_off_the_air() -> None:
    air = Air(ManualClock(NOON))
    me, other = DirectRadio(air), DirectRadio(air, (1.0, 0.0))
    await other.advertise(bytes(20))
    await other.close()
    assert await me.scan(4.0) == []
    assert other.state is RadioState.UNAVAILABLE
    with pytest.raises(RadioError, match="closed"):
        await other.scan(1.0)


async def test_a_payload_of_another_length_is_refused() -> None:
    radio = DirectRadio(Air(ManualClock(NOON)))
    with pytest.raises(ValueError, match="20 bytes"):
        await radio.advertise(bytes(19))


def test_what_was_sent_is_forgotten_when_no_window_covers_it() -> None:
    """A week of rotations must not be kept."""

    async def scene(clock: LoopClock) -> int:
        air = Air(clock)
        radio = DirectRadio(air)
        for _ in range(300):
            await radio.advertise(os.urandom(20))
            await clock.sleep(600)
        return len(air.stations[0].ended)

    assert in_virtual_time(scene) <= 1


def test_a_sighting_never_prints_whom_it_saw() -> None:
    sighting = Sighting(b"addres", b"p" * 20, 0.0, (-60,))
    assert "addres" not in repr(sighting)
    assert "ppp" not in repr(sighting)
