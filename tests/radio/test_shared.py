"""One radio for several phone processes: places, hang-ups, garbage, readers that fall asleep."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bluezone.clock import WallClock
from bluezone.radio.air import Air
from bluezone.radio.hci import HciRadio
from bluezone.radio.interface import RadioError
from bluezone.radio.link import AirLink
from bluezone.radio.physics import AirPhysics
from bluezone.radio.shared import SharedRadio

CLOCK = WallClock()


@asynccontextmanager
async def _radio(*gaps: float) -> AsyncIterator[tuple[SharedRadio, int, list[str]]]:
    said: list[str] = []
    air = Air(CLOCK, AirPhysics(packet_loss=0.0))
    radio = SharedRadio(AirLink(air), gaps or (1.0,), said.append)
    port = await radio.listen("127.0.0.1", 0)
    try:
        yield radio, port, said
    finally:
        await radio.close()
        await asyncio.sleep(0.05)


async def _eventually(condition: object, said: list[str]) -> None:
    for _ in range(100):
        if callable(condition) and condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"still not so; the radio said {said}")


async def test_phones_take_the_next_free_place() -> None:
    async with _radio(2.5, 30.0) as (radio, port, said):
        spec = f"tcp-client:127.0.0.1:{port}"
        first, second, third, last = [await HciRadio.open(spec, CLOCK) for _ in range(4)]
        await second.close()
        await _eventually(lambda: radio.phones == 3, said)
        fourth = await HciRadio.open(spec, CLOCK)
        assert said == [
            "phone 1 joined at 0 m",
            "phone 2 joined at 2.5 m",
            "phone 3 joined at 32.5 m",
            "phone 4 joined at 62.5 m",
            "phone 2 hung up",
            "phone 2 joined at 2.5 m",
        ]
        for phone in (first, third, fourth, last):
            await phone.close()
        await _eventually(lambda: radio.phones == 0 and not radio.link.controllers, said)


async def test_garbage_is_cut_off_and_others_are_not_disturbed() -> None:
    async with _radio() as (_, port, said):
        spec = f"tcp-client:127.0.0.1:{port}"
        sender, listener = [await HciRadio.open(spec, CLOCK) for _ in range(2)]
        await sender.advertise(b"s" * 20)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await _eventually(lambda: "phone 3 did not speak HCI and was cut off" in said, said)
        # A packet with an HCI header and nonsense inside, then one cut short.
        _, nonsense = await asyncio.open_connection("127.0.0.1", port)
        nonsense.write(bytes.fromhex("01 06 20 02 FF FF 01 05 20 06 01"))
        heard = await listener.scan(0.8)
        assert [s.payload for s in heard] == [b"s" * 20]
        for closing in (writer, nonsense):
            closing.close()
        await sender.close()
        await listener.close()


async def test_a_phone_that_does_not_read_fills_nothing() -> None:
    async with _radio() as (radio, port, said):
        spec = f"tcp-client:127.0.0.1:{port}"
        sender = await HciRadio.open(spec, CLOCK)
        await sender.advertise(b"s" * 20)
        sleeper = socket.create_connection(("127.0.0.1", port))
        # LE Set Scan Enable, written by hand: this phone asks to hear and never reads.
        sleeper.sendall(bytes.fromhex("01 0C 20 02 01 00"))
        await _eventually(lambda: radio.phones == 2, said)
        controller = next(c for c in radio.link.controllers if not c.le_legacy_advertiser.enabled)
        await _eventually(lambda: controller.le_scan_enable, said)
        controller.host.transport.write(bytes(16 * 1024 * 1024))  # the kernel's buffers are full
        assert controller.congested()
        await _eventually(lambda: radio.link.air.statistics.dropped > 0, said)
        sleeper.close()
        await sender.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])  # noqa: S104
async def test_only_this_machine_may_reach_it(host: str) -> None:
    radio = SharedRadio(AirLink(Air(CLOCK)), (1.0,), lambda _: None)
    with pytest.raises(RadioError, match="not this machine"):
        await radio.listen(host, 0)


async def test_a_port_in_use_is_said() -> None:
    async with _radio() as (_, port, _):
        other = SharedRadio(AirLink(Air(CLOCK)), (1.0,), lambda _: None)
        with pytest.raises(RadioError, match=f"cannot listen on 127.0.0.1:{port}"):
            await other.listen("127.0.0.1", port)
