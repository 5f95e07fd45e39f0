"""What others ask of many tasks at once: one query each, scope first, nothing written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.people.scope import Scope
from bluezone.server.register.queries import in_parts
from bluezone.server.work.tables import Task


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as a list needs it. Times are Unix seconds."""

    id: int
    kind: str
    person_id: int
    unit: str
    state: str
    due_at: int
    assignee: str | None
    created_at: int
    closed_at: int | None
    outcome: str | None


_COLUMNS: Final = (
    "id", "kind", "person_id", "unit", "state", "due_at", "assignee_name", "created_at",
    "closed_at", "outcome",
)  # fmt: skip


async def tasks_after(
    session: AsyncSession, scope: Scope, since: int, until: int, *, after: int, at_most: int
) -> list[TaskRow]:
    """Tasks of units within scope made from one time to another: the first above id `after`."""
    columns: Any = [getattr(Task, column) for column in _COLUMNS]
    rows = await session.execute(
        select(*columns)
        .where(
            scope.of(Task.unit), Task.created_at >= since, Task.created_at < until, Task.id > after
        )
        .order_by(Task.id)
        .limit(at_most)
    )
    return [TaskRow(*row) for row in rows]


async def first_closed(
    session: AsyncSession,
    scope: Scope,
    persons: Iterable[int],
    kinds: Iterable[str],
    outcomes: Iterable[str],
) -> dict[int, int]:
    """When a task of these kinds first ended with one of these outcomes, of each who has one."""
    return await _closed(session, scope, persons, kinds, outcomes, first=True)


async def last_closed(
    session: AsyncSession,
    scope: Scope,
    persons: Iterable[int],
    kinds: Iterable[str],
    outcomes: Iterable[str],
) -> dict[int, int]:
    """The same, the last time."""
    return await _closed(session, scope, persons, kinds, outcomes, first=False)


async def _closed(
    session: AsyncSession,
    scope: Scope,
    persons: Iterable[int],
    kinds: Iterable[str],
    outcomes: Iterable[str],
    *,
    first: bool,
) -> dict[int, int]:
    when = func.min(Task.closed_at) if first else func.max(Task.closed_at)
    found: dict[int, int] = {}
    for some in in_parts(persons):
        rows = await session.execute(
            select(Task.person_id, when)
            .where(
                scope.of(Task.unit),
                Task.person_id.in_(some),
                Task.kind.in_(list(kinds)),
                Task.outcome.in_(list(outcomes)),
                Task.closed_at.is_not(None),
            )
            .group_by(Task.person_id)
        )
        found.update((row[0], row[1]) for row in rows if row[1] is not None)
    return found
