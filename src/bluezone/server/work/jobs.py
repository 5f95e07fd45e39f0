"""The hourly work: tasks of the day, for everybody who is followed up."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.contacts import ranks as contacts
from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.server.work import service
from bluezone.server.work.records import IS_OPEN
from bluezone.server.work.tables import Task
from bluezone.storage.lease import Lease

_AT_ONCE: Final = 500  # people in one transaction


async def make_tasks(services: Services, lease: Lease) -> None:
    """Plan for everybody exposed lately, and for whoever still has something open."""
    async with services.database.read() as session:
        wanted_by = await service.follow_up_rules(session, services.now)
        _version, ranked_by = await contacts.rules_in_use(session)
    days = ranked_by.follow_up_days + wanted_by.late_test_days
    since = (vietnam_day(services.now) - dt.timedelta(days=days)).isoformat()

    async def exposed_lately(session: AsyncSession, after: int) -> list[int]:
        return await contacts.ranked_since(session, since, after=after, limit=_AT_ONCE)

    await _follow_up(services, lease, exposed_lately)
    await _follow_up(services, lease, _with_something_open)


async def _follow_up(
    services: Services, lease: Lease, people: Callable[[AsyncSession, int], Awaitable[list[int]]]
) -> None:
    """Plan for everybody whom `people(session, after)` finds: at most _AT_ONCE ids, ascending."""
    ids = [0]
    while ids:
        async with services.database.read() as session:
            ids = await people(session, ids[-1])
        if ids:
            async with services.database.transaction() as session:
                await lease.confirm(session)
                await service.follow_up(session, services.now, ids)


async def _with_something_open(session: AsyncSession, after: int) -> list[int]:
    rows = await session.scalars(
        select(Task.person_id)
        .where(IS_OPEN, Task.made_by.is_not(None), Task.person_id > after)
        .distinct()
        .order_by(Task.person_id)
        .limit(_AT_ONCE)
    )
    return list(rows)


jobs = [Job("make-tasks", 3600, make_tasks)]
