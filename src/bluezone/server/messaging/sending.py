"""What carries messages to telephones: an interface, and the outbox that stands in for it."""

from typing import Protocol

from bluezone.server.messaging.rules import Message, MessageState


class Sender(Protocol):
    """Carries messages; one for each carrier."""

    async def send(self, message: Message) -> MessageState:
        """Pass the message on. Returns what became of it; whatever it raises, it was not sent."""
        ...


class LocalOutbox:
    """No carrier: messages stay in the outbox, where an administrator reads them."""

    async def send(self, message: Message) -> MessageState:
        return MessageState.KEPT
