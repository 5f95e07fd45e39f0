"""The periodic work of news."""

from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.server.news.service import renew_publication
from bluezone.storage.lease import Lease


async def _renew(services: Services, lease: Lease) -> None:
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await renew_publication(session, services)


jobs = [Job("renew-news", 24 * 3600, _renew)]
