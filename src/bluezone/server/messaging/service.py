"""The verbs of messaging: put into the outbox, prove a number. None commits."""

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.phone_number import OTP_TRIES, OTP_TTL_SECONDS
from bluezone.server.context import Services
from bluezone.server.messaging import rules
from bluezone.server.messaging.rules import Message, MessageState, Purpose
from bluezone.server.messaging.tables import NumberCode, OutboxMessage
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import secret_file
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

_SHOWN: Final = 200

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as it lies in the outbox."""

    message: Message
    state: MessageState
    created_at: int
    sent_at: int | None


def outbox_sealer(secrets_folder: Path) -> Sealer:
    """Seals messages at rest. Raises KeyUnavailable."""
    return Sealer(secrets_folder, "outbox")


def receipt_key(secrets_folder: Path) -> bytes:
    """What receipts of numbers are made with. Raises KeyUnavailable."""
    return secret_file(secrets_folder / "receipt-key")


# --- outbox ----------------------------------------------------------------------------
async def put(session: AsyncSession, sealer: Sealer, message: Message, now: int) -> int:
    """Put a message into the outbox, where it waits for `sent`. Returns its number."""
    place = os.urandom(16)
    row = OutboxMessage(
        place=place,
        sealed=sealer.seal(msgspec.json.encode((message.to, message.text)), place),
        purpose=message.purpose.value,
        state=MessageState.WAITING.value,
        created_at=now,
        sent_at=None,
    )
    session.add(row)
    await session.flush()
    return row.id


async def sent(session: AsyncSession, number: int, state: MessageState, now: int) -> None:
    """Note what became of a message."""
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == number)
        .values(state=state.value, sent_at=now if state is MessageState.SENT else None)
    )


async def deliver(services: Services, number: int, message: Message) -> MessageState | None:
    """Pass on a message of the outbox, after the transaction that put it there.

    Returns what became of it; None: the carrier failed, and it waits in the outbox.
    """
    try:
        state = await services.sender.send(message)
    except Exception as error:  # whatever a carrier does, it is for our log
        _log.error("message not sent", purpose=message.purpose.value, exc_info=error)
        return None
    async with services.database.transaction() as session:
        await sent(session, number, state, services.now)
    return state


async def outbox(session: AsyncSession, sealer: Sealer) -> Sequence[KeptMessage]:
    """The last messages, newest first."""
    rows = await session.scalars(
        select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(_SHOWN)
    )
    return [_opened(row, sealer) for row in rows]


def _opened(row: OutboxMessage, sealer: Sealer) -> KeptMessage:
    to, text = msgspec.json.decode(sealer.open(row.sealed, row.place), type=tuple[str, str])
    message = Message(to, text, Purpose(row.purpose))
    return KeptMessage(message, MessageState(row.state), row.created_at, row.sent_at)


# --- numbers ---------------------------------------------------------------------------
async def new_code(session: AsyncSession, number: str, pepper: bytes, now: int) -> str:
    """A fresh code for a number, in place of the last one."""
    code = rules.new_number_code()
    values = {
        "code_mac": rules.number_code_mac(number, code, pepper),
        "tries": 0,
        "expires_at": now + OTP_TTL_SECONDS,
    }
    await session.execute(
        upsert(session, NumberCode)
        .values(number_mac=rules.number_mac(number, pepper), **values)
        .on_conflict_do_update(index_elements=[NumberCode.number_mac], set_=values)
    )
    return code


async def use_code(session: AsyncSession, number: str, code: str, pepper: bytes, now: int) -> bool:
    """Count a try, and use the code up if it is right. A wrong one must be committed, too."""
    mine = NumberCode.number_mac == rules.number_mac(number, pepper)
    # Counted before it is looked at, so that a hundred guesses at once are a hundred tries.
    code_mac = await session.scalar(
        update(NumberCode)
        .where(mine, NumberCode.expires_at > now, NumberCode.tries < OTP_TRIES)
        .values(tries=NumberCode.tries + 1)
        .returning(NumberCode.code_mac)
    )
    given = rules.number_code_mac(number, code, pepper)
    if code_mac is None or not hmac.compare_digest(code_mac, given):
        return False
    await session.execute(delete(NumberCode).where(mine))
    return True


def is_verified(secrets_folder: Path, number: str, verified_at: int, given: bytes) -> bool:
    """Whether `given` is our receipt for this number. Raises KeyUnavailable."""
    return rules.is_receipt(given, number, verified_at, receipt_key(secrets_folder))


# --- retention -------------------------------------------------------------------------
async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: messages after a day, codes when they have expired."""
    now = services.now
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            delete(OutboxMessage).where(
                OutboxMessage.created_at <= now - rules.MESSAGE_KEPT_SECONDS
            )
        )
        await session.execute(delete(NumberCode).where(NumberCode.expires_at <= now))
