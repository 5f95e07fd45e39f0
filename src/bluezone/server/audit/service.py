"""The verbs of the audit: write an entry down. It never commits: entry and deed are one."""

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import rules
from bluezone.server.audit.rules import Action, Entry, Purpose
from bluezone.server.audit.tables import AuditEntry, AuditHead
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.storage.database import upsert


async def record(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    action: Action,
    *,
    subject: str = "",
    purpose: Purpose,
    detail: str = "",
) -> None:
    """Append to the chain of the staff member's province, in the caller's transaction.

    `subject` names a record ("person:17"), `detail` says more without personal data. Who appends
    holds the chain's head until the transaction ends, so call it last where that is possible.
    """
    entry = Entry(
        at=services.now,
        account_id=staff.account_id,
        account_name=staff.name,
        unit=staff.unit,
        action=action.value,
        subject=subject,
        purpose=purpose.value,
        detail=detail,
    )
    await _append(session, rules.chain_of(staff.unit), entry)


async def _append(session: AsyncSession, chain: str, entry: Entry) -> None:
    await session.execute(
        upsert(session, AuditHead)
        .values(chain=chain, sequence=0, digest=rules.FIRST)
        .on_conflict_do_nothing()
    )
    head = await session.scalar(
        select(AuditHead)
        .where(AuditHead.chain == chain)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    assert head is not None  # noqa: S101 - just made, if it was not there
    sequence = head.sequence + 1
    digest = rules.digest(chain, sequence, entry, head.digest)
    session.add(
        AuditEntry(
            chain=chain, sequence=sequence, previous=head.digest, digest=digest, **asdict(entry)
        )
    )
    head.sequence, head.digest = sequence, digest
    await session.flush()
