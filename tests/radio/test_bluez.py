"""BlueZ over D-Bus: unmodified bleak and our advertiser against a strict bluetoothd."""

import asyncio
import os
from pathlib import Path

import pytest

from bluezone.clock import WallClock
from bluezone.protocol.deployment import GATT_SERVICE_UUID
from bluezone.protocol.intervals import interval_number, interval_start
from bluezone.radio.bluez import UNKNOWN_TX_POWER, BluezRadio
from bluezone.radio.interface import RadioError, RadioState
from tests.private_bus import PrivateBus
from tests.radio.bluetoothd import Advert, Bluetoothd
from tests.radio.conftest import until
from tests.radio.test_hci import linkable

CLOCK = WallClock()
PAYLOAD = bytes(range(20))


class _SetClock(WallClock):
    """Wall time, moved."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


async def test_two_phones_on_two_adapters_hear_each_other(bluetoothd: Bluetoothd) -> None:
    first, second = await BluezRadio.open(CLOCK, "hci0"), await BluezRadio.open(CLOCK, "hci1")
    assert first.state is second.state is RadioState.ON
    await first.advertise(b"1" * 20)
    await second.advertise(b"2" * 20)
    ((heard,), (seen,)) = await asyncio.gather(first.scan(1.5), second.scan(1.5))
    assert (heard.payload, seen.payload) == (b"2" * 20, b"1" * 20)
    assert 8 <= len(heard.rssi) <= 16  # every packet counts, not only changes
    assert all(-70 <= level <= -55 for level in heard.rssi)
    assert heard.address[0] >> 6 == 0
    assert abs(heard.time - CLOCK.now()) < 5.0
    await first.stop()
    assert await second.scan(0.5) == []
    await first.close()
    await first.close()
    await second.close()
    assert bluetoothd.on_air("hci1") == []
    assert first.state is RadioState.UNAVAILABLE


async def test_30_rotations_leave_not_one_linkable_pair(bluetoothd: Bluetoothd) -> None:
    sender, listener = await BluezRadio.open(CLOCK, "hci0"), await BluezRadio.open(CLOCK, "hci1")
    heard: set[tuple[bytes, bytes]] = set()

    async def listen() -> None:
        while True:
            heard.update((s.address, s.payload) for s in await listener.scan(0.7))

    listening = asyncio.ensure_future(listen())
    for _ in range(30):
        await sender.advertise(os.urandom(20))
        assert len(bluetoothd.on_air("hci0")) == 1
        await asyncio.sleep(0.25)
    await asyncio.sleep(0.8)
    listening.cancel()
    await asyncio.wait({listening})
    assert len(heard) >= 29
    assert linkable(heard) == []
    addresses, payloads = zip(*bluetoothd.registrations, strict=True)
    assert len(set(addresses)) == len(set(payloads)) == 30
    await sender.close()
    await listener.close()


async def test_the_receiver_pauses_while_the_beacon_turns_and_rests_after_the_scan(
    bluetoothd: Bluetoothd,
) -> None:
    radio, other = await BluezRadio.open(CLOCK, "hci0"), await BluezRadio.open(CLOCK, "hci1")
    await other.advertise(PAYLOAD)
    scan = asyncio.ensure_future(radio.scan(1.2))
    await until(lambda: bool(bluetoothd.adapters["hci0"].sessions))
    await radio.advertise(b"r" * 20)
    done = [call for call in bluetoothd.calls if call.startswith("hci0.S") or "Register" in call]
    stop, register = (
        done.index("hci0.StopDiscovery"),
        len(done) - done[::-1].index("hci0.RegisterAdvertisement"),
    )
    assert stop < register <= len(done) - done[::-1].index("hci0.StartDiscovery")
    (sighting,) = await scan
    assert len(sighting.rssi) > 5
    assert not bluetoothd.adapters["hci0"].sessions
    await radio.close()
    await other.close()


async def test_what_the_adapter_can_do_is_said(bluetoothd: Bluetoothd) -> None:
    bluetoothd.adapters["hci1"].tx_power = None
    radio = await BluezRadio.open(CLOCK)
    assert radio.capabilities.kind == "BlueZ"
    assert radio.capabilities.controller == "hci0 (test)"
    assert radio.capabilities.broadcasts
    assert radio.tx_power == 7
    await radio.close()
    silent = await BluezRadio.open(CLOCK, "hci1")
    assert silent.tx_power == UNKNOWN_TX_POWER
    await silent.close()


async def test_an_adapter_that_cannot_advertise_only_listens(bluetoothd: Bluetoothd) -> None:
    bluetoothd.adapters["hci0"].le = False
    radio, other = await BluezRadio.open(CLOCK, "hci0"), await BluezRadio.open(CLOCK, "hci1")
    assert radio.capabilities.only_listens
    await radio.advertise(PAYLOAD)
    await other.advertise(b"o" * 20)
    assert [s.payload for s in await radio.scan(0.5)] == [b"o" * 20]
    assert len(bluetoothd.registrations) == 1
    await radio.close()
    await other.close()


async def test_an_adapter_that_is_not_there_is_named(bluetoothd: Bluetoothd) -> None:
    with pytest.raises(RadioError, match="no Bluetooth adapter hci7; there is hci0, hci1"):
        await BluezRadio.open(CLOCK, "hci7")
    for name in ("hci0", "hci1"):
        bluetoothd.unplug(name)
    with pytest.raises(RadioError, match="plug one in"):
        await BluezRadio.open(CLOCK)


@pytest.mark.parametrize(("blocked", "what_to_do"), [(False, "power on"), (True, "rfkill unblock")])
async def test_bluetooth_switched_off_says_so_and_comes_back(
    bluetoothd: Bluetoothd, blocked: bool, what_to_do: str
) -> None:
    radio = await BluezRadio.open(CLOCK, "hci0")
    await radio.advertise(PAYLOAD)
    (first,) = bluetoothd.on_air("hci0")
    bluetoothd.power("hci0", False, blocked=blocked)
    await until(lambda: radio.state is RadioState.OFF)
    for ask in (lambda: radio.advertise(PAYLOAD), lambda: radio.scan(0.1)):
        with pytest.raises(RadioError, match=what_to_do) as fault:
            await ask()
        assert fault.value.state is RadioState.OFF
    await until(lambda: not bluetoothd.adapters["hci0"].adverts)  # withdrawn
    bluetoothd.power("hci0", True)
    await until(lambda: radio.state is RadioState.ON and bool(bluetoothd.on_air("hci0")))
    (again,) = bluetoothd.on_air("hci0")
    assert again.service_data == first.service_data
    assert again.address != first.address
    await radio.close()


async def test_switched_off_in_the_middle_of_a_scan(bluetoothd: Bluetoothd) -> None:
    radio = await BluezRadio.open(CLOCK, "hci0")
    scan = asyncio.ensure_future(radio.scan(0.5))
    await until(lambda: bool(bluetoothd.adapters["hci0"].sessions))
    bluetoothd.power("hci0", False)
    assert await scan == []
    bluetoothd.power("hci0", True)
    await until(lambda: radio.state is RadioState.ON)
    assert await radio.scan(0.2) == []
    await radio.close()


async def test_an_identifier_whose_time_is_over_is_never_brought_back(
    bluetoothd: Bluetoothd,
) -> None:
    clock = _SetClock()
    radio = await BluezRadio.open(clock, "hci0")
    await radio.advertise(PAYLOAD)
    bluetoothd.power("hci0", False)
    await until(lambda: not bluetoothd.adapters["hci0"].adverts)
    clock.ahead = interval_start(interval_number(clock.now()) + 1) - clock.now() + 1.0
    bluetoothd.power("hci0", True)
    await until(lambda: radio.state is RadioState.ON)
    await asyncio.sleep(0.3)
    assert bluetoothd.on_air("hci0") == []
    await radio.advertise(b"n" * 20)
    assert len(bluetoothd.on_air("hci0")) == 1
    await radio.close()


@pytest.mark.parametrize("crash", [False, True])
async def test_a_bluetoothd_that_is_restarted_is_used_again(
    bus: PrivateBus, bluetoothd: Bluetoothd, crash: bool
) -> None:
    radio = await BluezRadio.open(CLOCK, "hci0")
    await radio.advertise(PAYLOAD)
    await radio.scan(0.2)
    await bluetoothd.stop(crash=crash)
    await until(lambda: radio.state is RadioState.UNAVAILABLE)
    for ask in (lambda: radio.advertise(PAYLOAD), lambda: radio.scan(0.1)):
        with pytest.raises(RadioError, match=r"systemctl start bluetooth|no Bluetooth adapter"):
            await ask()
    again = await Bluetoothd(bus.address).start()
    await until(lambda: radio.state is RadioState.ON)
    await radio.advertise(b"n" * 20)
    other = await BluezRadio.open(CLOCK, "hci1")
    await other.advertise(b"o" * 20)
    assert [s.payload for s in await radio.scan(0.5)] == [b"o" * 20]
    assert [s.payload for s in await other.scan(0.5)] == [b"n" * 20]
    await radio.close()
    await other.close()
    await again.stop(crash=True)


async def test_what_was_on_the_air_is_put_there_again_by_itself(
    bus: PrivateBus, bluetoothd: Bluetoothd
) -> None:
    radio = await BluezRadio.open(CLOCK, "hci0")
    await radio.advertise(PAYLOAD)
    await bluetoothd.stop(crash=True)
    again = await Bluetoothd(bus.address).start()
    await until(lambda: bool(again.on_air("hci0")))
    assert list(again.on_air("hci0")[0].service_data.values()) == [PAYLOAD]
    again.unplug("hci0")
    await until(lambda: radio.state is RadioState.UNAVAILABLE)
    again.plug_in("hci0")
    await until(lambda: bool(again.on_air("hci0")))
    await radio.close()
    await again.stop(crash=True)


async def test_a_full_adapter_says_what_to_close(bluetoothd: Bluetoothd) -> None:
    others = [await BluezRadio.open(CLOCK, "hci0") for _ in range(5)]
    for other in others:
        await other.advertise(os.urandom(20))
    radio = await BluezRadio.open(CLOCK, "hci0")
    with pytest.raises(RadioError, match="no room for another advertisement"):
        await radio.advertise(PAYLOAD)
    assert radio.state is RadioState.ON
    await others[0].close()
    await until(lambda: len(bluetoothd.on_air("hci0")) == 4)
    await radio.advertise(PAYLOAD)
    for each in (radio, *others):
        await each.close()


async def test_nobody_there_says_what_to_start(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(RadioError, match="systemctl start bluetooth"):
        await BluezRadio.open(CLOCK)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    with pytest.raises(RadioError, match="no system bus"):
        await BluezRadio.open(CLOCK)


async def test_a_bus_that_refuses_says_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PrivateBus(tmp_path, '<deny send_destination="org.bluez"/>') as private:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
        daemon = await Bluetoothd(private.address).start()
        with pytest.raises(RadioError, match="does not let this account") as fault:
            await BluezRadio.open(CLOCK)
        assert fault.value.state is RadioState.NO_PERMISSION
        await daemon.stop(crash=True)


async def test_a_bus_that_refuses_advertising_alone_says_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = '<deny send_destination="org.bluez" send_interface="org.bluez.LEAdvertisingManager1"/>'
    with PrivateBus(tmp_path, rule) as private:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
        daemon = await Bluetoothd(private.address).start()
        radio = await BluezRadio.open(CLOCK, "hci0")
        with pytest.raises(RadioError) as fault:
            await radio.advertise(PAYLOAD)
        assert fault.value.state is radio.state is RadioState.NO_PERMISSION
        await radio.close()
        await daemon.stop(crash=True)


async def test_a_beacon_that_can_only_be_read_is_read(bluetoothd: Bluetoothd) -> None:
    peer = Advert([GATT_SERVICE_UUID], {}, gatt_value=PAYLOAD)
    liar = Advert([GATT_SERVICE_UUID], {}, gatt_value=bytes(200))
    for advert in (peer, liar):
        advert.renew_address()
        bluetoothd.strangers.append(advert)
    radio = await BluezRadio.open(CLOCK, "hci0")
    sightings = await radio.scan(2.0)
    assert [s.payload for s in sightings] == [PAYLOAD]
    assert len(sightings[0].rssi) > 5
    assert sightings[0].address.hex(":").upper() == peer.address
    await radio.close()


async def test_a_peer_that_never_answers_holds_up_neither_scan_nor_rotation(
    bluetoothd: Bluetoothd,
) -> None:
    mute = Advert([GATT_SERVICE_UUID], {}, answers=False)
    mute.renew_address()
    bluetoothd.strangers.append(mute)
    radio = await BluezRadio.open(CLOCK, "hci0")
    before = CLOCK.now()
    assert await radio.scan(0.5) == []
    await radio.advertise(PAYLOAD)
    assert CLOCK.now() - before < 1.9
    assert len(bluetoothd.on_air("hci0")) == 1
    await radio.close()
