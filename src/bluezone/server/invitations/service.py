"""The verbs of invitations: count one, tell the count. None commits."""

from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day_number
from bluezone.server.context import Services
from bluezone.server.invitations.tables import Invitation
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

# Long enough to see a campaign through; whoever goes on inviting goes on counting.
KEPT_DAYS: Final = 180


async def count_one(session: AsyncSession, code: str, now: int) -> None:
    """Somebody came through `code`. A code that nobody gave away is counted like any other."""
    today = vietnam_day_number(now)
    await session.execute(
        upsert(session, Invitation)
        .values(code=code, installed=1, changed_day=today)
        .on_conflict_do_update(
            index_elements=[Invitation.code],
            set_={"installed": Invitation.installed + 1, "changed_day": today},
        )
    )


async def installed(session: AsyncSession, code: str) -> int:
    """How many came through `code`."""
    row = await session.get(Invitation, code)
    return row.installed if row else 0


async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: invitations that nobody has come through for half a year."""
    today = vietnam_day_number(services.now)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(delete(Invitation).where(Invitation.changed_day <= today - KEPT_DAYS))
