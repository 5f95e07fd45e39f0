"""What others ask of many exposures at once: one query each, scope first, nothing written.

An exposure is within scope when the exposed or the source is; an exposed person counts as a
contact of the unit they live in. Exposures that were taken back are in none of the answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.contacts.tables import Exposure, PlaceVisited, Rank, RankOverride, Visit
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import NATION
from bluezone.server.register.queries import in_parts, within

PHONE: Final = "phone"  # contacts.rules.KnownBy of what phones found


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """`exposed` met `source` on a day. Days are ISO days, times Unix seconds."""

    id: int
    source_id: int | None  # none: nobody knows whose key a phone met
    exposed_id: int
    day: str
    start_at: int | None
    minutes: int | None
    setting: str
    place: str | None
    known_by: str
    nearness: str
    confirmation: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ContactRow:
    """Somebody exposed in a period, however often."""

    person_id: int
    first_day: str
    last_day: str
    exposures: int
    known_at: int  # when the first of them was written down


@dataclass(frozen=True, slots=True)
class VisitRow:
    """Somebody said to have been at a place."""

    id: int
    place: str
    place_unit: str
    person_id: int
    start_at: int
    end_at: int


_EXPOSURE: Any = select(
    Exposure.id,
    Exposure.source_id,
    Exposure.exposed_id,
    Exposure.day,
    Exposure.start_at,
    Exposure.minutes,
    Exposure.setting,
    PlaceVisited.name,
    Exposure.known_by,
    Exposure.nearness,
    Exposure.confirmation,
    Exposure.created_at,
).outerjoin(PlaceVisited, PlaceVisited.id == Exposure.place_id)


def _touching(scope: Scope) -> list[ColumnElement[bool]]:
    if scope.covers(NATION):
        return []
    ids = within(scope)
    return [or_(Exposure.source_id.in_(ids), Exposure.exposed_id.in_(ids))]


def _exposed_within(scope: Scope) -> list[ColumnElement[bool]]:
    return [] if scope.covers(NATION) else [Exposure.exposed_id.in_(within(scope))]


async def exposures_between(
    session: AsyncSession, scope: Scope, since: str, until: str, at_most: int
) -> list[ExposureRow]:
    """Exposures within scope from one ISO day to another, the latest `at_most` of them."""
    rows = await session.execute(
        _EXPOSURE.where(
            Exposure.removed_at.is_(None), Exposure.day.between(since, until), *_touching(scope)
        )
        .order_by(Exposure.day.desc(), Exposure.id.desc())
        .limit(at_most)
    )
    return [ExposureRow(*row) for row in rows]


async def exposures_after(
    session: AsyncSession, scope: Scope, since: str, until: str, *, after: int, at_most: int
) -> list[ExposureRow]:
    """The same a page at a time: the first ones with an id above `after`."""
    rows = await session.execute(
        _EXPOSURE.where(
            Exposure.removed_at.is_(None),
            Exposure.day.between(since, until),
            Exposure.id > after,
            *_touching(scope),
        )
        .order_by(Exposure.id)
        .limit(at_most)
    )
    return [ExposureRow(*row) for row in rows]


async def contacts_after(
    session: AsyncSession, scope: Scope, since: str, until: str, *, after: int, at_most: int
) -> list[ContactRow]:
    """People within scope who were exposed in a period: the first with an id above `after`."""
    query: Any = (
        select(
            Exposure.exposed_id,
            func.min(Exposure.day),
            func.max(Exposure.day),
            func.count(),
            func.min(Exposure.created_at),
        )
        .where(
            Exposure.removed_at.is_(None),
            Exposure.day.between(since, until),
            Exposure.exposed_id > after,
            *_exposed_within(scope),
        )
        .group_by(Exposure.exposed_id)
        .order_by(Exposure.exposed_id)
        .limit(at_most)
    )
    return [ContactRow(*row) for row in await session.execute(query)]


async def exposed_in_settings(
    session: AsyncSession, scope: Scope, since: str, until: str
) -> list[tuple[int, str, str]]:
    """(person, setting, first ISO day in it) of everybody within scope exposed in a period."""
    rows = await session.execute(
        select(Exposure.exposed_id, Exposure.setting, func.min(Exposure.day))
        .where(
            Exposure.removed_at.is_(None),
            Exposure.day.between(since, until),
            *_exposed_within(scope),
        )
        .group_by(Exposure.exposed_id, Exposure.setting)
        .order_by(Exposure.exposed_id)
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def known_by_of_contacts(
    session: AsyncSession, scope: Scope, since: str, until: str
) -> dict[tuple[bool, bool], int]:
    """How many contacts of a period are known by (phones, anything else)."""
    phone = (
        select(Exposure.exposed_id)
        .where(Exposure.removed_at.is_(None), Exposure.known_by == PHONE)
        .where(Exposure.day.between(since, until), *_exposed_within(scope))
        .distinct()
    )
    other = (
        select(Exposure.exposed_id)
        .where(Exposure.removed_at.is_(None), Exposure.known_by != PHONE)
        .where(Exposure.day.between(since, until), *_exposed_within(scope))
        .distinct()
    )
    only_phone = select(func.count()).select_from(phone.except_(other).subquery())
    both = select(func.count()).select_from(phone.intersect(other).subquery())
    only_other = select(func.count()).select_from(other.except_(phone).subquery())
    return {
        (True, False): await session.scalar(only_phone) or 0,
        (True, True): await session.scalar(both) or 0,
        (False, True): await session.scalar(only_other) or 0,
    }


async def ranks_of(
    session: AsyncSession, scope: Scope, persons: Iterable[int]
) -> dict[int, int | None]:
    """The rank of those of these people who are within scope; None: decided to be none."""
    found: dict[int, int | None] = {}
    for some in in_parts(persons):
        rows = await session.execute(
            select(Rank.person_id, Rank.rank).where(
                Rank.person_id.in_(some), Rank.person_id.in_(within(scope))
            )
        )
        found.update((row[0], row[1]) for row in rows)
        decided = await session.execute(
            select(RankOverride.person_id, RankOverride.rank)
            .where(
                RankOverride.person_id.in_(some),
                RankOverride.person_id.in_(within(scope)),
                RankOverride.ended_at.is_(None),
            )
            .order_by(RankOverride.id)
        )
        found.update((row[0], row[1]) for row in decided)
    return found


async def visits_overlapping(
    session: AsyncSession, scope: Scope, name: str, since: int, until: int, at_most: int
) -> list[VisitRow]:
    """Visits of people within scope to places whose name contains `name`, in part of a time.

    `name` is plain (register.rules.plain); `since` and `until` are Unix seconds. By their start.
    """
    likeness = "%" + name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = await session.execute(
        select(
            Visit.id,
            PlaceVisited.name,
            PlaceVisited.unit,
            Visit.person_id,
            Visit.start_at,
            Visit.end_at,
        )
        .join(PlaceVisited, PlaceVisited.id == Visit.place_id)
        .where(
            PlaceVisited.search_name.like(likeness, escape="\\"),
            Visit.removed_at.is_(None),
            Visit.start_at < until,
            Visit.end_at > since,
            Visit.person_id.in_(within(scope)),
        )
        .order_by(Visit.start_at, Visit.id)
        .limit(at_most)
    )
    return [VisitRow(*row) for row in rows]


async def meetings_of(
    session: AsyncSession, scope: Scope, persons: Iterable[int], since: str, until: str
) -> list[tuple[int, int, str, str]]:
    """(exposed, source, first ISO day, last ISO day) of these people, as far as within scope."""
    found: list[tuple[int, int, str, str]] = []
    for some in in_parts(persons):
        rows = await session.execute(
            select(
                Exposure.exposed_id,
                Exposure.source_id,
                func.min(Exposure.day),
                func.max(Exposure.day),
            )
            .where(
                Exposure.removed_at.is_(None),
                Exposure.source_id.is_not(None),
                Exposure.exposed_id.in_(some),
                Exposure.day.between(since, until),
                *_exposed_within(scope),
            )
            .group_by(Exposure.exposed_id, Exposure.source_id)
            .order_by(Exposure.exposed_id, Exposure.source_id)
        )
        found += [(row[0], row[1], row[2], row[3]) for row in rows if row[1] is not None]
    return found
