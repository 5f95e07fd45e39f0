"""What others ask of many tasks at once: one query each, scope first, nothing written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
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


async def closed_since(
    session: AsyncSession,
    scope: Scope,
    since: Mapping[int, int],
    kinds: Iterable[str],
    outcomes: Iterable[str],
) -> dict[int, list[int]]:
    """When tasks of these kinds ended with one of these outcomes, ascending.

    `since`: by person, a Unix time before which none counts (they were met before, and it was
    about something else). Only people who have one are in it.
    """
    found: dict[int, list[int]] = {}
    for some in in_parts(since):
        rows = await session.execute(
            select(Task.person_id, Task.closed_at)
            .where(
                scope.of(Task.unit),
                Task.person_id.in_(some),
                Task.kind.in_(list(kinds)),
                Task.outcome.in_(list(outcomes)),
                Task.closed_at >= min(since[person] for person in some),
            )
            .order_by(Task.closed_at)
        )
        for person, closed_at in rows:
            if closed_at is not None and closed_at >= since[person]:
                found.setdefault(person, []).append(closed_at)
    return found
