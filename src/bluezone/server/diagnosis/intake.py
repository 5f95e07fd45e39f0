"""Uploads that arrive together are committed together: one fsync for all of them.

Each is answered only after its keys are durable. A key that is already known stays as it
first came: so the same upload may be sent again and again, and nobody can change or
re-date the keys of another phone.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final

from bluezone.protocol.keys import DiagnosisKey
from bluezone.server.diagnosis.rules import release_time
from bluezone.server.diagnosis.tables import PublishedKey
from bluezone.storage.database import Database, upsert

_MAX_UPLOADS: Final = 200  # in one transaction

Row = dict[str, Any]


def key_rows(keys: Sequence[DiagnosisKey], now: int, period: int, chain: int | None) -> list[Row]:
    """Rows of PublishedKey for keys that arrive at `now` on an export grid of `period` seconds."""
    return [
        {
            "key": one.tek.key,
            "rolling_start": one.tek.rolling_start,
            "rolling_period": one.tek.rolling_period,
            "report_type": int(one.report_type),
            "days_since_onset": one.days_since_onset,
            "release_at": release_time(one.tek, now, period),
            "chain": chain,
        }
        for one in keys
    ]


def new_chain() -> int:
    """A random number that holds the keys of one upload together for the next hour."""
    return secrets.randbits(63)


class Intake:
    """The one writer of uploads in a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def store(self, rows: list[Row]) -> None:
        """Return once all rows are durable, or raise (StorageUnavailable) with none of them."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MAX_UPLOADS], self._waiting[_MAX_UPLOADS:]
            # In the order of the keys: two processes that insert the same keys cannot lock each
            # other, and the order on disk does not tell which keys came together.
            rows = sorted((row for rows, _ in group for row in rows), key=lambda row: row["key"])
            try:
                async with self._database.transaction() as session:
                    insert = upsert(session, PublishedKey).on_conflict_do_nothing()
                    await session.execute(insert, rows)
            except Exception as error:
                for _, stored in group:
                    if not stored.done():
                        stored.set_exception(error)
            else:
                for _, stored in group:
                    if not stored.done():  # its client may have gone; the keys stay
                        stored.set_result(None)
