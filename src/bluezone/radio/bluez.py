"""The computer's own Bluetooth on Linux, shared with the desktop: BlueZ over D-Bus.

Scans with bleak; advertises an object `org.bluez.LEAdvertisement1` of type `broadcast`
(BlueZ, doc/org.bluez.LEAdvertisement.rst). The kernel takes a fresh non-resolvable address at
every registration, so each beacon is registered anew and address and payload turn together.
"""

import asyncio
import contextlib
from typing import Annotated, Final

from dbus_fast import PropertyAccess, Variant
from dbus_fast.annotations import DBusDict, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property

from bluezone.clock import Clock
from bluezone.protocol.beacon import PAYLOAD_BYTES
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.protocol.intervals import interval_number
from bluezone.radio.bleak_scan import SERVICE_UUID, BleakScan
from bluezone.radio.bluez_daemon import ADAPTER, ADVERTISING, BluezDaemon
from bluezone.radio.interface import Capabilities, RadioError, RadioState, Sighting

# What a laptop's controller sends with when BlueZ does not say: class 2 controllers are built
# for 0 to 4 dBm, and Linux leaves the default, 0 dBm in most firmware. A model's calibration
# corrects it where there is one.
UNKNOWN_TX_POWER: Final = 0
_INTERVAL_MS: Final = round(ADVERTISING_INTERVAL_SECONDS * 1000)
_INTERVAL_SLACK_MS: Final = 20  # controllers choose within a range
_READ: Final = PropertyAccess.READ
_PATH: Final = "/vn/bluezone/beacon"


class _Advertisement(ServiceInterface):
    """One beacon as bluetoothd asks for it."""

    def __init__(self, radio: "BluezRadio", payload: bytes) -> None:
        super().__init__("org.bluez.LEAdvertisement1")
        self._radio = radio
        self._payload = payload

    @dbus_method(name="Release")
    def release(self) -> None:
        self._radio.on_released(self)

    @dbus_property(access=_READ, name="Type")
    def type(self) -> DBusStr:
        return "broadcast"

    @dbus_property(access=_READ, name="ServiceUUIDs")
    def service_uuids(self) -> Annotated[list[str], DBusSignature("as")]:
        return [SERVICE_UUID]

    @dbus_property(access=_READ, name="ServiceData")
    def service_data(self) -> DBusDict:
        return {SERVICE_UUID: Variant("ay", self._payload)}

    # Kernels before 5.11 take no interval and bluetoothd then ignores these two.
    @dbus_property(access=_READ, name="MinInterval")
    def min_interval(self) -> DBusUInt32:
        return _INTERVAL_MS

    @dbus_property(access=_READ, name="MaxInterval")
    def max_interval(self) -> DBusUInt32:
        return _INTERVAL_MS + _INTERVAL_SLACK_MS


class BluezRadio:
    """A `Radio` on one adapter of this computer. Open it with `open`."""

    def __init__(self, daemon: BluezDaemon, adapter: str, clock: Clock) -> None:
        self._daemon = daemon
        self._adapter = adapter
        self._clock = clock
        self._scan = BleakScan(
            clock, {"bluez": {"adapter": adapter, "filters": {"DuplicateData": True}}}
        )
        self._refused: RadioState | None = None  # what a call met and properties don't tell
        # What is to be on the air, and the interval in which it was asked for: an identifier
        # whose time is over is never brought back.
        self._wanted: tuple[bytes, int] | None = None
        self._registered: tuple[str, _Advertisement] | None = None
        self._registrations = 0
        self._turning = asyncio.Lock()
        self._tending: asyncio.Task[None] | None = None
        self._untended = False
        self._closed = False
        daemon.changed = self._on_change

    @classmethod
    async def open(cls, clock: Clock, adapter: str = "") -> "BluezRadio":
        """The named adapter, or the first that is switched on. Raises RadioError."""
        daemon = await BluezDaemon.connect()
        known = sorted(name for name, parts in daemon.adapters.items() if ADAPTER in parts)
        if not known or (adapter and adapter not in known):
            daemon.close()
            named = f" {adapter}" if adapter else ""
            have = f"; there is {', '.join(known)}" if known else ": plug one in"
            raise RadioError(f"this computer has no Bluetooth adapter{named}{have}")
        on = [name for name in known if daemon.adapters[name][ADAPTER].get("Powered")]
        return cls(daemon, adapter or (on or known)[0], clock)

    @property
    def state(self) -> RadioState:
        if self._closed:
            return RadioState.UNAVAILABLE
        return self._refused or self._daemon.state(self._adapter)[0]

    @property
    def capabilities(self) -> Capabilities:
        interfaces = self._daemon.adapters.get(self._adapter, {})
        name = interfaces.get(ADAPTER, {}).get("Alias", "")
        return Capabilities(
            "BlueZ",
            f"{self._adapter} ({name})" if name else self._adapter,
            broadcasts=ADVERTISING in interfaces,
            reads_gatt=True,
        )

    @property
    def tx_power(self) -> int:
        """The highest the adapter says it can: nobody asks BlueZ for less."""
        interfaces = self._daemon.adapters.get(self._adapter, {})
        can = interfaces.get(ADVERTISING, {}).get("SupportedCapabilities", {})
        return int(can.get("MaxTxPower", UNKNOWN_TX_POWER))

    async def advertise(self, payload: bytes) -> None:
        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"a beacon has {PAYLOAD_BYTES} bytes, not {len(payload)}")
        self._require_on()
        await self._scan.let_go()
        async with self._turning:
            self._wanted = None
            await self._unregister()
            if not self.capabilities.broadcasts:
                return
            # A controller that scans refuses a new address.
            await self._scan.switch(paused=True)
            try:
                await self._register(payload)
            finally:
                await self._scan.switch()
            self._wanted = payload, interval_number(self._clock.now())

    async def stop(self) -> None:
        async with self._turning:
            self._wanted = None
            await self._unregister()

    async def scan(self, seconds: float) -> list[Sighting]:
        self._require_on()
        return await self._scan.listen(seconds)

    async def close(self) -> None:
        """Fall silent and leave the adapter to others; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._tending is not None:
            self._tending.cancel()
        with contextlib.suppress(RadioError):
            await self._scan.close()
            await self.stop()
        self._daemon.close()

    def on_released(self, advertisement: ServiceInterface) -> None:
        """bluetoothd took an advertisement off the air by itself."""
        if self._registered is not None and self._registered[1] is advertisement:
            self._forget()
            self._tend()

    def _on_change(self) -> None:
        if not self._closed:
            self._refused = None
            self._tend()

    def _tend(self) -> None:
        self._untended = True
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend_on())

    async def _tend_on(self) -> None:
        while self._untended:  # the adapter may change again meanwhile
            self._untended = False
            await self._restore()

    async def _restore(self) -> None:
        """Bring what is on the air in line with what should be, after the adapter changed.

        A bluetoothd that was started again knows no advertisement, and one that finds its
        adapter switched on again sends what it had, however old: so an adapter that is off
        has its advertisement withdrawn, and gets it anew only while it is still current.
        """
        async with self._turning:
            with contextlib.suppress(RadioError):
                interfaces = self._daemon.adapters.get(self._adapter, {})
                if ADVERTISING not in interfaces:
                    self._forget()
                elif self.state is not RadioState.ON:
                    await self._unregister()
                elif self._registered is None and self._wanted is not None:
                    payload, interval = self._wanted
                    if interval == interval_number(self._clock.now()):
                        await self._register(payload)

    async def _register(self, payload: bytes) -> None:
        advertisement = _Advertisement(self, payload)
        self._registrations += 1
        path = f"{_PATH}/{self._registrations}"
        self._daemon.bus.export(path, advertisement)
        self._registered = path, advertisement  # from here on it may be, even if cancelled
        try:
            await self._daemon.manage(self._adapter, "RegisterAdvertisement", "oa{sv}", [path, {}])
        except RadioError as refusal:
            self._forget()
            self._refused = None if refusal.state is RadioState.UNAVAILABLE else refusal.state
            raise

    async def _unregister(self) -> None:
        if self._registered is None:
            return
        path = self._registered[0]
        self._forget()
        # What bluetoothd doesn't know (any more) is not on the air.
        with contextlib.suppress(RadioError):
            await self._daemon.manage(self._adapter, "UnregisterAdvertisement", "o", [path])

    def _forget(self) -> None:
        if self._registered is not None:
            path, advertisement = self._registered
            self._registered = None
            self._daemon.bus.unexport(path, advertisement)

    def _require_on(self) -> None:
        state, sentence = self._daemon.state(self._adapter)
        if state is not RadioState.ON:
            raise RadioError(sentence, state)
