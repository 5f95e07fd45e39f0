"""Announcements: signed, in editions whose number only grows, published as files for phones."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.protocol.announcements import VERSION, News, Stations, seal_announcement
from bluezone.protocol.envelope import EnvelopeError, parse, read_payload
from bluezone.protocol.trust import Role
from bluezone.server.context import Services
from bluezone.storage.database import Base, upsert
from bluezone.storage.objects import ObjectMissing, ObjectStore


class Edition(Base):
    """The number of the last edition of one kind of announcement."""

    __tablename__ = "announcement_editions"

    kind: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int]


async def has_edition(session: AsyncSession, kind: str) -> bool:
    """Whether anything of this kind was ever published."""
    return await session.get(Edition, kind) is not None


async def publish(
    session: AsyncSession, services: Services, kind: str, contents: Mapping[str, News | Stations]
) -> None:
    """Make the documents of a kind, by object name, say `contents`; sign all of them anew.

    Nothing happens where they say so already, under the newest key. Number and time in
    `contents` are filled in here. Raises KeyUnavailable, ObjectStoreFull.

    The documents are out before the transaction ends, and two editions wait for each other.
    A process that dies in between leaves an edition that the next call repairs.
    """
    now = services.now
    key = services.keys.signing(Role.ANNOUNCEMENTS, now)
    last = await _hold(session, kind)
    for name, content in contents.items():
        if not await _says(services.objects, name, content, key.key_id):
            break
    else:
        return
    # Counted from the time, so that a database restored from yesterday's copy does not start
    # below what phones have seen already.
    sequence = max(last + 1, now)
    await session.execute(update(Edition).where(Edition.kind == kind).values(sequence=sequence))
    for name, content in contents.items():
        issued = msgspec.structs.replace(content, sequence=sequence, issued_at=now)
        document = seal_announcement(issued, key.key_id, key.private_key)
        await services.objects.put(name, document)


async def _hold(session: AsyncSession, kind: str) -> int:
    """The last number; whoever else wants it waits for the end of this transaction."""
    sequence: int | None = await session.scalar(
        upsert(session, Edition)
        .values(kind=kind, sequence=0)
        # Without a change in it, PostgreSQL would neither lock nor return the row.
        .on_conflict_do_update(index_elements=[Edition.kind], set_={"sequence": Edition.sequence})
        .returning(Edition.sequence)
    )
    return sequence or 0


async def _says(objects: ObjectStore, name: str, content: News | Stations, key_id: str) -> bool:
    try:
        envelope = parse(await objects.get(name))
        said = read_payload(envelope.payload, type(content), VERSION)
    except (ObjectMissing, EnvelopeError):
        return False
    return envelope.key_id == key_id and content == msgspec.structs.replace(
        said, sequence=content.sequence, issued_at=content.issued_at
    )
