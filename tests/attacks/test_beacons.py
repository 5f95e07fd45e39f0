"""Recording beacons and sending them again: late, elsewhere, and with another power."""

import asyncio

from bluezone.phone.phone import Phone
from bluezone.protocol.beacon import decode_metadata, encode_metadata
from bluezone.protocol.keys import crypt_metadata
from bluezone.radio.direct import DirectRadio
from tests.phone.conftest import World

CODE = "123456789012"
HOUR = 3600.0
MARKET = (5000.0, 0.0)


async def living(world: World, seconds: float, *phones: Phone) -> None:
    tasks = [asyncio.create_task(phone.run()) for phone in phones]
    await world.clock.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def relayed(world: World, ear: DirectRadio, mouth: DirectRadio, seconds: float) -> set[bytes]:
    """What the ear hears the mouth says, for so long."""
    said: set[bytes] = set()
    end = world.clock.now() + seconds
    while world.clock.now() < end:
        for sighting in await ear.scan(4.0):
            await mouth.advertise(sighting.payload)
            said.add(sighting.payload)
        await world.clock.sleep(26)
    await mouth.stop()
    return said


def test_beacons_sent_again_after_publication_warn_nobody(world: World) -> None:
    case, victim = world.phone(0.0), world.phone(MARKET[0])
    ear = DirectRadio(world.air, (1.0, 0.0), "room")
    mouth = DirectRadio(world.air, (MARKET[0] + 1.0, 0.0), "room")
    world.national.codes[CODE] = None

    async def attack() -> None:
        tasks = asyncio.create_task(living(world, HOUR, case))
        recorded: set[bytes] = set()
        for _ in range(30):
            recorded |= {sighting.payload for sighting in await ear.scan(4.0)}
            await world.clock.sleep(110)
        await tasks
        await case.report(CODE, consent=True)
        assert len(recorded) >= 5
        await world.clock.sleep(3 * HOUR)  # by now others may have the key
        listening = asyncio.create_task(living(world, HOUR, victim))
        for payload in sorted(recorded)[:5]:
            await mouth.advertise(payload)
            await world.clock.sleep(600)
        await listening
        assert len(victim.diary_days()) == 1, "the victim did hear them"
        # Only now: a file is matched once, with all that the diary holds at that moment.
        world.national.release_uploads("one.zip")
        assert (await victim.check()).files == 1

    world.run(attack())
    assert victim.warnings() == []


def test_what_remains_a_live_relay_warns_wrongly(world: World) -> None:
    """Not a promise but the limit that docs/threats.md states: this is what a relay can do."""
    case, victim = world.phone(0.0), world.phone(MARKET[0])
    ear = DirectRadio(world.air, (1.0, 0.0), "room")
    mouth = DirectRadio(world.air, (MARKET[0] + 1.0, 0.0), "room")
    world.national.codes[CODE] = None

    async def attack() -> None:
        _, said = await asyncio.gather(
            living(world, 1.5 * HOUR, case, victim), relayed(world, ear, mouth, 1.5 * HOUR)
        )
        assert said
        await case.report(CODE, consent=True)
        await world.clock.sleep(3 * HOUR)
        world.national.release_uploads("one.zip")
        await victim.check()

    world.run(attack())
    assert len(victim.warnings()) == 1


def test_what_remains_the_power_in_a_beacon_can_be_bent() -> None:
    """The specification's metadata is encrypted, not authenticated: one bit flips one bit."""
    key, rpi = bytes(range(16)), bytes(16)
    sealed = bytearray(crypt_metadata(key, rpi, encode_metadata(-10)))
    sealed[1] ^= 0b0000_1000
    bent = decode_metadata(crypt_metadata(key, rpi, bytes(sealed)))
    assert bent != -10
