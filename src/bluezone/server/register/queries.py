"""What other duties ask the register about many people at once: their units, their details.

Nothing here is audited: whoever shows what it returns writes the entry (audit.service.record).
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.people.scope import Scope
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person

AT_ONCE: Final = 5000  # values of one statement: SQLite takes 32,766


def within(scope: Scope) -> Select[int]:
    """The ids of everybody within scope, for `column.in_(...)` of another duty's query."""
    return select(Person.id).where(scope.of(Person.unit))


async def units_of(session: AsyncSession, ids: Iterable[int]) -> dict[int, str]:
    """The path of the unit of each person of these that exists."""
    found: dict[int, str] = {}
    for some in in_parts(ids):
        rows = await session.execute(select(Person.id, Person.unit).where(Person.id.in_(some)))
        found.update((row.id, row.unit) for row in rows)
    return found


async def details_of(
    session: AsyncSession, scope: Scope, register: Register, ids: Iterable[int]
) -> dict[int, Details]:
    """The opened details of those of these people who are within scope."""
    found: dict[int, Details] = {}
    for some in in_parts(ids):
        rows = await session.execute(
            select(Person.id, Person.sealed).where(Person.id.in_(some), scope.of(Person.unit))
        )
        found.update(
            (person_id, register.open_sealed(person_id, sealed)) for person_id, sealed in rows
        )
    return found


def in_parts(ids: Iterable[int]) -> Iterator[list[int]]:
    """The ids, each once, in lists that fit one statement."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), AT_ONCE):
        yield wanted[start : start + AT_ONCE]
