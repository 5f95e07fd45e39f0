"""Worklists and tasks as JSON, for programs."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from bluezone.protocol.unprintable import Unprintable
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts
from bluezone.server.errors import Refused
from bluezone.server.people import service as people
from bluezone.server.people.rules import StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.register.rules import Details
from bluezone.server.work import forms, lists, service, sheet, teams
from bluezone.server.work.lists import Due, Wish
from bluezone.server.work.rules import Answers, Step, TaskOutcome
from bluezone.server.work.service import Choice, Entry, Seen
from bluezone.server.work.tables import Task, Team
from bluezone.web.catalogue import _

router = APIRouter()


class TaskShown(msgspec.Struct, frozen=True, kw_only=True):
    """One task; nothing in it says who the person is."""

    task: int
    revision: int  # what a change has seen
    kind: str
    state: str
    outcome: str | None
    person: int
    unit: str
    assignee: str | None
    team: int | None
    due_at: int
    created_at: int
    closed_at: int | None
    tries: int


class ListAnswer(msgspec.Struct, frozen=True):
    """At most 50 tasks by due time; `next` goes into `after` for those beyond."""

    tasks: list[TaskShown]
    next: str


class OutcomeShown(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome that the task can have, and the step that the rules propose then."""

    outcome: str
    next: str | None
    due_at: int | None
    again: bool


class LineShown(Unprintable, frozen=True, kw_only=True):
    """One line of the history, the latest first."""

    at: int
    kind: str
    account: str
    facts: dict[str, Any]
    answers: Answers | None


class TaskAnswer(Unprintable, frozen=True, kw_only=True):
    """One task, opened."""

    task: TaskShown
    person: Details
    rank: int | None
    household: list[int]
    outcomes: list[OutcomeShown]
    history: list[LineShown]


class EntryRequest(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An outcome. `form`: 16 to 64 characters drawn by the program; the same again counts once.

    `next`: a kind of task instead of the proposed one, or "none".
    """

    seen: int
    form: str
    outcome: TaskOutcome
    answers: Answers = Answers()
    next: str = ""
    due_at: int = 0
    also: bool = False


class EntryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, and what follows. `again`: it had arrived before."""

    outcome: str
    next: str | None
    due_at: int | None
    again: bool


class TakeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signed-in member of staff does it."""

    seen: int


class CancelRequest(Unprintable, frozen=True, forbid_unknown_fields=True):
    """It is not needed."""

    seen: int
    reason: str


class HandOverRequest(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Another unit (its code) shall do it."""

    seen: int
    unit: str
    reason: str


class SeenTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task as a list gave it."""

    task: int
    seen: int


class AssignRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To an account by name, or round a team."""

    tasks: list[SeenTask]
    to: str = ""
    team: int = 0


class AssignAnswer(msgspec.Struct, frozen=True):
    """How many were given, and how many somebody else had changed."""

    assigned: int
    changed: int


@router.get("/v1/staff/tasks")
@allows(StaffRole.HEALTH_WORKER)
async def tasks(
    services: Parts,
    staff: SignedIn,
    view: str = "mine",
    unit: str = "",
    team: int = 0,
    kind: str = "",
    due: str = "",
    person: int = 0,
    after: str = "",
) -> Response:
    """Open tasks of mine, of a `unit` (view=unit), of a team (view=team); or all of a person."""
    async with services.database.read() as session:
        if person:
            rows = await lists.of_person(session, staff.scope, person)
            return json_answer(ListAnswer([_shown(one) for one in rows], ""))
        if due and due not in tuple(Due):
            raise Refused(422, "due-unknown", _("There is nothing like that."))
        wish = Wish(
            Scope((unit,)) if unit else staff.scope,
            assignee=staff.account_id if view == "mine" else None,
            team=team if view == "team" else None,
            kind=forms.kind_named(kind) if kind else None,
            due=Due(due) if due else None,
        )
        if unit and not staff.scope.covers(unit):
            raise Refused(404, "unit-not-yours", _("This unit is not one of yours."))
        rows, beyond = await lists.page(session, wish, now=services.now, after=after)
    return json_answer(ListAnswer([_shown(one) for one in rows], beyond))


@router.post("/v1/staff/tasks/assign")
@allows(StaffRole.HEALTH_WORKER)
async def assign(request: Request, services: Parts, staff: SignedIn) -> Response:
    body = await read_json(request, AssignRequest)
    async with services.database.transaction() as session:
        seen = [Seen(forms.task_id(str(one.task)), one.seen) for one in body.tasks]
        first = await service.get(session, staff.scope, seen[0].id) if seen else None
        if first is None:
            raise Refused(422, "tasks-missing", _("Please tick the tasks first."))
        whom: Team | people.Colleague | None
        if body.team:
            whom = await teams.get(session, staff.scope, body.team)
        else:
            whom = await people.health_worker_named(session, body.to, first.unit)
        if whom is None:
            raise teams.not_for_unit()
        given, changed = await service.assign(session, services, staff, seen, whom)
    return json_answer(AssignAnswer(given, changed))


@router.get("/v1/staff/tasks/{task}")
@allows(StaffRole.HEALTH_WORKER)
async def task_opened(services: Parts, staff: SignedIn, task: str) -> Response:
    """One task with whom it concerns: a look, as on the page."""
    async with services.database.transaction() as session:
        found = await sheet.open_sheet(session, services, staff, forms.task_id(task))
    return json_answer(
        TaskAnswer(
            task=_shown(found.task),
            person=found.details,
            rank=found.rank,
            household=[one.person.id for one in found.household],
            outcomes=[
                OutcomeShown(outcome=one.value, again=bool(step and step.again), **_step(step))
                for one, step in found.steps.items()
            ],
            history=[
                LineShown(
                    at=one.event.at,
                    kind=one.event.kind,
                    account=one.event.account_name,
                    facts=one.facts,
                    answers=one.answers,
                )
                for one in found.history
            ],
        )
    )


@router.post("/v1/staff/tasks/{task}/entries")
@allows(StaffRole.HEALTH_WORKER)
async def add_entry(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    body = await read_json(request, EntryRequest)
    choice = forms.choice(body.next, "")
    if choice and choice.kind and body.due_at:
        choice = Choice(choice.kind, body.due_at)
    entry = Entry(body.outcome, body.form, body.answers, choice, body.also)
    async with services.database.transaction() as session:
        seen = Seen(forms.task_id(task), body.seen)
        recorded = await service.done(session, services, staff, seen, entry)
    return json_answer(
        EntryAnswer(outcome=recorded.outcome.value, again=recorded.again, **_step(recorded.step))
    )


@router.post("/v1/staff/tasks/{task}/take")
@allows(StaffRole.HEALTH_WORKER)
async def take(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    body = await read_json(request, TakeRequest)
    async with services.database.transaction() as session:
        await service.take(session, services, staff, Seen(forms.task_id(task), body.seen))
    return Response(status_code=204)


@router.post("/v1/staff/tasks/{task}/cancel")
@allows(StaffRole.HEALTH_WORKER)
async def cancel(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    body = await read_json(request, CancelRequest)
    async with services.database.transaction() as session:
        seen = Seen(forms.task_id(task), body.seen)
        await service.cancel(session, services, staff, seen, reason=body.reason)
    return Response(status_code=204)


@router.post("/v1/staff/tasks/{task}/hand-over")
@allows(StaffRole.HEALTH_WORKER)
async def hand_over(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    body = await read_json(request, HandOverRequest)
    async with services.database.transaction() as session:
        seen = Seen(forms.task_id(task), body.seen)
        await service.hand_over(
            session, services, staff, seen, to_unit=body.unit, reason=body.reason
        )
    return Response(status_code=204)


def _shown(task: Task) -> TaskShown:
    return TaskShown(
        task=task.id,
        revision=task.revision,
        kind=task.kind,
        state=task.state,
        outcome=task.outcome,
        person=task.person_id,
        unit=task.unit,
        assignee=task.assignee_name,
        team=task.team_id,
        due_at=task.due_at,
        created_at=task.created_at,
        closed_at=task.closed_at,
        tries=task.tries,
    )


def _step(step: Step | None) -> dict[str, Any]:
    return {"next": step.kind.value if step else None, "due_at": step.due_at if step else None}
