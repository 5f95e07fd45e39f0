"""Two phones meet, one reports, the other warns; and what the phone does when things go wrong."""

import asyncio

import pytest

from bluezone.phone.home import PhoneRunningError
from bluezone.phone.notices import Notice
from bluezone.phone.phone import Phone
from bluezone.radio.interface import RadioState
from tests.phone.conftest import World

CODE = "123456789012"
HOUR = 3600.0


async def _together(world: World, seconds: float, *phones: Phone) -> None:
    tasks = [asyncio.create_task(phone.run()) for phone in phones]
    await world.clock.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_reported_infection_warns_who_was_near_and_nobody_else(world: World) -> None:
    warned: list[str] = []
    case = world.phone(0.0)
    near = world.phone(1.0, on_warning=lambda warning: warned.append(warning.text("en")))
    far = world.phone(400.0)
    world.national.codes[CODE] = "2021-01-19"

    async def story() -> None:
        await _together(world, 1.5 * HOUR, case, near, far)
        receipt = await case.report("1234-5678-9012", consent=True)
        assert receipt.keys == 1
        await _together(world, 0.5 * HOUR, case, near, far)
        world.national.release_uploads("one.zip")
        await _together(world, 2 * HOUR, case, near, far)

    world.run(story())
    assert len(warned) == 1
    assert "20/01/2021 (in the morning)" in warned[0]
    assert [warning.text("en") for warning in near.warnings()] == warned
    assert 60 <= near.warnings()[0].minutes <= 120
    assert far.warnings() == []
    assert case.warnings() == [], "a case is not warned of itself"
    assert near.status().warnings == 1


def test_an_encounter_across_seven_in_the_morning_is_found_in_both_keys(make_world) -> None:
    # 06:00 to 08:00 in Vietnam; at 07:00 the UTC day and with it the key turns.
    world = make_world(1_611_104_400.0 - 2 * HOUR)
    case, near = world.phone(0.0), world.phone(1.0)
    world.national.codes[CODE] = None

    async def story() -> None:
        await _together(world, 2 * HOUR, case, near)
        assert (await case.report(CODE, consent=True)).keys == 2
        await world.clock.sleep(3 * HOUR)
        world.national.release_uploads("two.zip")
        await near.check()

    world.run(story())
    (warning,) = near.warnings()
    first, second = warning.key_days
    assert second == first + 1, "it was found in the keys of two UTC days"
    assert warning.day.isoformat() == "2021-01-20", "for people it was one morning"
    assert 90 <= warning.minutes <= 125


def test_what_is_heard_on_a_clock_set_back_never_matches(world: World) -> None:
    class SetBack:
        """The phone's own clock: a day behind the world's, from when it is told."""

        behind = 0.0

        def now(self) -> float:
            return world.clock.now() - self.behind

        async def sleep(self, seconds: float) -> None:
            await world.clock.sleep(seconds)

    clock = SetBack()
    case = world.phone(0.0)
    near = world.phone(1.0, clock=clock)
    world.national.codes[CODE] = None

    async def story() -> None:
        await near.check()  # learns the signed server time
        clock.behind = 86400.0
        await _together(world, 1.5 * HOUR, case, near)
        assert Notice.CLOCK_WRONG in near.status().notices
        assert near.status().scans > 10
        assert case.status().last_scan.heard == 0, "a phone with a wrong clock stays silent"
        clock.behind = 0.0
        await case.report(CODE, consent=True)
        await world.clock.sleep(3 * HOUR)
        world.national.release_uploads("one.zip")
        await near.check()

    world.run(story())
    assert near.diary_days()
    assert near.warnings() == []


def test_bluetooth_off_is_said_and_tracing_resumes(world: World) -> None:
    phone, other = world.phone(0.0), world.phone(1.0)
    radio = phone._radio

    async def story() -> None:
        radio.state = RadioState.OFF
        await _together(world, 600, phone, other)
        assert phone.status().notices == (Notice.BLUETOOTH_OFF,)
        assert phone.status().scans == 0
        radio.state = RadioState.NO_PERMISSION
        await _together(world, 60, phone)
        assert phone.status().notices == (Notice.NO_PERMISSION,)
        radio.state = RadioState.ON
        await _together(world, 1200, phone, other)

    world.run(story())
    assert phone.status().notices == ()
    assert phone.status().scans > 2
    assert phone.status().last_scan.heard == 1


def test_only_one_process_is_this_phone(world: World) -> None:
    phone = world.phone(0.0)
    second = world.phone(0.0, home=world.folder / "phone1")

    async def story() -> None:
        running = asyncio.create_task(phone.run())
        await world.clock.sleep(1)
        with pytest.raises(PhoneRunningError):
            await second.run()
        assert (await second.check()).error is None, "but it may look and check"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    world.run(story())


def test_a_damaged_diary_is_put_aside_and_the_phone_goes_on(world: World) -> None:
    phone, other = world.phone(0.0), world.phone(1.0)
    world.run(_together(world, HOUR, phone, other))
    world.run(phone.close())
    home = world.folder / "phone1"
    diary = home / "diary.sqlite"
    broken = bytearray(diary.read_bytes())
    broken[:64] = b"x" * 64
    diary.write_bytes(broken)
    again = world.phone(0.0, home=home)
    assert Notice.DIARY_SET_ASIDE in again.status().notices
    aside = again.status().set_aside
    assert aside is not None
    assert aside.name == "diary.sqlite.damaged-1"
    assert aside.read_bytes() == broken
    world.run(_together(world, HOUR, again, other))
    assert again.diary_days()


def test_a_diary_with_another_key_is_put_aside(world: World) -> None:
    phone = world.phone(0.0)
    world.run(phone.close())
    home = world.folder / "phone1"
    (home / "diary.key").write_bytes(bytes(32))
    for number in (1, 2):
        again = world.phone(0.0, home=home)
        aside = again.status().set_aside
        assert aside == home / f"diary.sqlite.damaged-{number}"
        world.run(again.close())
        (home / "diary.key").write_bytes(bytes([number]) * 32)


def test_damage_found_while_running_does_not_stop_the_phone(world: World) -> None:
    phone, other = world.phone(0.0), world.phone(1.0)

    async def story() -> None:
        running = asyncio.create_task(_together(world, 4 * HOUR, phone, other))
        await world.clock.sleep(HOUR)
        # The day's key cannot be unsealed any more.
        phone._store.execute("UPDATE tek SET sealed = zeroblob(60)")
        await running

    world.run(story())
    assert Notice.DIARY_SET_ASIDE in phone.status().notices
    assert phone.diary_days()
    assert phone.status().scans > 10


def test_diary_and_keys_are_gone_after_fourteen_days(world: World) -> None:
    phone, other = world.phone(0.0), world.phone(1.0)

    async def story() -> None:
        await _together(world, HOUR, phone, other)
        days = phone.diary_days()
        assert days
        await world.clock.sleep(14 * 24 * HOUR)
        await phone.check()
        assert phone.diary_days() == days, "the fourteenth day is still there"
        await world.clock.sleep(24 * HOUR)
        await phone.check()

    world.run(story())
    assert phone.diary_days() == []
    assert phone._store.execute("SELECT count(*) FROM tek") == [(0,)]
