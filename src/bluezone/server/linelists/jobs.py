"""The periodic work of line lists."""

from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.server.linelists import reports, searching
from bluezone.storage.lease import Lease


async def _retention(services: Services, lease: Lease) -> None:
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await reports.forget_old(session, services.now)
        await searching.forget_old(session, services.now)


jobs = [
    Job("make-scheduled-reports", 3600, reports.make_due),
    Job("linelists-retention", 24 * 3600, _retention),
]
