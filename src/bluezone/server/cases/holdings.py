"""What this duty holds of people: shown to them, in time forgotten."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.holdings.rules import (
    ABANDONED_DAYS,
    DAY_SECONDS,
    Category,
    Ending,
    Held,
    Kind,
)
from bluezone.server.people.scope import EVERYWHERE, Scope


async def with_cases(
    session: AsyncSession, people: Sequence[int], scope: Scope = EVERYWHERE
) -> set[int]:
    """Those of `people` (ids) who have or had a case within scope."""
    rows = await session.scalars(
        select(Case.person_id).where(Case.person_id.in_(people), scope.of(Case.unit)).distinct()
    )
    return set(rows)


async def endings(session: AsyncSession, people: Sequence[int]) -> dict[int, list[Ending]]:
    """A case is over when it is closed, or a year after anybody last touched it."""
    found: dict[int, list[Ending]] = {}
    cases = await session.execute(
        select(Case.person_id, Case.closed_at, Case.updated_at).where(Case.person_id.in_(people))
    )
    for person, closed, updated in cases:
        at = updated + ABANDONED_DAYS * DAY_SECONDS if closed is None else closed
        found.setdefault(person, []).append(Ending(Category.CASE, at, closed is None))
    results = await session.execute(
        select(LabResult.person_id, func.max(LabResult.reported_at))
        .where(LabResult.person_id.in_(people))
        .group_by(LabResult.person_id)
    )
    for person, reported in results:
        found.setdefault(person, []).append(Ending(Category.OTHER, reported))
    return found


async def held(session: AsyncSession, people: Sequence[int]) -> list[Held]:
    """Cases and laboratory results, how many and since when."""
    found = []
    for kind, count, since in (
        (Kind.ILLNESS, Case.id, Case.created_at),
        (Kind.LABORATORY, LabResult.id, LabResult.reported_at),
    ):
        table = Case if kind is Kind.ILLNESS else LabResult
        row = (
            await session.execute(
                select(func.count(count), func.min(since)).where(table.person_id.in_(people))
            )
        ).one()
        if row[0]:
            found.append(Held(kind, row[1], row[0]))
    return found


async def subjects(session: AsyncSession, people: Sequence[int]) -> list[str]:
    """What the audit calls these people's cases."""
    rows = await session.scalars(select(Case.id).where(Case.person_id.in_(people)))
    return [f"case:{number}" for number in rows]


async def forget_person(session: AsyncSession, people: Sequence[int], _now: int) -> None:
    """Delete cases with their course, and results."""
    mine = select(Case.id).where(Case.person_id.in_(people))
    await session.execute(delete(LabResult).where(LabResult.person_id.in_(people)))
    await session.execute(update(LabResult).where(LabResult.case_id.in_(mine)).values(case_id=None))
    await session.execute(update(Case).where(Case.merged_into.in_(mine)).values(merged_into=None))
    await session.execute(delete(Case).where(Case.person_id.in_(people)))
