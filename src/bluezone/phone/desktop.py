"""Notifications on the desktop (Desktop Notifications Specification 1.2), over the session bus."""

import asyncio
import sys
from typing import Final

_SERVICE: Final = "org.freedesktop.Notifications"
_ANSWER_SECONDS: Final = 5.0
_NORMAL, _CRITICAL = 1, 2  # urgency; a desktop keeps a critical one until it is dismissed
_DEFAULT_EXPIRY: Final = -1


async def notify(title: str, body: str, urgent: bool) -> bool:
    """Show a notification; False where there is no desktop to show it.

    Both are plain text: what they contain of markup is shown, not obeyed.
    """
    if sys.platform != "linux":
        return False
    from dbus_fast import BusType, Message, MessageType, Variant
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import DBusFastError

    bus: MessageBus | None = None
    try:
        bus = MessageBus(bus_type=BusType.SESSION)
        async with asyncio.timeout(_ANSWER_SECONDS):
            await bus.connect()
            reply = await bus.call(
                Message(
                    destination=_SERVICE,
                    path="/org/freedesktop/Notifications",
                    interface=_SERVICE,
                    member="Notify",
                    signature="susssasa{sv}i",
                    body=[
                        "Bluezone",
                        0,  # replaces no earlier one
                        "",  # no icon
                        title,
                        _plain(body),
                        [],
                        {"urgency": Variant("y", _CRITICAL if urgent else _NORMAL)},
                        _DEFAULT_EXPIRY,
                    ],
                )
            )
    except (DBusFastError, OSError, EOFError, ValueError, TimeoutError):
        return False
    finally:
        if bus is not None:
            bus.disconnect()
    return reply.message_type is MessageType.METHOD_RETURN


def _plain(text: str) -> str:
    """Escaped: servers may read a body as markup (section 5.1 of the specification)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
