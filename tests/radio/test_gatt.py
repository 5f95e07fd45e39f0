"""Phones that can only offer their beacon for reading, and the manners of those who read it."""

import asyncio
import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from bumble import hci
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host

from bluezone.clock import LoopClock
from bluezone.protocol.beacon import encode_advertisement, encode_offer
from bluezone.protocol.deployment import GATT_BEACON_UUID, GATT_SERVICE_UUID
from bluezone.radio.air import Air
from bluezone.radio.hci import HciRadio
from bluezone.radio.link import AirController, AirLink
from bluezone.radio.peers import MAX_READS_PER_MINUTE, READ_SECONDS
from bluezone.radio.physics import AirPhysics
from tests.radio.virtual import in_virtual_time

QUIET = AirPhysics(packet_loss=0.0)
PAYLOAD = bytes(range(20))


class _Counted(AirController):
    """Remembers when its host asked for a connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[tuple[float, bytes]] = []

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        self.asked.append((asyncio.get_running_loop().time(), bytes(command.peer_address)))
        super().on_hci_le_create_connection_command(command)


class _OneThingAtATime(AirController):
    """A controller that can't initiate while it scans, as some can't (Vol 6, Part B, 1.1.1)."""

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        if self.le_scan_enable:
            self._send_hci_command_status(
                hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR, command.op_code
            )
            return
        super().on_hci_le_create_connection_command(command)


async def _pair(
    clock: LoopClock, kind: type[AirController] = _Counted
) -> tuple[HciRadio, HciRadio, Any]:
    """One who offers, one who reads, and the reader's controller."""
    link = AirLink(Air(clock, QUIET))
    offering = await HciRadio.attach(AirController(link), clock, offer_gatt=True)
    controller = kind(link, (1.0, 0.0))
    return offering, await HciRadio.attach(controller, clock), controller


def test_a_beacon_that_can_only_be_read_is_sighted_with_the_levels_of_its_offers() -> None:
    async def scene(clock: LoopClock) -> None:
        offering, reader, controller = await _pair(clock)
        await offering.advertise(PAYLOAD)
        (sighting,) = await reader.scan(4.0)
        assert sighting.payload == PAYLOAD
        assert 10 <= len(sighting.rssi) <= 17
        assert sighting.address[0] >> 6 == 0  # non-resolvable, as every address of ours
        assert len(controller.asked) == 1
        (again,) = await reader.scan(4.0)  # known: nobody connects a second time
        assert (again.payload, again.address) == (PAYLOAD, sighting.address)
        assert len(again.rssi) > 12
        assert len(controller.asked) == 1
        assert not controller.le_connections
        assert offering.capabilities.offers_gatt
        assert not offering.capabilities.broadcasts
        assert not offering.capabilities.only_listens

    in_virtual_time(scene)


def test_both_kinds_of_phones_hear_each_other() -> None:
    async def scene(clock: LoopClock) -> None:
        offering, reader, _ = await _pair(clock)
        await offering.advertise(PAYLOAD)
        await reader.advertise(b"r" * 20)
        heard, seen = await asyncio.gather(offering.scan(4.0), reader.scan(4.0))
        assert [s.payload for s in heard] == [b"r" * 20]
        assert [s.payload for s in seen] == [PAYLOAD]
        assert len(heard[0].rssi) > 10  # the reader broadcast while it was connected

    in_virtual_time(scene)


def test_forty_rotations_of_an_offered_beacon_leave_not_one_linkable_pair() -> None:
    async def scene(clock: LoopClock) -> list[tuple[bytes, bytes]]:
        offering, reader, _ = await _pair(clock)
        pairs = []
        for _ in range(40):
            await offering.advertise(os.urandom(20))
            pairs += [(s.address, s.payload) for s in await reader.scan(4.0)]
            await clock.sleep(120.0)
        return pairs

    pairs = in_virtual_time(scene)
    assert len(pairs) == 40
    assert len({address for address, _ in pairs}) == len({payload for _, payload in pairs}) == 40


def test_what_was_read_is_read_again_when_the_identifier_has_turned() -> None:
    async def scene(clock: LoopClock) -> int:
        offering, reader, controller = await _pair(clock)
        await offering.advertise(PAYLOAD)
        for _ in range(5):
            assert len(await reader.scan(4.0)) == 1
            await clock.sleep(300.0)
        return len(controller.asked)

    assert in_virtual_time(scene) == 3  # 22 minutes reach into three intervals


def test_a_flood_of_offers_is_connected_to_a_few_times_a_minute_only() -> None:
    async def scene(clock: LoopClock) -> list[tuple[float, bytes]]:
        link = AirLink(Air(clock, QUIET))
        controller = _Counted(link)
        reader = await HciRadio.attach(controller, clock)
        other = await HciRadio.attach(AirController(link, (1.0, 0.0)), clock)
        await other.advertise(PAYLOAD)

        async def flood() -> None:
            while True:  # a new address every time
                report = bytes((2, 1, 0, 1)) + os.urandom(6) + bytes((21,)) + encode_offer()
                packet = bytes((4, 0x3E, len(report) + 1)) + report + bytes((200,))
                reader.on_reports(packet)
                await clock.sleep(0.05)

        flooding = asyncio.ensure_future(flood())
        for _ in range(30):
            (sighting,) = await reader.scan(4.0)  # honest beacons are heard all the while
            assert sighting.payload == PAYLOAD
            assert len(sighting.rssi) > 12
            await clock.sleep(6.0)
        flooding.cancel()
        return controller.asked

    asked = in_virtual_time(scene)
    assert len(asked) > 20
    for time, _ in asked:
        assert sum(time <= other < time + 59.9 for other, _ in asked) <= MAX_READS_PER_MINUTE


def _huge(radio: HciRadio, handle: int, pdu: bytes) -> bool:
    """Answers with far more than a beacon."""
    code = {0x08: b"\x09\xff\x03\x00", 0x0A: b"\x0b"}.get(pdu[0], b"\x01")
    radio._links._send_att(handle, code + bytes(400))
    return True


def _short(radio: HciRadio, handle: int, pdu: bytes) -> bool:
    code = {0x08: b"\x09\x07\x03\x00", 0x0A: b"\x0b"}.get(pdu[0], b"\x01")
    radio._links._send_att(handle, code + bytes(5))
    return True


def _mute(_radio: HciRadio, _handle: int, _pdu: bytes) -> bool:
    return True


def _rude(_radio: HciRadio, _handle: int, _pdu: bytes) -> bool:
    return False  # hangs up


def _refusing(radio: HciRadio, handle: int, pdu: bytes) -> bool:
    radio._links._send_att(handle, bytes((1, pdu[0], 0, 0, 5)))
    return True


def _curious(radio: HciRadio, handle: int, _pdu: bytes) -> bool:
    """Asks instead of answering, for ever."""
    radio._links._send_att(handle, b"\x02\x17\x00")
    return True


def _babbling(radio: HciRadio, handle: int, _pdu: bytes) -> bool:
    for length in range(40):
        radio._links._send_att(handle, os.urandom(length))
    radio._host.send_acl_sdu(handle, b"\xff\xff\x04")  # not even L2CAP
    return True


@pytest.mark.parametrize("behave", [_huge, _short, _mute, _rude, _refusing, _curious, _babbling])
def test_a_hostile_peer_costs_its_time_out_and_nothing_else(
    behave: Callable[[HciRadio, int, bytes], bool],
) -> None:
    async def scene(clock: LoopClock) -> None:
        hostile, reader, controller = await _pair(clock)
        link = controller.link
        hostile._links.server.received = (  # type: ignore[method-assign]
            lambda handle, pdu: behave(hostile, handle, pdu)
        )
        honest = await HciRadio.attach(AirController(link, (0.0, 1.0)), clock, offer_gatt=True)
        broadcasting = await HciRadio.attach(AirController(link, (1.0, 1.0)), clock)
        await hostile.advertise(PAYLOAD)
        await honest.advertise(b"h" * 20)
        await broadcasting.advertise(b"b" * 20)
        before = clock.now()
        heard = {s.payload: len(s.rssi) for s in await reader.scan(8.0)}
        assert clock.now() - before < 8.1
        assert set(heard) == {b"h" * 20, b"b" * 20}
        assert heard[b"b" * 20] > 25
        before = clock.now()
        await reader.advertise(b"r" * 20)
        assert clock.now() - before < 0.1
        # It is left alone for longer and longer.
        for _ in range(60):
            await clock.sleep(26.0)
            await reader.scan(4.0)
        address = bytes(hostile._host.hci_sink.random_address)  # type: ignore[union-attr]
        attempts = [time for time, asked in controller.asked if asked == address]
        assert 4 <= len(attempts) <= 7
        gaps = [b - a for a, b in pairwise(attempts)]
        assert gaps[0] >= 30.0
        assert gaps[-1] >= 300.0
        assert not controller.le_connections

    in_virtual_time(scene)


def test_a_peer_that_left_before_it_was_connected_to_costs_its_time_out() -> None:
    async def scene(clock: LoopClock) -> None:
        offering, reader, controller = await _pair(clock)
        await offering.advertise(PAYLOAD)
        scan = asyncio.ensure_future(reader.scan(4.0))
        while not controller.asked:
            await clock.sleep(0.001)
        await offering.close()
        await clock.sleep(READ_SECONDS + 0.1)
        assert controller.pending_le_connection is None
        assert await scan == []

    in_virtual_time(scene)


def test_the_beacon_turns_at_once_while_a_peer_is_being_read() -> None:
    async def scene(clock: LoopClock) -> None:
        _, reader, controller = await _pair(clock)
        await reader.advertise(b"1" * 20)
        scan = asyncio.ensure_future(reader.scan(4.0))
        await clock.sleep(0.1)
        # Somebody who is heard once, and never again.
        reader.on_reports(
            bytes((4, 0x3E, 33, 2, 1, 0, 1)) + bytes(6) + bytes((21,)) + encode_offer() + b"\xc8"
        )
        await clock.sleep(0.5)
        assert controller.pending_le_connection is not None
        before = clock.now()
        await reader.advertise(b"2" * 20)
        assert clock.now() - before < 0.05
        assert controller.pending_le_connection is None
        assert bytes(controller.le_legacy_advertiser.advertising_data) == encode_advertisement(
            b"2" * 20
        )
        await scan

    in_virtual_time(scene)


def test_a_controller_that_can_do_one_thing_at_a_time_reads_between_scans() -> None:
    async def scene(clock: LoopClock) -> None:
        offering, reader, _ = await _pair(clock, _OneThingAtATime)
        await offering.advertise(PAYLOAD)
        assert await reader.scan(4.0) == []
        await clock.sleep(1.0)
        await reader.scan(4.0)
        await clock.sleep(1.0)
        (sighting,) = await reader.scan(4.0)
        assert sighting.payload == PAYLOAD

    in_virtual_time(scene)


def test_a_guest_that_stays_is_seen_off_and_never_sees_two_beacons() -> None:
    """A stock Bumble phone: it discovers everything, reads, and keeps the connection."""

    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock, QUIET))
        controller = AirController(link)
        offering = await HciRadio.attach(controller, clock, offer_gatt=True)
        guest = _stock(link)
        await guest.power_on()
        await offering.advertise(PAYLOAD)
        address = controller.random_address
        connection = await guest.connect(address)
        peer = Peer(connection)
        await peer.request_mtu(185)
        await peer.discover_all()
        (beacon,) = peer.get_characteristics_by_uuid(
            UUID(GATT_BEACON_UUID), peer.get_services_by_uuid(UUID(GATT_SERVICE_UUID))[0]
        )
        assert await beacon.read_value() == PAYLOAD
        gone = asyncio.ensure_future(_disconnection(connection))
        await offering.advertise(b"2" * 20)
        await clock.sleep(0.1)
        assert gone.done()

        connection = await guest.connect(controller.random_address)
        gone = asyncio.ensure_future(_disconnection(connection))
        await clock.sleep(4.0)
        assert not controller.le_legacy_advertiser.enabled
        await clock.sleep(2.0)
        assert gone.done()
        assert controller.le_legacy_advertiser.enabled  # there for the next one

    in_virtual_time(scene)


def test_a_beacon_is_read_from_another_makers_server() -> None:
    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock, QUIET))
        reader = await HciRadio.attach(AirController(link), clock)
        stranger = _stock(link)
        stranger.add_service(
            Service(
                UUID(GATT_SERVICE_UUID),
                [
                    Characteristic(
                        UUID(GATT_BEACON_UUID),
                        Characteristic.Properties.READ,
                        Characteristic.READABLE,
                        CharacteristicValue(read=lambda _: PAYLOAD),
                    )
                ],
            )
        )
        await stranger.power_on()
        await stranger.start_advertising(
            advertising_data=encode_offer(),
            advertising_interval_min=250,
            advertising_interval_max=250,
        )
        (sighting,) = await reader.scan(4.0)
        assert sighting.payload == PAYLOAD

    in_virtual_time(scene)


def _stock(link: AirLink) -> Device:
    """Bumble's own phone on a controller of ours."""
    controller = AirController(link, (0.0, 1.0))
    host = Host(controller, controller)  # type: ignore[no-untyped-call]
    return Device(name="stock", address=hci.Address.generate_private_address(), host=host)


async def _disconnection(connection: Any) -> None:
    gone = asyncio.get_running_loop().create_future()
    connection.on("disconnection", lambda *_: gone.done() or gone.set_result(None))
    await gone
