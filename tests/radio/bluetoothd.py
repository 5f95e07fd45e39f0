"""A bluetoothd for tests: BlueZ's D-Bus interface over adapters that share a virtual air.

It refuses what the real one refuses, with the same errors (BlueZ 5.66 to 5.79:
src/advertising.c, src/adapter.c), and picks a fresh non-resolvable address at every
registration and at every power-on, as the kernel does. What it leaves out: pairing, classic
Bluetooth, the removal of devices that have not been heard for 30 s.
"""

import asyncio
import os
import random
from dataclasses import dataclass, field
from typing import Any, Final

from dbus_fast import Message, MessageFlag, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from bluezone.protocol.deployment import GATT_BEACON_UUID, GATT_SERVICE_UUID

_ADAPTER: Final = "org.bluez.Adapter1"
_MANAGER: Final = "org.bluez.LEAdvertisingManager1"
_DEVICE: Final = "org.bluez.Device1"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_OBJECTS: Final = "org.freedesktop.DBus.ObjectManager"
_INTERVAL: Final = 0.1  # the kernel's, whatever is asked for (measured: 107 ms)
_MAX_INSTANCES: Final = 5
_FILTERS: Final = {
    "UUIDs": "as", "RSSI": "n", "Pathloss": "q", "Transport": "s", "DuplicateData": "b",
    "Discoverable": "b", "Pattern": "s",
}  # fmt: skip


class _RefusalError(Exception):
    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass
class Advert:
    """One advertisement on the air."""

    uuids: list[str]
    service_data: dict[str, bytes]
    address: str = ""
    gatt_value: bytes | None = None  # of a peer that offers its beacon for reading
    answers: bool = True  # False: it never answers a connection

    def renew_address(self) -> None:
        number = bytearray(os.urandom(6))
        number[0] &= 0x3F  # non-resolvable private
        self.address = ":".join(f"{byte:02X}" for byte in number)


@dataclass
class _Adapter:
    name: str
    powered: bool = True
    blocked: bool = False
    le: bool = True  # has an advertising manager
    tx_power: tuple[int, int] | None = (-34, 7)
    adverts: dict[tuple[str, str], Advert] = field(default_factory=dict)  # by owner and path
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)  # discovery, by owner
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/org/bluez/{self.name}"


class Bluetoothd:
    """The daemon, on the bus at `address`."""

    def __init__(self, address: str, adapters: tuple[str, ...] = ("hci0", "hci1")) -> None:
        self._address = address
        self.adapters = {name: _Adapter(name) for name in adapters}
        self.strangers: list[Advert] = []  # heard by every adapter
        self.registrations: list[tuple[str, bytes]] = []  # address and payload, in order
        self.calls: list[str] = []
        self._devices: dict[str, dict[str, Any]] = {}
        self._gatt: dict[str, dict[str, dict[str, Variant]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rng = random.Random(1)

    async def start(self) -> "Bluetoothd":
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._on_message)
        rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        await self._bus.call(
            Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                    "AddMatch", signature="s", body=[rule])
        )  # fmt: skip
        await self._bus.request_name("org.bluez")
        for adapter in self.adapters.values():
            self._emit_added(adapter.path, self._interfaces(adapter))
        self._transmitting = asyncio.create_task(self._transmit())
        return self

    async def stop(self, *, crash: bool = False) -> None:
        """End, saying goodbye to everybody as on SIGTERM, or without a word."""
        if not crash:
            for adapter in self.adapters.values():
                for owner, path in adapter.adverts:
                    await self._bus.send(
                        Message(owner, path, "org.bluez.LEAdvertisement1", "Release",
                                flags=MessageFlag.NO_REPLY_EXPECTED)
                    )  # fmt: skip
                self._emit("/", _OBJECTS, "InterfacesRemoved", "oas",
                           [adapter.path, [_ADAPTER, _MANAGER]])  # fmt: skip
        for task in (self._transmitting, *self._tasks):
            task.cancel()
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    def power(self, name: str, on: bool, *, blocked: bool = False) -> None:
        """The switch of the desktop, or (`blocked`) rfkill."""
        adapter = self.adapters[name]
        adapter.powered, adapter.blocked = on, blocked
        if on:
            for advert in adapter.adverts.values():  # btd_adv_manager_refresh
                advert.renew_address()
        else:
            adapter.sessions.clear()
        changed = {k: v for k, v in self._adapter_properties(adapter).items()
                   if k in ("Powered", "PowerState", "Discovering")}  # fmt: skip
        self._emit_changed(adapter.path, _ADAPTER, changed)

    def unplug(self, name: str) -> None:
        adapter = self.adapters.pop(name)
        self._emit("/", _OBJECTS, "InterfacesRemoved", "oas", [adapter.path, [_ADAPTER, _MANAGER]])

    def plug_in(self, name: str) -> None:
        adapter = self.adapters[name] = _Adapter(name)
        self._emit_added(adapter.path, self._interfaces(adapter))

    def on_air(self, name: str) -> list[Advert]:
        """What an adapter sends now."""
        adapter = self.adapters[name]
        return list(adapter.adverts.values()) if adapter.powered else []

    async def _transmit(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            for receiver in list(self.adapters.values()):
                if not (receiver.powered and receiver.sessions):
                    continue
                others = [a for a in self.adapters.values() if a is not receiver and a.powered]
                for advert in [*(x for a in others for x in a.adverts.values()), *self.strangers]:
                    self._hear(receiver, advert)

    def _hear(self, receiver: _Adapter, advert: Advert) -> None:
        path = f"{receiver.path}/dev_{advert.address.replace(':', '_')}"
        rssi = self._rng.randint(-70, -55)
        data = {u: Variant("ay", v) for u, v in advert.service_data.items()}
        device = self._devices.get(path)
        if device is None:
            device = self._devices[path] = {
                "adapter": receiver.path, "advert": advert, "rssi": rssi, "connected": False,
            }  # fmt: skip
            self._emit_added(path, {_DEVICE: self._device_properties(path)})
            return
        if device["connected"]:
            return
        # Without DuplicateData only changes of at least 8 dB are told (adapter.c).
        duplicates = any(s.get("DuplicateData", True) for s in receiver.sessions.values())
        if duplicates or device["rssi"] is None or abs(rssi - device["rssi"]) >= 8:
            device["rssi"] = rssi
            changed = {"RSSI": Variant("n", rssi)} | (
                {"ServiceData": Variant("a{sv}", data)} if data else {}
            )
            self._emit_changed(path, _DEVICE, changed)

    # --- what is asked -------------------------------------------------------------------

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and not message.body[2]:
                self._client_left(message.body[0])
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _client_left(self, owner: str) -> None:
        for adapter in self.adapters.values():
            adapter.sessions.pop(owner, None)
            adapter.adverts = {k: v for k, v in adapter.adverts.items() if k[0] != owner}

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._do(message)
            reply = Message.new_method_return(message, signature, body)
        except _RefusalError as refusal:
            reply = Message.new_error(message, refusal.name, str(refusal))
        await self._bus.send(reply)

    async def _do(self, message: Message) -> tuple[str, list[Any]]:
        path, interface, member = message.path or "", message.interface or "", message.member
        self.calls.append(f"{path.rpartition('/')[2]}.{member}")
        if interface == _OBJECTS and path == "/":
            objects = {a.path: self._interfaces(a) for a in self.adapters.values()}
            objects |= {p: {_DEVICE: self._device_properties(p)} for p in self._devices}
            return "a{oa{sa{sv}}}", [objects | self._gatt]
        adapter = next((a for a in self.adapters.values() if a.path == path), None)
        sender = message.sender or ""
        if adapter is not None and interface == _ADAPTER:
            return self._do_adapter(adapter, member, sender, message.body)
        if adapter is not None and interface == _MANAGER and adapter.le:
            if member == "RegisterAdvertisement":
                await self._register(adapter, sender, message.body[0])
                return "", []
            if (sender, message.body[0]) not in adapter.adverts:
                raise _RefusalError("org.bluez.Error.DoesNotExist", "Does Not Exist")
            del adapter.adverts[sender, message.body[0]]
            return "", []
        if path in self._devices and interface == _DEVICE:
            await self._do_device(path, member)
            return "", []
        if path in self._gatt and member == "ReadValue":
            value = self._devices[path[: path.index("/service")]]["advert"].gatt_value
            return "ay", [value]
        raise _RefusalError(
            "org.freedesktop.DBus.Error.UnknownObject",
            f'Method "{member}" with signature "{message.signature}" on interface "{interface}"'
            " doesn't exist\n",
        )

    def _do_adapter(
        self, adapter: _Adapter, member: str, sender: str, body: list[Any]
    ) -> tuple[str, list[Any]]:
        if member == "SetDiscoveryFilter":
            for name, value in body[0].items():
                if _FILTERS.get(name) != value.signature:
                    raise _RefusalError("org.bluez.Error.InvalidArguments", "Invalid arguments in"
                                   " method call")  # fmt: skip
            adapter.filters[sender] = unpack_variants(body[0])
            return "", []
        if not adapter.powered:
            raise _RefusalError("org.bluez.Error.NotReady", "Resource Not Ready")
        if member == "StartDiscovery":
            if sender in adapter.sessions:
                raise _RefusalError("org.bluez.Error.InProgress", "Operation already in progress")
            adapter.sessions[sender] = adapter.filters.get(sender, {})
        elif member == "StopDiscovery":
            if sender not in adapter.sessions:
                raise _RefusalError("org.bluez.Error.Failed", "No discovery started")
            del adapter.sessions[sender]
            for path, device in self._devices.items():
                if device["adapter"] == adapter.path and not adapter.sessions:
                    device["rssi"] = None
                    self._emit_changed(path, _DEVICE, {}, ["RSSI"])
        return "", []

    async def _register(self, adapter: _Adapter, owner: str, path: str) -> None:
        if (owner, path) in adapter.adverts:
            raise _RefusalError("org.bluez.Error.AlreadyExists", "Already Exists")
        if len(adapter.adverts) >= _MAX_INSTANCES:
            raise _RefusalError("org.bluez.Error.NotPermitted", "Maximum advertisements reached")
        reply = await self._bus.call(
            Message(owner, path, _PROPERTIES, "GetAll", signature="s",
                    body=["org.bluez.LEAdvertisement1"])
        )  # fmt: skip
        if reply.message_type is MessageType.ERROR:
            raise _RefusalError("org.bluez.Error.Failed", "Failed to parse advertisement.")
        asked = unpack_variants(reply.body[0])
        uuids, data = asked.get("ServiceUUIDs", []), asked.get("ServiceData", {})
        length = sum(2 + len(_short(u)) for u in uuids)
        length += sum(2 + len(_short(u)) + len(v) for u, v in data.items())
        low, high = asked.get("MinInterval", 0), asked.get("MaxInterval", 0)
        if asked.get("Type") not in ("broadcast", "peripheral") or length > 31 or low > high:
            raise _RefusalError("org.bluez.Error.Failed", "Failed to parse advertisement.")
        if not adapter.powered:
            raise _RefusalError("org.bluez.Error.Failed", "Failed to register advertisement")
        advert = Advert(uuids, {u: bytes(v) for u, v in data.items()})
        advert.renew_address()
        adapter.adverts[owner, path] = advert
        self.registrations.append((advert.address, next(iter(advert.service_data.values()), b"")))

    async def _do_device(self, path: str, member: str) -> None:
        device = self._devices[path]
        if member == "Connect":
            if not device["advert"].answers:
                await asyncio.sleep(60.0)
            device["connected"] = True
            service, beacon = f"{path}/service0001", f"{path}/service0001/char0002"
            self._gatt[service] = {"org.bluez.GattService1": {
                "UUID": Variant("s", GATT_SERVICE_UUID), "Device": Variant("o", path),
                "Primary": Variant("b", True), "Includes": Variant("ao", [])}}  # fmt: skip
            self._gatt[beacon] = {"org.bluez.GattCharacteristic1": {
                "UUID": Variant("s", GATT_BEACON_UUID), "Service": Variant("o", service),
                "Value": Variant("ay", b""), "Notifying": Variant("b", False),
                "Flags": Variant("as", ["read"]), "MTU": Variant("q", 185)}}  # fmt: skip
            for added in (service, beacon):
                self._emit_added(added, self._gatt[added])
        elif member == "Disconnect":
            device["connected"] = False
            for gone in [p for p in self._gatt if p.startswith(path)]:
                self._emit("/", _OBJECTS, "InterfacesRemoved", "oas", [gone, [*self._gatt[gone]]])
                del self._gatt[gone]
        state = Variant("b", device["connected"])
        self._emit_changed(path, _DEVICE, {"Connected": state, "ServicesResolved": state})

    # --- what is told --------------------------------------------------------------------

    def _interfaces(self, adapter: _Adapter) -> dict[str, dict[str, Variant]]:
        interfaces = {_ADAPTER: self._adapter_properties(adapter)}
        if adapter.le:
            capabilities = {"MaxAdvLen": Variant("y", 31), "MaxScnRspLen": Variant("y", 31)}
            if adapter.tx_power is not None:
                capabilities["MinTxPower"] = Variant("n", adapter.tx_power[0])
                capabilities["MaxTxPower"] = Variant("n", adapter.tx_power[1])
            interfaces[_MANAGER] = {
                "ActiveInstances": Variant("y", len(adapter.adverts)),
                "SupportedInstances": Variant("y", _MAX_INSTANCES - len(adapter.adverts)),
                "SupportedIncludes": Variant("as", ["tx-power", "appearance", "local-name"]),
                "SupportedCapabilities": Variant("a{sv}", capabilities),
            }
        return interfaces

    def _adapter_properties(self, adapter: _Adapter) -> dict[str, Variant]:
        off = "off-blocked" if adapter.blocked else "off"
        return {
            "Address": Variant("s", "C0:FF:EE:00:00:01"),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", "test"),
            "Alias": Variant("s", "test"),
            "Powered": Variant("b", adapter.powered),
            "PowerState": Variant("s", "on" if adapter.powered else off),
            "Discovering": Variant("b", bool(adapter.sessions)),
            "Roles": Variant("as", ["central", "peripheral"]),
            "UUIDs": Variant("as", []),
        }

    def _device_properties(self, path: str) -> dict[str, Variant]:
        device = self._devices[path]
        advert = device["advert"]
        properties = {
            "Address": Variant("s", advert.address),
            "AddressType": Variant("s", "random"),
            "Alias": Variant("s", advert.address.replace(":", "-")),
            "Paired": Variant("b", False),
            "Connected": Variant("b", device["connected"]),
            "ServicesResolved": Variant("b", device["connected"]),
            "Adapter": Variant("o", device["adapter"]),
            "UUIDs": Variant("as", advert.uuids),
        }
        if device["rssi"] is not None:
            properties["RSSI"] = Variant("n", device["rssi"])
        if advert.service_data:
            data = {u: Variant("ay", v) for u, v in advert.service_data.items()}
            properties["ServiceData"] = Variant("a{sv}", data)
        return properties

    def _emit_added(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        self._emit("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _emit_changed(
        self, path: str, interface: str, changed: dict[str, Variant], gone: list[str] | None = None
    ) -> None:
        body = [interface, changed, gone or []]
        self._emit(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", body)

    def _emit(self, path: str, interface: str, member: str, signature: str, body: Any) -> None:
        self._bus.send(Message.new_signal(path, interface, member, signature, body))


def _short(uuid: str) -> bytes:
    """A UUID as it goes on the air: 2 bytes where the Bluetooth base allows it, else 16."""
    return bytes(2 if uuid.endswith("-0000-1000-8000-00805f9b34fb") else 16)
