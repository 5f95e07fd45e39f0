"""Who looked at whose personal data: one line for each look, written with it, never changed."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, LargeBinary, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.server.limits import Rule
from bluezone.server.people.rules import Staff
from bluezone.storage.database import Base
from bluezone.storage.lease import Lease

# A complaint may come long after the data themselves are gone; after two years nobody asks.
KEPT_SECONDS: Final = 2 * 365 * 24 * 3600
# A day's work in an hour; whoever wants more is copying the inbox.
LOOKS_BY_ACCOUNT: Final = Rule("looks by account", 300, 3600)


class Look(StrEnum):
    """What was looked at, and how."""

    HANDOVER = "handover"
    DIARY_DOWNLOAD = "diary-download"
    OUTBOX = "outbox"


class AccessLog(Base):
    """One look. The name is that of the day, for accounts come and go."""

    __tablename__ = "access_log"
    __table_args__ = (Index(None, "item", "at"), Index(None, "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    account_id: Mapped[int]  # people owns the table
    account_name: Mapped[str]
    unit: Mapped[str]
    look: Mapped[str]
    item: Mapped[bytes | None] = mapped_column(LargeBinary)  # None: a whole list


def record(
    session: AsyncSession, services: Services, staff: Staff, look: Look, item: bytes | None
) -> None:
    """Write a look down, in the transaction that ends before anything is shown.

    Raises Refused (429) for an account that looks at too much.
    """
    services.limits.spend(LOOKS_BY_ACCOUNT, str(staff.account_id))
    session.add(
        AccessLog(
            at=services.now,
            account_id=staff.account_id,
            account_name=staff.name,
            unit=staff.unit,
            look=look.value,
            item=item,
        )
    )


async def looks_at(session: AsyncSession, item: bytes) -> Sequence[AccessLog]:
    """Who looked at one item, newest first."""
    rows = await session.scalars(
        select(AccessLog)
        .where(AccessLog.item == item)
        .order_by(AccessLog.at.desc(), AccessLog.id.desc())
        .limit(100)
    )
    return rows.all()


async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: two years."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(delete(AccessLog).where(AccessLog.at < services.now - KEPT_SECONDS))


jobs = [Job("access-log-retention", 24 * 3600, forget_old)]
