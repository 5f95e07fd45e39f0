"""Who has which rank, read: what other duties need of contacts, and contacts of nobody."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.contacts import rules
from bluezone.server.contacts.rules import KnownBy, RankRules
from bluezone.server.contacts.tables import Rank, RankState
from bluezone.server.rulebook import service as rulebook

_AT_ONCE: Final = 500  # values of one statement


async def rules_in_use(session: AsyncSession) -> tuple[int, RankRules]:
    """The version that the stored ranks stand under, and its content."""
    state = await session.get(RankState, 1)
    version = state.rule_version if state else 0
    return version, await rulebook.of_version(session, rules.RANKS, rules.SHIPPED, version)


@dataclass(frozen=True, slots=True)
class RankRow:
    """A person's F-rank (0: an active case) and the ISO day of the last exposure behind it.

    `rank` is what counts: that of an override, where there is one. None: no contact that matters.
    """

    rank: int | None
    last_exposed_on: str | None
    derived: int | None = None
    known_by: int = 0  # contacts.rules.KNOWN_BY_BITS

    @property
    def only_phones(self) -> bool:
        """Whether nobody would have known of this person without a phone."""
        return self.known_by == rules.KNOWN_BY_BITS[KnownBy.PHONE]


async def ranks_of(session: AsyncSession, person_ids: Iterable[int]) -> dict[int, RankRow]:
    """The ranks of these people; who has none is left out."""
    wanted = sorted(set(person_ids))
    found: dict[int, RankRow] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await session.execute(
            select(
                Rank.person_id, Rank.shown, Rank.last_exposed_on, Rank.rank, Rank.known_by
            ).where(Rank.person_id.in_(wanted[start : start + _AT_ONCE]))
        )
        found.update((row[0], RankRow(*row[1:])) for row in rows)
    return found


async def ranked_since(session: AsyncSession, day: str, *, after: int, limit: int) -> list[int]:
    """People (ids beyond `after`, ascending) whose last exposure was on an ISO day or later."""
    rows = await session.scalars(
        select(Rank.person_id)
        .where(Rank.person_id > after, Rank.last_exposed_on >= day)
        .order_by(Rank.person_id)
        .limit(limit)
    )
    return list(rows)
