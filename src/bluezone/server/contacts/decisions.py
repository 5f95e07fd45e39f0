"""Ranks decided by somebody against the rule, with a reason. None of these verbs commits."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.contacts.service import (
    ContactError,
    checked_reason,
    opened,
    rederive,
    rules_in_use,
    sealed,
)
from bluezone.server.contacts.tables import RankOverride
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.register import service as register
from bluezone.web.catalogue import _

_REASON: Final = b"rank-override"


@dataclass(frozen=True, slots=True)
class Decision:
    """A rank that somebody gave, and why."""

    row: RankOverride
    reason: str = field(repr=False)


async def override(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    person_id: int,
    *,
    rank: int | None,
    reason: str,
) -> RankOverride:
    """Give a person within scope another rank than the rule's (None: no contact that matters).

    It takes the place of the decision before. Nobody else's rank follows from it.
    Raises Refused: 404, 422.
    """
    person = await register.get(session, staff.scope, person_id)
    text = checked_reason(reason)
    _version, rule = await rules_in_use(session)
    if rank is not None and not 1 <= rank <= rule.followed:
        raise ContactError(
            "rank", _("A rank is F1 to F{last}; F0 comes with a case."), last=rule.followed
        )
    await _end_overrides(session, person.id, services.now)
    row = RankOverride(
        person_id=person.id, rank=rank, reason=b"", at=services.now, account_id=staff.account_id,
        account_name=staff.name, ended_at=None,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    row.reason = sealed(services, text, _REASON, row.id)
    await session.flush()
    await rederive(session, [person.id], services.now)
    await audit.record(
        session, services, staff, Action.CHANGE, subject=f"person:{person.id}",
        purpose=Purpose.TRACING, detail=f"rank={'none' if rank is None else rank}",
    )  # fmt: skip
    return row


async def end_override(
    session: AsyncSession, services: Services, staff: Staff, person_id: int
) -> None:
    """Let the rule count again. Raises Refused (404)."""
    person = await register.get(session, staff.scope, person_id)
    await _end_overrides(session, person.id, services.now)
    await rederive(session, [person.id], services.now)
    await audit.record(
        session, services, staff, Action.UNDO, subject=f"person:{person.id}",
        purpose=Purpose.TRACING, detail="rank",
    )  # fmt: skip


async def decisions_on(session: AsyncSession, services: Services, person_id: int) -> list[Decision]:
    """What was decided about a person's rank, the latest first."""
    rows = await session.scalars(
        select(RankOverride)
        .where(RankOverride.person_id == person_id)
        .order_by(RankOverride.id.desc())
    )
    return [Decision(row, opened(services, row.reason, _REASON, row.id)) for row in rows]


async def _end_overrides(session: AsyncSession, person_id: int, now: int) -> None:
    await session.execute(
        update(RankOverride)
        .where(RankOverride.person_id == person_id, RankOverride.ended_at.is_(None))
        .values(ended_at=now)
    )
