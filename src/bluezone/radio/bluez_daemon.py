"""bluetoothd over D-Bus: its adapters as they are now, and calls to them (BlueZ, doc/org.bluez.*).

One connection, kept for as long as the radio lives: bluetoothd takes an advertisement off the
air when the connection that registered it ends.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dbus_fast import BusType, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

from bluezone.radio.interface import RadioError, RadioState

ADAPTER: Final = "org.bluez.Adapter1"
ADVERTISING: Final = "org.bluez.LEAdvertisingManager1"
_BLUEZ: Final = "org.bluez"
_DBUS: Final = "org.freedesktop.DBus"
_OBJECTS: Final = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_ANSWER_SECONDS: Final = 10.0  # bluetoothd waits for the kernel, the kernel for the controller
_RULES: Final = (
    f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_OBJECTS}'",
    f"type='signal',sender='{_BLUEZ}',member='PropertiesChanged',arg0='{ADAPTER}'",
)
_NOT_RUNNING: Final = (
    "the Bluetooth service does not run: install BlueZ, then `systemctl start bluetooth`"
)
_OFF: Final = "Bluetooth is switched off: `bluetoothctl power on`, or the switch of your desktop"
_BLOCKED: Final = "Bluetooth is blocked: `rfkill unblock bluetooth`, or the computer's radio switch"
_DENIED: Final = (
    "the system does not let this account use Bluetooth: log in at the computer itself, or let"
    " its administrator add you to the group `bluetooth`"
)
_SILENT: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.TimedOut",
        "org.freedesktop.systemd1.NoSuchUnit",
    }
)
_NO_ADAPTER: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownMethod",
        "org.freedesktop.DBus.Error.UnknownInterface",
    }
)

Interfaces = dict[str, dict[str, Any]]


class BluezDaemon:
    """What bluetoothd has: its adapters by name (`hci0`), with the properties they have now."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.adapters: dict[str, Interfaces] = {}
        self.changed: Callable[[], None] = lambda: None  # called after every change
        self._owner = ""  # the bus name of the bluetoothd that runs now
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls) -> "BluezDaemon":
        """Raises RadioError."""
        bus: MessageBus | None = None
        try:
            bus = MessageBus(bus_type=BusType.SYSTEM)
            await bus.connect()
        except (DBusFastError, OSError, EOFError, ValueError) as fault:
            if bus is not None:
                bus.disconnect()
            raise RadioError(f"this computer has no system bus (D-Bus): {fault}") from fault
        daemon = cls(bus)
        try:
            for rule in _RULES:
                await daemon.call(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", "s", [rule])
            bus.add_message_handler(daemon._on_message)
            await daemon._refresh()
        except RadioError:
            bus.disconnect()
            raise
        return daemon

    def close(self) -> None:
        """End the connection; what it registered ends with it."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self.bus.disconnect()

    def state(self, adapter: str) -> tuple[RadioState, str]:
        """How an adapter is, with the sentence for it."""
        if not self.bus.connected or not self._owner:
            return RadioState.UNAVAILABLE, _NOT_RUNNING
        properties = self.adapters.get(adapter, {}).get(ADAPTER)
        if properties is None:
            return RadioState.UNAVAILABLE, f"there is no Bluetooth adapter {adapter} (any more)"
        if not properties.get("Powered"):
            blocked = properties.get("PowerState") == "off-blocked"
            return RadioState.OFF, _BLOCKED if blocked else _OFF
        return RadioState.ON, ""

    async def manage(self, adapter: str, member: str, signature: str, body: list[Any]) -> None:
        """Call the advertising manager of an adapter. Raises RadioError."""
        await self.call(_BLUEZ, f"/org/bluez/{adapter}", ADVERTISING, member, signature, body)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
    ) -> list[Any]:
        """The answer's body. Raises RadioError."""
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body or [],
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reply = await self.bus.call(message)
        except (DBusFastError, OSError, EOFError, TimeoutError) as fault:
            raise RadioError(_NOT_RUNNING) from fault
        if reply.message_type is MessageType.ERROR:
            raise self._error(reply.error_name or "", path, reply.body)
        return reply.body

    def _error(self, name: str, path: str, body: list[Any]) -> RadioError:
        adapter = path.rpartition("/")[2]
        if name.endswith((".AccessDenied", ".AuthFailed")):
            return RadioError(_DENIED, RadioState.NO_PERMISSION)
        if name in _SILENT or "Spawn" in name:
            return RadioError(_NOT_RUNNING)
        if name in _NO_ADAPTER:
            return RadioError(f"the Bluetooth adapter {adapter} cannot advertise, or is gone")
        state, sentence = self.state(adapter)
        if adapter in self.adapters and state is not RadioState.ON:
            return RadioError(sentence, state)
        said = body[0] if body and isinstance(body[0], str) else name
        if name.endswith(".NotPermitted"):
            return RadioError(
                f"the adapter {adapter} has no room for another advertisement ({said}): close"
                " other programs that advertise"
            )
        return RadioError(f"bluetoothd refused for {adapter}: {said}")

    async def _refresh(self) -> None:
        """Ask for everything: at the beginning, and when another bluetoothd has started."""
        (owner,) = await self.call(
            _DBUS, "/org/freedesktop/DBus", _DBUS, "GetNameOwner", "s", [_BLUEZ]
        )
        (objects,) = await self.call(_BLUEZ, "/", _OBJECTS, "GetManagedObjects")
        self._owner = owner
        self.adapters.clear()
        for path, interfaces in objects.items():
            self._added(path, interfaces)
        self.changed()

    async def _refresh_quietly(self) -> None:
        try:
            await self._refresh()
        except RadioError:  # gone again; the next owner of the name is told to us too
            self._owner = ""
            self.changed()

    def _added(self, path: str, interfaces: dict[str, Any]) -> None:
        for name in (ADAPTER, ADVERTISING):
            if name in interfaces:
                adapter = self.adapters.setdefault(path.rpartition("/")[2], {})
                adapter[name] = unpack_variants(interfaces[name])

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == _DBUS and message.member == "NameOwnerChanged":
            if message.body[0] == _BLUEZ:
                self._on_owner(message.body[2])
            return
        if message.sender != self._owner:
            return  # whoever else sends such signals is not bluetoothd
        body = message.body
        if message.member == "InterfacesAdded":
            if ADAPTER not in body[1] and ADVERTISING not in body[1]:
                return  # a device: there are hundreds
            self._added(body[0], body[1])
        elif message.member == "InterfacesRemoved":
            adapter = body[0].rpartition("/")[2]
            if adapter not in self.adapters:
                return
            for name in body[1]:
                self.adapters[adapter].pop(name, None)
            if not self.adapters[adapter]:
                del self.adapters[adapter]
        elif message.member == "PropertiesChanged" and body[0] == ADAPTER:
            properties = self.adapters.get((message.path or "").rpartition("/")[2], {})
            properties.setdefault(ADAPTER, {}).update(unpack_variants(body[1]))
        else:
            return
        self.changed()

    def _on_owner(self, owner: str) -> None:
        self._owner = owner
        self.adapters.clear()
        if self._refreshing is not None:
            self._refreshing.cancel()
        if owner:
            self._refreshing = asyncio.create_task(self._refresh_quietly())
        self.changed()
