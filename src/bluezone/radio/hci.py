"""The phone's radio over any Bluetooth controller that speaks HCI: dongle, socket, radio process.

Only legacy commands are used: every controller since 4.0 has them, and a controller
refuses to mix them with extended ones (Core Specification, Vol 4, Part E, 3.1.1).
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterator
from typing import Any, Final

from bumble import drivers, hci
from bumble.core import BaseBumbleError
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import Transport

from bluezone.clock import Clock
from bluezone.protocol.beacon import decode_advertisement, encode_advertisement
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.radio.interface import RadioError, RadioState, Sighting

_ANSWER_SECONDS: Final = 5.0  # controllers answer in milliseconds; a dead one never
_SLOTS_PER_SECOND: Final = 1600  # HCI counts in units of 0.625 ms
_ADVERTISING_INTERVAL: Final = round(ADVERTISING_INTERVAL_SECONDS * _SLOTS_PER_SECOND)
_SCAN_INTERVAL: Final = 96  # 60 ms, listening all of it: what a scan does not hear is lost
_RSSI_UNKNOWN: Final = 127
_GONE: Final = "the Bluetooth controller is gone; plug it in and start again"
_REPORT: Final = bytes((hci.HCI_EVENT_PACKET, 0x3E))  # LE Meta event

# Bumble logs what we raise as errors of our own; an application may still listen to it.
logging.getLogger("bumble").addHandler(logging.NullHandler())


def advertising_reports(packet: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Address (most significant byte first), data, RSSI of each report in an HCI packet.

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
        yield packet[position + 7 : position + 1 : -1], packet[position + 9 : end], rssi
        position = end + 1


class _BeaconHost(Host):
    """Takes advertising reports as bytes; everything else is Bumble's."""

    def __init__(self, radio: "HciRadio", source: Any, sink: Any) -> None:
        self._radio = radio
        super().__init__(source, sink)

    def on_packet(self, packet: bytes) -> None:
        if packet.startswith(_REPORT) and packet[3:4] == b"\x02":
            self._radio.on_reports(packet)
        else:
            super().on_packet(packet)

    def on_transport_lost(self) -> None:
        self._radio.on_lost()
        if self.pending_response is not None and not self.pending_response.done():
            super().on_transport_lost()  # type: ignore[no-untyped-call]


class HciRadio:
    """A `Radio` on a Bluetooth controller. Open it with `open` or, in one process, `attach`."""

    def __init__(self, source: Any, sink: Any, clock: Clock) -> None:
        self._clock = clock
        self._transport: Transport | None = None
        self._host = _BeaconHost(self, source, sink)
        self._state = RadioState.ON
        self._tx_power = 0
        self._advertising = False
        self._scanning = False
        self._windows: list[dict[tuple[bytes, bytes], tuple[float, list[int]]]] = []
        self._commands = asyncio.Lock()  # one rotation or scan change at a time

    @classmethod
    async def open(cls, spec: str, clock: Clock) -> "HciRadio":
        """The controller behind a transport: `usb:0`, `hci-socket:0`, `serial:/dev/ttyACM0`,
        `tcp-client:127.0.0.1:9100`. Raises RadioError.
        """
        transport = await _open(spec)
        radio = cls(transport.source, transport.sink, clock)
        radio._transport = transport
        try:
            await radio._power_on()
        except RadioError:
            await radio.close()
            raise
        return radio

    @classmethod
    async def attach(cls, controller: Any, clock: Clock) -> "HciRadio":
        """A controller in this process (an `AirController`). Raises RadioError."""
        radio = cls(controller, controller, clock)
        await radio._power_on()
        return radio

    @property
    def state(self) -> RadioState:
        return self._state

    @property
    def tx_power(self) -> int:
        """As the controller reports it; antenna and case are not in this number."""
        return self._tx_power

    async def advertise(self, payload: bytes) -> None:
        data = encode_advertisement(payload)
        async with self._commands:
            await self._stop_advertising()
            await self._set_scanning(False)  # or the controller refuses the new address
            await self._set_fresh_address()
            await self._send(
                hci.HCI_LE_Set_Advertising_Parameters_Command(
                    advertising_interval_min=_ADVERTISING_INTERVAL,
                    advertising_interval_max=_ADVERTISING_INTERVAL,
                    advertising_type=hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType.ADV_NONCONN_IND,
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
        window: dict[tuple[bytes, bytes], tuple[float, list[int]]] = {}
        self._windows.append(window)
        try:
            async with self._commands:
                await self._set_scanning(True)
            await self._clock.sleep(seconds)
        finally:
            # By identity: two windows that have heard the same are equal.
            self._windows = [other for other in self._windows if other is not window]
            if self._state is RadioState.ON:
                async with self._commands:
                    await self._set_scanning(bool(self._windows))
        self._require_on()
        return [
            Sighting(address, payload, first, tuple(levels))
            for (address, payload), (first, levels) in window.items()
        ]

    async def close(self) -> None:
        """Fall silent and release the controller; closing twice is fine."""
        try:
            with contextlib.suppress(RadioError):  # it is going away anyway
                async with self._commands:
                    await self._set_scanning(False)
                    await self._stop_advertising()
        finally:
            self._state = RadioState.UNAVAILABLE
            if self._transport is not None:
                transport, self._transport = self._transport, None
                await transport.close()

    def on_reports(self, packet: bytes) -> None:
        """Advertising reports from the controller; anything that is not a beacon is ignored."""
        if not self._windows:
            return
        for address, data, rssi in advertising_reports(packet):
            payload = decode_advertisement(data)
            if payload is None or rssi == _RSSI_UNKNOWN:
                continue
            for window in self._windows:
                heard = window.get((address, payload))
                if heard is None:
                    window[address, payload] = (self._clock.now(), [rssi])
                else:
                    heard[1].append(rssi)

    def on_lost(self) -> None:
        """The transport ended: unplugged, or the radio process went away."""
        self._state = RadioState.UNAVAILABLE

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
                    [hci.HCI_HARDWARE_ERROR_EVENT, hci.HCI_LE_META_EVENT]
                )
            )
        )
        await self._send(
            hci.HCI_LE_Set_Event_Mask_Command(
                le_event_mask=hci.HCI_LE_Set_Event_Mask_Command.mask(
                    [hci.HCI_LE_ADVERTISING_REPORT_EVENT]
                )
            )
        )
        answer = await self._send(hci.HCI_LE_Read_Advertising_Physical_Channel_Tx_Power_Command())
        self._tx_power = answer.tx_power_level
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
        self._require_on()
        try:
            return await self._host.send_sync_command(command, response_timeout=_ANSWER_SECONDS)
        except hci.HCI_Error as refusal:
            raise RadioError(f"the controller refused {command.name}: {refusal}") from refusal
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


async def _open(spec: str) -> Transport:
    try:
        return await open_transport(spec)
    except Exception as fault:  # each transport has its own zoo, Exception itself included
        refused = isinstance(fault, PermissionError) or type(fault).__name__ == "USBErrorAccess"
        if refused:
            raise RadioError(
                f"no permission to use {spec}: give your user the device, or CAP_NET_ADMIN",
                RadioState.NO_PERMISSION,
            ) from fault
        if isinstance(fault, ConnectionError):
            raise RadioError(f"no radio answers at {spec}: start `bluezone radio` first") from fault
        reason = str(fault) or "its address is incomplete"
        raise RadioError(
            f"cannot open the Bluetooth controller {spec}: {reason}. Known forms: usb:0, "
            "hci-socket:0, serial:/dev/ttyACM0, tcp-client:127.0.0.1:9100"
        ) from fault
