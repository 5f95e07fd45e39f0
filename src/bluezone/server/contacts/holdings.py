"""What this duty holds of people: shown to them, in time forgotten."""

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from bluezone.protocol.intervals import VIETNAM
from bluezone.server.cases import holdings as cases
from bluezone.server.contacts.deriving import rederive
from bluezone.server.contacts.tables import Exposure, Rank, RankOverride, Visit
from bluezone.server.holdings.rules import (
    FOLLOW_UP_DAYS,
    Category,
    Ending,
    Held,
    Kind,
)


async def endings(session: AsyncSession, people: Sequence[int]) -> dict[int, list[Ending]]:
    """An exposure is over when its follow-up is; a visit when it ended."""
    found: dict[int, list[Ending]] = {}
    rows = (
        await session.execute(
            select(Exposure.exposed_id, Exposure.source_id, func.max(Exposure.day))
            .where(or_(Exposure.exposed_id.in_(people), Exposure.source_id.in_(people)))
            .group_by(Exposure.exposed_id, Exposure.source_id)
        )
    ).all()
    known = {source for _one, source, _day in rows if source is not None}
    sources = await cases.with_cases(session, sorted(known))
    wanted = set(people)
    for exposed, source, day in rows:
        at = _end(day)
        if exposed in wanted:
            # Of a phone that nobody knows yet: whose keys were published was a case.
            by_case = source is None or source in sources
            category = Category.CONTACT if by_case else Category.FAR_CONTACT
            found.setdefault(exposed, []).append(Ending(category, at))
        if source is not None and source in wanted:
            found.setdefault(source, []).append(Ending(Category.OTHER, at))
    # Not when it was derived: every new rule derives it again.
    near = await session.execute(
        select(Rank.person_id, Rank.last_exposed_on).where(
            Rank.person_id.in_(people), Rank.rank <= 1, Rank.last_exposed_on.is_not(None)
        )
    )
    for person, last in near:
        if last is not None:
            found.setdefault(person, []).append(Ending(Category.CONTACT, _end(last)))
    overridden = await session.execute(
        select(RankOverride.person_id, RankOverride.at).where(
            RankOverride.person_id.in_(people), RankOverride.rank <= 1
        )
    )
    for person, at in overridden:
        found.setdefault(person, []).append(Ending(Category.CONTACT, at))
    visits = await session.execute(
        select(Visit.person_id, func.max(Visit.end_at))
        .where(Visit.person_id.in_(people))
        .group_by(Visit.person_id)
    )
    for person, at in visits:
        found.setdefault(person, []).append(Ending(Category.OTHER, at))
    return found


async def held(session: AsyncSession, people: Sequence[int]) -> list[Held]:
    """That somebody was exposed, met others, was at places, has a rank: never with whom."""
    found = []
    exposed = await _count(session, Exposure.exposed_id, Exposure.created_at, people)
    met = await _count(session, Exposure.source_id, Exposure.created_at, people)
    places = await _count(session, Visit.person_id, Visit.created_at, people)
    ranked = await _count(session, Rank.person_id, Rank.at, people)
    if exposed is not None:
        found.append(Held(Kind.EXPOSED, exposed[1]))  # a number would tell of how many others
    if met is not None:
        found.append(Held(Kind.MET, met[1]))
    if places is not None:
        found.append(Held(Kind.PLACES, places[1], places[0]))
    if ranked is not None:
        found.append(Held(Kind.RANK, ranked[1]))
    return found


async def _count(
    session: AsyncSession,
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    since: InstrumentedAttribute[int],
    people: Sequence[int],
) -> tuple[int, int] | None:
    """How many rows, and the oldest."""
    count, oldest = (
        await session.execute(select(func.count(column), func.min(since)).where(column.in_(people)))
    ).one()
    return (count, oldest) if count else None


async def forget_person(session: AsyncSession, people: Sequence[int], now: int) -> None:
    """Delete exposures on both sides, visits, ranks and what was decided against them.

    Whom these people exposed is ranked anew.
    """
    exposed = (
        await session.scalars(
            select(Exposure.exposed_id)
            .where(Exposure.source_id.in_(people), Exposure.exposed_id.not_in(people))
            .distinct()
        )
    ).all()
    await session.execute(
        delete(Exposure).where(or_(Exposure.exposed_id.in_(people), Exposure.source_id.in_(people)))
    )
    for table in (Visit, Rank, RankOverride):
        await session.execute(delete(table).where(table.person_id.in_(people)))
    await rederive(session, exposed, now)


def _end(day: str) -> int:
    """When the follow-up of an exposure on an ISO day is over (Unix time)."""
    over = dt.date.fromisoformat(day) + dt.timedelta(days=FOLLOW_UP_DAYS + 1)
    return int(dt.datetime.combine(over, dt.time(), VIETNAM).timestamp())
