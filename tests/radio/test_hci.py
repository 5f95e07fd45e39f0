"""The phone's radio over HCI: rotations nobody can link, junk on the air, a dongle pulled out."""

import asyncio
import os
from typing import Any

import hypothesis.strategies as st
import pytest
from bumble import hci
from hypothesis import given

from bluezone.clock import LoopClock, WallClock
from bluezone.protocol.beacon import encode_advertisement
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio
from bluezone.radio.hci import HciRadio, advertising_reports
from bluezone.radio.interface import Radio, RadioError, RadioState
from bluezone.radio.link import AirController, AirLink
from bluezone.radio.shared import SharedRadio
from tests.radio.virtual import NOON, in_virtual_time

Pair = tuple[bytes, bytes]


class _LaxController(AirController):
    """Accepts a new address at any time, as a non-conforming controller would."""

    def on_hci_le_set_random_address_command(self, command: Any) -> Any:
        self.random_address = command.random_address
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class _AddressFirstRadio(HciRadio):
    """The mistake this project must never make: a new address under the old payload."""

    async def advertise(self, payload: bytes) -> None:
        if self._advertising:
            await self._set_fresh_address()
            await self._clock.sleep(0.3)
        await super().advertise(payload)


def linkable(heard: set[Pair]) -> list[Pair]:
    """Pairs that share their address or their payload with another pair."""
    addresses = [address for address, _ in heard]
    payloads = [payload for _, payload in heard]
    return [
        (address, payload)
        for address, payload in heard
        if addresses.count(address) > 1 or payloads.count(payload) > 1
    ]


async def _listen_to_rotations(
    sender: Radio, listener: Radio, clock: LoopClock, rotations: int
) -> set[Pair]:
    """Everything a passive listener, always on, tells apart while `sender` rotates."""
    heard: set[Pair] = set()

    async def listen() -> None:
        while True:
            for sighting in await listener.scan(5.0):
                heard.add((sighting.address, sighting.payload))

    listening = asyncio.ensure_future(listen())
    for _ in range(rotations):
        await sender.advertise(os.urandom(20))
        await clock.sleep(2.3)  # turns fall anywhere in a window
    await clock.sleep(6.0)
    listening.cancel()
    return heard


def test_200_rotations_over_hci_leave_not_one_linkable_pair() -> None:
    async def scene(clock: LoopClock) -> set[Pair]:
        link = AirLink(Air(clock))
        sender = await HciRadio.attach(AirController(link), clock)
        listener = await HciRadio.attach(AirController(link, (1.0, 0.0)), clock)
        return await _listen_to_rotations(sender, listener, clock, 200)

    heard = in_virtual_time(scene)
    assert len(heard) == 200
    assert linkable(heard) == []


def test_200_rotations_in_direct_mode_leave_not_one_linkable_pair() -> None:
    async def scene(clock: LoopClock) -> set[Pair]:
        air = Air(clock)
        sender, listener = DirectRadio(air), DirectRadio(air, (1.0, 0.0))
        return await _listen_to_rotations(sender, listener, clock, 200)

    heard = in_virtual_time(scene)
    assert len(heard) == 200
    assert linkable(heard) == []


def test_the_listener_would_have_caught_a_wrong_order() -> None:
    async def scene(clock: LoopClock) -> set[Pair]:
        link = AirLink(Air(clock))
        sender = await _AddressFirstRadio.attach(_LaxController(link), clock)
        listener = await HciRadio.attach(AirController(link, (1.0, 0.0)), clock)
        return await _listen_to_rotations(sender, listener, clock, 20)

    assert len(linkable(in_virtual_time(scene))) > 10


def test_a_conforming_controller_refuses_the_wrong_order() -> None:
    async def scene(clock: LoopClock) -> None:
        sender = await _AddressFirstRadio.attach(AirController(AirLink(Air(clock))), clock)
        await sender.advertise(bytes(20))
        with pytest.raises(RadioError, match="refused HCI_LE_SET_RANDOM_ADDRESS"):
            await sender.advertise(bytes(20))

    in_virtual_time(scene)


def test_rotating_while_scanning_keeps_the_scan() -> None:
    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock))
        radio = await HciRadio.attach(AirController(link), clock)
        other = await HciRadio.attach(AirController(link, (1.0, 0.0)), clock)
        await other.advertise(b"o" * 20)
        await clock.sleep(1.0)

        async def rotate() -> None:
            for _ in range(10):
                await clock.sleep(1.0)
                await radio.advertise(os.urandom(20))

        heard, _ = await asyncio.gather(radio.scan(12.0), rotate())
        assert [s.payload for s in heard] == [b"o" * 20]
        assert len(heard[0].rssi) > 38  # of some 47
        assert NOON + 1.0 <= heard[0].time < NOON + 2.5

    in_virtual_time(scene)


def test_two_scans_at_once_both_hear_and_the_receiver_rests_afterwards() -> None:
    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock))
        controller = AirController(link)
        radio = await HciRadio.attach(controller, clock)
        other = await HciRadio.attach(AirController(link, (1.0, 0.0)), clock)
        await other.advertise(bytes(20))
        short, long = await asyncio.gather(radio.scan(4.0), radio.scan(8.0))
        assert len(long[0].rssi) > len(short[0].rssi) > 10
        assert not controller.le_scan_enable

    in_virtual_time(scene)


def test_a_scan_cut_short_lets_the_receiver_rest() -> None:
    async def scene(clock: LoopClock) -> None:
        controller = AirController(AirLink(Air(clock)))
        radio = await HciRadio.attach(controller, clock)
        scan = asyncio.ensure_future(radio.scan(60.0))
        await clock.sleep(1.0)
        assert controller.le_scan_enable
        scan.cancel()
        await clock.sleep(1.0)
        assert not controller.le_scan_enable

    in_virtual_time(scene)


def test_the_power_is_what_the_controller_reports() -> None:
    async def scene(clock: LoopClock) -> int:
        controller = AirController(AirLink(Air(clock)), tx_power=-14)
        return (await HciRadio.attach(controller, clock)).tx_power

    assert in_virtual_time(scene) == -14


def _report(data: bytes, rssi: int = -60, count: int = 1) -> bytes:
    one = bytes((3, 1)) + bytes(range(6)) + bytes((len(data),)) + data + bytes((rssi & 0xFF,))
    body = bytes((2, count)) + one * count
    return bytes((4, 0x3E, len(body))) + body


def test_reports_are_read_as_bumble_reads_them() -> None:
    packet = _report(encode_advertisement(bytes(range(20))), -71)
    event = hci.HCI_Packet.from_bytes(packet)
    assert isinstance(event, hci.HCI_LE_Advertising_Report_Event)
    report = event.reports[0]
    assert list(advertising_reports(packet)) == [
        (bytes(report.address)[::-1], report.data, report.rssi, 3, 1)
    ]
    assert len(list(advertising_reports(_report(b"abc", 4, count=3)))) == 3


@given(st.binary(max_size=80), st.integers(0, 80))
def test_cut_or_invented_reports_never_raise(junk: bytes, cut: int) -> None:
    for packet in (junk, b"\x04\x3e" + junk, _report(junk[:31])[:cut], _report(junk[:31], count=2)):
        for address, data, rssi, *_ in advertising_reports(packet):
            assert len(address) == 6
            assert len(data) <= 255
            assert -128 <= rssi <= 127


@given(st.lists(st.binary(max_size=31), max_size=20))
def test_junk_on_the_air_is_ignored_and_beacons_beside_it_are_heard(junk: list[bytes]) -> None:
    async def scene(clock: LoopClock) -> None:
        radio = await HciRadio.attach(AirController(AirLink(Air(clock))), clock)
        scan = asyncio.ensure_future(radio.scan(1.0))
        await clock.sleep(0.5)
        for data in junk:
            radio.on_reports(_report(data))
        radio.on_reports(_report(encode_advertisement(b"B" * 20), -50))
        radio.on_reports(_report(encode_advertisement(b"B" * 20), 127))  # level not known
        (sighting,) = [s for s in await scan if s.payload == b"B" * 20]
        assert sighting.rssi == (-50,)

    in_virtual_time(scene)


async def test_a_controller_that_goes_away_is_said() -> None:
    """A radio at the other end of a socket that closes in the middle of a scan."""
    clock = WallClock()
    link = AirLink(Air(clock))
    shared = SharedRadio(link, (1.0,), lambda _: None)
    port = await shared.listen("127.0.0.1", 0)
    radio = await HciRadio.open(f"tcp-client:127.0.0.1:{port}", clock)
    await radio.advertise(bytes(20))
    assert radio.state is RadioState.ON
    scan = asyncio.ensure_future(radio.scan(0.3))
    await clock.sleep(0.1)
    await shared.close()
    with pytest.raises(RadioError, match="gone"):
        await scan
    assert radio.state is RadioState.UNAVAILABLE
    with pytest.raises(RadioError, match="gone"):
        await radio.advertise(bytes(20))
    await radio.close()
    await radio.close()


@pytest.mark.parametrize("an_answer_is_owed", [False, True])
def test_a_controller_that_goes_away_is_said_at_any_moment(an_answer_is_owed: bool) -> None:
    class Mute(AirController):
        is_mute = False

        def on_packet(self, packet: bytes) -> None:
            if not self.is_mute:
                super().on_packet(packet)

    async def scene(clock: LoopClock) -> None:
        controller = Mute(AirLink(Air(clock)))
        radio = await HciRadio.attach(controller, clock)
        scan = asyncio.ensure_future(radio.scan(1.0))
        await clock.sleep(0.5)
        controller.is_mute = True
        if an_answer_is_owed:
            await clock.sleep(1.0)  # by now the radio has told the receiver to rest
        controller.host.on_transport_lost()
        with pytest.raises(RadioError, match="gone"):
            await scan
        assert radio.state is RadioState.UNAVAILABLE

    in_virtual_time(scene)


def test_a_controller_that_never_answers_is_said() -> None:
    class Dead:
        def set_packet_sink(self, _sink: Any) -> None: ...
        def on_packet(self, _packet: bytes) -> None: ...

    async def scene(clock: LoopClock) -> None:
        with pytest.raises(RadioError, match="no sensible answer to HCI_RESET") as fault:
            await HciRadio.attach(Dead(), clock)
        assert fault.value.state is RadioState.UNAVAILABLE

    in_virtual_time(scene)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("tcp-client:127.0.0.1:1", "start `bluezone radio` first"),
        ("tcp-client:127.0.0.1", "Known forms"),
        ("tcp-client:127.0.0.1:none", "Known forms"),
        ("pigeon:0", "Known forms"),
        ("usb", "Known forms"),
        ("", "Known forms"),
        ("serial:/dev/does-not-exist", "cannot open"),
    ],
)
async def test_a_wrong_address_says_what_to_do(spec: str, why: str) -> None:
    with pytest.raises(RadioError, match=why):
        await HciRadio.open(spec, WallClock())


async def test_a_device_that_is_not_ours_says_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_spec: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bluezone.radio.hci_transport.open_transport", refuse)
    with pytest.raises(RadioError, match="no permission to use usb:0") as refusal:
        await HciRadio.open("usb:0", WallClock())
    assert refusal.value.state is RadioState.NO_PERMISSION


def test_a_cancellation_that_comes_with_an_answer_is_not_lost() -> None:
    """`asyncio.wait_for` loses it in Python 3.11; who stops the phone would wait for ever."""

    async def run(clock: LoopClock) -> None:
        radio = await HciRadio.attach(AirController(AirLink(Air(clock))), clock)
        task: asyncio.Task[None]

        async def answers_and_loses(command: Any, **_options: Any) -> Any:
            task.cancel()
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                return await sends(command)

        sends = radio._host.send_sync_command
        radio._host.send_sync_command = answers_and_loses  # type: ignore[method-assign]
        task = asyncio.create_task(radio.advertise(bytes(20)))
        with pytest.raises(asyncio.CancelledError):
            await task
        radio._host.send_sync_command = sends  # type: ignore[method-assign]
        await radio.close()

    in_virtual_time(run)
