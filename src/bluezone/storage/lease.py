"""Leases: of all processes of the service, at most one does a job."""

import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select, tuple_
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
    transaction that finishes it calls `confirm`, or looks at what `release_all_in` returns.
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
        return bool(await acquire_all([self]))

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

    async def keep(self) -> None:
        """Confirm it between two steps of work that writes nothing. Raises LeaseLost."""
        async with self._database.transaction() as session:
            await self.confirm(session)

    async def release(self) -> None:
        """Let go at once instead of when it runs out; nothing happens if it is another's."""
        async with self._database.transaction() as session:
            await release_all_in(session, [self])


async def acquire_all(leases: Sequence[Lease]) -> list[Lease]:
    """Take those of one process's leases that are free, run out or already its own.

    One transaction for all, and for all one time at which they run out.
    """
    database, now = leases[0]._database, int(leases[0]._clock.now())
    wanted = [
        {"name": one.name, "owner": one._owner, "expires_at": now + one._seconds} for one in leases
    ]
    async with database.transaction() as session:
        statement = upsert(session, LeaseRow)
        mine = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=[LeaseRow.name],
            set_={"owner": mine.owner, "expires_at": mine.expires_at},
            where=(LeaseRow.expires_at <= now) | (LeaseRow.owner == mine.owner),
        )
        taken = set(await session.scalars(statement.returning(LeaseRow.name), wanted))
    return [one for one in leases if one.name in taken]


async def release_all_in(session: AsyncSession, leases: Sequence[Lease]) -> list[Lease]:
    """Let go of these when this transaction commits; those that were still the process's own."""
    mine = [(one.name, one._owner) for one in leases]
    gone = set(
        await session.scalars(
            delete(LeaseRow)
            .where(tuple_(LeaseRow.name, LeaseRow.owner).in_(mine))
            .returning(LeaseRow.name)
        )
    )
    return [one for one in leases if one.name in gone]
