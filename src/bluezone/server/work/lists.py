"""Worklists: what is open for somebody, a team, a unit; how much; what was given away."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import DAY_SECONDS, vietnam_day
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import Level, level_of
from bluezone.server.work.records import IS_OPEN
from bluezone.server.work.rules import TaskKind, day_begins
from bluezone.server.work.tables import Task, TaskEvent, TaskHandover
from bluezone.storage.database import Database
from bluezone.web.catalogue import _

PAGE: Final = 50
_KEPT_SECONDS: Final = 60
_recent: Final[WeakKeyDictionary[Database, dict[object, tuple[int, "Counts"]]]] = (
    WeakKeyDictionary()
)
# Characters of the paths one level below: the parts of a path have a length by level.
_BELOW: Final = {Level.NATION: 5, Level.PROVINCE: 9, Level.AREA: 15}


class Due(StrEnum):
    """By when, as a worker looks at a day."""

    OVERDUE = "overdue"
    TODAY = "today"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which open tasks: always within `scope`, and as much narrower as is said."""

    scope: Scope
    assignee: int | None = None
    team: int | None = None
    unassigned: bool = False
    kind: TaskKind | None = None
    due: Due | None = None

    def condition(self, now: int) -> ColumnElement[bool]:
        """As the condition of a query."""
        wanted = [IS_OPEN, self.scope.of(Task.unit)]
        if self.assignee is not None:
            wanted.append(Task.assignee_id == self.assignee)
        if self.team is not None:
            wanted.append(Task.team_id == self.team)
        if self.unassigned:
            wanted.append(Task.assignee_id.is_(None))
        if self.kind is not None:
            wanted.append(Task.kind == self.kind.value)
        tomorrow = day_begins(vietnam_day(now)) + DAY_SECONDS
        match self.due:
            case Due.OVERDUE:
                wanted.append(Task.due_at < now)
            case Due.TODAY:
                wanted += [Task.due_at >= now, Task.due_at < tomorrow]
            case Due.LATER:
                wanted.append(Task.due_at >= tomorrow)
        return and_(*wanted)


@dataclass(frozen=True, slots=True)
class Amount:
    """How many tasks, by when."""

    overdue: int = 0
    today: int = 0
    later: int = 0

    @property
    def all(self) -> int:
        return self.overdue + self.today + self.later

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.overdue + other.overdue, self.today + other.today, self.later + other.later
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is open: by kind, and by the units directly below one."""

    by_kind: dict[TaskKind, Amount] = field(default_factory=dict)
    by_unit: dict[str, Amount] = field(default_factory=dict)

    @property
    def all(self) -> Amount:
        return sum(self.by_kind.values(), Amount())


def when_due(due_at: int, now: int) -> Due:
    """In which part of a list a task stands."""
    if due_at < now:
        return Due.OVERDUE
    return Due.TODAY if vietnam_day(due_at) == vietnam_day(now) else Due.LATER


async def page(
    session: AsyncSession, wish: Wish, *, now: int, after: str = "", limit: int = PAGE
) -> tuple[list[Task], str]:
    """Tasks by due time, beyond the place `after` of a page before, and the next such place.

    The place is empty after the last page. Raises Refused (400) for one that we did not give out.
    """
    query = select(Task).where(wish.condition(now))
    if after:
        due_at, _dot, task_id = after.partition(".")
        if not (_is_number(due_at) and _is_number(task_id)):
            raise Refused(400, "page-unknown", _("There is no such page. Please start again."))
        query = query.where(tuple_(Task.due_at, Task.id) > tuple_(int(due_at), int(task_id)))
    rows = list(await session.scalars(query.order_by(Task.due_at, Task.id).limit(limit + 1)))
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], f"{last.due_at}.{last.id}" if last else ""


async def counts(session: AsyncSession, wish: Wish, *, now: int, below: str = "") -> Counts:
    """How much is open as wished, of every kind; `below`: by the units below this path too."""
    tomorrow = day_begins(vietnam_day(now)) + DAY_SECONDS
    every = Wish(wish.scope, wish.assignee, wish.team, wish.unassigned)
    # By unit first, in the order of the index: a country has few units and many tasks.
    each = (
        select(
            Task.kind,
            Task.unit,
            func.count().filter(Task.due_at < now).label("overdue"),
            func.count().filter(Task.due_at < tomorrow).label("soon"),
            func.count().label("every"),
        )
        .where(every.condition(now))
        .group_by(Task.unit, Task.kind)
        .subquery()
    )
    length = _BELOW.get(level_of(below), 0) if below else 0
    unit = func.substr(each.c.unit, 1, length).label("below")
    rows = await session.execute(
        select(
            each.c.kind,
            unit,
            func.sum(each.c.overdue),
            func.sum(each.c.soon),
            func.sum(each.c.every),
        ).group_by(each.c.kind, unit)
    )
    found = Counts()
    for kind, path, overdue, soon, whole in rows:
        # Due before now is due before tomorrow too.
        amount = Amount(int(overdue), int(soon - overdue), int(whole - soon))
        known = TaskKind(kind)
        found.by_kind[known] = found.by_kind.get(known, Amount()) + amount
        if length and len(path) == length:
            found.by_unit[path] = found.by_unit.get(path, Amount()) + amount
    return found


async def recent_counts(
    session: AsyncSession, services: Services, wish: Wish, *, below: str = ""
) -> Counts:
    """As `counts`; of provinces and the nation at most a minute old, since they are long to add."""
    now = services.now
    if not below or level_of(below) not in (Level.NATION, Level.PROVINCE):
        return await counts(session, wish, now=now, below=below)
    kept = _recent.setdefault(services.database, {})
    key = (wish.scope, wish.unassigned, below)
    at, known = kept.get(key, (0, Counts()))
    if not 0 <= now - at < _KEPT_SECONDS:
        known = await counts(session, wish, now=now, below=below)
        for old in [one for one, (then, _known) in kept.items() if now - then >= _KEPT_SECONDS]:
            del kept[old]
        kept[key] = (now, known)
    return known


async def of_person(
    session: AsyncSession, scope: Scope, person_id: int, *, limit: int = 50
) -> list[Task]:
    """A person's tasks within scope: open ones by due time, then the latest closed."""
    rows = await session.scalars(
        select(Task)
        .where(Task.person_id == person_id, scope.of(Task.unit))
        .order_by(Task.closed_at.is_not(None), Task.closed_at.desc(), Task.due_at, Task.id)
        .limit(limit)
    )
    return list(rows)


async def open_of(session: AsyncSession, person_ids: Sequence[int]) -> dict[int, list[Task]]:
    """The open tasks of these people."""
    found: dict[int, list[Task]] = {}
    for one in await session.scalars(
        select(Task).where(Task.person_id.in_(person_ids), IS_OPEN).order_by(Task.due_at)
    ):
        found.setdefault(one.person_id, []).append(one)
    return found


async def history(session: AsyncSession, task_id: int) -> list[TaskEvent]:
    """What happened to a task, the latest first."""
    rows = await session.scalars(
        select(TaskEvent).where(TaskEvent.task_id == task_id).order_by(TaskEvent.id.desc())
    )
    return list(rows)


@dataclass(frozen=True, slots=True)
class GivenAway:
    """A task that a unit handed over, and where it is now."""

    handover: TaskHandover
    event: TaskEvent
    task: Task


async def given_away(
    session: AsyncSession, scope: Scope, *, task_id: int | None = None
) -> list[GivenAway]:
    """Tasks that units within scope gave to one beyond it, the latest first."""
    query = (
        select(TaskHandover, TaskEvent, Task)
        .join(TaskEvent, TaskEvent.id == TaskHandover.event_id)
        .join(Task, Task.id == TaskHandover.task_id)
        .where(scope.of(TaskHandover.from_unit), ~scope.of(Task.unit))
        .order_by(TaskHandover.at.desc(), TaskHandover.id.desc())
        .limit(PAGE)
    )
    if task_id is not None:
        query = query.where(TaskHandover.task_id == task_id)
    rows = await session.execute(query)
    return [GivenAway(*row) for row in rows]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
