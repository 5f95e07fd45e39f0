"""The periodic work of diagnosis."""

from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.diagnosis.retention import delete_expired
from bluezone.server.jobs import Job
from bluezone.storage.lease import Lease

_HOUR = 3600


def jobs(settings: Settings) -> list[Job]:
    """Export on its grid, retention every hour."""
    return [
        Job("export", settings.export_period_seconds, export_keys),
        Job("diagnosis-retention", _HOUR, _retention),
    ]


async def _retention(services: Services, lease: Lease) -> None:
    await delete_expired(services, lease)
