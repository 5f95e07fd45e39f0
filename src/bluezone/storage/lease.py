"""Leases: of all processes of the service, at most one does a job."""

import secrets
from contextlib import suppress
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.clock import Clock
from bluezone.storage.database import Base, Database, upsert

LEASE_SECONDS: Final = 120


class LeaseRow(Base):
    """Who holds a lease, and until when."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    expires_at: Mapped[int]


class LeaseLost(Exception):  # noqa: N818
    """The lease ran out and another process has taken it: this work must not be committed."""


class Lease:
    """One process's claim to a name. It runs out after `seconds` unless confirmed or taken again.

    Work done under it is safe even from a process that slept through its lease, if the
    transaction that finishes it calls `confirm` or `release_in`.
    """

    def __init__(
        self, database: Database, clock: Clock, name: str, seconds: int = LEASE_SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self.name = name

    async def acquire(self) -> bool:
        """Take the lease if it is free, run out, or already ours."""
        now = int(self._clock.now())
        async with self._database.transaction() as session:
            mine = {"owner": self._owner, "expires_at": now + self._seconds}
            statement = upsert(session, LeaseRow).values(name=self.name, **mine)
            statement = statement.on_conflict_do_update(
                index_elements=[LeaseRow.name],
                set_=mine,
                where=(LeaseRow.expires_at <= now) | (LeaseRow.owner == self._owner),
            )
            taken = await session.scalar(statement.returning(LeaseRow.owner))
        return taken is not None

    async def confirm(self, session: AsyncSession) -> None:
        """Hold the lease until the transaction that needs it has ended. Raises LeaseLost.

        It is extended once half of its term is over: until then nothing is written, so a
        transaction that finds nothing to do stays free of charge.
        """
        now = int(self._clock.now())
        row = await session.scalar(
            select(LeaseRow)
            .where(LeaseRow.name == self.name, LeaseRow.owner == self._owner)
            .with_for_update()
        )
        if row is None:
            raise LeaseLost(self.name)
        if row.expires_at < now + self._seconds / 2:
            row.expires_at = now + self._seconds

    async def release(self) -> None:
        """Let go at once instead of when it runs out; nothing happens if it is another's."""
        with suppress(LeaseLost):
            async with self._database.transaction() as session:
                await self.release_in(session)

    async def release_in(self, session: AsyncSession) -> None:
        """Let go when this transaction commits. Raises LeaseLost: then it must not commit."""
        gone = await session.scalar(
            delete(LeaseRow)
            .where(LeaseRow.name == self.name, LeaseRow.owner == self._owner)
            .returning(LeaseRow.name)
        )
        if gone is None:
            raise LeaseLost(self.name)
