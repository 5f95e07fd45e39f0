"""The retention job: what is too old is deleted, and counted."""

from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import structlog
from sqlalchemy import CursorResult, Delete, delete, select

from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.server.context import Services
from bluezone.server.diagnosis.rules import CODE_KEPT_SECONDS, oldest_interval
from bluezone.server.diagnosis.tables import Code, ExportBatch, ExportFile, PublishedKey
from bluezone.storage.lease import Lease

FILE_KEPT_SECONDS: Final = RETENTION_DAYS * 24 * 3600

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many of each a run deleted."""

    codes: int
    keys: int
    files: int
    batches: int


async def delete_expired(services: Services, lease: Lease) -> Deleted:
    """Delete codes with what is known of their exchange, keys, and records of old files.

    A file without a record is off the list with the next index and off the disk right after
    (publication.py), in this order, so that no phone is sent to a file that is gone.
    """
    now = services.now
    held = select(PublishedKey.batch_id).where(PublishedKey.batch_id.is_not(None))
    async with services.database.transaction() as session:
        await lease.confirm(session)

        async def count(statement: Delete) -> int:
            return cast("CursorResult[Any]", await session.execute(statement)).rowcount

        deleted = Deleted(
            codes=await count(delete(Code).where(Code.expires_at < now - CODE_KEPT_SECONDS)),
            keys=await count(
                delete(PublishedKey).where(PublishedKey.rolling_start < oldest_interval(now))
            ),
            files=await count(
                delete(ExportFile).where(ExportFile.released_at < now - FILE_KEPT_SECONDS)
            ),
            batches=await count(
                delete(ExportBatch).where(
                    ExportBatch.done,
                    ExportBatch.end < now - FILE_KEPT_SECONDS,
                    ExportBatch.id.not_in(held),
                    ExportBatch.id.not_in(select(ExportFile.batch_id)),
                )
            ),
        )
    _log.info("expired data deleted", deleted=asdict(deleted))
    return deleted
