"""Scan windows through bleak, which speaks to BlueZ, CoreBluetooth and WinRT."""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import Mapping
from typing import Any, Final

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from bluezone.clock import Clock
from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.protocol.deployment import GATT_BEACON_UUID, GATT_SERVICE_UUID, SERVICE_UUID_16
from bluezone.radio.interface import RadioError, RadioState, Sighting
from bluezone.radio.peers import READ_SECONDS
from bluezone.radio.reader import NoBeaconError, Reader
from bluezone.radio.window import ScanWindow

SERVICE_UUID: Final = f"{SERVICE_UUID_16:08x}-0000-1000-8000-00805f9b34fb"
_RSSI_UNKNOWN: Final = -127  # what bleak says for it
_STATES: Final = {
    BleakBluetoothNotAvailableReason.POWERED_OFF: RadioState.OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: RadioState.NO_PERMISSION,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: RadioState.NO_PERMISSION,
    BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: RadioState.NO_PERMISSION,
}
_DBUS_STATES: Final = {
    "org.bluez.Error.NotReady": RadioState.OFF,
    "org.freedesktop.DBus.Error.AccessDenied": RadioState.NO_PERMISSION,
}


class BleakScan:
    """The receiver: on while at least one window is open. `options` are bleak's."""

    def __init__(self, clock: Clock, options: Mapping[str, Any]) -> None:
        self._clock = clock
        self._options = options
        self._reader = Reader(clock)
        self._windows: list[ScanWindow] = []
        self._scanner: BleakScanner | None = None
        self._switching = asyncio.Lock()
        self._read_now: bytes | None = None

    async def listen(self, seconds: float) -> list[Sighting]:
        """Who was heard in `seconds`. Raises RadioError."""
        window = ScanWindow()
        self._windows.append(window)
        try:
            await self.switch()
            await self._clock.sleep(seconds)
        finally:
            self._windows.remove(window)
            await self.switch()
        return window.sightings(self._reader.beacon_of)

    async def switch(self, *, paused: bool = False) -> None:
        """Let the receiver listen or rest, as the windows want it; `paused` rests anyway."""
        async with self._switching:
            wanted = bool(self._windows) and not paused
            if wanted == (self._scanner is not None):
                return
            try:
                if wanted:
                    scanner = BleakScanner(self._on_heard, **self._options)
                    await scanner.start()
                    self._scanner = scanner
                elif self._scanner is not None:
                    scanner, self._scanner = self._scanner, None
                    await scanner.stop()
            except (BleakError, OSError, EOFError) as fault:
                raise radio_error(fault) from fault

    async def let_go(self) -> None:
        """Disconnect the peer that is being read, if any."""
        await self._reader.stop()

    async def close(self) -> None:
        """Rest for good."""
        await self._reader.stop()
        self._windows.clear()
        with contextlib.suppress(RadioError):
            await self.switch()

    def _on_heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        address = address_bytes(device.address)
        rssi = advertisement.rssi
        # While a peer is connected to, its properties change for other reasons than a packet.
        if rssi == _RSSI_UNKNOWN or address == self._read_now:
            return
        payload = advertisement.service_data.get(SERVICE_UUID)
        if payload is not None and len(payload) == PAYLOAD_BYTES:
            for window in self._windows:
                window.beacon(address, payload, rssi, self._clock.now())
        elif GATT_SERVICE_UUID in advertisement.service_uuids:
            for window in self._windows:
                window.offer(address, rssi, self._clock.now())
            self._reader.offered(address, lambda: self._read(device, address), listening=True)

    async def _read(self, device: BLEDevice, address: bytes) -> bytes:
        self._read_now = address
        try:
            async with BleakClient(device, timeout=READ_SECONDS) as client:
                value = bytes(await client.read_gatt_char(GATT_BEACON_UUID))
        except (BleakError, OSError, EOFError) as fault:
            raise NoBeaconError(str(fault)) from fault
        finally:
            self._read_now = None
        if len(value) != PAYLOAD_BYTES:
            raise NoBeaconError(f"{len(value)} bytes instead of {PAYLOAD_BYTES}")
        return value


def radio_error(fault: Exception) -> RadioError:
    """What bleak raised, as a sentence with the state to tell the person."""
    state = RadioState.UNAVAILABLE
    if isinstance(fault, BleakBluetoothNotAvailableError):
        state = _STATES.get(fault.reason, state)
    elif isinstance(fault, BleakDBusError):
        state = _DBUS_STATES.get(fault.dbus_error, state)
    return RadioError(f"this computer's Bluetooth cannot listen: {fault}", state)


def address_bytes(address: str) -> bytes:
    """Six bytes for an advertiser: its address, or, where macOS hides it, a digest of its name."""
    parts = address.split(":")
    if len(parts) == 6:
        with contextlib.suppress(ValueError):
            return bytes(int(part, 16) for part in parts)
    return hashlib.sha256(address.encode()).digest()[:6]


def system_name() -> str:
    """The system's Bluetooth interface, as its documentation calls it."""
    return {"darwin": "CoreBluetooth", "win32": "WinRT"}.get(sys.platform, "bleak")
