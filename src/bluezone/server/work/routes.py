"""Worklists and call sheets, as pages."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused, refusal_response
from bluezone.server.pages import page, public_page, sentence
from bluezone.server.people import service as people
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.people.service import Colleague
from bluezone.server.places.units import full_name, unit
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.server.work import forms, lists, records, rules, service, sheet, teams
from bluezone.server.work.lists import Amount, Counts, Due, Wish
from bluezone.server.work.rules import TaskKind, TaskState
from bluezone.server.work.tables import Task, Team
from bluezone.web.catalogue import LANGUAGES, _, translate
from bluezone.web.pages import STATIC

router = APIRouter()
_VIEWS: Final = ("mine", "team", "unit", "given")
_WORDS: Final[dict[str, Any]] = {
    "kind_words": rules.KIND_WORDS,
    "outcome_words": rules.OUTCOME_WORDS,
    "event_words": rules.EVENT_WORDS,
    "stop_words": rules.STOP_WORDS,
    "symptom_words": rules.SYMPTOM_WORDS,
}


# --- lists -------------------------------------------------------------------------------
@router.get("/staff/tasks")
@allows(StaffRole.HEALTH_WORKER)
async def work_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    view: str = "mine",
    team: str = "",
    unit: str = "",
    kind: str = "",
    due: str = "",
    free: str = "",
    after: str = "",
    recorded: str = "",
    given: str = "",
    changed: str = "",
) -> Response:
    """The list. `recorded` names a task just worked on, `given` and `changed` count what was
    assigned: what is said of a task is read from the task itself."""
    return await _list(
        request,
        services,
        staff,
        {
            "view": view if view in _VIEWS else "mine",
            "team": team,
            "unit": unit,
            "kind": kind if kind in tuple(TaskKind) else "",
            "due": due if due in tuple(Due) else "",
            "free": "yes" if free else "",
            "after": after,
        },
        recorded=recorded,
        given=given if given.isdigit() else "",
        changed=changed if changed.isdigit() else "",
    )


@router.post("/staff/tasks/assign")
@allows(StaffRole.HEALTH_WORKER)
async def assign(request: Request, services: Parts, staff: SignedIn) -> Response:
    """Give what was ticked to somebody, or round a team."""
    form = await request.form()
    asked = {
        name: str(form.get(name, "")) for name in ("view", "team", "unit", "kind", "due", "free")
    }
    to, name = str(form.get("to", "")), str(form.get("name", "")).strip()
    try:
        tasks = forms.several([str(one) for one in form.getlist("tasks")])
        if not tasks:
            raise Refused(422, "tasks-missing", _("Please tick the tasks first."))
        async with services.database.transaction() as session:
            first = await service.get(session, staff.scope, tasks[0].id)
            whom = await _whom(session, staff, to, name, first.unit)
            given, changed = await service.assign(session, services, staff, tasks, whom)
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _list(
            request,
            services,
            staff,
            {**asked, "after": ""},
            refused=refused,
            ticked=[str(one) for one in form.getlist("tasks")],
            name=name,
        )
    kept = "&".join(f"{one}={value}" for one, value in asked.items() if value and value.isascii())
    return RedirectResponse(f"/staff/tasks?{kept}&given={given}&changed={changed}", 303)


async def _whom(session: Any, staff: Staff, to: str, name: str, at_unit: str) -> Colleague | Team:
    if to.startswith("team:"):
        return await teams.get(session, staff.scope, forms.task_id(to.removeprefix("team:")))
    if to == "me":
        name = staff.name
    elif to:
        name = to.removeprefix("account:")
    found = await people.health_worker_named(session, name, at_unit)
    if found is None:
        raise teams.not_for_unit()
    return found


async def _list(
    request: Request,
    services: Services,
    staff: Staff,
    asked: dict[str, str],
    *,
    refused: Refused | None = None,
    ticked: Sequence[str] = (),
    name: str = "",
    recorded: str = "",
    given: str = "",
    changed: str = "",
) -> Response:
    now = services.now
    async with services.database.transaction() as session:
        my_teams = await teams.of_member(session, staff.account_id)
        in_scope = await teams.of_scope(session, staff.scope)
        wish, chosen_team, chosen_unit = _wish(
            staff, asked, my_teams, [one.team for one in in_scope]
        )
        rows: list[Task] = []
        beyond, counts, away = "", Counts(), []
        if asked["view"] == "given":
            away = await lists.given_away(session, staff.scope)
        elif asked["view"] != "team" or chosen_team:
            rows, beyond = await lists.page(session, wish, now=now, after=asked["after"])
            below = chosen_unit if asked["view"] == "unit" else ""
            counts = await lists.recent_counts(session, services, wish, below=below)
        details = await register.details_unscoped(
            session,
            Register.open(services.settings.secrets_folder),
            [one.person_id for one in rows],
        )
        last = await _recorded(session, staff, recorded)
        colleagues = []
        if asked["view"] in ("unit", "team"):
            colleagues = await people.health_workers(
                session, within=Scope((chosen_unit,)), covering=chosen_unit, limit=100
            )
        if rows:
            # Whose names were on the page, so that it can be said who saw whom.
            await audit.record(
                session,
                services,
                staff,
                Action.LIST,
                purpose=Purpose.TASK,
                detail="persons " + " ".join(str(one.person_id) for one in rows),
            )
    return page(
        request,
        "work/list.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        asked=asked,
        sections=_sections(rows, now),
        details=details,
        counts=counts,
        amount=_amount(counts, asked["kind"]),
        beyond=beyond,
        my_teams=my_teams,
        teams=[one.team for one in in_scope],
        chosen_team=chosen_team,
        chosen_unit=chosen_unit,
        units=sorted(counts.by_unit.items()),
        colleagues=colleagues,
        away=away,
        ticked=set(ticked),
        name=name[:64],
        recorded=last,
        given=given,
        changed=changed,
        kinds=[one for one in TaskKind if one in counts.by_kind],
        address=_address(asked),
        local=vietnam_time,
        unit_of=unit,
        **_WORDS,
    )


def _wish(
    staff: Staff, asked: dict[str, str], mine: Sequence[Team], in_scope: Sequence[Team]
) -> tuple[Wish, Team | None, str]:
    kind = TaskKind(asked["kind"]) if asked["kind"] in tuple(TaskKind) else None
    due = Due(asked["due"]) if asked["due"] in tuple(Due) else None
    free = bool(asked["free"])
    if asked["view"] == "team":
        known = {str(one.id): one for one in (*in_scope, *mine)}
        team = known.get(asked["team"]) or (mine[0] if mine else None)
        if team is None and in_scope:
            team = in_scope[0]
        number = team.id if team else None
        wish = Wish(staff.scope, team=number, kind=kind, due=due, unassigned=free)
        return wish, team, team.unit if team else staff.scope.units[0]
    if asked["view"] == "unit":
        chosen = asked["unit"] or staff.scope.units[0]
        if unit(chosen) is None or not staff.scope.covers(chosen):
            raise Refused(404, "unit-not-yours", _("This unit is not one of yours."))
        return Wish(Scope((chosen,)), kind=kind, due=due, unassigned=free), None, chosen
    wish = Wish(staff.scope, assignee=staff.account_id, kind=kind, due=due)
    return wish, None, staff.scope.units[0]


def _sections(rows: Sequence[Task], now: int) -> list[tuple[Due, list[Task]]]:
    found: dict[Due, list[Task]] = {}
    for one in rows:
        found.setdefault(lists.when_due(one.due_at, now), []).append(one)
    return list(found.items())


def _amount(counts: Counts, kind: str) -> Amount:
    return counts.by_kind.get(TaskKind(kind), Amount()) if kind else counts.all


def _address(asked: dict[str, str]) -> Any:
    """For templates: the address of this list with some of what was asked changed."""

    def address(**changed: str) -> str:
        wanted = {**asked, "after": "", **changed}
        parts = [f"{name}={value}" for name, value in wanted.items() if value]
        return "/staff/tasks" + ("?" + "&".join(parts) if parts else "")

    return address


async def _recorded(session: Any, staff: Staff, recorded: str) -> Any:
    if not recorded:
        return None
    try:
        task = await service.get(session, staff.scope, forms.task_id(recorded))
    except Refused:
        return None
    events = await lists.history(session, task.id)
    return task if events and events[0].account_id == staff.account_id else None


# --- without a line ----------------------------------------------------------------------
@router.get("/staff/offline")
@public
async def offline_page(request: Request) -> Response:
    """What a browser keeps to show when it cannot reach us: the same for everybody."""
    return public_page(request, "work/offline.html")


@router.get("/staff/taskser.js")
@public
async def worker_script(_request: Request) -> Response:
    """A service worker for the pages of the staff alone: /staff itself and what is below."""
    headers = {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/staff"}
    return FileResponse(STATIC / "worker.js", headers=headers)


# --- one task ----------------------------------------------------------------------------
@router.get("/staff/tasks/new")
@allows(StaffRole.HEALTH_WORKER)
async def new_page(
    request: Request, services: Parts, staff: SignedIn, person: str = ""
) -> Response:
    return await _new_page(request, services, staff, person)


@router.post("/staff/tasks/new")
@allows(StaffRole.HEALTH_WORKER)
async def add(
    request: Request,
    services: Parts,
    staff: SignedIn,
    person: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    when: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """A task made by hand, for oneself."""
    try:
        async with services.database.transaction() as session:
            task = await service.add(
                session,
                services,
                staff,
                kind=forms.kind_named(kind),
                person_id=forms.task_id(person),
                due_at=forms.local_time(when),
                note=note.replace("\0", "").strip()[:2000],
            )
    except Refused as refused:
        if refused.status_code == 404:
            raise
        typed = {"kind": kind, "when": when, "note": note}
        return await _new_page(request, services, staff, person, refused, typed)
    return RedirectResponse(f"/staff/tasks/{task.id}", 303)


async def _new_page(
    request: Request,
    services: Services,
    staff: Staff,
    person: str,
    refused: Refused | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    async with services.database.transaction() as session:
        whom, details = await register.look(
            session, services, staff, forms.task_id(person), Purpose.TASK
        )
    usual = vietnam_time(rules.by_day(services.now + 2 * 3600)).strftime("%Y-%m-%dT%H:%M")
    return page(
        request,
        "work/new.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        person=whom,
        details=details,
        typed=typed or {"kind": TaskKind.CALL.value, "when": usual, "note": ""},
        kinds=[one for one in TaskKind if one is not TaskKind.CHECK_EVIDENCE],
        **_WORDS,
    )


@router.get("/staff/tasks/{task}")
@allows(StaffRole.HEALTH_WORKER)
async def sheet_page(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    return await _sheet_page(request, services, staff, forms.task_id(task))


@router.post("/staff/tasks/{task}")
@allows(StaffRole.HEALTH_WORKER)
async def record(request: Request, services: Parts, staff: SignedIn, task: str) -> Response:
    """An outcome. A script that sends what waited asks for JSON, everybody else gets a page."""
    form, number = await request.form(), forms.task_id(task)
    is_script = request.headers.get("accept") == "application/json"
    try:
        seen = forms.seen(task, str(form.get("seen", "")))
        async with services.database.transaction() as session:
            row = await service.get(session, staff.scope, number)
            entry = forms.entry(form, TaskKind(row.kind))
            await service.done(session, services, staff, seen, entry)
    except Refused as refused:
        if is_script:
            return refusal_response(refused)
        if refused.status_code == 404:
            raise
        return await _sheet_page(
            request,
            services,
            staff,
            number,
            refused,
            dict(form.multi_items()) | {"symptoms": form.getlist("symptoms")},
        )
    then = f"/staff/tasks?recorded={number}"
    return json_answer({"next": then}) if is_script else RedirectResponse(then, 303)


@router.post("/staff/tasks/{task}/take")
@allows(StaffRole.HEALTH_WORKER)
async def take(
    request: Request,
    services: Parts,
    staff: SignedIn,
    task: str,
    seen: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with services.database.transaction() as session:
            await service.take(session, services, staff, forms.seen(task, seen))
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _sheet_page(request, services, staff, forms.task_id(task), refused)
    return RedirectResponse(f"/staff/tasks/{forms.task_id(task)}", 303)


@router.post("/staff/tasks/{task}/hand-over")
@allows(StaffRole.HEALTH_WORKER)
async def hand_over(
    request: Request,
    services: Parts,
    staff: SignedIn,
    task: str,
    seen: Annotated[str, Form()] = "",
    unit: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with services.database.transaction() as session:
            await service.hand_over(
                session,
                services,
                staff,
                forms.seen(task, seen),
                to_unit=unit,
                reason=reason.replace("\0", ""),
            )
    except Refused as refused:
        if refused.status_code == 404:
            raise
        typed = {"unit": unit, "handover_reason": reason}
        return await _sheet_page(request, services, staff, forms.task_id(task), refused, typed)
    return RedirectResponse("/staff/tasks?view=given", 303)


@router.post("/staff/tasks/{task}/cancel")
@allows(StaffRole.HEALTH_WORKER)
async def cancel(
    request: Request,
    services: Parts,
    staff: SignedIn,
    task: str,
    seen: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with services.database.transaction() as session:
            await service.cancel(
                session,
                services,
                staff,
                forms.seen(task, seen),
                reason=reason.replace("\0", ""),
            )
    except Refused as refused:
        if refused.status_code == 404:
            raise
        typed = {"cancel_reason": reason}
        return await _sheet_page(request, services, staff, forms.task_id(task), refused, typed)
    return RedirectResponse(f"/staff/tasks?recorded={forms.task_id(task)}", 303)


async def _sheet_page(
    request: Request,
    services: Services,
    staff: Staff,
    number: int,
    refused: Refused | None = None,
    typed: dict[str, Any] | None = None,
) -> Response:
    async with services.database.transaction() as session:
        away = await lists.given_away(session, staff.scope, task_id=number)
        if away:
            return _given_page(request, services, away[0])
        found = await sheet.open_sheet(session, services, staff, number)
    kind = TaskKind(found.task.kind)
    is_open = found.task.state == TaskState.OPEN.value
    return page(
        request,
        "work/sheet.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        about=refused.error if refused else "",
        task=found.task,
        kind=kind,
        sheet=found,
        details=found.details,
        number=_spoken(found.details.phone),
        outcomes=rules.OUTCOMES[kind],
        # Beside what a colleague recorded, where that was told or the task is over.
        also=not is_open or bool(refused and refused.error == "task-changed"),
        is_open=is_open,
        typed=typed,
        form=str((typed or {}).get("form") or secrets.token_urlsafe(18)),
        symptoms=forms.SYMPTOMS,
        steps=[one for one in TaskKind if one is not TaskKind.CHECK_EVIDENCE],
        script=_script(staff, found, kind),
        part=lists.when_due(found.task.due_at, services.now),
        back_to=_came_from(found),
        local=vietnam_time,
        **_WORDS,
    )


def _spoken(phone: str) -> str:
    """A number of Vietnam as people read it out: 0901 234 567."""
    if not phone.startswith("+84") or len(phone) != 12:
        return phone
    return f"0{phone[3:6]} {phone[6:9]} {phone[9:]}"


def _script(staff: Staff, found: sheet.Sheet, kind: TaskKind) -> list[tuple[str, list[str]]]:
    """What to say, by language, that of the person first."""
    values = {
        "staff": staff.name,
        "unit": full_name(staff.unit),
        "person": found.details.name,
        "until": found.until.strftime("%d/%m/%Y") if found.until else "…",
    }
    return [
        (language, [translate(line, language, **values) for line in sheet.script(kind)])
        for language in sorted(LANGUAGES, key=lambda one: one != found.details.language)
    ]


def _given_page(request: Request, services: Services, away: lists.GivenAway) -> Response:
    """What the unit that gave a task away still sees of it."""
    answers = records.answers_of(records.sealer(services.settings.secrets_folder), away.event)
    return page(
        request,
        "work/given.html",
        away=away,
        reason=answers.note if answers else "",
        local=vietnam_time,
        **_WORDS,
    )


def _came_from(found: sheet.Sheet) -> str:
    """The unit that handed the task over, to give it back to; empty: it was always here."""
    for line in found.history:
        if line.facts.get("to") == found.task.unit and "from" in line.facts:
            return str(line.facts["from"])
    return ""
