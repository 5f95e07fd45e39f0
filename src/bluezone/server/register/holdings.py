"""What this duty holds of people: shown to them, in time forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.holdings.rules import Category, Ending, Held, Kind
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person


@dataclass(frozen=True, slots=True)
class Group:
    """A record with those that were merged into it: one person."""

    kept: int
    people: tuple[int, ...]


async def groups(
    session: AsyncSession, *, after: int, created_before: int, limit: int
) -> list[Group]:
    """The next records that are older than a time, in the order of their ids."""
    kept = (
        await session.scalars(
            select(Person.id)
            .where(
                Person.id > after, Person.merged_into.is_(None), Person.created_at < created_before
            )
            .order_by(Person.id)
            .limit(limit)
        )
    ).all()
    return [Group(one, people) for one, people in (await _merged(session, kept)).items()]


async def groups_of(session: AsyncSession, kept: Sequence[int]) -> list[Group]:
    """Those of these records that are still there, and not merged into another."""
    there = await session.scalars(
        select(Person.id)
        .where(Person.id.in_(kept), Person.merged_into.is_(None))
        .order_by(Person.id)
    )
    return [Group(one, people) for one, people in (await _merged(session, there.all())).items()]


async def group(session: AsyncSession, person_id: int) -> Group:
    """A kept record with those that were merged into it."""
    return Group(person_id, (await _merged(session, [person_id]))[person_id])


async def _merged(session: AsyncSession, kept: Sequence[int]) -> dict[int, tuple[int, ...]]:
    root = {one: one for one in kept}
    newest = list(kept)
    while newest:
        rows = await session.execute(
            select(Person.id, Person.merged_into).where(Person.merged_into.in_(newest))
        )
        found = {number: root[into] for number, into in rows if into is not None}
        newest = [number for number in found if number not in root]
        root.update(found)
    people: dict[int, list[int]] = {one: [] for one in kept}
    for number, one in root.items():
        people[one].append(number)
    return {one: tuple(numbers) for one, numbers in people.items()}


async def endings(session: AsyncSession, people: Sequence[int]) -> dict[int, list[Ending]]:
    """A record alone is over when it was made: changing it does not keep it."""
    rows = await session.execute(select(Person.id, Person.created_at).where(Person.id.in_(people)))
    return {number: [Ending(Category.OTHER, at)] for number, at in rows}


async def held(session: AsyncSession, register: Register, people: Sequence[int]) -> list[Held]:
    """Which details are filled in, and since when there is a record."""
    rows = (await session.scalars(select(Person).where(Person.id.in_(people)))).all()
    filled: set[str] = set()
    for row in rows:
        details = register.details(row)
        filled |= {name for name in Details.__struct_fields__ if getattr(details, name)}
    fields = tuple(name for name in Details.__struct_fields__ if name in filled)
    return [Held(Kind.DETAILS, min(row.created_at for row in rows), fields=fields)] if rows else []


async def forget_person(session: AsyncSession, people: Sequence[int], _now: int) -> None:
    """Delete records. What other duties hold of these people must be gone already."""
    mine = Person.id.in_(people)
    for column in (Person.household, Person.merged_into):
        await session.execute(update(Person).where(column.in_(people)).values({column: None}))
    await session.execute(delete(Person).where(mine))
