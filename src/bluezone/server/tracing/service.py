"""The verbs of the inbox: take in, tell the state, withdraw, look, decide. None commits."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.handover import (
    ContactDetails,
    HandedDiary,
    HandoverAnswer,
    HandoverState,
    reference,
)
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import secret_file
from bluezone.server.tracing.rules import KEPT_SECONDS, Kind, decision_message
from bluezone.server.tracing.tables import Handover, HandoverContent, HandoverDecision
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease
from bluezone.web.catalogue import _

SHOWN: Final = 100
_DIGEST_TAG: Final = b"BZ1-HANDOVER-DIGEST"
_CONTENT: Final = b"handover-content"
_MESSAGE: Final = b"handover-message"
_WORDS: Final = msgspec.msgpack.Decoder(dict[str, str])

Content = ContactDetails | HandedDiary


def inbox_sealer(secrets_folder: Path) -> Sealer:
    """Seals hand-overs at rest. Raises KeyUnavailable."""
    return Sealer(secrets_folder, "inbox")


def message_digest(secrets_folder: Path, content: Content) -> bytes:
    """What is kept of a message to know it again.

    With a key: names and telephone numbers could be tried out against a plain hash.
    """
    message = bytes_to_sign(_DIGEST_TAG, msgspec.msgpack.encode(content))
    return hmac.digest(secret_file(secrets_folder / "inbox-digest-key"), message, "sha256")


# --- the phone's side ------------------------------------------------------------------
async def known(
    session: AsyncSession, sealer: Sealer, handover: bytes, digest: bytes
) -> HandoverAnswer | None:
    """The answer if this message is here already. Raises Refused (409) if another one is."""
    row = await session.get(Handover, handover)
    if row is None:
        return None
    withdrawn = row.state == HandoverState.WITHDRAWN.value  # its digest is gone, too
    if not withdrawn and (row.digest is None or not hmac.compare_digest(row.digest, digest)):
        raise Refused(
            409,
            "handover-differs",
            _("Something else was sent under this number already. Please start again."),
        )
    return await _answer(session, sealer, row)


async def receive(
    session: AsyncSession,
    sealer: Sealer,
    content: Content,
    digest: bytes,
    *,
    unit: str,
    code_mac: bytes | None,
    now: int,
) -> HandoverAnswer:
    """Put a message into the inbox of `unit`; the same one again changes nothing.

    Raises Refused (409): another message is here under its id, or another diary under its code.
    """
    kind = Kind.DETAILS if isinstance(content, ContactDetails) else Kind.DIARY
    taken = await session.scalar(
        upsert(session, Handover)
        .values(
            id=content.handover,
            kind=kind.value,
            reference=reference(content.handover),
            unit=unit,
            state=HandoverState.RECEIVED.value,
            revision=0,
            received_at=now,
            updated_at=now,
            digest=digest,
            code_mac=code_mac,
        )
        .on_conflict_do_nothing()
        .returning(Handover.id)
    )
    if taken is not None:
        kept = content if isinstance(content, ContactDetails) else _without_code(content)
        sealed = sealer.seal(msgspec.msgpack.encode(kept), _CONTENT, content.handover)
        session.add(HandoverContent(handover=content.handover, sealed=sealed))
    answer = await known(session, sealer, content.handover, digest)
    if answer is None:
        raise Refused(
            409,
            "code-has-diary",
            _("A diary was handed over with this code already. Please ask for a new code."),
        )
    return answer


async def state_of(session: AsyncSession, sealer: Sealer, handover: bytes) -> HandoverAnswer:
    """What became of a hand-over. Raises Refused (404)."""
    row = await session.get(Handover, handover)
    if row is None:
        raise _no_handover()
    return await _answer(session, sealer, row)


async def withdraw(
    session: AsyncSession, sealer: Sealer, handover: bytes, now: int
) -> HandoverAnswer:
    """Delete what was handed over and what was written about it. Raises Refused (404)."""
    await session.execute(
        update(Handover)
        .where(Handover.id == handover, Handover.state != HandoverState.WITHDRAWN.value)
        .values(
            state=HandoverState.WITHDRAWN.value,
            revision=Handover.revision + 1,
            updated_at=now,
            digest=None,
            code_mac=None,
        )
    )
    await session.execute(delete(HandoverContent).where(HandoverContent.handover == handover))
    await session.execute(
        update(HandoverDecision).where(HandoverDecision.handover == handover).values(message=None)
    )
    return await state_of(session, sealer, handover)


def _without_code(diary: HandedDiary) -> HandedDiary:
    # It may still be good for a report; whoever reads the diary has no business with it.
    return msgspec.structs.replace(diary, code="")


async def _answer(session: AsyncSession, sealer: Sealer, row: Handover) -> HandoverAnswer:
    last = await session.scalar(
        select(HandoverDecision)
        .where(HandoverDecision.handover == row.id)
        .order_by(HandoverDecision.id.desc())
        .limit(1)
    )
    return HandoverAnswer(
        reference=row.reference,
        state=HandoverState(row.state),
        updated_at=row.updated_at,
        message=_words(sealer, last) if last else {},
    )


def _words(sealer: Sealer, decision: HandoverDecision) -> dict[str, str]:
    if decision.message is None:
        return {}
    return _WORDS.decode(sealer.open(decision.message, _MESSAGE, decision.handover))


def _no_handover() -> Refused:
    return Refused(
        404,
        "handover-unknown",
        _("There is no such hand-over. It may have been deleted after {days} days."),
        days=KEPT_SECONDS // 86400,
    )


async def handed_diary(
    session: AsyncSession, sealer: Sealer, handover: bytes
) -> tuple[HandedDiary, int] | None:
    """A diary and when it came (Unix time); None once it was withdrawn, or for anything else."""
    row = await session.get(Handover, handover)
    content = await session.get(HandoverContent, handover)
    if row is None or content is None or row.kind != Kind.DIARY.value:
        return None
    opened = _opened(sealer, row, content)
    return (opened, row.received_at) if isinstance(opened, HandedDiary) else None


# --- the staff's side ------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of an item's history."""

    state: HandoverState
    at: int
    account_name: str
    message: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """One hand-over, opened; `content` is None once it was withdrawn."""

    handover: Handover
    content: Content | None = field(repr=False)
    history: tuple[Decision, ...]


async def inbox(
    session: AsyncSession, scope: Scope, *, state: HandoverState, wanted: str = ""
) -> Sequence[Handover]:
    """At most SHOWN items within `scope`: those in a state, or those of the reference `wanted`.

    What waits comes oldest first, the rest latest change first.
    """
    mine = select(Handover).where(scope.of(Handover.unit)).limit(SHOWN)
    if wanted:
        rows = await session.scalars(
            mine.where(Handover.reference == wanted).order_by(Handover.received_at)
        )
    elif state is HandoverState.RECEIVED:
        rows = await session.scalars(
            mine.where(Handover.state == state.value).order_by(Handover.received_at)
        )
    else:
        rows = await session.scalars(
            mine.where(Handover.state == state.value).order_by(Handover.updated_at.desc())
        )
    return rows.all()


async def decided(session: AsyncSession, scope: Scope, handover: bytes) -> Handover | None:
    """An item within `scope` that staff have decided, without what was handed over."""
    row = await session.get(Handover, handover)
    if row is None or not scope.covers(row.unit):
        return None
    is_decided = HandoverState(row.state) in (HandoverState.CONFIRMED, HandoverState.CLEARED)
    return row if is_decided else None


async def open_item(session: AsyncSession, sealer: Sealer, scope: Scope, handover: bytes) -> Item:
    """One item with what was handed over. Raises Refused (404), for one beyond `scope` too."""
    row = await _mine(session, scope, handover)
    content = await session.get(HandoverContent, handover)
    decisions = await session.scalars(
        select(HandoverDecision)
        .where(HandoverDecision.handover == handover)
        .order_by(HandoverDecision.id.desc())
    )
    return Item(
        row,
        _opened(sealer, row, content) if content else None,
        tuple(
            Decision(HandoverState(one.state), one.at, one.account_name, _words(sealer, one))
            for one in decisions
        ),
    )


async def decide(
    session: AsyncSession,
    sealer: Sealer,
    staff: Staff,
    handover: bytes,
    *,
    state: HandoverState,
    template: str,
    words: str,
    seen: int,
    now: int,
) -> None:
    """Confirm or clear an item within the staff member's scope, as it was when `seen`.

    Raises Refused: 400 no such decision, 404 not theirs, 409 changed or withdrawn since.
    """
    row = await _mine(session, staff.scope, handover)
    message = decision_message(Kind(row.kind), state, template, words)
    changed = await session.scalar(
        update(Handover)
        .where(
            Handover.id == handover,
            Handover.revision == seen,
            Handover.state != HandoverState.WITHDRAWN.value,
        )
        .values(state=state.value, revision=Handover.revision + 1, updated_at=now)
        .returning(Handover.id)
    )
    if changed is None:
        raise Refused(
            409,
            "handover-changed",
            _("This has changed since you opened it. Please look again before you decide."),
        )
    session.add(
        HandoverDecision(
            handover=handover,
            state=state.value,
            at=now,
            account_id=staff.account_id,
            account_name=staff.name,
            message=sealer.seal(msgspec.msgpack.encode(message), _MESSAGE, handover),
        )
    )


async def _mine(session: AsyncSession, scope: Scope, handover: bytes) -> Handover:
    row = await session.get(Handover, handover)
    if row is None or not scope.covers(row.unit):
        raise _no_handover()
    return row


def _opened(sealer: Sealer, row: Handover, content: HandoverContent) -> Content:
    plain = sealer.open(content.sealed, _CONTENT, row.id)
    if row.kind == Kind.DETAILS.value:
        return msgspec.msgpack.decode(plain, type=ContactDetails)
    return msgspec.msgpack.decode(plain, type=HandedDiary)


# --- retention -------------------------------------------------------------------------
async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: everything of a hand-over, thirty days after it came."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            delete(Handover).where(Handover.received_at <= services.now - KEPT_SECONDS)
        )
