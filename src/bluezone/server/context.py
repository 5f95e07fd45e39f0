"""What every duty is handed: the service's parts, put together once by app.py."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from bluezone.clock import Clock
from bluezone.server.config import Settings
from bluezone.server.keys import RoleKeys
from bluezone.server.limits import Limits
from bluezone.server.messaging.sending import Sender
from bluezone.server.metrics import Metrics
from bluezone.storage.database import Database
from bluezone.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one running process."""

    settings: Settings
    clock: Clock
    database: Database
    objects: ObjectStore
    keys: RoleKeys
    limits: Limits
    metrics: Metrics
    sender: Sender

    @property
    def now(self) -> int:
        """Whole Unix seconds."""
        return int(self.clock.now())


def services_of(request: Request) -> Services:
    """The parts behind a request (for plain routes; others ask for `Parts`)."""
    services: Services = request.app.state.services
    return services


Parts = Annotated[Services, Depends(services_of)]
