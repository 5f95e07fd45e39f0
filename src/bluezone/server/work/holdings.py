"""What this duty holds of people: shown to them, in time forgotten."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.holdings.rules import Category, Ending, Held, Kind
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.work.tables import Task


async def with_tasks(
    session: AsyncSession, people: Sequence[int], scope: Scope = EVERYWHERE
) -> set[int]:
    """Those of `people` (ids) for whom there is or was a task within scope."""
    rows = await session.scalars(
        select(Task.person_id).where(Task.person_id.in_(people), scope.of(Task.unit)).distinct()
    )
    return set(rows)


async def endings(session: AsyncSession, people: Sequence[int]) -> dict[int, list[Ending]]:
    """A task is over when it was closed, or when it should have been done."""
    rows = await session.execute(
        select(Task.person_id, func.max(func.coalesce(Task.closed_at, Task.due_at)))
        .where(Task.person_id.in_(people))
        .group_by(Task.person_id)
    )
    return {person: [Ending(Category.OTHER, at)] for person, at in rows}


async def held(session: AsyncSession, people: Sequence[int]) -> list[Held]:
    """How many calls, visits and checks, and since when."""
    count, since = (
        await session.execute(
            select(func.count(Task.id), func.min(Task.created_at)).where(Task.person_id.in_(people))
        )
    ).one()
    return [Held(Kind.FOLLOW_UP, since, count)] if count else []


async def subjects(session: AsyncSession, people: Sequence[int]) -> list[str]:
    """What the audit calls these people's tasks."""
    rows = await session.scalars(select(Task.id).where(Task.person_id.in_(people)))
    return [f"task:{number}" for number in rows]


async def forget_person(session: AsyncSession, people: Sequence[int], _now: int) -> None:
    """Delete tasks with their history."""
    await session.execute(delete(Task).where(Task.person_id.in_(people)))
