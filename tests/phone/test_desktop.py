"""Desktop notifications, taken by a notification server on a bus of our own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from bluezone.phone.desktop import notify
from tests.private_bus import PrivateBus


class _Server:
    """What a desktop runs to show notifications."""

    def __init__(self, *, refuse: bool = False, mute: bool = False) -> None:
        self.shown: list[list[Any]] = []
        self._refuse = refuse
        self._mute = mute

    async def start(self, address: str) -> MessageBus:
        bus = await MessageBus(bus_address=address).connect()
        bus.add_message_handler(self._on_message)
        await bus.request_name("org.freedesktop.Notifications")
        return bus

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Notify":
            return None
        if self._mute:
            return True
        if self._refuse or message.signature != "susssasa{sv}i":
            return Message.new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", "no")
        self.shown.append(message.body)
        return Message.new_method_return(message, "u", [len(self.shown)])


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with PrivateBus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        yield bus


async def test_a_notification_arrives_as_plain_text(session: PrivateBus) -> None:
    server = _Server()
    bus = await server.start(session.address)
    assert await notify("Bluezone: cảnh báo", "Gặp <b>người</b> & bệnh", urgent=True)
    assert await notify("Bluezone", "Bluetooth is off.", urgent=False)
    (app, replaces, _, title, body, actions, hints, _), second = server.shown
    assert (app, replaces, title, actions) == ("Bluezone", 0, "Bluezone: cảnh báo", [])
    assert body == "Gặp &lt;b&gt;người&lt;/b&gt; &amp; bệnh"
    assert hints["urgency"].value == 2
    assert second[6]["urgency"].value == 1
    bus.disconnect()


async def test_without_a_desktop_nothing_happens(
    session: PrivateBus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not await notify("title", "body", urgent=True)  # a bus, but nobody shows anything
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    assert not await notify("title", "body", urgent=True)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "nonsense")
    assert not await notify("title", "body", urgent=True)
    monkeypatch.setattr("sys.platform", "darwin")
    assert not await notify("title", "body", urgent=True)


@pytest.mark.parametrize("kind", ["refuse", "mute"])
async def test_a_server_that_does_not_show_it_is_told(
    session: PrivateBus, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("bluezone.phone.desktop._ANSWER_SECONDS", 0.2)
    bus = await _Server(refuse=kind == "refuse", mute=kind == "mute").start(session.address)
    assert not await notify("title", "body", urgent=False)
    bus.disconnect()
    await asyncio.sleep(0)
