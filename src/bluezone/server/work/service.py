"""The verbs of work: plan what the rules want, give it to somebody, record how it went.

None commits. Whoever changes a task names the revision it was seen in: of two, one is told.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.contacts import ranks as contacts
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people import service as people
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.people.service import Colleague
from bluezone.server.places.units import unit_named
from bluezone.server.register import service as register
from bluezone.server.rulebook import service as rulebook
from bluezone.server.work import follow_up as planning
from bluezone.server.work import locks, records, rules, teams
from bluezone.server.work.follow_up import Followed, FollowUp, Made
from bluezone.server.work.rules import (
    Answers,
    EventKind,
    NextSteps,
    Step,
    Stop,
    TaskKind,
    TaskOutcome,
    TaskState,
)
from bluezone.server.work.tables import Task, TaskHandover, Team
from bluezone.web.catalogue import _

_PEOPLE_AT_ONCE: Final = 500
_FOLLOW_UP: Final = FollowUp()
_NEXT_STEPS: Final = NextSteps()


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as somebody has seen it."""

    id: int
    revision: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The next step that a worker chose instead of the proposed one; `kind` None: nothing."""

    kind: TaskKind | None
    due_at: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One try at a task, as recorded. `form` is drawn by the page: sent twice it counts once."""

    outcome: TaskOutcome
    form: str
    answers: Answers = field(default=Answers(), repr=False)
    choice: Choice | None = None
    also: bool = False  # beside what a colleague has recorded meanwhile


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an entry."""

    task: Task
    outcome: TaskOutcome
    step: Step | None = None
    again: bool = False  # it had arrived before


async def next_steps(session: AsyncSession, now: int) -> NextSteps:
    """The rules for what follows an outcome, as they are in force."""
    day = vietnam_day(now).isoformat()
    return (await rulebook.in_force(session, "next-steps", _NEXT_STEPS, day))[1]


async def follow_up_rules(session: AsyncSession, now: int) -> FollowUp:
    """The rules for what cases and contacts are owed, as they are in force."""
    day = vietnam_day(now).isoformat()
    return (await rulebook.in_force(session, "follow-up", _FOLLOW_UP, day))[1]


# --- what the rules want -----------------------------------------------------------------
async def follow_up(session: AsyncSession, now: int, person_ids: Iterable[int]) -> int:
    """Make, reopen and stop tasks of these people so that they are as the rules want them.

    Call it whenever a rank or a case changed; again changes nothing. Returns how many tasks
    changed.
    """
    ids = sorted(set(person_ids))
    changed = 0
    for start in range(0, len(ids), _PEOPLE_AT_ONCE):
        changed += await _follow_up(session, now, ids[start : start + _PEOPLE_AT_ONCE])
    return changed


async def _follow_up(session: AsyncSession, now: int, ids: Sequence[int]) -> int:
    wanted_by = await follow_up_rules(session, now)
    _version, ranked_by = await contacts.rules_in_use(session)
    units = await register.unmerged_units_of(session, ids)
    ranks = await contacts.ranks_of(session, ids)
    tasks: dict[int, list[Task]] = {}
    for one in await session.scalars(
        select(Task)
        .where(Task.person_id.in_(ids), Task.made_by.is_not(None))
        .execution_options(populate_existing=True)
    ):
        tasks.setdefault(one.person_id, []).append(one)
    fresh: list[tuple[dict[str, Any], int | None]] = []
    opened: dict[int, int] = {}
    stopped: dict[int, Stop] = {}
    for person_id in ids:
        mine = tasks.get(person_id, [])
        rank = ranks.get(person_id) if person_id in units else None
        plan = planning.plan(
            wanted_by, _followed(rank, ranked_by.follow_up_days), [_made(one) for one in mine], now
        )
        usual = _usual_worker(mine)
        fresh += [
            (
                {
                    "kind": one.kind.value,
                    "person_id": person_id,
                    "unit": units[person_id],
                    "due_at": one.due_at,
                    "made_by": f"{one.kind.value}:{person_id}:{one.occasion}",
                },
                usual,
            )
            for one in plan.make
        ]
        opened.update(plan.reopen)
        stopped.update(plan.stop)
    if stopped or opened:
        await locks.hold_tasks(session, Task.id.in_([*stopped, *opened]))
    for task_id, stop in stopped.items():
        await records.close(session, task_id, TaskState.CANCELLED, stop.value, now)
        records.note_event(session, task_id, EventKind.CANCELLED, now, facts={"why": stop.value})
    for task_id, due_at in opened.items():
        await records.reopen(session, task_id, due_at)
        records.note_event(session, task_id, EventKind.REOPENED, now)
    await records.make(session, fresh, now)
    return len(fresh) + len(opened) + len(stopped)


async def ask(
    session: AsyncSession,
    *,
    kind: TaskKind,
    person_id: int,
    unit: str,
    due_at: int,
    made_by: str,
    now: int,
) -> None:
    """Another duty wants something done; `made_by` says which occasion, and asks for it once."""
    values = {
        "kind": kind.value,
        "person_id": person_id,
        "unit": unit,
        "due_at": due_at,
        "made_by": made_by,
    }
    await records.make(session, [(values, None)], now)


async def add(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    kind: TaskKind,
    person_id: int,
    due_at: int,
    note: str,
) -> Task:
    """A task made by hand, for a person within the staff member's scope. Raises Refused."""
    now = services.now
    person = await register.get(session, staff.scope, person_id)
    _check_due(due_at, now)
    task = Task(
        kind=kind.value,
        person_id=person.id,
        unit=person.unit,
        team_id=None,
        assignee_id=staff.account_id,
        assignee_name=staff.name,
        state=TaskState.OPEN.value,
        due_at=due_at,
        made_by=None,
        created_at=now,
        closed_at=None,
        outcome=None,
        tries=0,
        revision=0,
    )
    session.add(task)
    await session.flush()
    await records.record(session, services, staff, task, EventKind.MADE, answers=Answers(note=note))
    return task


# --- who does it -------------------------------------------------------------------------
async def get(session: AsyncSession, scope: Scope, task_id: int) -> Task:
    """A task of a unit within scope. Raises Refused (404), also for one beyond it."""
    task = await session.get(Task, task_id)
    if task is None or not scope.covers(task.unit):
        raise Refused(404, "task-unknown", _("There is no such task in your units."))
    return task


async def take(session: AsyncSession, services: Services, staff: Staff, seen: Seen) -> Task:
    """The staff member does it. Raises Refused: 404, 409 when it has changed since."""
    task = await get(session, staff.scope, seen.id)
    me = {"assignee_id": staff.account_id, "assignee_name": staff.name}
    await records.change(session, task, seen.revision, me)
    await records.record(session, services, staff, task, EventKind.TAKEN)
    return task


async def assign(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    tasks: Sequence[Seen],
    to: Colleague | Team,
) -> tuple[int, int]:
    """Give tasks to a worker, or round a team. Returns how many, and how many had changed since.

    Raises Refused: 404 for a task beyond scope, 422 for somebody who would not see it.
    """
    rows = {one.id: await get(session, staff.scope, one.id) for one in tasks}
    for task in rows.values():
        if not Scope((to.unit,)).covers(task.unit):
            raise teams.not_for_unit()
    await locks.hold_tasks(session, Task.id.in_(rows))  # not in the order in which they were ticked
    valid = [one for one in tasks if await records.is_as_seen(session, rows[one.id], one.revision)]
    if isinstance(to, Team):
        usual = [await _last_worker(session, rows[one.id].person_id) for one in valid]
        members = await teams.whose_turn(session, to.id, usual)
        if valid and not members:
            raise Refused(422, "team-empty", _("This team has no members yet."))
        who = [(one.account_id, one.account_name) for one in members]
    else:
        who = [(to.account_id, to.name)] * len(valid)
    for one, (account_id, name) in zip(valid, who, strict=True):
        values = {
            "assignee_id": account_id,
            "assignee_name": name,
            "team_id": to.id if isinstance(to, Team) else rows[one.id].team_id,
        }
        await records.change(session, rows[one.id], one.revision, values)
        await records.record(
            session, services, staff, rows[one.id], EventKind.ASSIGNED, facts={"to": name}
        )
    return len(valid), len(tasks) - len(valid)


async def release_tasks_of(session: AsyncSession, account_id: int, now: int) -> int:
    """Somebody leaves for good: their open tasks are free again, their teams without them.

    Where an automatic team takes what is new, it takes these too. Returns how many.
    """
    theirs = (records.IS_OPEN, Task.assignee_id == account_id)
    await locks.hold_tasks(session, *theirs)
    await teams.forget_member(session, account_id)
    freed = list(
        await session.scalars(
            update(Task)
            .where(*theirs)
            .values(assignee_id=None, assignee_name=None, revision=Task.revision + 1)
            .returning(Task)
            .execution_options(populate_existing=True)
        )
    )
    for task in freed:
        records.note_event(session, task.id, EventKind.RELEASED, now)
    await records.hand_out(session, [(task, None) for task in freed], now)
    return len(freed)


async def hand_over(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    seen: Seen,
    *,
    to_unit: str,
    reason: str,
) -> Task:
    """Give a task to another unit (a code or path), with the person's record for as long as the
    task is there. Raises Refused: 404, 409, 422."""
    task = await get(session, staff.scope, seen.id)
    unit = unit_named(to_unit.strip()).path
    reason = reason.strip()
    if unit == task.unit:
        raise Refused(422, "handover-unit", _("The task is with this unit already."))
    if len(reason) < 3:
        raise Refused(422, "handover-reason", _("Please say why: the other unit reads it."))
    if await people.units_without_staff(session, [unit]):
        raise Refused(422, "handover-nobody", _("No health worker looks after this unit yet."))
    before = task.unit
    await records.change(
        session,
        task,
        seen.revision,
        {"unit": unit, "assignee_id": None, "assignee_name": None, "team_id": None},
    )
    event = await records.record(
        session,
        services,
        staff,
        task,
        EventKind.HANDED_OVER,
        facts={"from": before, "to": unit},
        answers=Answers(note=reason[:2000]),
    )
    session.add(
        TaskHandover(
            task_id=task.id, event_id=event.id, from_unit=before, to_unit=unit, at=services.now
        )
    )
    await records.hand_out(session, [(task, None)], services.now)
    await session.flush()
    return task


async def cancel(
    session: AsyncSession, services: Services, staff: Staff, seen: Seen, *, reason: str
) -> Task:
    """Nobody needs to do it; the rules do not ask for it again. Raises Refused: 404, 409, 422."""
    task = await get(session, staff.scope, seen.id)
    if len(reason.strip()) < 3:
        raise Refused(422, "cancel-reason", _("Please say why it is not needed."))
    await records.change(
        session,
        task,
        seen.revision,
        {
            "state": TaskState.CANCELLED.value,
            "outcome": Stop.BY_HAND.value,
            "closed_at": services.now,
        },
    )
    await records.record(
        session,
        services,
        staff,
        task,
        EventKind.CANCELLED,
        facts={"why": Stop.BY_HAND.value},
        answers=Answers(note=reason.strip()[:2000]),
    )
    return task


# --- how it went -------------------------------------------------------------------------
async def done(
    session: AsyncSession, services: Services, staff: Staff, seen: Seen, entry: Entry
) -> Recorded:
    """Record an outcome and what follows from it. The same `form` again changes nothing.

    Raises Refused: 404; 409 when a colleague was faster (then `also` records it beside theirs);
    422 for an outcome that such a task cannot have.
    """
    task = await get(session, staff.scope, seen.id)
    if await records.has_form(session, task, staff, entry.form):
        return Recorded(task, entry.outcome, again=True)
    kind = TaskKind(task.kind)
    outcome = rules.outcome_of(entry.outcome, entry.answers)
    if outcome not in rules.OUTCOMES[kind] and entry.outcome in rules.OUTCOMES[kind]:
        outcome = entry.outcome  # an interview of somebody ill is still an interview
    if outcome not in rules.OUTCOMES[kind]:
        raise Refused(422, "outcome-unknown", _("A task of this kind cannot end like this."))
    step = await _step(session, services, task, outcome, entry.choice)
    if step and not step.again:
        await locks.hold_tasks(session, (Task.id == task.id) | _is_next(task, step))
    late = entry.also and not await records.is_as_seen(session, task, seen.revision)
    if late and task.state != TaskState.OPEN.value:
        event, step = EventKind.ALSO, None if step and step.again else step
    else:
        revision = task.revision if late else seen.revision
        try:
            event = await _finish(session, services, staff, task, revision, outcome, step)
        except Refused:
            # The same form may have come at the same moment by another connection.
            if await records.has_form(session, task, staff, entry.form):
                return Recorded(task, outcome, again=True)
            raise
    facts: dict[str, Any] = {"outcome": outcome.value}
    if step:
        facts |= {"next": step.kind.value, "due": step.due_at}
    if step and not step.again:
        await _make_next(session, services, staff, task, step)
    await records.record(
        session, services, staff, task, event, facts=facts, answers=entry.answers, form=entry.form
    )
    return Recorded(task, outcome, step)


async def _finish(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    task: Task,
    revision: int,
    outcome: TaskOutcome,
    step: Step | None,
) -> EventKind:
    tries = task.tries + rules.is_failed_try(TaskKind(task.kind), outcome)
    values: dict[str, Any] = {"tries": tries, "outcome": outcome.value}
    if task.assignee_id is None:
        values |= {"assignee_id": staff.account_id, "assignee_name": staff.name}
    if step and step.again:
        await records.change(session, task, revision, {**values, "due_at": step.due_at})
        return EventKind.TRIED
    values |= {"state": TaskState.DONE.value, "closed_at": services.now}
    await records.change(session, task, revision, values)
    return EventKind.DONE


async def _step(
    session: AsyncSession,
    services: Services,
    task: Task,
    outcome: TaskOutcome,
    choice: Choice | None,
) -> Step | None:
    steps, kind = await next_steps(session, services.now), TaskKind(task.kind)
    proposed = rules.next_step(steps, kind, outcome, tries=task.tries, now=services.now)
    if choice is None:
        return proposed
    if choice.kind is None:
        return None
    due_at = choice.due_at or rules.usual_due(steps, choice.kind, services.now)
    _check_due(due_at, services.now)
    return Step(choice.kind, due_at, again=choice.kind is kind)


def _is_next(task: Task, step: Step) -> ColumnElement[bool]:
    return (Task.person_id == task.person_id) & records.IS_OPEN & (Task.kind == step.kind.value)


async def _make_next(
    session: AsyncSession, services: Services, staff: Staff, task: Task, step: Step
) -> None:
    """The next task, or an open one of its kind for the person, sooner."""
    there = await session.scalar(
        select(Task).where(_is_next(task, step)).order_by(Task.due_at).limit(1)
    )
    if there is not None:
        await session.execute(
            update(Task)
            .where(Task.id == there.id, records.IS_OPEN, Task.due_at > step.due_at)
            .values(due_at=step.due_at, revision=Task.revision + 1)
        )
        return
    rule = planning.NEXT_OF_CASE if _is_of_case(task) else planning.NEXT_OF_CONTACT
    values = {
        "kind": step.kind.value,
        "person_id": task.person_id,
        "unit": task.unit,
        "due_at": step.due_at,
        "made_by": f"{rule}:{task.person_id}:{task.id}.{task.revision}",
        "assignee_id": staff.account_id,
        "assignee_name": staff.name,
        "team_id": task.team_id,
    }
    await records.make(session, [(values, None)], services.now)


# --- merged records ----------------------------------------------------------------------
async def move_person(session: AsyncSession, from_id: int, to_id: int, now: int) -> list[int]:
    """Two records were one: the tasks of `from_id` are those of `to_id`, without doubles.

    Returns the ids moved; `move_back` undoes it. Call `follow_up` for both afterwards.
    """
    there = {
        one.kind
        for one in await session.scalars(
            select(Task).where(Task.person_id == to_id, records.IS_OPEN)
        )
    }
    moved = list(
        await session.scalars(select(Task).where(Task.person_id == from_id).order_by(Task.id))
    )
    for task in moved:
        await session.execute(
            update(Task)
            .where(Task.id == task.id)
            .values(person_id=to_id, revision=Task.revision + 1)
        )
        records.note_event(session, task.id, EventKind.MOVED, now)
        if task.state == TaskState.OPEN.value and task.kind in there:
            await records.close(session, task.id, TaskState.CANCELLED, Stop.DOUBLE.value, now)
            records.note_event(
                session, task.id, EventKind.CANCELLED, now, facts={"why": Stop.DOUBLE.value}
            )
    await session.flush()
    return [task.id for task in moved]


async def move_back(session: AsyncSession, task_ids: Sequence[int], to_id: int, now: int) -> None:
    """Undo `move_person`: these tasks are those of `to_id` again, doubles open again."""
    for task in await session.scalars(
        select(Task).where(Task.id.in_(list(task_ids))).order_by(Task.id)
    ):
        await session.execute(
            update(Task)
            .where(Task.id == task.id)
            .values(person_id=to_id, revision=Task.revision + 1)
        )
        records.note_event(session, task.id, EventKind.MOVED, now)
        if task.outcome == Stop.DOUBLE.value:
            await records.reopen(session, task.id, task.due_at)
            records.note_event(session, task.id, EventKind.REOPENED, now)
    await session.flush()


# --- inside ------------------------------------------------------------------------------
async def _last_worker(session: AsyncSession, person_id: int) -> int | None:
    return await session.scalar(
        select(Task.assignee_id)
        .where(Task.person_id == person_id, Task.assignee_id.is_not(None))
        .order_by(Task.id.desc())
        .limit(1)
    )


def _usual_worker(tasks: Iterable[Task]) -> int | None:
    had = [one for one in tasks if one.assignee_id is not None]
    return max(had, key=lambda one: one.id).assignee_id if had else None


def _followed(rank: contacts.RankRow | None, days: int) -> Followed:
    if rank is None:
        return Followed(None, None, days)
    day = rank.last_exposed_on
    return Followed(rank.rank, dt.date.fromisoformat(day) if day else None, days)


def _made(task: Task) -> Made:
    rule, _person, occasion = f"{task.made_by}::".split(":", 2)
    occasion = occasion.rstrip(":")
    state = TaskState(task.state)
    return Made(
        id=task.id,
        kind=TaskKind(task.kind),
        rule=rule,
        occasion=occasion,
        state=state,
        made_on=vietnam_day(task.created_at),
        closed_on=vietnam_day(task.closed_at) if task.closed_at is not None else None,
        stop=Stop(task.outcome) if state is TaskState.CANCELLED and task.outcome else None,
    )


def _is_of_case(task: Task) -> bool:
    return records.rule_of(task) in (TaskKind.INTERVIEW.value, planning.NEXT_OF_CASE)


def _check_due(due_at: int, now: int) -> None:
    if not now - 86400 <= due_at <= now + 60 * 86400:
        raise Refused(422, "due", _("Please give a time from today on, at most 60 days ahead."))
