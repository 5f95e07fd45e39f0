"""Radios by their names, and a radio that comes back."""

import asyncio

import pytest

from bluezone.clock import ManualClock, WallClock
from bluezone.radio.air import Air
from bluezone.radio.bluez import BluezRadio
from bluezone.radio.hci import HciRadio
from bluezone.radio.interface import RadioError, RadioState
from bluezone.radio.link import AirLink
from bluezone.radio.open import KeptOpenRadio, open_radio
from bluezone.radio.scan_only import ScanOnlyRadio
from bluezone.radio.shared import SharedRadio
from tests.private_bus import PrivateBus
from tests.radio.bluetoothd import Bluetoothd
from tests.radio.conftest import until
from tests.radio.virtual import NOON

CLOCK = WallClock()
PAYLOAD = bytes(range(20))


@pytest.mark.parametrize(
    ("spec", "controller"),
    [("auto", "hci0 (test)"), ("bluez", "hci0 (test)"), ("bluez:hci1", "hci1 (test)")],
)
async def test_bluez_is_this_computers_own(
    bluetoothd: Bluetoothd, spec: str, controller: str
) -> None:
    radio = await open_radio(spec, CLOCK)
    assert isinstance(radio, BluezRadio)
    assert radio.capabilities.controller == controller
    await radio.close()


async def test_bluez_takes_the_adapter_that_is_switched_on(bluetoothd: Bluetoothd) -> None:
    bluetoothd.power("hci0", False)
    radio = await open_radio("auto", CLOCK)
    assert radio.capabilities.controller == "hci1 (test)"
    await radio.close()


async def test_hci_is_everything_else() -> None:
    shared = SharedRadio(AirLink(Air(CLOCK)), (1.0,), lambda _: None)
    spec = f"tcp-client:127.0.0.1:{await shared.listen('127.0.0.1', 0)}"
    radio = await open_radio(spec, CLOCK)
    assert isinstance(radio, HciRadio)
    assert (radio.capabilities.kind, radio.capabilities.controller) == ("HCI", spec)
    assert radio.capabilities.broadcasts
    await radio.close()
    await shared.close()


async def test_elsewhere_than_on_linux_it_only_listens(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    radio = await open_radio("auto", CLOCK)
    assert isinstance(radio, ScanOnlyRadio)
    assert radio.capabilities.kind == "CoreBluetooth"
    assert radio.capabilities.only_listens
    with pytest.raises(RadioError, match="--radio bleak"):
        await open_radio("bluez", CLOCK)


async def test_a_radio_that_only_listens_hears_and_is_not_heard(bluetoothd: Bluetoothd) -> None:
    listener, other = await open_radio("bleak", CLOCK), await open_radio("bluez:hci1", CLOCK)
    await listener.advertise(PAYLOAD)
    await other.advertise(b"o" * 20)
    assert [s.payload for s in await listener.scan(0.6)] == [b"o" * 20]
    assert await other.scan(0.4) == []
    assert len(bluetoothd.registrations) == 1
    bluetoothd.power("hci0", False)
    bluetoothd.power("hci1", False)
    await until(lambda: other.state is RadioState.OFF)
    await asyncio.sleep(0.1)
    with pytest.raises(RadioError):
        await listener.scan(0.1)
    assert listener.state is RadioState.OFF
    bluetoothd.power("hci0", True)
    await asyncio.sleep(0.2)
    assert await listener.scan(0.2) == []
    assert listener.state is RadioState.ON
    await listener.close()
    await other.close()


async def test_auto_waits_for_a_radio_to_appear(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluezone.radio.open._REOPEN_SECONDS", 0.1)
    with pytest.raises(RadioError, match="systemctl start bluetooth"):
        await KeptOpenRadio.open("bluez", CLOCK)
    radio = await KeptOpenRadio.open("auto", CLOCK)
    assert radio.state is RadioState.UNAVAILABLE
    with pytest.raises(RadioError, match="systemctl start bluetooth"):
        await radio.advertise(PAYLOAD)
    keeping = asyncio.create_task(radio.keep())
    daemon = await Bluetoothd(bus.address).start()
    await until(lambda: radio.state is RadioState.ON)
    await radio.advertise(PAYLOAD)
    assert len(daemon.on_air("hci0")) == 1
    keeping.cancel()
    await radio.close()
    await daemon.stop()


@pytest.mark.parametrize("turned", [False, True])
async def test_a_radio_that_comes_back_sends_what_is_still_current(
    monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    monkeypatch.setattr("bluezone.radio.open._REOPEN_SECONDS", 0.1)
    clock = ManualClock(NOON)
    shared = SharedRadio(AirLink(Air(CLOCK)), (1.0,), lambda _: None)
    port = await shared.listen("127.0.0.1", 0)
    radio = await KeptOpenRadio.open(f"tcp-client:127.0.0.1:{port}", clock)
    await radio.advertise(PAYLOAD)
    keeping = asyncio.create_task(radio.keep())
    await shared.close()
    await until(lambda: radio.state is RadioState.UNAVAILABLE)
    if turned:
        clock.advance(600.0)
    link = AirLink(Air(CLOCK))
    again = SharedRadio(link, (1.0,), lambda _: None)
    await again.listen("127.0.0.1", port)
    await until(lambda: radio.state is RadioState.ON)
    await asyncio.sleep(0.3)
    (controller,) = link.controllers
    assert controller.le_legacy_advertiser.enabled is not turned
    keeping.cancel()
    await radio.close()
    await again.close()
