"""Virtual controllers: what real ones refuse, one report for each packet, overload survived."""

import asyncio
import time
from typing import Any

import pytest
from bumble import hci

from bluezone.clock import LoopClock, WallClock
from bluezone.protocol.beacon import encode_advertisement
from bluezone.radio.air import Air
from bluezone.radio.hci import HciRadio
from bluezone.radio.link import AirController, AirLink
from bluezone.radio.physics import AirPhysics
from tests.radio.virtual import in_virtual_time

QUIET = AirPhysics(packet_loss=0.0)
ADDRESS = hci.Address("12:34:56:78:9A:BC", hci.Address.RANDOM_DEVICE_ADDRESS)
DISALLOWED = hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR
INVALID = hci.HCI_ErrorCode.INVALID_COMMAND_PARAMETERS_ERROR


class _Host:
    """The host's end of HCI: keeps every packet the controller sends."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def on_packet(self, packet: bytes) -> None:
        self.packets.append(packet)

    def reports(self) -> list[hci.HCI_LE_Advertising_Report_Event.Report]:
        events = [hci.HCI_Packet.from_bytes(packet) for packet in self.packets]
        return [
            report
            for event in events
            if isinstance(event, hci.HCI_LE_Advertising_Report_Event)
            for report in event.reports
        ]


def _controller(link: AirLink, x: float = 0.0) -> tuple[AirController, _Host]:
    host = _Host()
    return AirController(link, (x, 0.0), host_sink=host), host


async def _ask(controller: AirController, host: _Host, command: Any) -> int:
    """Send one command as bytes; the status of the answer."""
    host.packets.clear()
    controller.on_packet(bytes(command))
    await asyncio.sleep(0)
    answer = hci.HCI_Packet.from_bytes(host.packets[-1])
    assert isinstance(answer, hci.HCI_Command_Complete_Event)
    return int(answer.return_parameters.status)


def _parameters(interval: int = 400, kind: int = 3) -> Any:
    return hci.HCI_LE_Set_Advertising_Parameters_Command(
        advertising_interval_min=interval,
        advertising_interval_max=interval,
        advertising_type=kind,
        own_address_type=1,
        peer_address_type=0,
        peer_address=hci.Address.ANY,
        advertising_channel_map=7,
        advertising_filter_policy=0,
    )


def _scan_parameters(interval: int = 96, window: int = 96) -> Any:
    return hci.HCI_LE_Set_Scan_Parameters_Command(
        le_scan_type=0,
        le_scan_interval=interval,
        le_scan_window=window,
        own_address_type=1,
        scanning_filter_policy=0,
    )


def _scan(on: int, filter_duplicates: int = 0) -> Any:
    return hci.HCI_LE_Set_Scan_Enable_Command(
        le_scan_enable=on, filter_duplicates=filter_duplicates
    )


def _advertise(on: int) -> Any:
    return hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=on)


async def _start_beacon(controller: AirController, host: _Host, data: bytes) -> None:
    for command in (
        hci.HCI_LE_Set_Random_Address_Command(random_address=ADDRESS),
        _parameters(),
        hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=data),
        _advertise(1),
    ):
        assert await _ask(controller, host, command) == 0


def test_it_refuses_what_real_controllers_refuse() -> None:
    async def scene(clock: LoopClock) -> None:
        controller, host = _controller(AirLink(Air(clock)))
        address = hci.HCI_LE_Set_Random_Address_Command(random_address=ADDRESS)

        async def status(command: Any) -> int:
            return await _ask(controller, host, command)

        assert await status(_advertise(1)) == INVALID  # nothing to advertise with yet
        assert await status(address) == 0
        assert await status(_parameters(interval=0x1F)) == INVALID
        assert await status(_parameters(kind=1)) == INVALID
        assert await status(_scan_parameters(window=97)) == INVALID
        assert await status(_parameters()) == 0
        assert await status(_advertise(1)) == 0
        assert await status(address) == DISALLOWED
        assert await status(_parameters()) == DISALLOWED
        assert await status(_advertise(0)) == 0
        assert await status(address) == 0
        assert await status(_scan_parameters()) == 0
        assert await status(_scan(1)) == 0
        assert await status(address) == DISALLOWED
        assert await status(_scan_parameters()) == DISALLOWED
        assert await status(hci.HCI_Reset_Command()) == 0
        assert await status(address) == 0

    in_virtual_time(scene)


def test_one_nonconnectable_report_for_each_packet() -> None:
    async def scene(clock: LoopClock) -> list[Any]:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        assert await _ask(receiver, my_host, _scan_parameters()) == 0
        assert await _ask(receiver, my_host, _scan(1)) == 0
        my_host.packets.clear()
        await _start_beacon(sender, its_host, encode_advertisement(bytes(range(20))))
        await clock.sleep(60.0)
        assert its_host.reports() == []  # nobody hears himself
        return my_host.reports()

    reports = in_virtual_time(scene)
    assert 230 <= len(reports) <= 240  # 60 s at 250 ms + 0-10 ms
    kinds = {report.event_type for report in reports}
    assert kinds == {hci.HCI_LE_Advertising_Report_Event.EventType.ADV_NONCONN_IND}
    assert {bytes(report.data) for report in reports} == {encode_advertisement(bytes(range(20)))}
    assert {report.address for report in reports} == {ADDRESS}
    assert len({report.rssi for report in reports}) > 5  # every packet fades by itself


def test_duplicates_are_filtered_when_asked_until_scanning_starts_again() -> None:
    async def scene(clock: LoopClock) -> list[int]:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        await _start_beacon(sender, its_host, encode_advertisement(bytes(20)))
        counts = []
        for _ in range(2):
            assert await _ask(receiver, my_host, _scan(1, filter_duplicates=1)) == 0
            await clock.sleep(5.0)
            counts.append(len(my_host.reports()))
            assert await _ask(receiver, my_host, _scan(0)) == 0
        return counts

    assert in_virtual_time(scene) == [1, 1]


def test_a_quarter_of_the_time_hears_a_quarter() -> None:
    async def scene(clock: LoopClock) -> int:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        await _start_beacon(sender, its_host, encode_advertisement(bytes(20)))
        assert await _ask(receiver, my_host, _scan_parameters(interval=192, window=48)) == 0
        assert await _ask(receiver, my_host, _scan(1)) == 0
        await clock.sleep(300.0)
        return len(my_host.reports())

    assert in_virtual_time(scene) == pytest.approx(300 / 0.255 / 4, rel=0.15)


def test_a_controller_that_left_neither_sends_nor_hears() -> None:
    async def scene(clock: LoopClock) -> tuple[int, int]:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        await _start_beacon(sender, its_host, encode_advertisement(bytes(20)))
        assert await _ask(receiver, my_host, _scan(1)) == 0
        await clock.sleep(1.0)
        sender.leave()
        heard = len(my_host.reports())
        await clock.sleep(5.0)
        return heard, len(my_host.reports())

    before, after = in_virtual_time(scene)
    assert before == after > 0


async def test_overload_is_counted_and_the_loop_stays_alive() -> None:
    """Twelve phones whose hosts take 4 ms for each report: some five times what one core does."""
    clock = WallClock()
    air = Air(clock, QUIET)
    link = AirLink(air)
    radios = []
    for i in range(12):
        controller = AirController(link, (0.5 * i, 0.0))
        radios.append(await HciRadio.attach(controller, clock))
        quick = controller.hear

        def slow(*report: Any, quick: Any = quick) -> None:
            time.sleep(0.004)
            quick(*report)

        controller.hear = slow  # type: ignore[method-assign]
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.05)
            ticks += 1

    for radio in radios:
        await radio.advertise(bytes(20))
    ticking = asyncio.ensure_future(tick())
    heard = await asyncio.gather(*(radio.scan(2.0) for radio in radios))
    ticking.cancel()
    statistics = air.statistics
    assert statistics.overloaded
    assert statistics.dropped > 0
    assert statistics.worst_lag > 0.1
    assert statistics.delivered > 0
    assert statistics.offered == statistics.delivered + statistics.faded + statistics.dropped
    assert ticks >= 3  # others still get their turn
    assert any(heard)


def test_a_packet_that_comes_too_late_is_dropped_and_counted() -> None:
    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        assert await _ask(receiver, my_host, _scan(1)) == 0
        await _start_beacon(sender, its_host, encode_advertisement(bytes(20)))
        statistics = link.air.statistics
        before = statistics.delivered
        link.transmit(sender, late=0.2, missed=3)
        assert statistics.delivered == before
        assert statistics.dropped == 4
        assert statistics.worst_lag == 0.2
        link.transmit(sender, late=0.0, missed=0)
        assert statistics.delivered + statistics.faded == before + 1

    in_virtual_time(scene)


def test_no_more_than_a_bounded_queue_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluezone.radio.link._MAX_QUEUED", 8)

    async def scene(clock: LoopClock) -> None:
        link = AirLink(Air(clock, QUIET))
        (sender, its_host), (receiver, my_host) = _controller(link), _controller(link, 1.0)
        assert await _ask(receiver, my_host, _scan(1)) == 0
        await _start_beacon(sender, its_host, encode_advertisement(bytes(20)))
        my_host.packets.clear()
        statistics = link.air.statistics
        delivered, dropped = statistics.delivered, statistics.dropped
        for _ in range(50):  # a burst within one turn of the loop
            link.transmit(sender, late=0.0, missed=0)
        assert statistics.delivered - delivered <= 8
        assert statistics.dropped - dropped >= 40
        await asyncio.sleep(0)
        assert 1 <= len(my_host.reports()) <= 9

    in_virtual_time(scene)
