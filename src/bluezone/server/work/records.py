"""How tasks and their history are written: every change in one of these few ways. None commits."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.sealing import Sealer
from bluezone.server.work import teams
from bluezone.server.work.rules import Answers, EventKind, TaskState
from bluezone.server.work.tables import Task, TaskEvent
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _

# Written out, because the indexes of open tasks serve no query that leaves the state open.
IS_OPEN: Final = Task.state == literal_column("'open'")
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NOBODY: Final = (0, "")  # the service itself
_NOTE: Final = b"task-note"
_ANSWERS: Final = msgspec.msgpack.Decoder(Answers)


def sealer(secrets_folder: Path) -> Sealer:
    """Seals what workers write. Raises KeyUnavailable."""
    return Sealer(secrets_folder, "work")


async def make(
    session: AsyncSession, fresh: Sequence[tuple[dict[str, Any], int | None]], now: int
) -> None:
    """Insert what is not there yet (`made_by`), with its history, and give it to a team."""
    if not fresh:
        return
    usual = {values["made_by"]: worker for values, worker in fresh}
    whole = {
        "team_id": None,
        "assignee_id": None,
        "assignee_name": None,
        "state": TaskState.OPEN.value,
        "created_at": now,
        "closed_at": None,
        "outcome": None,
        "tries": 0,
        "revision": 0,
    }
    made = list(
        await session.scalars(
            upsert(session, Task)
            .on_conflict_do_nothing(index_elements=[Task.made_by])
            .returning(Task),
            [whole | values for values, _worker in fresh],
        )
    )
    for task in made:
        note_event(session, task.id, EventKind.MADE, now, facts={"rule": rule_of(task)})
    free = [(one, usual[one.made_by or ""]) for one in made if one.assignee_id is None]
    await hand_out(session, free, now)
    await session.flush()


async def hand_out(
    session: AsyncSession, tasks: Sequence[tuple[Task, int | None]], now: int
) -> None:
    """What nobody has goes round the automatic teams of its units."""
    team_of = await teams.automatic_for(session, (task.unit for task, _usual in tasks))
    by_team: dict[int, list[tuple[Task, int | None]]] = {}
    for task, usual in tasks:
        if task.unit in team_of:
            by_team.setdefault(team_of[task.unit], []).append((task, usual))
    for team_id, mine in sorted(by_team.items()):  # in one order, lest two wait for each other
        members = await teams.whose_turn(session, team_id, [usual for _task, usual in mine])
        for (task, _usual), member in zip(mine, members, strict=False):
            await session.execute(
                update(Task)
                .where(Task.id == task.id, IS_OPEN, Task.assignee_id.is_(None))
                .values(
                    team_id=team_id,
                    assignee_id=member.account_id,
                    assignee_name=member.account_name,
                )
            )
            note_event(session, task.id, EventKind.ASSIGNED, now, facts={"to": member.account_name})


async def change(
    session: AsyncSession, task: Task, revision: int, values: Mapping[str, Any]
) -> None:
    """Change an open task that is as it was seen. Raises Refused (409), saying who was faster."""
    changed = await session.scalar(
        update(Task)
        .where(Task.id == task.id, IS_OPEN, Task.revision == revision)
        .values(**values, revision=Task.revision + 1)
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    )
    await session.refresh(task)
    if changed is None:
        raise await _changed_by(session, task)


async def _changed_by(session: AsyncSession, task: Task) -> Refused:
    last = await session.scalar(
        select(TaskEvent).where(TaskEvent.task_id == task.id).order_by(TaskEvent.id.desc()).limit(1)
    )
    kind = EventKind(last.kind) if last else None
    if last is None or kind not in _FASTER:
        return Refused(
            409, "task-changed", _("This task has changed since you opened it. Please look again.")
        )
    return Refused(
        409,
        "task-changed",
        _FASTER[kind],
        name=last.account_name or "Bluezone",
        time=vietnam_time(last.at).strftime("%H:%M %d/%m"),
    )


_FASTER: Final[dict[EventKind | None, str]] = {
    EventKind.TAKEN: _("{name} has taken this task meanwhile, at {time}."),
    EventKind.ASSIGNED: _("{name} has assigned this task meanwhile, at {time}."),
    EventKind.TRIED: _("{name} has recorded a try at this task meanwhile, at {time}."),
    EventKind.DONE: _("{name} has completed this task meanwhile, at {time}."),
    EventKind.ALSO: _("{name} has completed this task meanwhile, at {time}."),
    EventKind.CANCELLED: _("{name} has cancelled this task meanwhile, at {time}."),
    EventKind.HANDED_OVER: _("{name} has handed this task over meanwhile, at {time}."),
}


async def is_as_seen(session: AsyncSession, task: Task, revision: int) -> bool:
    """Whether it is open and of that revision; holds it until the transaction ends."""
    await session.refresh(task, with_for_update=True)
    return task.state == TaskState.OPEN.value and task.revision == revision


async def close(
    session: AsyncSession, task_id: int, state: TaskState, outcome: str, now: int
) -> None:
    """End an open task."""
    await session.execute(
        update(Task)
        .where(Task.id == task_id, IS_OPEN)
        .values(state=state.value, outcome=outcome, closed_at=now, revision=Task.revision + 1)
    )


async def reopen(session: AsyncSession, task_id: int, due_at: int) -> None:
    """A cancelled task is wanted again."""
    await session.execute(
        update(Task)
        .where(Task.id == task_id, Task.state == TaskState.CANCELLED.value)
        .values(
            state=TaskState.OPEN.value,
            outcome=None,
            closed_at=None,
            due_at=due_at,
            revision=Task.revision + 1,
        )
    )


async def has_form(session: AsyncSession, task: Task, staff: Staff, form: str) -> bool:
    """Whether an entry of this number has arrived. Raises Refused (422) for no number."""
    if not _FORM.fullmatch(form):
        raise Refused(422, "form-unknown", _("The form has no number. Please open the page again."))
    event = await session.scalar(select(TaskEvent).where(TaskEvent.form == form))
    if event is None:
        return False
    if event.task_id != task.id or event.account_id != staff.account_id:
        raise Refused(422, "form-unknown", _("The form has no number. Please open the page again."))
    return True


def note_event(
    session: AsyncSession,
    task_id: int,
    kind: EventKind,
    now: int,
    *,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """A line of history by the service itself."""
    account_id, name = _NOBODY
    session.add(
        TaskEvent(
            task_id=task_id,
            at=now,
            kind=kind.value,
            account_id=account_id,
            account_name=name,
            facts=msgspec.json.encode(facts or {}).decode(),
            note=None,
            form=None,
        )
    )


async def record(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    task: Task,
    kind: EventKind,
    *,
    facts: Mapping[str, Any] | None = None,
    answers: Answers | None = None,
    form: str | None = None,
) -> TaskEvent:
    """A line of history by a member of staff, in the audit too."""
    note = None
    if answers:
        key = sealer(services.settings.secrets_folder)
        note = key.seal(msgspec.msgpack.encode(answers), _NOTE, str(task.id).encode())
    event = TaskEvent(
        task_id=task.id,
        at=services.now,
        kind=kind.value,
        account_id=staff.account_id,
        account_name=staff.name,
        facts=msgspec.json.encode(facts or {}).decode(),
        note=note,
        form=form,
    )
    session.add(event)
    await session.flush()
    action = Action.ADD if kind is EventKind.MADE else Action.CHANGE
    if kind in (EventKind.ASSIGNED, EventKind.TAKEN, EventKind.HANDED_OVER):
        action = Action.ASSIGN
    await audit.record(
        session,
        services,
        staff,
        action,
        subject=f"task:{task.id}",
        purpose=Purpose.TASK,
        detail=kind.value,
    )
    return event


def answers_of(key: Sealer, event: TaskEvent) -> Answers | None:
    """What was said and written, opened."""
    if event.note is None:
        return None
    return _ANSWERS.decode(key.open(event.note, _NOTE, str(event.task_id).encode()))


def rule_of(task: Task) -> str:
    """Which rule made a task; empty: a person did."""
    return (task.made_by or "").partition(":")[0]
