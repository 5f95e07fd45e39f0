"""The retention job: who has had their time is deleted by every duty, and that is written down."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.cases import holdings as cases
from bluezone.server.contacts import holdings as contacts
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Services
from bluezone.server.holdings import rules
from bluezone.server.holdings.rules import Category, Ending, Keeping, RetentionRules
from bluezone.server.holdings.tables import CitizenCode
from bluezone.server.register import holdings as register
from bluezone.server.register.holdings import Group
from bluezone.server.rulebook import service as rulebook
from bluezone.server.work import holdings as work
from bluezone.storage.lease import Lease

_AT_ONCE: Final = 500
# In the order in which their rows may go.
DUTIES: Final = (work, contacts, cases, register)


@dataclass(frozen=True, slots=True)
class _Due:
    group: Group
    keeping: Keeping


async def rules_now(session: AsyncSession, now: int) -> RetentionRules:
    """The rules that are in force."""
    _version, found = await rulebook.in_force(
        session, rules.RULES_KIND, rules.SHIPPED, vietnam_day(now).isoformat()
    )
    return found


async def keepings(
    session: AsyncSession, groups: Iterable[Group], retention: RetentionRules
) -> Mapping[int, Keeping]:
    """Until when each person is kept, by the id of the kept record."""
    wanted = list(groups)
    people = [number for one in wanted for number in one.people]
    found: dict[int, list[Ending]] = {}
    for at in range(0, len(people), _AT_ONCE):
        for duty in DUTIES:
            some = await duty.endings(session, people[at : at + _AT_ONCE])
            for number, endings in some.items():
                found.setdefault(number, []).extend(endings)
    return {
        one.kept: rules.keeping(
            (ending for number in one.people for ending in found.get(number, ())), retention
        )
        for one in wanted
    }


async def forget_old(services: Services, lease: Lease) -> None:
    """Go through all records in batches, and delete those that have had their time."""
    now, after = services.now, 0
    async with services.database.read() as session:
        retention = await rules_now(session, now)
    shortest = min(retention.days(one) for one in Category)
    while True:
        async with services.database.read() as session:
            groups = await register.groups(
                session,
                after=after,
                created_before=now - shortest * rules.DAY_SECONDS,
                limit=_AT_ONCE,
            )
            due = await _due(session, groups, retention, now)
        if due:
            await _forget(services, lease, [one.group.kept for one in due], retention)
        await lease.keep()
        if len(groups) < _AT_ONCE:
            break
        after = groups[-1].kept
    async with services.database.transaction() as session:
        await lease.confirm(session)
        # Used or expired: until then they count against those who ask for many.
        await session.execute(
            delete(CitizenCode).where(CitizenCode.issued_at <= now - rules.DAY_SECONDS)
        )


async def _due(
    session: AsyncSession, groups: list[Group], retention: RetentionRules, now: int
) -> list[_Due]:
    found = await keepings(session, groups, retention)
    return [_Due(one, found[one.kept]) for one in groups if found[one.kept].until <= now]


async def _forget(
    services: Services, lease: Lease, kept: list[int], retention: RetentionRules
) -> None:
    now = services.now
    async with services.database.transaction() as session:
        await lease.confirm(session)
        # Once more, and nobody goes on with one of them until it is gone, or merges two.
        await take_turn(session)
        due = await _due(session, await register.groups_of(session, kept), retention, now)
        people = [number for one in due for number in one.group.people]
        for at in range(0, len(people), _AT_ONCE):
            for duty in DUTIES:
                await duty.forget_person(session, people[at : at + _AT_ONCE], now)
        day = vietnam_day(now).isoformat()
        for category in Category:
            mine = [one.group.kept for one in due if one.keeping.category is category]
            if mine:
                digest = rules.deletion_digest(category, day, mine)
                await audit.record(
                    session,
                    services,
                    audit.SERVICE,
                    Action.DELETE,
                    subject=f"retention:{category}",
                    purpose=Purpose.ADMINISTRATION,
                    detail=f"count={len(mine)} day={day} sha256={digest}",
                )
