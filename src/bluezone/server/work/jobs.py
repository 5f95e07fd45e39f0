"""The hourly work: tasks of the day, for everybody who is followed up."""

import datetime as dt
from typing import Final

from sqlalchemy import select

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
    after = 0
    while True:
        async with services.database.transaction() as session:
            await lease.confirm(session)
            ids = await contacts.ranked_since(session, since, after=after, limit=_AT_ONCE)
            await service.follow_up(session, services.now, ids)
        if len(ids) < _AT_ONCE:
            break
        after = ids[-1]
    after = 0
    while True:
        async with services.database.transaction() as session:
            await lease.confirm(session)
            rows = await session.scalars(
                select(Task.person_id)
                .where(IS_OPEN, Task.made_by.is_not(None), Task.person_id > after)
                .distinct()
                .order_by(Task.person_id)
                .limit(_AT_ONCE)
            )
            ids = list(rows)
            await service.follow_up(session, services.now, ids)
        if len(ids) < _AT_ONCE:
            break
        after = ids[-1]


jobs = [Job("make-tasks", 3600, make_tasks)]
