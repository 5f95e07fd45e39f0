"""The periodic work of the audit."""

from typing import Final

import structlog

from bluezone.server.audit import alerts, verification
from bluezone.server.audit.verification import AuditBroken
from bluezone.server.context import Services
from bluezone.server.jobs import Job
from bluezone.storage.lease import Lease

_log = structlog.get_logger()


async def _audit(services: Services, lease: Lease) -> None:
    try:
        await verification.daily(services, lease)
    except AuditBroken as broken:
        # Not a failed job, which would go through everything again a minute later. Until somebody
        # has found out why, no anchor is signed: the page of the audit says so too.
        _log.error("audit chain broken", breaks=[one.sentence for one in broken.breaks])


jobs: Final = [
    Job("audit", 24 * 3600, _audit),
    Job("unusual-looking", 3600, alerts.check),
    Job("alerts-retention", 24 * 3600, alerts.forget_old),
]
