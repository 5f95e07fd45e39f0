"""The verbs of contacts: who has which rank. None commits."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.contacts.tables import Rank


@dataclass(frozen=True, slots=True)
class RankRow:
    """A person's F-rank (0: an active case) and the ISO day of the last exposure behind it."""

    rank: int
    last_exposed_on: str | None


async def ranks_of(session: AsyncSession, person_ids: Iterable[int]) -> dict[int, RankRow]:
    """The ranks of these people (at most some thousands); who has none is left out."""
    rows = await session.execute(
        select(Rank.person_id, Rank.rank, Rank.last_exposed_on).where(
            Rank.person_id.in_(list(person_ids))
        )
    )
    return {row.person_id: RankRow(row.rank, row.last_exposed_on) for row in rows}


async def ranked_since(session: AsyncSession, day: str, *, after: int, limit: int) -> list[int]:
    """People (ids beyond `after`, ascending) whose last exposure was on an ISO day or later."""
    rows = await session.scalars(
        select(Rank.person_id)
        .where(Rank.person_id > after, Rank.last_exposed_on >= day)
        .order_by(Rank.person_id)
        .limit(limit)
    )
    return list(rows)
