"""The phone's radio over any Bluetooth controller that speaks HCI: dongle, socket, radio process.

Only legacy commands are used: every controller since 4.0 has them, and a controller
refuses to mix them with extended ones (Core Specification, Vol 4, Part E, 3.1.1).
Phones that can only offer their beacon by GATT are connected to as soon as a scan hears them
(`peers` says when).
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

from bumble import drivers, hci
from bumble.core import BaseBumbleError
from bumble.host import Host
from bumble.transport.common import Transport

from bluezone.clock import Clock
from bluezone.protocol.beacon import (
    decode_advertisement,
    encode_advertisement,
    encode_offer,
    is_offer,
)
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.radio import hci_links
from bluezone.radio.hci_links import HciLinks
from bluezone.radio.hci_transport import open_controller
from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting
from bluezone.radio.reader import Reader, RefusedError
from bluezone.radio.window import ScanWindow

_ANSWER_SECONDS: Final = 5.0  # controllers answer in milliseconds; a dead one never
_SLOTS_PER_SECOND: Final = 1600  # HCI counts in units of 0.625 ms
_ADVERTISING_INTERVAL: Final = round(ADVERTISING_INTERVAL_SECONDS * _SLOTS_PER_SECOND)
_SCAN_INTERVAL: Final = 96  # 60 ms, listening all of it: what a scan does not hear is lost
_RSSI_UNKNOWN: Final = 127
_ADV_IND: Final = 0  # event type of an advertiser that takes connections
_Advertising = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
_GONE: Final = "the Bluetooth controller is gone; plug it in and start again"
_REPORT: Final = bytes((hci.HCI_EVENT_PACKET, 0x3E))  # LE Meta event
_DATA: Final = bytes((hci.HCI_ACL_DATA_PACKET,))

# Bumble logs what we raise as errors of our own; an application may still listen to it.
logging.getLogger("bumble").addHandler(logging.NullHandler())


def advertising_reports(packet: bytes) -> Iterator[tuple[bytes, bytes, int, int, int]]:
    """Address (most significant byte first), data, RSSI, event type and address type of each
    report in an HCI packet.

    LE Advertising Report (Vol 4, Part E, 7.7.65.2). Never raises: what is cut short ends
    the reports.
    """
    position = 5
    for _ in range(packet[4] if len(packet) > 4 else 0):
        if len(packet) < position + 10:
            return
        end = position + 9 + packet[position + 8]
        if len(packet) <= end:
            return
        rssi = packet[end] - 256 if packet[end] > _RSSI_UNKNOWN else packet[end]
        address = packet[position + 7 : position + 1 : -1]
        yield address, packet[position + 9 : end], rssi, packet[position], packet[position + 1]
        position = end + 1


class _BeaconHost(Host):
    """Takes advertising reports as bytes; everything else is Bumble's."""

    def __init__(self, radio: "HciRadio", source: Any, sink: Any) -> None:
        self._radio = radio
        super().__init__(source, sink)

    def on_packet(self, packet: bytes) -> None:
        if packet.startswith(_REPORT) and packet[3:4] == b"\x02":
            self._radio.on_reports(packet)
        elif packet.startswith(_DATA):
            with contextlib.suppress(Exception):  # a peer may send what no reader expects
                super().on_packet(packet)
        else:
            super().on_packet(packet)

    def on_transport_lost(self) -> None:
        self._radio.on_lost()
        if self.pending_response is not None and not self.pending_response.done():
            super().on_transport_lost()  # type: ignore[no-untyped-call]


class HciRadio:
    """A `Radio` on a Bluetooth controller. Open it with `open` or, in one process, `attach`."""

    def __init__(
        self, source: Any, sink: Any, clock: Clock, name: str, *, offer_gatt: bool = False
    ) -> None:
        """`offer_gatt` makes it a phone that can only offer its beacon for reading."""
        self._clock = clock
        self._name = name
        self._offer_gatt = offer_gatt
        self._transport: Transport | None = None
        self._host = _BeaconHost(self, source, sink)
        self._links = HciLinks(self._host, clock, self._send, self._begin, self._on_guest_left)
        self._reader = Reader(clock)
        self._resuming: asyncio.Task[None] | None = None
        self._state = RadioState.ON
        self._tx_power = 0
        self._advertising = False
        self._scanning = False
        self._windows: list[ScanWindow] = []
        self._commands = asyncio.Lock()  # one rotation or scan change at a time

    @classmethod
    async def open(cls, spec: str, clock: Clock, *, offer_gatt: bool = False) -> "HciRadio":
        """The controller behind a transport: `usb:0`, `hci-socket:0`, `serial:/dev/ttyACM0`,
        `tcp-client:127.0.0.1:9100`. Raises RadioError.
        """
        transport = await open_controller(spec)
        radio = cls(transport.source, transport.sink, clock, spec, offer_gatt=offer_gatt)
        radio._transport = transport
        try:
            await radio._power_on()
        except RadioError:
            await radio.close()
            raise
        return radio

    @classmethod
    async def attach(cls, controller: Any, clock: Clock, *, offer_gatt: bool = False) -> "HciRadio":
        """A controller in this process (an `AirController`). Raises RadioError."""
        radio = cls(controller, controller, clock, "virtual", offer_gatt=offer_gatt)
        await radio._power_on()
        return radio

    @property
    def state(self) -> RadioState:
        return self._state

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            "HCI",
            self._name,
            broadcasts=not self._offer_gatt,
            offers_gatt=self._offer_gatt,
            reads_gatt=True,
        )

    @property
    def tx_power(self) -> int:
        """As the controller reports it; antenna and case are not in this number."""
        return self._tx_power

    async def advertise(self, payload: bytes) -> None:
        data = encode_advertisement(payload)
        kind = _Advertising.ADV_NONCONN_IND
        if self._offer_gatt:
            data, kind = encode_offer(), _Advertising.ADV_IND
        async with self._commands:
            await self._reader.stop()
            await self._stop_advertising()
            await self._set_scanning(False)  # or the controller refuses the new address
            await self._set_fresh_address()
            self._links.server.payload = payload
            await self._send(
                hci.HCI_LE_Set_Advertising_Parameters_Command(
                    advertising_interval_min=_ADVERTISING_INTERVAL,
                    advertising_interval_max=_ADVERTISING_INTERVAL,
                    advertising_type=kind,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    peer_address_type=0,
                    peer_address=hci.Address.ANY,
                    advertising_channel_map=0b111,
                    advertising_filter_policy=0,
                )
            )
            await self._send(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=data))
            self._advertising = True  # from here on it may be, even if we are cancelled
            await self._send(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
            await self._set_scanning(bool(self._windows))

    async def stop(self) -> None:
        async with self._commands:
            await self._stop_advertising()

    async def scan(self, seconds: float) -> list[Sighting]:
        window = ScanWindow()
        self._windows.append(window)
        try:
            async with self._commands:
                await self._set_scanning(True)
            await self._clock.sleep(seconds)
        finally:
            self._windows.remove(window)
            if self._state is RadioState.ON:
                async with self._commands:
                    await self._set_scanning(bool(self._windows))
                if not self._windows:
                    self._reader.silence()
        self._require_on()
        return window.sightings(self._reader.beacon_of)

    async def close(self) -> None:
        """Fall silent and release the controller; closing twice is fine."""
        try:
            with contextlib.suppress(RadioError):  # it is going away anyway
                async with self._commands:
                    await self._reader.stop()
                    await self._set_scanning(False)
                    await self._stop_advertising()
        finally:
            self._state = RadioState.UNAVAILABLE
            if self._resuming is not None:
                self._resuming.cancel()
            if self._transport is not None:
                transport, self._transport = self._transport, None
                await transport.close()

    def on_reports(self, packet: bytes) -> None:
        """Advertising reports from the controller; anything that is not a beacon is ignored."""
        if not self._windows:
            return
        for address, data, rssi, kind, address_type in advertising_reports(packet):
            if rssi == _RSSI_UNKNOWN:
                continue
            payload = decode_advertisement(data)
            if payload is not None:
                for window in self._windows:
                    window.beacon(address, payload, rssi, self._clock.now())
            elif kind == _ADV_IND and is_offer(data):
                for window in self._windows:
                    window.offer(address, rssi, self._clock.now())
                if not self._commands.locked():  # the address is about to change
                    read = partial(self._links.read, address, address_type)
                    self._reader.offered(address, read, listening=True)

    def on_lost(self) -> None:
        """The transport ended: unplugged, or the radio process went away."""
        self._state = RadioState.UNAVAILABLE

    def _on_guest_left(self) -> None:
        if self._advertising and self._state is RadioState.ON:
            self._resuming = asyncio.create_task(self._resume_advertising())

    async def _resume_advertising(self) -> None:
        """Go on offering: the controller stopped when the guest came."""
        with contextlib.suppress(RadioError):
            async with self._commands:
                if self._advertising:
                    await self._send(
                        hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1)
                    )

    async def _power_on(self) -> None:
        """Reset, events, first address; drivers load firmware where a dongle needs it."""
        try:
            driver = await drivers.get_driver_for_host(self._host)
            if driver is not None:
                await driver.init_controller()  # type: ignore[no-untyped-call]
            self._host.ready = True
        except (BaseBumbleError, OSError, TimeoutError) as fault:
            raise RadioError(f"the controller's driver failed: {fault}") from fault
        if driver is None:
            await self._send(hci.HCI_Reset_Command())
        await self._send(
            hci.HCI_Set_Event_Mask_Command(
                event_mask=hci.HCI_Set_Event_Mask_Command.mask(
                    [hci.HCI_HARDWARE_ERROR_EVENT, hci.HCI_LE_META_EVENT, *hci_links.EVENTS]
                )
            )
        )
        await self._send(
            hci.HCI_LE_Set_Event_Mask_Command(
                le_event_mask=hci.HCI_LE_Set_Event_Mask_Command.mask(
                    [hci.HCI_LE_ADVERTISING_REPORT_EVENT, *hci_links.LE_EVENTS]
                )
            )
        )
        answer = await self._send(hci.HCI_LE_Read_Advertising_Physical_Channel_Tx_Power_Command())
        self._tx_power = answer.tx_power_level
        await self._links.power_on()
        await self._set_fresh_address()

    async def _set_fresh_address(self) -> None:
        # Non-resolvable private: random, the two top bits zero (Vol 6, Part B, 1.3.2.2).
        number = secrets.randbelow(2**46 - 2) + 1
        await self._send(
            hci.HCI_LE_Set_Random_Address_Command(
                random_address=hci.Address(
                    number.to_bytes(6, "little"), hci.Address.RANDOM_DEVICE_ADDRESS
                )
            )
        )

    async def _stop_advertising(self) -> None:
        if self._advertising:
            await self._send(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=0))
            self._advertising = False
            await self._links.dismiss_guests()

    async def _set_scanning(self, wanted: bool) -> None:
        if wanted == self._scanning:
            return
        if wanted:
            await self._send(
                hci.HCI_LE_Set_Scan_Parameters_Command(
                    le_scan_type=hci.HCI_LE_Set_Scan_Parameters_Command.PASSIVE_SCANNING,
                    le_scan_interval=_SCAN_INTERVAL,
                    le_scan_window=_SCAN_INTERVAL,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    scanning_filter_policy=0,
                )
            )
            self._scanning = True  # from here on it may be, even if we are cancelled
        await self._send(
            hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=int(wanted), filter_duplicates=0)
        )
        self._scanning = wanted

    async def _send(self, command: Any) -> Any:
        """Give a command and return its answer."""
        return await self._ask(command, self._host.send_sync_command)

    async def _begin(self, command: Any) -> None:
        """Give a command whose outcome comes later as an event."""
        await self._ask(command, self._host.send_async_command)

    async def _ask(self, command: Any, send: Callable[..., Awaitable[Any]]) -> Any:
        self._require_on()
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        try:
            answer = await send(command, response_timeout=_ANSWER_SECONDS)
            # Bumble waits by `asyncio.wait_for`, which in Python 3.11 loses a cancellation that
            # comes together with the answer: the tracer would live on for ever.
            if task is not None and task.cancelling() > cancels:
                raise asyncio.CancelledError
            return answer
        except hci.HCI_Error as refusal:
            raise RefusedError(f"the controller refused {command.name}: {refusal}") from refusal
        except (BaseBumbleError, OSError, TimeoutError, AssertionError, RuntimeError) as fault:
            # The last two are Bumble's words for an answer that makes no sense.
            if self._state is not RadioState.ON:  # it went away while it owed the answer
                raise RadioError(_GONE) from fault
            self._state = RadioState.UNAVAILABLE
            raise RadioError(
                f"no sensible answer to {command.name} from the controller; is it still plugged in?"
            ) from fault

    def _require_on(self) -> None:
        if self._state is not RadioState.ON:
            raise RadioError(_GONE)
